//! The settings of a log.

use ringlog_reactor::BufferPool;
use ringlog_record::batch::TimestampType;

use crate::limits::{
    BLOCK_BYTES, RETENTION_BYTES_IN_MEMORY, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
    SEGMENT_CLASSES_BYTES, SMALL_INTERIM_FILES_MAX,
};

/// When an append counts as stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on the device.
    #[default]
    Sync,
    /// At once; it is written behind within `flush_ms`.
    Async,
    /// At once, and never written: the records are gone when the log is opened anew.
    Memory,
}

/// The settings of a log, one for each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// When an append counts as stable.
    pub durability: Durability,
    /// How long records are kept after they were appended; for ever without.
    pub retention_ms: Option<u64>,
    /// How many bytes are kept at least; all without. With `memory`, how many are kept at most, those apart of one append
    /// that is larger; [`RETENTION_BYTES_IN_MEMORY`] without.
    pub retention_bytes: Option<u64>,
    /// Size of a full-grown segment.
    pub segment_bytes: u64,
    /// Age at which a segment is sealed although it is not full.
    pub segment_ms: u64,
    /// How long `async` appends may wait to be written.
    pub flush_ms: u64,
    /// Largest batch that is taken.
    pub max_batch_bytes: u32,
    /// Whose time stamps records carry.
    pub timestamp_type: TimestampType,
}

/// What a chunk of so many bytes takes of the pool.
pub(crate) fn chunk_capacity_bytes(len: u64) -> u64 {
    let capacity = usize::try_from(len).ok().and_then(BufferPool::capacity_for);
    capacity.map_or(len, |capacity| capacity as u64)
}

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            durability: Durability::Sync,
            retention_ms: Some(7 * DAY_MS),
            retention_bytes: None,
            segment_bytes: SEGMENT_BYTES_MAX,
            segment_ms: DAY_MS,
            flush_ms: 20,
            max_batch_bytes: 1 << 20,
            timestamp_type: TimestampType::Create,
        }
    }
}

impl LogConfig {
    /// The size of the next file for a log that needs `needed_bytes` of it, has filled a file of `filled_bytes` if
    /// any, and grows by a class when it has.
    pub(crate) fn file_bytes(&self, filled_bytes: u64, needed_bytes: u64) -> u64 {
        let largest = self
            .segment_bytes
            .clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let fits = |class: &u64| *class > filled_bytes && *class >= needed_bytes;
        let grown = SEGMENT_CLASSES_BYTES
            .into_iter()
            .map(|class| class.min(largest))
            .find(fits);
        let fallback = SEGMENT_CLASSES_BYTES
            .into_iter()
            .find(|&class| class >= needed_bytes);
        let bytes = grown.unwrap_or(if largest >= needed_bytes {
            largest
        } else {
            fallback.unwrap_or(largest)
        });
        bytes.next_multiple_of(BLOCK_BYTES)
    }

    /// Bytes of memory that a log in memory may hold: what is to be kept, and at least the largest batch with the partial
    /// block before it.
    pub fn memory_bytes(&self) -> u64 {
        let kept_bytes = self.retention_bytes.unwrap_or(RETENTION_BYTES_IN_MEMORY);
        kept_bytes.max(chunk_capacity_bytes(
            u64::from(self.max_batch_bytes) + BLOCK_BYTES,
        ))
    }

    /// The size of a file that serves a log while its next one is still being prepared: not above that of the file which
    /// is full, and of a middling class at most. That it is when there were so many that the next one may not come at all:
    /// each of the smallest ones costs as much to make as a large one.
    pub(crate) fn interim_file_bytes(
        &self,
        filled_bytes: u64,
        needed_bytes: u64,
        missed_rolls: u32,
    ) -> u64 {
        let [smallest, middling, _] = SEGMENT_CLASSES_BYTES;
        if filled_bytes > middling || missed_rolls >= SMALL_INTERIM_FILES_MAX {
            self.file_bytes(smallest, needed_bytes)
        } else {
            self.file_bytes(0, needed_bytes.max(filled_bytes))
        }
    }
}

#[cfg(test)]
mod tests;
