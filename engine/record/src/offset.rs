//! The position of a record in its partition.

use std::fmt;

/// The position of a record in its partition, from 0. At most `i64::MAX`, as a record batch holds it.
///
/// The same type serves for *ends* (log end offset, high watermark, stable end): the offset that the first
/// record beyond has or will have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(u64);

impl Offset {
    /// The first offset of a partition.
    pub const ZERO: Self = Self(0);

    /// The largest offset.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// Wraps a number.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The offset after this one. Stays at the end of the range, which no log reaches.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The offset `records` further, unless that is above [`Offset::MAX`].
    pub const fn checked_add(self, records: u64) -> Option<Self> {
        match self.0.checked_add(records) {
            Some(sum) if sum <= Self::MAX.0 => Some(Self(sum)),
            _ => None,
        }
    }

    /// The offset `records` back, unless that is below 0.
    pub const fn checked_sub(self, records: u64) -> Option<Self> {
        match self.0.checked_sub(records) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// How many offsets lie from `earlier` up to this one; `None` when it is not earlier.
    pub const fn checked_since(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }

    /// How many offsets lie between `earlier` and this one; 0 when `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests;
