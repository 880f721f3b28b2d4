//! Bounds of the yardsticks, in one place, with their relations.

/// The unit of direct I/O, in bytes.
pub const BLOCK_BYTES: usize = 4096;

/// Largest record, in bytes: the largest payload of a frame.
pub const RECORD_BYTES_MAX: usize = 32 << 20;

/// Most operations in flight on a file, or requests in flight on a connection.
pub const DEPTH_MAX: usize = 1024;

/// Most connections.
pub const CONNECTIONS_MAX: usize = 1024;

/// Most memory that one ring owns, in bytes.
pub const RING_MEMORY_BYTES_MAX: usize = 2 << 30;

/// Largest group that is written and synced at once, in bytes, unless one request is larger.
pub const GROUP_BYTES_MAX: usize = 4 << 20;

/// Messages from this size on are received and sent one at a time, whole; smaller ones many at once, up to this.
pub const COALESCE_BYTES: usize = 64 << 10;

/// Size of the file unless told otherwise, in bytes.
pub const FILE_BYTES_DEFAULT: u64 = 256 << 20;

/// Largest file, in bytes.
pub const FILE_BYTES_MAX: u64 = 16 << 30;

/// One write of the pass that writes the file before it is measured, in bytes.
pub const PREPARE_BYTES: usize = 1 << 20;

/// Largest latency told apart, in nanoseconds; slower ones count in the last bucket and in the true maximum.
pub const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Length of the answer to a durable write, in bytes, and of the request for an answer.
pub const SHORT_MESSAGE_BYTES: usize = 16;

/// Longest answer of a server elsewhere, in bytes; shorter than what is received whole.
pub const REPLAY_ANSWER_BYTES_MAX: usize = 32 << 10;

/// Requests that are made beforehand for a connection, in bytes, unless one is longer.
pub const REPLAY_ROUND_BYTES: usize = COALESCE_BYTES;

const _: () = assert!(REPLAY_ANSWER_BYTES_MAX < COALESCE_BYTES);
const _: () = assert!(BLOCK_BYTES.is_power_of_two());
const _: () = assert!(GROUP_BYTES_MAX.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(PREPARE_BYTES.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(FILE_BYTES_DEFAULT.is_multiple_of(PREPARE_BYTES as u64));
const _: () = assert!(RECORD_BYTES_MAX < RING_MEMORY_BYTES_MAX);
// Lengths travel to the kernel as u32.
const _: () = assert!(RECORD_BYTES_MAX <= u32::MAX as usize);
// Two operations for each, and a write with its sync: fits any ring.
const _: () = assert!(CONNECTIONS_MAX * 2 + 2 <= 32_768 && DEPTH_MAX * 2 <= 32_768);
