//! The index file of a sealed segment.

use ringlog_log::fuzz;
use ringlog_log::limits::CHECKPOINT_SLOT_BYTES;

use crate::Target;

/// See the module.
pub const TARGET: Target = Target {
    name: "index",
    run: index,
    samples: fuzz::index_samples,
    seal: fuzz::seal,
    memory_bytes_max: 4 * CHECKPOINT_SLOT_BYTES,
    rounds: 400_000,
};

/// An index that is accepted points into its segment, and comes back.
pub fn index(data: &[u8]) -> bool {
    fuzz::index(data)
}
