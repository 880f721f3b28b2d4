//! What must hold of any bytes from outside: batches, segments, indexes, checkpoints, whole directories of a log,
//! frames and message bodies, records of the metadata store.
//!
//! A [`Target`] takes any bytes and panics when something does not hold: what is accepted lies within its limits, is
//! read to its last field, and comes back when it is written again; nothing else is asked of what is refused. The
//! targets run in two ways:
//!
//! - `cargo xtask fuzz`: seeded and the same each time, on any compiler. Each round takes a valid sample or a file of
//!   `corpus/`, changes it, makes its checksums right again in half of the rounds, so that the change gets past them,
//!   and holds the memory of the target to a bound.
//! - guided by coverage, with libFuzzer: `tools/fuzz/coverage`, whose manifest says how.
#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    reason = "a target tells by a panic that something does not hold"
)]

pub mod corpus;
pub mod mutate;
mod script;
pub mod targets;

/// Something that takes bytes from outside.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Takes any bytes, and says whether they were accepted; panics when something does not hold.
    pub run: fn(&[u8]) -> bool,
    /// Valid inputs to begin from.
    pub samples: fn() -> Vec<Vec<u8>>,
    /// Makes the checksums of an input right again, where it still has the shape for it.
    pub seal: fn(&mut [u8]),
    /// Most bytes that taking an input of up to [`INPUT_BYTES_MAX`] may hold at once.
    pub memory_bytes_max: usize,
    /// Rounds of the seeded run: cheap targets get more.
    pub rounds: u64,
}

/// Largest input of the seeded run. Limits that lie higher are reached by numbers in the input, not by its length.
pub const INPUT_BYTES_MAX: usize = 64 << 10;

/// All targets.
pub const TARGETS: &[Target] = &[
    targets::batch::TARGET,
    targets::builder::TARGET,
    targets::segment::TARGET,
    targets::checkpoint::TARGET,
    targets::index::TARGET,
    targets::recovery::TARGET,
    targets::frame::TARGET,
    targets::body::TARGET,
    targets::metadata::TARGET,
];

/// The target of this name.
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
