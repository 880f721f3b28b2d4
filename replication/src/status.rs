//! What a partition tells of itself.

use ringlog_log::{Durability, LogFailure};
use ringlog_record::{LeaderEpoch, Offset};

/// Where a partition begins and ends; every answer about it carries this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionEnds {
    /// The first offset that can be read.
    pub log_start: Offset,
    /// The offset behind the last record that readers may see.
    pub high_watermark: Offset,
    /// The offset behind the last record.
    pub log_end: Offset,
    /// The epoch of its leader.
    pub leader_epoch: LeaderEpoch,
}

/// The state of a partition for whoever looks after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Where it begins and ends.
    pub ends: PartitionEnds,
    /// The offset behind the last record that is on the device.
    pub durable_end: Offset,
    /// What stable means now: the log may hold records where its settings do not want it to be any more.
    pub durability: Durability,
    /// What a log in memory holds of the pool of buffers.
    pub memory_bytes: u64,
    /// Bytes of its batches.
    pub size_bytes: u64,
    /// Its segments, the active one included.
    pub segments: usize,
    /// Produces that wait for an answer.
    pub produces_waiting: usize,
    /// Why it is offline, if it is.
    pub failure: Option<LogFailure>,
}
