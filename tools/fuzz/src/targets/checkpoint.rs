//! A slot of a checkpoint file.

use ringlog_log::fuzz;
use ringlog_log::limits::CHECKPOINT_SLOT_BYTES;

use crate::Target;

/// See the module.
pub const TARGET: Target = Target {
    name: "checkpoint",
    run: checkpoint,
    samples: fuzz::checkpoint_samples,
    seal: fuzz::seal,
    memory_bytes_max: 4 * CHECKPOINT_SLOT_BYTES,
    rounds: 400_000,
};

/// A checkpoint that is accepted points into its segment, and comes back.
pub fn checkpoint(data: &[u8]) -> bool {
    fuzz::checkpoint(data)
}
