//! What the checkers find. The name of a checker is part of the proof that a guard is needed.

use crate::value::RecordId;

/// What a checker found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The metadata of a cluster is not as it must be.
    #[error("{what}")]
    Cluster {
        /// The checker.
        checker: &'static str,
        /// What it found.
        what: String,
    },
    /// An acknowledged record is not there.
    #[error("record {id} of partition {partition}, acknowledged at offset {offset}, is gone")]
    AcknowledgedLost {
        /// Which partition.
        partition: u32,
        /// Which record.
        id: RecordId,
        /// Where it was.
        offset: u64,
    },
    /// A record that was read is not there any more.
    #[error("record {id} of partition {partition}, read at offset {offset}, is gone")]
    ServedVanished {
        /// Which partition.
        partition: u32,
        /// Which record.
        id: RecordId,
        /// Where it was read.
        offset: u64,
    },
    /// A record that a restarted log had been without is there again.
    #[error(
        "record {id} of partition {partition} was cut off by a recovery and is back at offset {offset}"
    )]
    CutOffReturned {
        /// Which partition.
        partition: u32,
        /// Which record.
        id: RecordId,
        /// Where it is.
        offset: u64,
    },
    /// What is read was never appended.
    #[error("partition {partition} holds at offset {offset} what nobody appended")]
    ContentChanged {
        /// Which partition.
        partition: u32,
        /// Where.
        offset: u64,
    },
    /// A record is at another offset than before, or of another leader epoch.
    #[error(
        "record {id} of partition {partition} is at offset {offset} of epoch {epoch}, and was at {before} of epoch {epoch_before}"
    )]
    Moved {
        /// Which partition.
        partition: u32,
        /// Which record.
        id: RecordId,
        /// Where it is.
        offset: u64,
        /// Its leader epoch.
        epoch: u32,
        /// Where it was, or is too.
        before: u64,
        /// Its leader epoch there.
        epoch_before: u32,
    },
    /// Records of one producer are not in the order in which they were sent.
    #[error(
        "record {id} of partition {partition} is at offset {offset}, behind record {after} that was sent later"
    )]
    NotInOrder {
        /// Which partition.
        partition: u32,
        /// Which record.
        id: RecordId,
        /// Where it is.
        offset: u64,
        /// The record in front of it.
        after: RecordId,
    },
    /// Offsets are not dense and ascending.
    #[error("partition {partition} continues at offset {offset} instead of {expected}")]
    NotDense {
        /// Which partition.
        partition: u32,
        /// What was read.
        offset: u64,
        /// What had to come.
        expected: u64,
    },
    /// A read gave more than it was to.
    #[error("a read of partition {partition} up to {limit} gave offset {offset}")]
    ReadPastLimit {
        /// Which partition.
        partition: u32,
        /// What was read.
        offset: u64,
        /// Where it was to end.
        limit: u64,
    },
    /// Records were removed that nobody had asked to remove.
    #[error(
        "partition {partition} starts at offset {log_start}, and nothing allows it to start behind {allowed}"
    )]
    RemovedTooEarly {
        /// Which partition.
        partition: u32,
        /// Where it starts.
        log_start: u64,
        /// Where it may start.
        allowed: u64,
    },
    /// Something that only grows went back.
    #[error("{what} of partition {partition} went back from {before} to {now}")]
    WentBack {
        /// Which partition.
        partition: u32,
        /// Which watermark.
        what: &'static str,
        /// Before.
        before: u64,
        /// Now.
        now: u64,
    },
    /// A log that was closed in order was recovered as if it had crashed.
    #[error(
        "partition {partition} was closed, and its next open did not know; it scanned {bytes} bytes"
    )]
    ScannedAfterClose {
        /// Which partition.
        partition: u32,
        /// How much.
        bytes: u64,
    },
    /// A partition that nothing but crashes happened to is not served.
    #[error("partition {partition} is not served: {reason}")]
    NotServed {
        /// Which partition.
        partition: u32,
        /// What it says.
        reason: String,
    },
    /// Nothing moved although nothing hindered it.
    #[error("partition {partition}: {what} was not done after {seconds} s")]
    NoProgress {
        /// Which partition.
        partition: u32,
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
    },
    /// An answer that no broker may give.
    #[error("partition {partition}: {what}")]
    WrongAnswer {
        /// Which partition.
        partition: u32,
        /// What was answered, and to what.
        what: String,
    },
}

impl Violation {
    /// The name of the checker that found it.
    pub const fn checker(&self) -> &'static str {
        match self {
            Self::Cluster { checker, .. } => checker,
            Self::AcknowledgedLost { .. } => "acknowledged-lost",
            Self::ServedVanished { .. } => "served-vanished",
            Self::CutOffReturned { .. } => "cut-off-returned",
            Self::ContentChanged { .. } => "content-changed",
            Self::Moved { .. } => "moved-or-twice",
            Self::NotInOrder { .. } => "not-in-order",
            Self::NotDense { .. } => "not-dense",
            Self::ReadPastLimit { .. } => "read-past-limit",
            Self::RemovedTooEarly { .. } => "removed-too-early",
            Self::WentBack { .. } => "watermark-went-back",
            Self::ScannedAfterClose { .. } => "scanned-after-close",
            Self::NotServed { .. } => "not-served",
            Self::NoProgress { .. } => "no-progress",
            Self::WrongAnswer { .. } => "wrong-answer",
        }
    }
}

/// A partition that should be served and is not.
pub(crate) fn not_served(partition: u32, reason: &impl ToString) -> Violation {
    Violation::NotServed {
        partition,
        reason: reason.to_string(),
    }
}
