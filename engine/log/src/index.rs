//! The sparse index of a segment: for every 64 KiB where a batch begins, by offset and by time.

use ringlog_record::{Offset, TimestampMs};

use crate::limits::{INDEX_ENTRIES_MAX, INDEX_INTERVAL_BYTES};

/// Where a batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// Base offset of the batch.
    pub(crate) offset: Offset,
    /// Byte position of the batch in the segment.
    pub(crate) position: u64,
    /// Largest time stamp in the segment before the batch.
    pub(crate) max_timestamp_before: TimestampMs,
}

/// The sparse index of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SparseIndex(Vec<IndexEntry>);

impl SparseIndex {
    /// An index of these entries, or `None` when they are not in order.
    pub(crate) fn from_entries(entries: Vec<IndexEntry>) -> Option<Self> {
        let ordered = entries.windows(2).all(|two| {
            two[0].offset < two[1].offset
                && two[0].position < two[1].position
                && two[0].max_timestamp_before <= two[1].max_timestamp_before
        });
        (ordered && entries.len() <= INDEX_ENTRIES_MAX).then_some(Self(entries))
    }

    /// The entries in order.
    pub(crate) fn entries(&self) -> &[IndexEntry] {
        &self.0
    }

    /// Takes note of a batch, which is the next of the segment.
    pub(crate) fn note(&mut self, batch: IndexEntry) {
        let last = self.0.last().map_or(0, |entry| entry.position);
        if batch.position >= last + INDEX_INTERVAL_BYTES {
            self.0.push(batch);
        }
    }

    /// The last entry at or before `offset`; none when that is before the first entry.
    pub(crate) fn at_or_before(&self, offset: Offset) -> Option<&IndexEntry> {
        let after = self.0.partition_point(|entry| entry.offset <= offset);
        self.0[..after].last()
    }

    /// The last entry at or before a position; none when that is before the first entry.
    pub(crate) fn at_or_before_position(&self, position: u64) -> Option<&IndexEntry> {
        let after = self.0.partition_point(|entry| entry.position <= position);
        self.0[..after].last()
    }

    /// The last entry before which all time stamps are below `timestamp`; none when that is before the first entry.
    pub(crate) fn before_time(&self, timestamp: TimestampMs) -> Option<&IndexEntry> {
        let after = self
            .0
            .partition_point(|entry| entry.max_timestamp_before < timestamp);
        self.0[..after].last()
    }
}

#[cfg(test)]
mod tests;
