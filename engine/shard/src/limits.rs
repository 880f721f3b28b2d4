//! The bounds of the mesh.

/// Calls of one shard to one peer that may be under way.
pub const CALLS_PER_PEER_MAX: usize = 256;

const _: () = assert!(CALLS_PER_PEER_MAX > 0);
