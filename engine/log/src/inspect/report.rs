//! What looking at files tells.

use std::fmt;

use ringlog_record::batch::TimestampType;
use ringlog_record::{LeaderEpoch, Offset, TimestampMs};

use crate::checkpoint::Checkpoint;
use crate::epochs::EpochStart;
use crate::error::BatchProblem;
use crate::index::IndexEntry;
use crate::segment::Segment;

/// A batch as it lies in a segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchReport {
    /// Where it begins.
    pub position: u64,
    /// Bytes of it.
    pub len_bytes: u64,
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Records in it, as its header counts them.
    pub records: u64,
    /// Epoch of the leader that appended it.
    pub epoch: Option<LeaderEpoch>,
    /// Time stamp of its first record.
    pub base_timestamp: TimestampMs,
    /// Largest time stamp of its records.
    pub max_timestamp: TimestampMs,
    /// Whose time stamps those are.
    pub timestamp_type: TimestampType,
    /// Code of its compression, 0 for none.
    pub compression_code: u8,
    /// Whether it is what was appended.
    pub state: BatchState,
}

/// Whether a batch is what was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// Its CRC is right and it stands where its offset belongs.
    Valid,
    /// It is not.
    Bad(BatchProblem),
}

/// Bytes of a segment file between two batches that are no batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedBytes {
    /// Where they begin.
    pub position: u64,
    /// How many.
    pub bytes: u64,
    /// What is there instead of a batch.
    pub problem: BatchProblem,
    /// The offset that was expected there.
    pub expected: Offset,
    /// The offset of the valid batch behind them.
    pub later_offset: Offset,
}

/// A segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// Offset of its first record, by its name, or by its first batch.
    pub base: Offset,
    /// Offset behind its last valid batch.
    pub end: Offset,
    /// Position behind its last valid batch.
    pub end_position: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Batches, the bad ones included.
    pub batches: u64,
    /// Records of the valid batches.
    pub records: u64,
    /// Largest time stamp of the valid batches.
    pub max_timestamp: TimestampMs,
    /// What lies at the end instead of another batch. That is a length of zero in a segment that has room.
    pub stop: BatchProblem,
    /// Bytes behind the end that are not zero, within the reach of one flush group.
    pub nonzero_bytes_behind: u64,
    /// Whether the file was recycled and still holds batches of a segment before, behind its own.
    pub holds_old_batches: bool,
    /// Bytes between batches that are no batch.
    pub skipped: Vec<SkippedBytes>,
}

/// A point of a sparse index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexPoint {
    /// Base offset of a batch.
    pub offset: Offset,
    /// Where that begins.
    pub position: u64,
    /// Largest time stamp in the segment before it.
    pub max_timestamp_before: TimestampMs,
}

impl From<&IndexEntry> for IndexPoint {
    fn from(entry: &IndexEntry) -> Self {
        Self {
            offset: entry.offset,
            position: entry.position,
            max_timestamp_before: entry.max_timestamp_before,
        }
    }
}

/// The index file of a sealed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexReport {
    /// Base offset of the segment.
    pub base: Offset,
    /// Offset behind its last record.
    pub end: Offset,
    /// Bytes of batches in it.
    pub len_bytes: u64,
    /// When its first batch was appended.
    pub first_append: Option<TimestampMs>,
    /// When its last batch was appended.
    pub last_append: Option<TimestampMs>,
    /// Largest time stamp in it.
    pub max_timestamp: TimestampMs,
    /// Where its batches lie, one for each 64 KiB.
    pub points: Vec<IndexPoint>,
}

impl From<&Segment> for IndexReport {
    fn from(segment: &Segment) -> Self {
        Self {
            base: segment.base,
            end: segment.end,
            len_bytes: segment.len_bytes,
            first_append: segment.first_append,
            last_append: segment.last_append,
            max_timestamp: segment.max_timestamp,
            points: segment
                .index
                .entries()
                .iter()
                .map(IndexPoint::from)
                .collect(),
        }
    }
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointReport {
    /// The one with the higher sequence counts.
    pub sequence: u64,
    /// Whether the log was closed and nothing was written since.
    pub is_clean: bool,
    /// Whether the log was in memory only: no file holds records, and it goes on at the log start.
    pub is_memory: bool,
    /// Everything below is on the device.
    pub durable_end: Offset,
    /// Where the durable end lies in the active segment.
    pub durable_position: u64,
    /// Base offset of the active segment.
    pub active_base: Offset,
    /// The first offset that can be read.
    pub log_start: Offset,
    /// What all in-sync replicas had.
    pub high_watermark: Offset,
    /// When the first batch of the active segment was appended.
    pub first_append: Option<TimestampMs>,
    /// When the last batch of the active segment was appended.
    pub last_append: Option<TimestampMs>,
    /// Largest time stamp of the active segment.
    pub max_timestamp: TimestampMs,
    /// Which leader epoch begins where.
    pub epochs: Vec<EpochStart>,
    /// The sparse index of the active segment.
    pub points: Vec<IndexPoint>,
}

impl From<Checkpoint> for CheckpointReport {
    fn from(found: Checkpoint) -> Self {
        Self {
            sequence: found.sequence,
            is_clean: found.is_clean,
            is_memory: found.is_memory,
            durable_end: found.durable_end,
            durable_position: found.durable_position,
            active_base: found.active_base,
            log_start: found.log_start,
            high_watermark: found.high_watermark,
            first_append: found.first_append,
            last_append: found.last_append,
            max_timestamp: found.max_timestamp,
            epochs: found.epochs.entries().to_vec(),
            points: found.index.entries().iter().map(IndexPoint::from).collect(),
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// What a crash may leave, or what is rebuilt.
    Note,
    /// Records are lost or unreadable.
    Damage,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Damage => "damage",
        })
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Name of the file.
    pub file: String,
    /// Where in it, in bytes.
    pub position: u64,
    /// What it is.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            severity,
            file,
            position,
            problem,
        } = self;
        write!(f, "{severity}: {file} at byte {position}: {problem}")
    }
}

/// What is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A batch is damaged.
    #[error("the batch that should hold offset {expected} is bad: {problem}")]
    Batch {
        /// The offset that was expected.
        expected: Offset,
        /// What is wrong.
        problem: BatchProblem,
    },
    /// Bytes that are no batch lie between batches.
    #[error(
        "{bytes} bytes are no batch ({problem}); offsets {expected} to {later_offset} are missing"
    )]
    Skipped {
        /// How many bytes.
        bytes: u64,
        /// The offset that was expected.
        expected: Offset,
        /// What is there.
        problem: BatchProblem,
        /// Where offsets go on.
        later_offset: Offset,
    },
    /// The last segment ends below what the checkpoint says is durable.
    #[error("the log ends at offset {end}, and {durable_end} had been durable ({stop})")]
    EndsTooEarly {
        /// Where it ends.
        end: Offset,
        /// What had been durable.
        durable_end: Offset,
        /// What is at the end.
        stop: BatchProblem,
    },
    /// A segment ends before the next one begins.
    #[error("the segment ends at offset {end} and the next one begins at {next_base} ({stop})")]
    Gap {
        /// Where it ends.
        end: Offset,
        /// Where the next one begins.
        next_base: Offset,
        /// What is at the end.
        stop: BatchProblem,
    },
    /// Part of a flush group that never was acknowledged.
    #[error(
        "{bytes} bytes behind the end, at offset {end}, are of a write that was cut off ({stop})"
    )]
    TornTail {
        /// How many are not zero.
        bytes: u64,
        /// Where the log ends.
        end: Offset,
        /// What is there.
        stop: BatchProblem,
    },
    /// A batch is not of the leader that appended there.
    #[error("the batch with offset {offset} is of leader epoch {epoch:?}, expected {expected}")]
    Epoch {
        /// Which batch.
        offset: Offset,
        /// Its epoch.
        epoch: Option<LeaderEpoch>,
        /// The epoch of the checkpoint, or of the batch before.
        expected: LeaderEpoch,
    },
    /// Segments that hold readable records are not there.
    #[error("no segment holds offset {log_start}, where the log starts")]
    NoFirstSegment {
        /// The log start.
        log_start: Offset,
    },
    /// The index file does not decode; it is rebuilt.
    #[error("the index is damaged")]
    IndexDamaged,
    /// The index says something else than the segment.
    #[error("the index says that offset {offset} lies at byte {position}, which is not so")]
    IndexPoint {
        /// What it says of which batch.
        offset: Offset,
        /// Where it says that is.
        position: u64,
    },
    /// The index says something else than the segment.
    #[error("the index says that the segment ends at offset {index_end}, and it ends at {end}")]
    IndexEnd {
        /// What the index says.
        index_end: Offset,
        /// What is so.
        end: Offset,
    },
    /// An index without a segment.
    #[error("there is no segment to the index")]
    IndexWithoutSegment,
    /// The checkpoint slot that is not empty does not decode.
    #[error("slot {slot} of the checkpoint is damaged or half written")]
    CheckpointSlot {
        /// Which one.
        slot: u64,
    },
    /// There is no checkpoint.
    #[error("there is no checkpoint")]
    NoCheckpoint,
    /// Not a file of a log.
    #[error("the file is not of a log")]
    UnknownFile,
    /// A prepared file that was not finished; it is removed at the next start.
    #[error("the file is left over from a preparation")]
    Leftover,
}

/// What a partition directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryReport {
    /// Its segments in order, with the names of their files; the last one may stand under the name `next`.
    pub segments: Vec<(String, SegmentReport)>,
    /// The checkpoint that counts.
    pub checkpoint: Option<CheckpointReport>,
    /// What is not as it should be, in the order of files and positions.
    pub findings: Vec<Finding>,
}

impl DirectoryReport {
    /// Whether records are lost or unreadable.
    pub fn is_damaged(&self) -> bool {
        self.findings
            .iter()
            .any(|found| found.severity == Severity::Damage)
    }
}
