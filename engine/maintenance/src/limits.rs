//! The bounds of the maintenance executor, in one place, with the relations between them asserted at compile time.

use std::time::Duration;

/// One write of zeros, in bytes.
pub const WRITE_BYTES: usize = 256 << 10;

/// Files that are prepared at the same time.
pub const JOBS_MAX: usize = 4;

/// Requests that may wait; one that finds the queue full is refused with `WouldBlock`.
pub const QUEUE_MAX: usize = 1024;

/// Memory that glommio registers for I/O unless told otherwise, in bytes. Half of the usual memlock limit.
pub const IO_MEMORY_BYTES: usize = 4 << 20;

/// Bytes per second that are written unless told otherwise.
pub const BYTES_PER_SECOND: u64 = 1 << 30;

/// Files are whole blocks of this many bytes.
pub const BLOCK_BYTES: u64 = 4096;

/// How long an executor may take to be ready; then another one is started.
pub const START_TIMEOUT: Duration = Duration::from_secs(3);

/// How many are started; then a broker runs without one.
pub const START_ATTEMPTS_MAX: u32 = 3;

/// How long the executor may take to stop; then it is left behind.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a stopping executor is looked at.
pub const STOP_INTERVAL: Duration = Duration::from_millis(2);

/// How long the executor sleeps at most.
pub const PULSE: Duration = Duration::from_millis(250);

/// Entries of glommio's rings.
pub const RING_DEPTH: usize = 32;

const _: () = assert!(WRITE_BYTES.is_multiple_of(4096));
const _: () = assert!(
    WRITE_BYTES <= IO_MEMORY_BYTES,
    "the buffer of zeros is registered memory"
);
const _: () = assert!(JOBS_MAX < RING_DEPTH);
