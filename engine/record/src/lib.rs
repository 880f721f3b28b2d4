//! Ids, offsets and the record batch: the vocabulary that every layer shares.
#![forbid(unsafe_code)]

mod ids;

pub use ids::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ShardId, TimestampMs, TopicId, TopicIdError,
    TopicPartition,
};
