//! Offset fetch: from the shard that coordinates the group.

use std::rc::Rc;

use ringlog_shard::Lane;
use ringlog_wire::{CommittedOffset, OffsetFetchRequest, OffsetFetchResponse};

use super::groups::{check_here, coordinator_of, group_of, states_of};
use super::{Outcome, Request};
use crate::control::request::ControlRequest;
use crate::failure::Failure;
use crate::shard::Shard;
use crate::shard::groups::{OffsetsRead, OffsetsWanted};
use crate::shard::peer::{PeerReply, PeerRequest};

pub(super) async fn handle(shard: Rc<Shard>, request: Request) -> Outcome {
    let wanted = OffsetFetchRequest::decode(request.body())?;
    let group = group_of(&wanted.group)?;
    let read = match coordinator_of(&shard, &group) {
        // No group has committed anything, if this broker would know.
        None => {
            shard.ask(ControlRequest::CheckSight).await?;
            nothing(wanted.partitions.unwrap_or_default())
        }
        Some(coordinator) => {
            check_here(&shard, coordinator)?;
            let wanted = OffsetsWanted {
                coordinator,
                group,
                partitions: wanted.partitions,
            };
            read(&shard, wanted).await?
        }
    };
    let ids: Vec<_> = read.iter().map(|(id, _)| *id).collect();
    let states = states_of(&shard, &ids).await;
    let view = shard.view();
    let partitions = read
        .into_iter()
        .zip(states)
        .map(|((id, committed), state)| {
            let none = CommittedOffset {
                state,
                ..CommittedOffset::none(id)
            };
            if !view.has(id) {
                let failure = Failure::unknown_partition(id);
                return CommittedOffset {
                    error: failure.code,
                    message: Some(failure.message),
                    ..none
                };
            }
            match committed {
                None => none,
                Some(committed) => CommittedOffset {
                    offset: Some(committed.offset),
                    leader_epoch: committed.leader_epoch,
                    metadata: committed.metadata.into(),
                    committed_at: Some(committed.at),
                    ..none
                },
            }
        });
    let response = OffsetFetchResponse {
        partitions: partitions.collect(),
    };
    shard.respond(&request, &response)
}

fn nothing(ids: Vec<ringlog_record::TopicPartition>) -> OffsetsRead {
    ids.into_iter().map(|id| (id, None)).collect()
}

async fn read(shard: &Rc<Shard>, wanted: OffsetsWanted) -> Result<OffsetsRead, Failure> {
    let coordinator = wanted.coordinator;
    let Some(owner) = shard.owner(coordinator) else {
        return Err(Failure::unknown_partition(coordinator));
    };
    if owner == shard.me {
        return shard.read_offsets(wanted);
    }
    let call = PeerRequest::ReadOffsets(wanted);
    match shard.router.call(owner, Lane::Work, call).await {
        Ok(PeerReply::ReadOffsets(read)) => read,
        _ => Err(Failure::shutting_down()),
    }
}
