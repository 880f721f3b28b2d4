//! Delete records: moves the log start of partitions, on the shards that own them.

use std::rc::Rc;

use futures_util::future::join_all;
use ringlog_shard::Lane;
use ringlog_wire::{
    DeleteRecordsRequest, DeleteRecordsResponse, DeletedRecords, ErrorCode, PartitionState,
};

use super::{Outcome, Request};
use crate::failure::Failure;
use crate::shard::Shard;
use crate::shard::peer::{ByOwner, Deleted, PeerReply, PeerRequest};

pub(super) async fn handle(shard: Rc<Shard>, request: Request) -> Outcome {
    let wanted = DeleteRecordsRequest::decode(request.body())?.partitions;
    let count = wanted.len();
    let groups = ByOwner::sort(wanted, |one| shard.owner(one.id));
    let mut slots: Vec<Option<Deleted>> = Vec::new();
    slots.resize_with(count, || None);
    let asked = groups.owned.into_iter().map(|(owner, group)| {
        let shard = &shard;
        async move {
            let (places, partitions): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            if owner == shard.me {
                return (places, shard.delete_records(&partitions).await);
            }
            shard.metrics.forwarded.add(partitions.len() as u64);
            let ids: Vec<_> = partitions.iter().map(|one| one.id).collect();
            let call = PeerRequest::DeleteRecords(partitions);
            match shard.router.call(owner, Lane::Work, call).await {
                Ok(PeerReply::DeletedRecords(deleted)) => (places, deleted),
                _ => {
                    let message = "the shard of the partition stopped before it answered";
                    let unknown = || Failure::new(ErrorCode::UnknownOutcome, message);
                    (
                        places,
                        ids.into_iter().map(|id| refused(id, unknown())).collect(),
                    )
                }
            }
        }
    });
    for (places, deleted) in join_all(asked).await {
        for (place, one) in places.into_iter().zip(deleted) {
            slots[place] = Some(one);
        }
    }
    for (place, unknown) in groups.unknown {
        slots[place] = Some(refused(unknown.id, Failure::unknown_partition(unknown.id)));
    }
    let partitions = slots.into_iter().flatten().map(|one| DeletedRecords {
        id: one.id,
        state: one.state,
        error: one
            .result
            .as_ref()
            .map_or_else(|failure| failure.code, |()| ErrorCode::None),
        message: one.result.err().map(|failure| failure.message),
    });
    let response = DeleteRecordsResponse {
        partitions: partitions.collect(),
    };
    shard.respond(&request, &response)
}

fn refused(id: ringlog_record::TopicPartition, failure: Failure) -> Deleted {
    Deleted {
        id,
        state: PartitionState::default(),
        result: Err(failure),
    }
}
