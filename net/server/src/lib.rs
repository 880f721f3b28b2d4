//! The broker: listeners, connections, one handler file for each request, assembly.
//!
//! **Duty.** [`broker::start`] puts a broker together from a platform, settings and the port that prepares files;
//! [`control::ControlTask::run`] is its life, over a metadata store. Requests flow from a connection to the shard
//! that owns what they are about, to its partition, and back.
//!
//! **Threads.** One core for each shard, which shares nothing; the control task wherever its store is. Only messages
//! pass between them.
//!
//! **Must not know.** Environment variables, configuration files, terminals, io_uring, FlatBuffers; on which platform
//! it runs.
#![forbid(unsafe_code)]

pub mod broker;
pub mod cluster_view;
mod connection;
pub mod control;
mod ending;
pub mod failure;
mod handlers;
pub mod limits;
pub mod metrics;
mod partition_budget;
mod shard;
pub mod slow;
mod stages;

pub use broker::{
    BrokerConfig, BrokerHandle, BrokerParts, Health, OfflinePartition, ShardSlow, start,
};
pub use control::{BrokerError, ControlTask, OnReactor, Surroundings};
pub use partition_budget::PartitionBudget;
pub use shard::BulkFactory;
