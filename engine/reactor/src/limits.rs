//! The bounds of the reactor, in one place, with the relations between them asserted at compile time.

/// Alignment and granularity of every buffer and of every direct I/O, in bytes.
pub const BLOCK_BYTES: usize = 4096;

/// Entries of the submission queue of a ring.
pub const RING_ENTRIES: u32 = 1024;

/// Entries of the completion queue of a ring.
pub const RING_COMPLETIONS: u32 = 8192;

/// Tasks polled between two turns of the driver, so that completions are never starved by ready tasks.
pub const TASKS_PER_TURN: usize = 256;

/// Largest single buffer: a frame payload of 32 MiB and a block for alignment.
pub const BUFFER_BYTES_MAX: usize = (32 << 20) + (64 << 10);

/// Bytes of free buffers of one size that a pool with a stock has made ahead.
pub const STOCK_BYTES: usize = 4 << 20;

/// The largest buffers that are made ahead: what flush groups and receives of a busy broker are made of.
pub const STOCK_BUFFER_BYTES_MAX: usize = 1 << 20;

/// Buffers handed to one vectored send.
pub const SEND_SLICES_MAX: usize = 64;

/// How long an operation of a disk may take, in seconds. One that has not completed by then is given up and counts as
/// failed: as long as Linux waits for a command of a disk.
pub const DISK_PATIENCE_SECONDS: u64 = 30;

const _: () = assert!(BLOCK_BYTES.is_power_of_two());
const _: () = assert!(BUFFER_BYTES_MAX.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(RING_COMPLETIONS >= RING_ENTRIES);
const _: () = assert!(SEND_SLICES_MAX <= 1024, "IOV_MAX of Linux");

/// Connections that wait to be accepted on a listener.
pub const LISTEN_BACKLOG: i32 = 1024;

/// Headers of vectored sends that a ring keeps for reuse.
pub const SEND_HEADERS_FREE_MAX: usize = 256;

/// How long a ring that is dropped waits for the kernel to give back what it holds, in milliseconds.
pub const RING_DRAIN_MS: u64 = 5_000;

/// How long a task may hold its core before that counts as a stall, in microseconds. Whatever else the core serves waits
/// for as long, so it is what one task may add to the latency of all others.
pub const STALL_US: u64 = 2_000;

/// Least time between two reports of stalls of a core, in milliseconds.
pub const STALL_REPORT_MS: u64 = 1_000;

/// Names of tasks whose stalls are told apart on a core; those of any further ones are counted together.
pub const STALL_NAMES_MAX: usize = 64;
