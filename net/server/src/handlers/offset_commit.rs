//! Offset commit: forwarded to the shard that coordinates the group, answered when it is stable there.

use std::rc::Rc;

use ringlog_coord::groups::Entry;
use ringlog_shard::Lane;
use ringlog_wire::{ErrorCode, OffsetCommitRequest, OffsetCommitResponse, OffsetCommitted};

use super::groups::{check_here, coordinator_of, group_of, states_of};
use super::{Outcome, Request};
use crate::control::request::ControlRequest;
use crate::failure::Failure;
use crate::shard::Shard;
use crate::shard::groups::GroupCommit;
use crate::shard::peer::{PeerReply, PeerRequest};

pub(super) async fn handle(shard: Rc<Shard>, request: Request) -> Outcome {
    let wanted = OffsetCommitRequest::decode(request.body())?;
    let group = group_of(&wanted.group)?;
    let ids: Vec<_> = wanted.partitions.iter().map(|one| one.id).collect();
    let entries = wanted.partitions.into_iter().map(|one| Entry {
        id: one.id,
        offset: one.offset,
        leader_epoch: one.leader_epoch,
        metadata: one.metadata.into(),
    });
    let entries: Vec<_> = entries.collect();
    let results = match entries.is_empty() {
        true => Vec::new(),
        false => {
            if coordinator_of(&shard, &group).is_none() {
                shard.ask(ControlRequest::MakeGroups).await?;
            }
            let coordinator = coordinator_of(&shard, &group).ok_or_else(Failure::shutting_down)?;
            check_here(&shard, coordinator)?;
            let commit = GroupCommit {
                coordinator,
                group,
                entries,
            };
            carry_out(&shard, commit).await
        }
    };
    let states = states_of(&shard, &ids).await;
    let partitions = ids.into_iter().zip(results).zip(states);
    let partitions = partitions.map(|((id, result), state)| OffsetCommitted {
        id,
        error: result
            .as_ref()
            .map_or_else(|failure| failure.code, |()| ErrorCode::None),
        message: result.err().map(|failure| failure.message),
        state,
    });
    let response = OffsetCommitResponse {
        partitions: partitions.collect(),
    };
    shard.respond(&request, &response)
}

/// Has the shard of the coordinator carry a commit out: a result for each entry.
async fn carry_out(shard: &Rc<Shard>, commit: GroupCommit) -> Vec<Result<(), Failure>> {
    let count = commit.entries.len();
    let all = |failure: Failure| vec![Err(failure); count];
    let Some(owner) = shard.owner(commit.coordinator) else {
        return all(Failure::unknown_partition(commit.coordinator));
    };
    if owner == shard.me {
        let begun = shard.begin_commit(commit);
        return shard.finish_commit(begun).await;
    }
    let call = PeerRequest::CommitOffsets(commit);
    match shard.router.call(owner, Lane::Work, call).await {
        Ok(PeerReply::CommittedOffsets(results)) => results,
        _ => {
            let message = "the shard of the group's coordinator stopped before it answered";
            all(Failure::new(ErrorCode::UnknownOutcome, message))
        }
    }
}
