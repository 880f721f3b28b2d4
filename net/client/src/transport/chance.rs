//! Random numbers for jitter and spreading; nothing depends on their quality.

use std::hash::{BuildHasher, RandomState};

/// Any number: the keys of a new hasher are random.
pub(crate) fn chance() -> u64 {
    RandomState::new().hash_one(0)
}
