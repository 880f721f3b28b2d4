//! A look-up in the index of a segment, for micro-benchmarks, which reach what is private here by the feature `bench`;
//! no broker is built with it.

use ringlog_record::{Offset, TimestampMs};

use crate::index::{IndexEntry, SparseIndex};
use crate::limits::INDEX_INTERVAL_BYTES;

/// Records between two entries: of 1 KiB each.
const RECORDS_PER_ENTRY: u64 = INDEX_INTERVAL_BYTES / 1024;

/// The index of a segment that is full of records of one size.
#[derive(Debug)]
pub struct Lookup {
    index: SparseIndex,
    records: u64,
}

impl Lookup {
    /// An index of so many entries.
    pub fn new(entries: u64) -> Self {
        let mut index = SparseIndex::default();
        for number in 1..=entries {
            index.note(IndexEntry {
                offset: Offset::new(number * RECORDS_PER_ENTRY),
                position: number * INDEX_INTERVAL_BYTES,
                max_timestamp_before: TimestampMs::new(0),
            });
        }
        Self {
            index,
            records: entries * RECORDS_PER_ENTRY,
        }
    }

    /// Where reading begins for the record at `offset`, taken modulo the number of records.
    pub fn position(&self, offset: u64) -> u64 {
        let offset = Offset::new(offset % self.records);
        self.index
            .at_or_before(offset)
            .map_or(0, |entry| entry.position)
    }
}
