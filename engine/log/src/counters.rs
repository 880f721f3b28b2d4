//! What the logs of a shard count.

use std::cell::Cell;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    /// Adds.
    pub fn add(&self, count: u64) {
        self.0.set(self.0.get().saturating_add(count));
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// What the logs of a shard count.
#[derive(Debug, Default)]
pub struct LogCounters {
    /// Flush groups that became durable.
    pub flush_groups: Counter,
    /// Rounds of the flusher.
    pub flush_rounds: Counter,
    /// Bytes of batches appended.
    pub appended_bytes: Counter,
    /// Bytes written to segment files, whole blocks.
    pub written_bytes: Counter,
    /// Bytes of files that were prepared: zeros, written before anything else is.
    pub prepared_bytes: Counter,
    /// Bytes of checkpoints and indexes, and what recovery and recycling wrote.
    pub metadata_bytes: Counter,
    /// Files that retention took leave of and that became the next one of their log.
    pub files_recycled: Counter,
    /// Segments begun in a prepared file, or in a recycled one.
    pub rolls_prepared: Counter,
    /// Segments begun in a file that nobody had prepared.
    pub rolls_unprepared: Counter,
    /// Checkpoints written.
    pub checkpoints: Counter,
    /// Reads answered from memory.
    pub reads_from_memory: Counter,
    /// Reads answered from disk.
    pub reads_from_disk: Counter,
    /// Windows read ahead of their readers.
    pub reads_ahead: Counter,
    /// Reads answered from what had been read ahead.
    pub reads_from_read_ahead: Counter,
    /// Appends refused for want of space on the device.
    pub appends_without_space: Counter,
    /// Appends refused for want of memory.
    pub appends_throttled: Counter,
    /// Appends of idempotent producers that were in the log already.
    pub appends_duplicate: Counter,
    /// Memory of records that left logs in memory: by their bound, by age, or deleted.
    pub memory_dropped_bytes: Counter,
    /// Segments removed by retention or `delete_records`.
    pub segments_removed: Counter,
    /// Logs that failed for good.
    pub failures: Counter,
}
