//! Fetch: reads what is there; when that is too little, waits until one of the shards concerned has enough, or time
//! is over, and reads again.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all, select, select_all};
use ringlog_log::Slices;
use ringlog_record::ShardId;
use ringlog_shard::Lane;
use ringlog_wire::limits::PAYLOAD_BYTES_MAX;
use ringlog_wire::{
    ErrorCode, FetchPartition, FetchRequest, FetchResponseDraft, FetchedPartition, PartitionState,
};
use smallvec::SmallVec;

use super::{Ended, Memory, Notes, Outcome, Request, Response, Session};
use crate::failure::Failure;
use crate::limits::{FETCH_WAIT_MAX, WATCH_BYTES};
use crate::shard::Shard;
use crate::shard::data::payload_of;
use crate::shard::peer::{ByOwner, Collected, PeerReply, PeerRequest, Placed, WatchSpec};

/// Partitions of a request by their owner, with their places in it.
type Groups = ByOwner<FetchPartition>;

struct Wanted {
    groups: Groups,
    partitions: usize,
    max_bytes: usize,
    min_bytes: usize,
    max_wait: Duration,
}

impl Wanted {
    /// The most that the answer holds, but for a first batch that is larger.
    fn bytes_max(&self) -> usize {
        let groups = self.groups.owned.iter().flat_map(|(_, group)| group);
        let partitions = groups.map(|(_, one)| usize::try_from(one.max_bytes));
        let sum = partitions.fold(0_usize, |sum, one| {
            sum.saturating_add(one.unwrap_or(usize::MAX))
        });
        sum.min(self.max_bytes)
    }
}

pub(super) async fn handle(session: Rc<Session>, request: Request) -> Ended {
    let mut notes = Notes::default();
    let outcome = answer(&session, request, &mut notes).await;
    Ended { outcome, notes }
}

async fn answer(session: &Session, request: Request, notes: &mut Notes) -> Outcome {
    let shard = &session.shard;
    let header = request.header;
    let wanted = decode(shard, &request)?;
    drop(request);
    let deadline = shard.reactor.now() + wanted.max_wait;
    let mut read = Read::collect(session, &wanted).await;
    let left = deadline.since(shard.reactor.now());
    let may_wait = !left.is_zero() && !session.ending.has_come();
    if may_wait
        && !read.is_enough(&wanted)
        && let Some(_place) = shard.watches.try_take(wanted.partitions * WATCH_BYTES)
    {
        // What was read is not held on to while waiting.
        drop(read);
        let parked = shard.reactor.now();
        select(pin!(watch(shard, &wanted, left)), session.ending.wait()).await;
        notes.parked = shard.reactor.now().since(parked);
        // What is there now is the answer, be it less: one owner had enough when it was looked at, and what the
        // request allows of each partition may be less than the least that it wants of all.
        read = Read::collect(session, &wanted).await;
    }
    notes.partition = read.collected.first().map(|one| one.id);
    notes.bytes = read.collected.iter().map(|one| one.bytes() as u64).sum();
    respond(session, &header, read)
}

/// What was read for an answer, and the memory that it holds on to.
struct Read {
    collected: SmallVec<[Collected; 1]>,
    memory: Memory,
}

impl Read {
    async fn collect(session: &Session, wanted: &Wanted) -> Self {
        let bytes_max = wanted.bytes_max();
        // The connection's own share first: who does not read its answers waits for itself, and not the others
        // for it.
        let own = session.answers.take(bytes_max).await;
        let shared = session.shard.answers.take(bytes_max).await;
        let mut memory = Memory::from([own, shared]);
        let collected = collect(&session.shard, wanted).await;
        let bytes = collected.iter().map(Collected::bytes).sum();
        memory.iter_mut().for_each(|share| share.shrink_to(bytes));
        Self { collected, memory }
    }

    /// Whether it is worth an answer before the time is over.
    fn is_enough(&self, wanted: &Wanted) -> bool {
        let bytes: usize = self.collected.iter().map(Collected::bytes).sum();
        let has_failure = self.collected.iter().any(|one| one.result.is_err());
        has_failure || bytes >= wanted.min_bytes || self.collected.is_empty()
    }
}

fn decode(shard: &Shard, request: &Request) -> Result<Wanted, Failure> {
    let fetch = FetchRequest::decode(request.body())?;
    let bytes = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let max_bytes = bytes(fetch.max_bytes()).min(PAYLOAD_BYTES_MAX);
    Ok(Wanted {
        partitions: fetch.partitions().len(),
        groups: ByOwner::sort(fetch.partitions(), |one| shard.owner(one.id)),
        max_bytes,
        min_bytes: bytes(fetch.min_bytes()).min(max_bytes),
        max_wait: Duration::from_millis(fetch.max_wait_ms().into()).min(FETCH_WAIT_MAX),
    })
}

/// Reads from every shard concerned, and puts together what fits, in the order of the request.
async fn collect(shard: &Rc<Shard>, wanted: &Wanted) -> SmallVec<[Collected; 1]> {
    let mut slots: SmallVec<[Option<Collected>; 1]> = SmallVec::new();
    slots.resize_with(wanted.partitions, || None);
    let mut fill = |read: Placed<Collected>| {
        for (place, one) in read {
            slots[place] = Some(one);
        }
    };
    match wanted.groups.owned.as_slice() {
        [(owner, group)] => fill(collect_group(shard, *owner, group, wanted).await),
        groups => {
            let read = groups
                .iter()
                .map(|(owner, group)| collect_group(shard, *owner, group, wanted));
            join_all(read).await.into_iter().for_each(fill);
        }
    }
    for (place, unknown) in &wanted.groups.unknown {
        slots[*place] = Some(Collected {
            id: unknown.id,
            state: PartitionState::default(),
            result: Err(Failure::unknown_partition(unknown.id)),
            forwarded: false,
        });
    }
    let mut collected: SmallVec<[Collected; 1]> = slots.into_iter().flatten().collect();
    let mut taken_bytes = 0;
    for one in &mut collected {
        let bytes = one.bytes();
        if taken_bytes > 0 && taken_bytes + bytes > wanted.max_bytes {
            // Each shard read as if it were alone: what is too much is read again by the next fetch.
            one.result = Ok(Slices::new());
        } else {
            taken_bytes += bytes;
        }
    }
    collected
}

async fn collect_group(
    shard: &Rc<Shard>,
    owner: ShardId,
    group: &[(usize, FetchPartition)],
    wanted: &Wanted,
) -> Placed<Collected> {
    let partitions = group.iter().map(|&(_, partition)| partition);
    let places = group.iter().map(|&(place, _)| place);
    if owner == shard.me {
        let partitions: SmallVec<[_; 1]> = partitions.collect();
        let collected = shard.collect(&partitions, wanted.max_bytes).await;
        return places.zip(collected).collect();
    }
    let partitions: Vec<_> = partitions.collect();
    shard.metrics.forwarded.add(partitions.len() as u64);
    let ids: Vec<_> = partitions.iter().map(|partition| partition.id).collect();
    let call = PeerRequest::Collect {
        partitions,
        max_bytes: wanted.max_bytes,
    };
    let collected = match shard.router.call(owner, Lane::Work, call).await {
        Ok(PeerReply::Collected(mut collected)) => {
            collected.iter_mut().for_each(|one| one.forwarded = true);
            collected
        }
        _ => ids
            .into_iter()
            .map(|id| Collected {
                id,
                state: PartitionState::default(),
                result: Err(Failure::shutting_down()),
                forwarded: true,
            })
            .collect(),
    };
    places.zip(collected).collect()
}

/// Waits until one of the shards concerned has enough, or time is over.
async fn watch(shard: &Rc<Shard>, wanted: &Wanted, left: Duration) {
    let waits = wanted.groups.owned.iter().map(|(owner, group)| {
        let owner = *owner;
        let spec = WatchSpec {
            partitions: group.iter().map(|(_, one)| (one.id, one.offset)).collect(),
            min_bytes: wanted.min_bytes as u64,
            max_wait: left,
        };
        let wait: LocalBoxFuture<'_, ()> = if owner == shard.me {
            Box::pin(async move { shard.watch(&spec).await })
        } else {
            Box::pin(async move {
                drop(
                    shard
                        .router
                        .call(owner, Lane::Wait, PeerRequest::Watch(spec))
                        .await,
                )
            })
        };
        wait
    });
    let waits: Vec<_> = waits.collect();
    if !waits.is_empty() {
        select_all(waits).await;
    }
}

fn respond(session: &Session, header: &ringlog_wire::FrameHeader, read: Read) -> Outcome {
    let collected = &read.collected;
    let partitions: SmallVec<[_; 1]> = collected
        .iter()
        .map(|one| match &one.result {
            Ok(_) => FetchedPartition {
                id: one.id,
                error: ErrorCode::None,
                message: None,
                state: one.state,
                len_bytes: u32::try_from(one.bytes()).unwrap_or(u32::MAX),
                agreed_end: None,
                forwarded: one.forwarded,
            },
            Err(failure) => FetchedPartition {
                state: one.state,
                agreed_end: failure.agreed_end,
                forwarded: one.forwarded,
                ..FetchedPartition::refused(one.id, failure.code, &failure.message)
            },
        })
        .collect();
    let draft = FetchResponseDraft {
        partitions: &partitions,
        throttle_ms: session.held.take_ms(&session.shard.reactor),
    };
    Ok(Some(Response {
        head: session.shard.encode(header.correlation_id(), &draft)?,
        payload: payload_of(collected),
        memory: read.memory,
    }))
}
