//! List offsets: by position or time, from the shards that own the partitions.

use std::rc::Rc;

use futures_util::future::join_all;
use ringlog_shard::Lane;
use ringlog_wire::{
    ErrorCode, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListedOffset,
    PartitionState,
};

use super::{Outcome, Request};
use crate::failure::Failure;
use crate::shard::Shard;
use crate::shard::peer::{ByOwner, Listed, PeerReply, PeerRequest};

pub(super) async fn handle(shard: Rc<Shard>, request: Request) -> Outcome {
    let wanted = ListOffsetsRequest::decode(request.body())?.partitions;
    let listed = look_up(&shard, wanted).await.into_iter();
    let partitions = listed.map(|one| match one.result {
        Ok(found) => ListedOffset {
            id: one.id,
            error: ErrorCode::None,
            message: None,
            state: one.state,
            offset: found.map(|(offset, _)| offset),
            timestamp: found.and_then(|(_, timestamp)| timestamp),
        },
        Err(failure) => ListedOffset {
            id: one.id,
            error: failure.code,
            message: Some(failure.message),
            state: one.state,
            offset: None,
            timestamp: None,
        },
    });
    let response = ListOffsetsResponse {
        partitions: partitions.collect(),
    };
    shard.respond(&request, &response)
}

/// Looks up offsets on the shards that own the partitions; gives them in the order of the request.
pub(super) async fn look_up(shard: &Rc<Shard>, wanted: Vec<ListOffsetsPartition>) -> Vec<Listed> {
    let count = wanted.len();
    let groups = ByOwner::sort(wanted, |one| shard.owner(one.id));
    let mut slots: Vec<Option<Listed>> = Vec::new();
    slots.resize_with(count, || None);
    let asked = groups.owned.into_iter().map(|(owner, group)| async move {
        let (places, partitions): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        if owner == shard.me {
            return (places, shard.list_offsets(&partitions).await);
        }
        shard.metrics.forwarded.add(partitions.len() as u64);
        let ids: Vec<_> = partitions.iter().map(|one| one.id).collect();
        let call = PeerRequest::ListOffsets(partitions);
        match shard.router.call(owner, Lane::Work, call).await {
            Ok(PeerReply::ListedOffsets(listed)) => (places, listed),
            _ => {
                let gone = ids
                    .into_iter()
                    .map(|id| refused(id, Failure::shutting_down()));
                (places, gone.collect())
            }
        }
    });
    for (places, listed) in join_all(asked).await {
        for (place, one) in places.into_iter().zip(listed) {
            slots[place] = Some(one);
        }
    }
    for (place, unknown) in groups.unknown {
        slots[place] = Some(refused(unknown.id, Failure::unknown_partition(unknown.id)));
    }
    slots.into_iter().flatten().collect()
}

fn refused(id: ringlog_record::TopicPartition, failure: Failure) -> Listed {
    Listed {
        id,
        state: PartitionState::default(),
        result: Err(failure),
    }
}
