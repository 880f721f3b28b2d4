//! Idempotent producers: who sent a batch, and which of its batches it is. Source: KIP-98.

use serde::{Deserialize, Serialize};

/// Names a producer; a broker hands each out once. At most `i64::MAX`, since a batch holds it in 63 bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ProducerId(u64);

impl ProducerId {
    /// Wraps a number.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for ProducerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of a life of a producer in a partition: a batch of an older one is refused once a newer one was seen. At
/// most `i16::MAX`, since a batch holds it in 15 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerEpoch(u16);

impl ProducerEpoch {
    /// The largest epoch.
    pub const MAX: Self = Self(i16::MAX.cast_unsigned());

    /// Wraps a number.
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The epoch after this one; none after the last, when another producer id is needed.
    pub const fn next(self) -> Option<Self> {
        if self.0 < Self::MAX.0 {
            Some(Self(self.0 + 1))
        } else {
            None
        }
    }
}

impl std::fmt::Display for ProducerEpoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of a record among those that a producer sent to a partition in one epoch, from 0. After `i32::MAX` comes 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sequence(u32);

impl Sequence {
    /// The first one.
    pub const ZERO: Self = Self(0);

    /// Wraps a number; its highest bit is not used.
    pub const fn new(value: u32) -> Self {
        Self(value & i32::MAX.cast_unsigned())
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The one so many records further.
    #[must_use]
    pub const fn after(self, records: u32) -> Self {
        Self::new(self.0.wrapping_add(records))
    }

    /// Whether this one lies behind `other`, which is not more than half of all numbers away.
    pub const fn is_behind(self, other: Self) -> bool {
        let ahead = Self::new(other.0.wrapping_sub(self.0)).0;
        ahead != 0 && ahead < 1 << 30
    }
}

impl std::fmt::Display for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What an idempotent producer writes into a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerStamp {
    /// Who sent it.
    pub id: ProducerId,
    /// In which of its lives.
    pub epoch: ProducerEpoch,
    /// Sequence number of the first record.
    pub base_sequence: Sequence,
}

#[cfg(test)]
mod tests;
