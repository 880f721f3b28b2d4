//! What can go wrong, one type for each operation.

use std::io;
use std::time::Duration;

use ringlog_record::batch::BatchError;
use ringlog_record::{Offset, PartitionIndex};
use ringlog_wire::{DecodeError, EncodeError, ErrorCode, VersionRange};

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is none.
    #[error("{address:?} is no address of a broker: give host:port, such as 127.0.0.1:9400")]
    Address {
        /// What was given.
        address: String,
    },
    /// Nobody answered.
    #[error(
        "cannot connect to {address}: {reason}; is the broker running? `ringlog broker` starts one"
    )]
    Refused {
        /// Where.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// A broker answered that takes no connections now.
    #[error("{address} takes no connections now: {message} ({code})")]
    NotNow {
        /// Where.
        address: String,
        /// The reason, for programs.
        code: ErrorCode,
        /// The reason, for people.
        message: String,
    },
    /// A broker answered that speaks other versions of the protocol.
    #[error(
        "{address} speaks {theirs} of the protocol and this client {ours}: they do not meet; use a client and a broker of releases that have a version in common"
    )]
    Version {
        /// Where.
        address: String,
        /// What it speaks.
        theirs: VersionRange,
        /// What is spoken here.
        ours: VersionRange,
    },
    /// Somebody answered who is no broker.
    #[error("{address} does not answer as a broker: {reason}")]
    Hello {
        /// Where.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// No broker was named.
    #[error("no broker is given to connect to")]
    NoBootstrap,
}

/// Why a request got no answer that can be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no connection; nothing was sent.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection ended, or time was over, before anything of the request was sent.
    #[error("the request was not sent to {address}: {reason}")]
    NotSent {
        /// To whom.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The connection ended, or time was over, while the request was under way: it may have been carried out.
    #[error("no answer from {address}: {reason}")]
    Lost {
        /// From whom.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The broker refused the request.
    #[error("{message} ({code})")]
    Refused {
        /// The reason, for programs.
        code: ErrorCode,
        /// The reason, for people.
        message: String,
    },
    /// The answer cannot be understood.
    #[error("the answer of {address} cannot be understood: {reason}")]
    BadAnswer {
        /// Whose.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// The request is too large.
    #[error("the request cannot be sent: {0}")]
    Encode(#[from] EncodeError),
    /// There is no such topic.
    #[error("there is no topic {topic:?}; `ringlog topic create {topic}` makes it")]
    UnknownTopic {
        /// Its name.
        topic: String,
    },
    /// There is no such partition.
    #[error("topic {topic:?} has no partition {partition}, it has {partitions}")]
    UnknownPartition {
        /// Name of the topic.
        topic: String,
        /// Which was asked for.
        partition: PartitionIndex,
        /// How many there are.
        partitions: usize,
    },
    /// Nobody leads the partition now.
    #[error("partition {partition} of topic {topic:?} has no leader now")]
    NoLeader {
        /// Name of the topic.
        topic: String,
        /// Which.
        partition: PartitionIndex,
    },
}

impl ClientError {
    pub(crate) fn bad_answer(address: &str, reason: impl ToString) -> Self {
        Self::BadAnswer {
            address: address.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn decode(address: &str) -> impl Fn(DecodeError) -> Self {
        move |error| Self::bad_answer(address, error)
    }

    /// Whether the request surely was not carried out.
    pub fn is_definite(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::BadAnswer { .. } => false,
            Self::Refused { code, .. } => *code != ErrorCode::UnknownOutcome,
            _ => true,
        }
    }

    /// Whether the partition is to be looked for elsewhere: ask for metadata, then try again.
    pub fn is_elsewhere(&self) -> bool {
        let moved = [
            ErrorCode::NotLeader,
            ErrorCode::FencedLeaderEpoch,
            ErrorCode::UnknownPartition,
        ];
        matches!(self, Self::Refused { code, .. } if moved.contains(code))
    }

    /// The reason, as the broker would name it; of what never reached a broker the nearest.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused { code, .. } => *code,
            Self::UnknownTopic { .. } => ErrorCode::UnknownTopic,
            Self::UnknownPartition { .. } => ErrorCode::UnknownPartition,
            Self::NoLeader { .. } => ErrorCode::NotLeader,
            Self::Encode(_) => ErrorCode::InvalidRequest,
            Self::Lost { .. } | Self::BadAnswer { .. } => ErrorCode::UnknownOutcome,
            Self::Connect(ConnectError::NotNow { code, .. }) => *code,
            Self::Connect(_) | Self::NotSent { .. } => ErrorCode::None,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect(ConnectError::Refused { .. } | ConnectError::NotNow { .. })
            | Self::NotSent { .. }
            | Self::NoLeader { .. } => true,
            Self::Refused { code, .. } => code.is_retriable(),
            _ => false,
        }
    }
}

/// Why an administrative request was not carried out.
pub type AdminError = ClientError;

/// Why a record was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// The topic or partition cannot be found out.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The record is too large.
    #[error("the record cannot be sent: {0}")]
    Record(#[from] BatchError),
    /// The producer is closed.
    #[error("the producer is closed")]
    Closed,
}

/// Why a record was not, or not surely, stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Nobody can say whether it was stored: an idempotent producer could not find out within the delivery time-out, or
    /// sends no more for another reason; one that is not idempotent could not send it again, since it might be stored
    /// twice. Whoever must know reads the partition.
    #[error("whether the record was stored is not known: {reason}")]
    UnknownOutcome {
        /// What happened.
        reason: String,
    },
    /// It was not stored.
    #[error("the record was not stored: {message} ({code})")]
    Refused {
        /// The reason, for programs.
        code: ErrorCode,
        /// The reason, for people.
        message: String,
    },
    /// It was not stored within the time-out; every attempt failed.
    #[error("the record was not stored within {timeout:?}; the last attempt failed: {reason}")]
    Expired {
        /// The time-out.
        timeout: Duration,
        /// How the last attempt failed.
        reason: String,
    },
    /// It is stored, once; the broker has forgotten at which offset.
    #[error("the record is stored; the broker no longer knows at which offset")]
    StoredBefore,
    /// The producer was dropped before there was an outcome.
    #[error("the producer was dropped before the record had an outcome")]
    Closed,
}

/// Why nothing was consumed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConsumeError {
    /// A request failed for good.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The position is outside of the partition, and the consumer was told to say so.
    #[error(
        "offset {offset} of partition {partition} of topic {topic:?} is outside of the partition: {message}"
    )]
    OffsetOutOfRange {
        /// Name of the topic.
        topic: String,
        /// Which partition.
        partition: PartitionIndex,
        /// The position.
        offset: Offset,
        /// What the broker said.
        message: String,
    },
    /// The log came back shorter than what this consumer has read.
    #[error(
        "partition {partition} of topic {topic:?} has lost records: offset {offset} was to be read next, and the log goes on at {agreed_end}"
    )]
    LogTruncated {
        /// Name of the topic.
        topic: String,
        /// Which partition.
        partition: PartitionIndex,
        /// The position.
        offset: Offset,
        /// Where to go on, if those records may be lost.
        agreed_end: Offset,
    },
    /// The partition cannot be read.
    #[error("partition {partition} of topic {topic:?} cannot be read: {message} ({code})")]
    Partition {
        /// Name of the topic.
        topic: String,
        /// Which partition.
        partition: PartitionIndex,
        /// The reason, for programs.
        code: ErrorCode,
        /// The reason, for people.
        message: String,
    },
    /// A batch is damaged, or in a form that this version cannot read.
    #[error(
        "a batch at offset {offset} of partition {partition} of topic {topic:?} cannot be read: {reason}"
    )]
    Batch {
        /// Name of the topic.
        topic: String,
        /// Which partition.
        partition: PartitionIndex,
        /// Where.
        offset: Offset,
        /// What is wrong.
        reason: String,
    },
}

pub(crate) fn refused(address: &str, error: &io::Error) -> ConnectError {
    ConnectError::Refused {
        address: address.to_owned(),
        reason: error.to_string(),
    }
}
