//! The bounds of the mesh.

/// Calls of one shard to one peer that may be under way in [`Lane::Work`](crate::Lane::Work).
pub const WORK_CALLS_PER_PEER_MAX: usize = 256;

/// Calls of one shard to one peer that may be under way in [`Lane::Wait`](crate::Lane::Wait). There are more of them
/// because each may take minutes, but not many more: the inbox of a shard has room for all of them from the start.
pub const WAIT_CALLS_PER_PEER_MAX: usize = 1024;

const _: () = assert!(WORK_CALLS_PER_PEER_MAX > 0);
const _: () = assert!(WAIT_CALLS_PER_PEER_MAX > 0);
