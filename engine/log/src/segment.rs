//! A segment of a log: what is known of one file.

use ringlog_reactor::File;
use ringlog_record::{Offset, TimestampMs};

use crate::index::{IndexEntry, SparseIndex};

/// How far the file of a segment has come.
#[derive(Clone)]
pub(crate) enum SegmentFile {
    /// It is being made; nothing is written yet.
    Awaited,
    /// It may be written, under its own name or still under that of the prepared file.
    Open { file: File, name: SegmentName },
    /// It is sealed: opened by who reads it.
    Closed,
    /// There is none: the log is in memory only.
    Nowhere,
}

/// Under which name a file stands in the directory, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentName {
    /// That of its base offset.
    BaseOffset,
    /// That of the prepared file; the rename has not become durable yet.
    Next,
}

/// A segment of a log. The one with the highest base offset is active.
#[derive(Clone)]
pub(crate) struct Segment {
    /// Offset of its first record.
    pub(crate) base: Offset,
    /// Offset behind its last record.
    pub(crate) end: Offset,
    /// Size of its file.
    pub(crate) capacity_bytes: u64,
    /// Bytes of batches in it, in memory or on disk.
    pub(crate) len_bytes: u64,
    /// Bytes of batches that are on the device.
    pub(crate) durable_bytes: u64,
    pub(crate) index: SparseIndex,
    /// Largest time stamp of its batches.
    pub(crate) max_timestamp: TimestampMs,
    /// When its first batch was appended, by the clock of the broker.
    pub(crate) first_append: Option<TimestampMs>,
    /// When its last batch was appended, by the clock of the broker.
    pub(crate) last_append: Option<TimestampMs>,
    pub(crate) file: SegmentFile,
}

impl Segment {
    pub(crate) fn new(base: Offset, capacity_bytes: u64, file: SegmentFile) -> Self {
        Self {
            base,
            end: base,
            capacity_bytes,
            len_bytes: 0,
            durable_bytes: 0,
            index: SparseIndex::default(),
            max_timestamp: TimestampMs::NONE,
            first_append: None,
            last_append: None,
            file,
        }
    }

    /// Takes note of a batch that follows the last one.
    pub(crate) fn note_batch(
        &mut self,
        base_offset: Offset,
        end: Offset,
        len_bytes: u64,
        max_time: TimestampMs,
    ) {
        let max_timestamp_before = self.max_timestamp;
        self.index.note(IndexEntry {
            offset: base_offset,
            position: self.len_bytes,
            max_timestamp_before,
        });
        self.max_timestamp = self.max_timestamp.max(max_time);
        self.len_bytes += len_bytes;
        self.end = end;
    }

    /// Takes note of the time of an append. The clock may have gone back since the one before: what counts is the
    /// latest, so that retention removes nothing early.
    pub(crate) fn note_append(&mut self, now: TimestampMs) {
        self.first_append.get_or_insert(now);
        self.last_append = self.last_append.max(Some(now));
    }

    /// Where to begin to look for `offset`: an offset at or before it, and its position.
    pub(crate) fn position_at_or_before(&self, offset: Offset) -> (Offset, u64) {
        self.index
            .at_or_before(offset)
            .map_or((self.base, 0), |entry| (entry.offset, entry.position))
    }

    /// Closes the file of a sealed segment.
    pub(crate) fn close_file(&mut self) {
        if self.is_at_rest() && !matches!(self.file, SegmentFile::Nowhere) {
            self.file = SegmentFile::Closed;
        }
    }

    /// Whether its file is there under its own name, or it has none.
    pub(crate) fn is_at_rest(&self) -> bool {
        match &self.file {
            SegmentFile::Open { name, .. } => *name == SegmentName::BaseOffset,
            SegmentFile::Closed | SegmentFile::Nowhere => true,
            SegmentFile::Awaited => false,
        }
    }

    /// Whether its file is still under the name of the prepared one.
    pub(crate) fn is_named_next(&self) -> bool {
        matches!(
            self.file,
            SegmentFile::Open {
                name: SegmentName::Next,
                ..
            }
        )
    }

    /// Whether it has a file, under whichever name.
    pub(crate) fn is_ready(&self) -> bool {
        !matches!(self.file, SegmentFile::Awaited)
    }
}
