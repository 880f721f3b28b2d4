//! The one source of chance of a simulated world, and the hash of what happened in it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Seeded chance. Everything random in a world comes from one of these, so a seed names a run.
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The chance that `seed` names.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; 0 when `bound` is 0. Its bias is far below what any test could see.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.any() % bound }
    }

    /// An index below `bound`.
    pub fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True in half of the cases.
    pub fn coin(&mut self) -> bool {
        self.any() & 1 == 1
    }

    /// True once in `n` cases on average.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// True with this probability.
    pub fn with_probability(&mut self, probability: f64) -> bool {
        let bits = u32::try_from(self.any() >> 32).unwrap_or(u32::MAX);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0) < probability
    }
}

/// A running hash (FNV-1a over words) of everything that happened: equal for two runs of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace(u64);

impl Trace {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn note(&mut self, words: &[u64]) {
        for word in words {
            self.0 = (self.0 ^ word)
                .wrapping_mul(0x0000_0100_0000_01b3)
                .rotate_left(23);
        }
    }

    pub(crate) const fn value(self) -> u64 {
        self.0
    }
}
