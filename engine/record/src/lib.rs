//! Ids, offsets and the record batch: the vocabulary that every layer shares.
//!
//! Nothing here does I/O, keeps state or knows of a log: values, views over bytes, and builders.
#![forbid(unsafe_code)]

pub mod batch;
pub mod ids;
pub mod limits;
pub mod murmur2;
pub mod offset;
pub mod producer;
pub mod topic;

pub use ids::{BrokerId, LeaderEpoch, PartitionIndex, ShardId, TimestampMs};
pub use offset::Offset;
pub use producer::{ProducerEpoch, ProducerId, ProducerStamp, Sequence};
pub use topic::{TopicId, TopicIdError, TopicPartition};
