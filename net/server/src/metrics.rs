//! What a shard counts, and the picture of it that leaves the shard.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use hdrhistogram::Histogram;
use ringlog_log::{Counter, LogCounters};
use ringlog_reactor::LoopCounts;
use ringlog_record::ShardId;
use ringlog_wire::{Api, ErrorCode, ProduceReceipt};

pub mod prometheus;
mod stages;

pub use self::stages::StageLatencies;

/// Largest latency that is told apart, in microseconds: one minute.
const LATENCY_US_MAX: u64 = 60_000_000;

/// Significant digits of a latency.
const LATENCY_DIGITS: u8 = 2;

/// Live counters of a shard; they stay on its core.
#[derive(Default)]
pub(crate) struct Metrics {
    apis: RefCell<Vec<ApiCounts>>,
    stages: RefCell<StageLatencies>,
    pub(crate) received_bytes: Counter,
    pub(crate) sent_bytes: Counter,
    pub(crate) connections: Cell<u64>,
    pub(crate) connections_accepted: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) connections_failed: Counter,
    pub(crate) handed_over: Counter,
    pub(crate) forwarded: Counter,
    pub(crate) buffer_waits: Counter,
    pub(crate) frames_refused: Counter,
    pub(crate) requests_in_flight: Cell<u64>,
    pub(crate) calls_in_flight: Cell<u64>,
}

/// What is counted of one kind of request.
#[derive(Clone, Debug)]
pub struct ApiCounts {
    /// Which kind.
    pub api: Api,
    /// Requests answered, or carried out when they want no answer.
    pub requests: u64,
    /// Answers that were an error as a whole.
    pub errors: u64,
    /// From the last byte of the request to the answer in the outbox, in microseconds; parked time included.
    pub latency_us: Histogram<u64>,
}

impl ApiCounts {
    fn new(api: Api) -> Option<Self> {
        let latency_us = Histogram::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS).ok()?;
        Some(Self {
            api,
            requests: 0,
            errors: 0,
            latency_us,
        })
    }
}

impl Metrics {
    /// Notes an answer.
    pub(crate) fn answered(&self, api: Api, took: Duration, error: ErrorCode) {
        let mut apis = self.apis.borrow_mut();
        if !apis.iter().any(|counts| counts.api == api) {
            apis.extend(ApiCounts::new(api));
        }
        let Some(counts) = apis.iter_mut().find(|counts| counts.api == api) else {
            return;
        };
        counts.requests += 1;
        counts.errors += u64::from(error != ErrorCode::None);
        let micros = u64::try_from(took.as_micros()).unwrap_or(LATENCY_US_MAX);
        counts.latency_us.saturating_record(micros.max(1));
    }

    /// Notes where the time of a produce went.
    pub(crate) fn produced(&self, stages: &ProduceReceipt) {
        self.stages.borrow_mut().record(stages);
    }

    /// What was counted until now.
    pub(crate) fn snapshot(
        &self,
        shard: ShardId,
        gauges: Gauges,
        log: &LogCounters,
        loops: LoopCounts,
    ) -> ShardMetrics {
        ShardMetrics {
            shard,
            apis: self.apis.borrow().clone(),
            stages: self.stages.borrow().clone(),
            loops,
            received_bytes: self.received_bytes.get(),
            sent_bytes: self.sent_bytes.get(),
            connections: self.connections.get(),
            connections_accepted: self.connections_accepted.get(),
            connections_refused: self.connections_refused.get(),
            connections_failed: self.connections_failed.get(),
            handed_over: self.handed_over.get(),
            forwarded: self.forwarded.get(),
            buffer_waits: self.buffer_waits.get(),
            frames_refused: self.frames_refused.get(),
            requests_in_flight: self.requests_in_flight.get(),
            calls_in_flight: self.calls_in_flight.get(),
            gauges,
            log: LogCounts {
                flush_groups: log.flush_groups.get(),
                flush_rounds: log.flush_rounds.get(),
                appended_bytes: log.appended_bytes.get(),
                written_bytes: log.written_bytes.get(),
                prepared_bytes: log.prepared_bytes.get(),
                metadata_bytes: log.metadata_bytes.get(),
                files_recycled: log.files_recycled.get(),
                rolls_prepared: log.rolls_prepared.get(),
                rolls_unprepared: log.rolls_unprepared.get(),
                checkpoints: log.checkpoints.get(),
                reads_from_memory: log.reads_from_memory.get(),
                reads_from_disk: log.reads_from_disk.get(),
                reads_ahead: log.reads_ahead.get(),
                reads_from_read_ahead: log.reads_from_read_ahead.get(),
                appends_without_space: log.appends_without_space.get(),
                appends_throttled: log.appends_throttled.get(),
                appends_duplicate: log.appends_duplicate.get(),
                memory_dropped_bytes: log.memory_dropped_bytes.get(),
                segments_removed: log.segments_removed.get(),
                failures: log.failures.get(),
            },
        }
    }
}

/// What is looked up when a picture is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Partitions that are served.
    pub partitions: u64,
    /// Partitions that are not, although they should be.
    pub partitions_offline: u64,
    /// Partitions that are in memory only.
    pub partitions_in_memory: u64,
    /// What of the buffer pool their records hold, in bytes.
    pub memory_bytes: u64,
    /// Produces that wait for an answer.
    pub produces_waiting: u64,
    /// Fetches that wait for records.
    pub fetches_waiting: u64,
    /// Memory of the buffer pool in bytes.
    pub pool_bytes: u64,
    /// What of it the tails of the logs keep.
    pub cache_bytes: u64,
    /// Memory that holds what was, or is being, read ahead.
    pub read_ahead_bytes: u64,
    /// Commands that wait for the shard.
    pub commands_waiting: u64,
}

/// What the logs of a shard have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Flush groups that became durable.
    pub flush_groups: u64,
    /// Rounds of the flusher.
    pub flush_rounds: u64,
    /// Bytes of batches appended.
    pub appended_bytes: u64,
    /// Bytes written to segment files.
    pub written_bytes: u64,
    /// Bytes of zeros written to segment files before their use.
    pub prepared_bytes: u64,
    /// Bytes written of checkpoints and indexes, by recovery, and by recycling.
    pub metadata_bytes: u64,
    /// Files of removed segments that are used again.
    pub files_recycled: u64,
    /// Segments begun in a prepared file, or in a recycled one.
    pub rolls_prepared: u64,
    /// Segments begun in a file that nobody had prepared.
    pub rolls_unprepared: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Reads answered from memory.
    pub reads_from_memory: u64,
    /// Reads answered from disk.
    pub reads_from_disk: u64,
    /// Windows read ahead of their readers.
    pub reads_ahead: u64,
    /// Reads answered from what had been read ahead.
    pub reads_from_read_ahead: u64,
    /// Appends refused for want of space on the device.
    pub appends_without_space: u64,
    /// Appends refused for want of memory.
    pub appends_throttled: u64,
    /// Appends of idempotent producers that were in the log already.
    pub appends_duplicate: u64,
    /// Memory of records that left partitions in memory, in bytes.
    pub memory_dropped_bytes: u64,
    /// Segments removed.
    pub segments_removed: u64,
    /// Logs that failed for good.
    pub failures: u64,
}

/// A picture of what a shard has counted.
#[derive(Clone, Debug)]
pub struct ShardMetrics {
    /// Which shard.
    pub shard: ShardId,
    /// By kind of request.
    pub apis: Vec<ApiCounts>,
    /// Where the time of produces went.
    pub stages: StageLatencies,
    /// What the loop of its core has done.
    pub loops: LoopCounts,
    /// Bytes received from clients.
    pub received_bytes: u64,
    /// Bytes sent to clients.
    pub sent_bytes: u64,
    /// Connections open.
    pub connections: u64,
    /// Connections taken.
    pub connections_accepted: u64,
    /// Connections refused because there were too many.
    pub connections_refused: u64,
    /// Connections closed because of what the client did or did not do.
    pub connections_failed: u64,
    /// Connections handed over to the shard that their hello asked for.
    pub handed_over: u64,
    /// Partitions of requests that came in on another shard than their owner's.
    pub forwarded: u64,
    /// Times that a connection found no buffer and was not read from.
    pub buffer_waits: u64,
    /// Frames that were refused.
    pub frames_refused: u64,
    /// Requests under way.
    pub requests_in_flight: u64,
    /// Calls of other shards under way.
    pub calls_in_flight: u64,
    /// What is now.
    pub gauges: Gauges,
    /// What the logs have counted.
    pub log: LogCounts,
}
