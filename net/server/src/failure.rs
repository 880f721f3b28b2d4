//! Why a request, or its part about one partition, was not carried out: a code for programs and a sentence for
//! people. What the layers below report becomes one of these here, and nowhere else.

use std::fmt::Display;

use ringlog_log::{AppendError, ChangeError, ProducerError};
use ringlog_record::batch::BatchError;
use ringlog_record::{Offset, TopicPartition};
use ringlog_replication::{FetchError, ProduceError};
use ringlog_shard::Gone;
use ringlog_wire::{DecodeError, ErrorCode};

/// A code and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// With `LogTruncated`: where reader and log agree.
    pub agreed_end: Option<Offset>,
    /// With `UnexpectedOffset`: where the log ends.
    pub log_end: Option<Offset>,
}

impl Failure {
    /// A code with the sentence of `error`.
    pub fn new(code: ErrorCode, error: impl Display) -> Self {
        Self {
            code,
            message: error.to_string(),
            agreed_end: None,
            log_end: None,
        }
    }

    /// The partition is not on this broker.
    pub(crate) fn unknown_partition(id: TopicPartition) -> Self {
        let message = format!("there is no partition {id} here; ask for metadata again");
        Self::new(ErrorCode::UnknownPartition, message)
    }

    /// The broker is about to stop.
    pub(crate) fn shutting_down() -> Self {
        Self::new(
            ErrorCode::ShuttingDown,
            "the broker is shutting down; nothing was done",
        )
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::new(error.error_code(), error)
    }
}

impl From<Gone> for Failure {
    fn from(_: Gone) -> Self {
        Self::shutting_down()
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        let code = match &error {
            AppendError::Batch { source, .. } => match source {
                BatchError::Crc { .. } => ErrorCode::CorruptBatch,
                BatchError::TooLarge { .. } => ErrorCode::BatchTooLarge,
                _ => ErrorCode::InvalidBatch,
            },
            AppendError::Producer(error) => match error {
                ProducerError::OutOfOrder { .. } => ErrorCode::OutOfOrderSequence,
                ProducerError::Fenced { .. } => ErrorCode::FencedProducer,
                ProducerError::Duplicate { .. } => ErrorCode::DuplicateSequence,
                ProducerError::NotAlone { .. } => ErrorCode::InvalidBatch,
                ProducerError::TooMany { .. } => ErrorCode::Throttled,
            },
            AppendError::Empty => ErrorCode::InvalidBatch,
            AppendError::TooLarge { .. } => ErrorCode::BatchTooLarge,
            AppendError::UnexpectedOffset { log_end, .. } => {
                return Self {
                    log_end: Some(*log_end),
                    ..Self::new(ErrorCode::UnexpectedOffset, &error)
                };
            }
            AppendError::StaleEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            AppendError::NoSpace => ErrorCode::NoSpace,
            AppendError::Throttled => ErrorCode::Throttled,
            AppendError::OffsetsExhausted => ErrorCode::Internal,
            AppendError::Closed => ErrorCode::NotLeader,
            AppendError::Failed(_) => ErrorCode::StorageFailed,
        };
        Self::new(code, error)
    }
}

impl From<ProduceError> for Failure {
    fn from(error: ProduceError) -> Self {
        let code = match error {
            ProduceError::Append(error) => return error.into(),
            ProduceError::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
            ProduceError::Closed => ErrorCode::NotLeader,
            ProduceError::UnknownOutcome { .. } => ErrorCode::UnknownOutcome,
        };
        Self::new(code, error)
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        let code = match &error {
            FetchError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            FetchError::LogTruncated { end, .. } => {
                return Self {
                    agreed_end: Some(*end),
                    ..Self::new(ErrorCode::LogTruncated, &error)
                };
            }
            FetchError::FencedLeader { .. } => ErrorCode::NotLeader,
            FetchError::Read(error) if error.is_retriable() => ErrorCode::Throttled,
            FetchError::Read(_) | FetchError::Failed(_) => ErrorCode::StorageFailed,
            FetchError::Closed => ErrorCode::NotLeader,
        };
        Self::new(code, error)
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        let code = match &error {
            ChangeError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ChangeError::StaleEpoch { .. } | ChangeError::EpochOutOfRange { .. } => {
                ErrorCode::FencedLeaderEpoch
            }
            ChangeError::NoSpace => ErrorCode::NoSpace,
            ChangeError::Closed => ErrorCode::NotLeader,
            ChangeError::Failed(_) => ErrorCode::StorageFailed,
        };
        Self::new(code, error)
    }
}
