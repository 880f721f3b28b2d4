//! What can go wrong with a log, one type for each operation.

use std::io;
use std::path::{Path, PathBuf};

use crate::producers::ProducerError;
use ringlog_record::batch::BatchError;
use ringlog_record::{LeaderEpoch, Offset};

/// An operation on a file that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {source}", path.display())]
pub struct FileError {
    /// What was tried.
    pub operation: &'static str,
    /// On which file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    pub(crate) fn new(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}

/// Why a log went offline for good: nothing is appended any more until it is opened anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log {} failed and is offline: cannot {operation}: {message}", directory.display())]
pub struct LogFailure {
    /// Its directory.
    pub directory: PathBuf,
    /// What was tried.
    pub operation: &'static str,
    /// What the system said.
    pub message: String,
}

/// Damage that is not a torn tail: nothing was truncated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is damaged at byte {position}, where offset {offset} was expected: {damage}", path.display())]
pub struct Corruption {
    /// The damaged file.
    pub path: PathBuf,
    /// Where in it.
    pub position: u64,
    /// The offset of the record that was expected there.
    pub offset: Offset,
    /// What is wrong.
    pub damage: Damage,
}

/// What is wrong with a damaged log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A batch is bad that had been durable.
    #[error("a batch below the durable end {durable_end} is bad ({batch})")]
    BelowDurableEnd {
        /// The durable end that was checkpointed.
        durable_end: Offset,
        /// What is wrong with the batch.
        batch: BatchProblem,
    },
    /// A batch is bad and a valid one lies further behind it than a torn flush group reaches.
    #[error(
        "a batch is bad ({batch}) and a valid one with offset {later_offset} follows at byte {later_position}"
    )]
    ValidBatchBeyond {
        /// What is wrong with the batch.
        batch: BatchProblem,
        /// The valid one.
        later_offset: Offset,
        /// Where the valid one lies.
        later_position: u64,
    },
    /// A sealed segment ends before the next one begins.
    #[error("the segment ends there ({batch}) and the next one begins at offset {next_base}")]
    SealedSegment {
        /// What is wrong with the batch.
        batch: BatchProblem,
        /// Base offset of the next segment.
        next_base: Offset,
    },
    /// A valid batch is of a later leader epoch than the checkpoint knows, which is written before any batch of an epoch.
    #[error(
        "the batch there is of leader epoch {found}, and the checkpoint knows none after {latest}: a later one is damaged"
    )]
    CheckpointLost {
        /// The epoch of the batch.
        found: LeaderEpoch,
        /// The last one that the checkpoint knows.
        latest: LeaderEpoch,
    },
    /// Segments that must be there are not.
    #[error("a segment with this base offset is missing")]
    MissingSegment,
}

/// Why the bytes at a position are not the batch that was expected there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchProblem {
    /// Not a batch, or its CRC is wrong.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A batch of another leader epoch than was in force at its offset.
    #[error("the batch there is of leader epoch {}, expected {expected}", found.map_or(-1, |epoch| i64::from(epoch.get())))]
    Epoch {
        /// Its epoch.
        found: Option<LeaderEpoch>,
        /// The epoch that was in force.
        expected: LeaderEpoch,
    },
    /// A batch with another offset.
    #[error("the batch there begins with offset {found}")]
    Offset {
        /// Its base offset.
        found: Offset,
    },
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The log is damaged, and left as it is.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
}

/// Why batches were not appended. Nothing of them was.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A batch is not valid.
    #[error("batch {index} of the append is refused: {source}")]
    Batch {
        /// Which of the batches, from 0.
        index: usize,
        /// What is wrong.
        source: BatchError,
    },
    /// There was no batch.
    #[error("there is no batch to append")]
    Empty,
    /// The batches of one append are too much together.
    #[error("the batches of an append have {bytes} bytes, more than {bytes_max}")]
    TooLarge {
        /// What they have.
        bytes: usize,
        /// What one append may have.
        bytes_max: u64,
    },
    /// The append is of a leader that another has followed.
    #[error("leader epoch {epoch} is over, the latest is {latest}")]
    StaleEpoch {
        /// The epoch of the append.
        epoch: LeaderEpoch,
        /// The latest of the log.
        latest: LeaderEpoch,
    },
    /// The log does not end where the append was to begin.
    #[error("the append is for offset {expected}, and the log ends at {log_end}")]
    UnexpectedOffset {
        /// Where it was to begin.
        expected: Offset,
        /// Where the log ends.
        log_end: Offset,
    },
    /// The batch of an idempotent producer is not the one that comes next, nor one of the last.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The device is full; retry later.
    #[error("the device is full")]
    NoSpace,
    /// Memory is short; retry soon.
    #[error("the memory for appends is used up")]
    Throttled,
    /// All offsets have been given out.
    #[error("the offsets of the log are used up")]
    OffsetsExhausted,
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
    /// The log is offline.
    #[error(transparent)]
    Failed(#[from] LogFailure),
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such offset.
    #[error("offset {requested} is outside of the log, which goes from {log_start} to {log_end}")]
    OffsetOutOfRange {
        /// What was asked for.
        requested: Offset,
        /// The first offset.
        log_start: Offset,
        /// The offset behind the last.
        log_end: Offset,
    },
    /// A batch on disk is damaged.
    #[error("{} is damaged at byte {position}, where offset {offset} was expected: {problem}", path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// The offset that was expected there.
        offset: Offset,
        /// What is wrong.
        problem: BatchProblem,
    },
    /// Memory is short; retry soon.
    #[error("the memory for reads is used up")]
    Throttled,
    /// A file operation failed for what the process is short of, such as open files; retry soon.
    #[error("{0}; it may work in a moment")]
    Short(FileError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
}

impl ReadError {
    /// Whether the same read may succeed a moment later.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Throttled | Self::Short(_))
    }
}

/// Why the state of a log was not changed durably.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is no such offset.
    #[error("offset {requested} is outside of the log, which goes from {log_start} to {log_end}")]
    OffsetOutOfRange {
        /// What was asked for.
        requested: Offset,
        /// The first offset.
        log_start: Offset,
        /// The offset behind the last that may be removed.
        log_end: Offset,
    },
    /// The epoch is not newer than the latest.
    #[error("leader epoch {epoch} is not newer than {latest}")]
    StaleEpoch {
        /// What was to begin.
        epoch: LeaderEpoch,
        /// The latest of the log.
        latest: LeaderEpoch,
    },
    /// A batch cannot hold the epoch.
    #[error(
        "leader epoch {epoch} is above {}, which a batch can hold",
        LeaderEpoch::MAX
    )]
    EpochOutOfRange {
        /// What was to begin.
        epoch: LeaderEpoch,
    },
    /// The device is full; retry later.
    #[error("the device is full")]
    NoSpace,
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
    /// The log is offline.
    #[error(transparent)]
    Failed(#[from] LogFailure),
}
