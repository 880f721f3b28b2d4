//! What shards ask of each other. Values only: a partition never leaves its core.

use std::time::Duration;

use bytes::Bytes;
use ringlog_log::Slices;
use ringlog_reactor::{Instant, RawSocket};
use ringlog_record::{Offset, ShardId, TimestampMs, TopicPartition};
use ringlog_replication::Acks;
use ringlog_wire::{
    AckLevel, CorrelationId, DeleteRecordsPartition, FetchPartition, ListOffsetsPartition,
    PartitionState,
};
use smallvec::SmallVec;

use super::groups::{GroupCommit, OffsetsRead, OffsetsWanted};
use crate::failure::Failure;
use crate::stages::Stages;

/// A request to the shard that owns what it is about.
#[derive(Debug)]
pub(crate) enum PeerRequest {
    /// Take over a connection whose hello asked for you.
    Adopt(HandOver),
    /// Append.
    Produce {
        id: TopicPartition,
        batches: Bytes,
        acks: Acks,
        /// Where the log must end.
        expected_offset: Option<Offset>,
        /// When the request had come in, on the core that asks.
        received: Instant,
    },
    /// Read what is there.
    Collect {
        partitions: Vec<FetchPartition>,
        max_bytes: usize,
    },
    /// Wait until these partitions together have something to read.
    Watch(WatchSpec),
    /// Look up offsets.
    ListOffsets(Vec<ListOffsetsPartition>),
    /// Move log starts.
    DeleteRecords(Vec<DeleteRecordsPartition>),
    /// Commit offsets of a group.
    CommitOffsets(GroupCommit),
    /// Tell what a group has committed.
    ReadOffsets(OffsetsWanted),
}

/// The answer of the same name.
#[derive(Debug)]
pub(crate) enum PeerReply {
    Adopted,
    Produced(Produced),
    Collected(Vec<Collected>),
    Ready,
    ListedOffsets(Vec<Listed>),
    DeletedRecords(Vec<Deleted>),
    CommittedOffsets(Vec<Result<(), Failure>>),
    ReadOffsets(Result<OffsetsRead, Failure>),
}

/// A connection on its way to the shard that its hello asked for.
#[derive(Debug)]
pub(crate) struct HandOver {
    pub(crate) socket: RawSocket,
    pub(crate) greeted: Greeted,
}

/// What the answer to a hello needs of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Greeted {
    pub(crate) correlation_id: CorrelationId,
    /// The version that both sides speak.
    pub(crate) version: u8,
}

/// When a wait for records ends.
#[derive(Clone, Debug)]
pub(crate) struct WatchSpec {
    /// Partitions, each with the offset from which on something is wanted.
    pub(crate) partitions: Vec<(TopicPartition, Offset)>,
    /// Bytes that they must have together.
    pub(crate) min_bytes: u64,
    /// How long to wait at most.
    pub(crate) max_wait: Duration,
}

/// What became of a produce.
#[derive(Debug)]
pub(crate) struct Produced {
    pub(crate) id: TopicPartition,
    pub(crate) state: PartitionState,
    pub(crate) result: Result<ProducedAt, Failure>,
}

/// Where records were put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProducedAt {
    pub(crate) base_offset: Offset,
    pub(crate) level: AckLevel,
    pub(crate) stages: Stages,
}

/// What was read of a partition.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) id: TopicPartition,
    pub(crate) state: PartitionState,
    pub(crate) result: Result<Slices, Failure>,
    /// By which shard it was read, when that is not the connection's.
    pub(crate) forwarded: bool,
}

impl Collected {
    /// Bytes of its batches.
    pub(crate) fn bytes(&self) -> usize {
        self.result
            .as_ref()
            .map_or(0, |slices| slices.iter().map(Bytes::len).sum())
    }
}

/// An offset that was looked up.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: TopicPartition,
    pub(crate) state: PartitionState,
    pub(crate) result: Result<Option<(Offset, Option<TimestampMs>)>, Failure>,
}

/// A log start that was to be moved.
#[derive(Debug)]
pub(crate) struct Deleted {
    pub(crate) id: TopicPartition,
    pub(crate) state: PartitionState,
    pub(crate) result: Result<(), Failure>,
}

/// Items by the shard that owns them, each with its place in the request; those that nobody owns apart.
pub(crate) struct ByOwner<T> {
    /// In the order in which they came up.
    pub(crate) owned: SmallVec<[(ShardId, Placed<T>); 1]>,
    pub(crate) unknown: Placed<T>,
}

/// Items, each with its place in the request. Most requests are of one.
pub(crate) type Placed<T> = SmallVec<[(usize, T); 1]>;

impl<T> ByOwner<T> {
    /// Sorts items.
    pub(crate) fn sort(
        items: impl IntoIterator<Item = T>,
        owner: impl Fn(&T) -> Option<ShardId>,
    ) -> Self {
        let mut sorted = Self {
            owned: SmallVec::new(),
            unknown: Placed::new(),
        };
        for (place, item) in items.into_iter().enumerate() {
            let Some(shard) = owner(&item) else {
                sorted.unknown.push((place, item));
                continue;
            };
            // There are no more owners than shards.
            let known = sorted.owned.iter_mut().find(|(owner, _)| *owner == shard);
            match known {
                Some((_, items)) => items.push((place, item)),
                None => sorted.owned.push((shard, Placed::from([(place, item)]))),
            }
        }
        sorted
    }
}
