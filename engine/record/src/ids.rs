//! Ids and quantities, each a type of its own, so that one cannot be taken for another.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

macro_rules! newtype {
    ($(#[doc = $doc:literal])+ $name:ident($inner:ty)) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name($inner);

        impl $name {
            /// The value of this number.
            #[must_use]
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }
    };
}

macro_rules! shown_as_number {
    ($($name:ident)+) => {
        $(impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        })+
    };
}

newtype! {
    /// Position of a record in its partition, dense from 0 as produced.
    Offset(u64)
}
newtype! {
    /// Counts the leaders of a partition; every start of a leader has one of its own.
    LeaderEpoch(u32)
}
newtype! {
    /// Number of a partition within its topic, from 0.
    PartitionIndex(u32)
}
newtype! {
    /// Names a topic for ever: a topic that is deleted and made again has another.
    TopicId(u128)
}
newtype! {
    /// Number of a shard within its broker, from 0.
    ShardId(u16)
}
newtype! {
    /// Number of a broker within its cluster.
    BrokerId(u32)
}
newtype! {
    /// Milliseconds since the Unix epoch; negative before it.
    TimestampMs(i64)
}

shown_as_number!(Offset LeaderEpoch PartitionIndex ShardId BrokerId TimestampMs);

impl Offset {
    /// The first offset of a partition.
    pub const ZERO: Self = Self(0);

    /// The offset behind this one. Stays at the end of the range, which no log reaches.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The offset `count` further on, `None` past the end of the range.
    #[must_use]
    pub const fn checked_add(self, count: u64) -> Option<Self> {
        match self.0.checked_add(count) {
            Some(offset) => Some(Self(offset)),
            None => None,
        }
    }

    /// How many offsets lie from `earlier` up to this one, `None` when it is not earlier.
    #[must_use]
    pub const fn checked_since(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }
}

impl LeaderEpoch {
    /// The epoch of the leader after this one. Stays at the end of the range, which no cluster reaches.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Text that is not a topic id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a topic id is 32 hexadecimal digits, not {text:?}")]
pub struct TopicIdError {
    /// The text.
    pub text: String,
}

impl FromStr for TopicId {
    type Err = TopicIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(id) if is_hex => Ok(Self(id)),
            _ => Err(TopicIdError {
                text: text.to_owned(),
            }),
        }
    }
}

/// A partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// Which of its partitions.
    pub partition: PartitionIndex,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_ids_are_32_hex_digits() {
        let id = TopicId::new(0xab);
        assert_eq!(id.to_string(), "000000000000000000000000000000ab");
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            "",
            "ab",
            "+00000000000000000000000000000ab",
            &"0".repeat(33),
        ] {
            assert!(text.parse::<TopicId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn offset_arithmetic_never_wraps() {
        let last = Offset::new(u64::MAX);
        assert_eq!(last.next(), last);
        assert_eq!(last.checked_add(1), None);
        assert_eq!(Offset::ZERO.checked_since(last), None);
        assert_eq!(Offset::new(9).checked_since(Offset::new(4)), Some(5));
    }
}
