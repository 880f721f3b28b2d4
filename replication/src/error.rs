//! What can go wrong at a partition, one type for each operation.

use ringlog_log::{AppendError, LogFailure, ReadError};
use ringlog_record::{LeaderEpoch, Offset};

/// Why a produce was not, or not surely, carried out.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The log took nothing.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Too few replicas are in sync; nothing was appended.
    #[error("{in_sync} replicas are in sync, fewer than min_isr")]
    NotEnoughReplicas {
        /// How many are.
        in_sync: usize,
    },
    /// The partition is closed; nothing was appended.
    #[error("the partition is closed")]
    Closed,
    /// It was appended, and then the log failed or was closed before it was stable.
    #[error(
        "the records were appended at offset {base_offset}, and the log ended before they were stable"
    )]
    UnknownOutcome {
        /// Where they were put.
        base_offset: Offset,
    },
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no such offset.
    #[error(
        "offset {requested} is outside of the partition, which goes from {log_start} to {high_watermark}"
    )]
    OffsetOutOfRange {
        /// What was asked for.
        requested: Offset,
        /// The first offset.
        log_start: Offset,
        /// The offset behind the last that readers may see.
        high_watermark: Offset,
    },
    /// The reader has seen records that are gone, since the log came back shorter; or records behind those are gone that
    /// it has not seen, since they were in memory only.
    #[error(
        "the log does not go on where records up to offset {requested} of leader epoch {epoch} were read: later ones are gone, it goes on at {end}"
    )]
    LogTruncated {
        /// Where the reader wanted to go on.
        requested: Offset,
        /// The epoch of the last record that it saw.
        epoch: LeaderEpoch,
        /// Where that epoch ends now, or where the log begins: the reader may go on from there.
        end: Offset,
    },
    /// The reader knows of a later leader than this one.
    #[error("the reader has seen leader epoch {epoch}, later than this leader's {latest}")]
    FencedLeader {
        /// What the reader has seen.
        epoch: LeaderEpoch,
        /// The epoch of this leader.
        latest: LeaderEpoch,
    },
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The partition is closed.
    #[error("the partition is closed")]
    Closed,
    /// The partition is offline.
    #[error(transparent)]
    Failed(#[from] LogFailure),
}
