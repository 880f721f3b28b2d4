//! Why a request, or its part about one partition, was not carried out.

/// Whether the same request may be sent again: it changed nothing, and may succeed later or elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Yes,
    No,
}

macro_rules! error_codes {
    ($($variant:ident = $value:literal, $name:literal, $retry:ident, $sentence:literal;)+) => {
        /// What went wrong. Values are permanent: a code that is no longer sent keeps its value for ever.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(u16)]
        pub enum ErrorCode {
            $(#[doc = $sentence] $variant = $value,)+
            /// The peer sent a code that this version does not know. Never sent.
            Unrecognized = 65_535,
            /// Nothing went wrong.
            #[default]
            None = 0,
        }

        impl ErrorCode {
            /// Every code but `Unrecognized`, in the order of the values.
            pub const ALL: &'static [Self] = &[Self::None, $(Self::$variant,)+];

            /// The code with this value on the wire; `Unrecognized` when there is none.
            #[must_use]
            pub const fn from_wire(value: u16) -> Self {
                match value {
                    0 => Self::None,
                    $($value => Self::$variant,)+
                    _ => Self::Unrecognized,
                }
            }

            /// The name in logs, metrics and documents: snake case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::None => "none",
                    $(Self::$variant => $name,)+
                    Self::Unrecognized => "unrecognized",
                }
            }

            /// What it means, in a sentence for the person who meets it.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self {
                    Self::None => "Nothing went wrong.",
                    $(Self::$variant => $sentence,)+
                    Self::Unrecognized => "The peer reported an error that this version does not know.",
                }
            }

            const fn retry(self) -> Retry {
                match self {
                    Self::None | Self::Unrecognized => Retry::No,
                    $(Self::$variant => Retry::$retry,)+
                }
            }
        }
    };
}

error_codes! {
    CorruptFrame = 1, "corrupt_frame", Yes, "The frame was damaged on its way; the connection is closed.";
    UnsupportedVersion = 2, "unsupported_version", No, "The broker does not speak this version of the protocol.";
    UnknownApi = 3, "unknown_api", No, "The broker does not know this kind of request.";
    InvalidRequest = 4, "invalid_request", No, "The request is malformed or contradicts itself.";
    UnknownTopic = 5, "unknown_topic", No, "There is no such topic.";
    UnknownPartition = 6, "unknown_partition", No, "The topic has no such partition.";
    TopicExists = 7, "topic_exists", No, "There already is a topic of this name.";
    InvalidTopicName = 8, "invalid_topic_name", No, "A topic name has 1 to 249 characters of [A-Za-z0-9._-].";
    InvalidConfig = 9, "invalid_config", No, "A setting is unknown or its value is not allowed.";
    OffsetOutOfRange = 10, "offset_out_of_range", No, "The offset lies before the log start or past the end.";
    LogTruncated = 11, "log_truncated", No, "The log came back shorter than what this reader has seen.";
    CorruptBatch = 12, "corrupt_batch", No, "A record batch does not match its checksum.";
    InvalidBatch = 13, "invalid_batch", No, "A record batch is not one that a broker can accept.";
    BatchTooLarge = 14, "batch_too_large", No, "A record batch is larger than the topic's max_batch_bytes.";
    NotLeader = 15, "not_leader", Yes, "This broker does not lead the partition; ask for metadata again.";
    FencedLeaderEpoch = 16, "fenced_leader_epoch", Yes, "The leader epoch of the request is older than the partition's.";
    NotEnoughReplicas = 17, "not_enough_replicas", Yes, "Fewer replicas are in sync than the topic's min_isr.";
    NoSpace = 18, "no_space", Yes, "The broker's disk is full down to its reserve; reads go on.";
    Throttled = 19, "throttled", Yes, "A queue or buffer of the broker is full; nothing was done.";
    StorageFailed = 20, "storage_failed", No, "The partition is offline because its storage failed; see the broker's log.";
    UnknownOutcome = 21, "unknown_outcome", No, "Whether the request was carried out is not known.";
    ShuttingDown = 22, "shutting_down", Yes, "The broker is shutting down; nothing was done.";
    Unsupported = 23, "unsupported", No, "This broker does not support what was asked for.";
    Internal = 24, "internal", No, "The broker failed for a reason of its own; see its log.";
    OutOfOrderSequence = 25, "out_of_order_sequence", No, "A batch of this idempotent producer that comes before is missing; this one was not stored.";
    FencedProducer = 26, "fenced_producer", No, "A newer epoch of this idempotent producer has written to the partition.";
    DuplicateSequence = 27, "duplicate_sequence", No, "The batch was stored before; its offset is no longer remembered.";
    UnexpectedOffset = 28, "unexpected_offset", No, "The log does not end at the offset that the append expected; nothing was stored.";
    OffsetsFull = 29, "offsets_full", No, "As many offsets are committed as may be; nothing was committed.";
    NotController = 30, "not_controller", Yes, "This broker is not the controller; ask for metadata again, and the controller then.";
}

impl ErrorCode {
    /// The value on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u16 {
        self as u16
    }

    /// Whether nothing went wrong.
    #[must_use]
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether the same request may be sent again: it changed nothing, and may succeed later or elsewhere.
    #[must_use]
    pub const fn is_retriable(self) -> bool {
        matches!(self.retry(), Retry::Yes)
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
