//! The bounds of the client.

use std::time::Duration;

use ringlog_wire::limits::{BATCH_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// Requests that may wait to be written to one connection.
pub const WRITES_QUEUED_MAX: usize = 256;

/// Batches of an idempotent producer that may be under way in a partition: as many as a broker remembers.
pub const IDEMPOTENT_IN_FLIGHT_MAX: usize = 5;

/// Frames that are written to a socket in one go.
pub const WRITES_GATHERED_MAX: usize = 32;

/// Room for received bytes is made anew when less than this is left. Batches that wait to be read keep the memory
/// that they were received in: many small answers must share it.
pub const RECV_BYTES_LOW: usize = 16 << 10;

/// Bytes asked of a socket at once.
pub const RECV_BYTES: usize = 256 << 10;

/// How often the system asks for a sign of life of the peer before it gives a connection up.
pub const KEEP_ALIVE_PROBES: u32 = 2;

/// The first pause before something is tried again.
pub const BACKOFF_MIN: Duration = Duration::from_millis(20);

/// The longest pause before something is tried again.
pub const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Fetched batches that may wait to be polled, besides the bound in bytes.
pub const FETCHED_QUEUED_MAX: usize = 1024;

/// Bytes fetched at a time where a record is looked for by its time: mostly one batch is enough.
pub const TIME_SCAN_BYTES: u32 = 64 << 10;

/// Bytes that the records of a batch may have when decompressed, unless a consumer says otherwise.
pub const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// Memory that a zstd frame may ask for its window, as a power of two of bytes: twice the largest batch.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How much longer than the broker's own time-out a client waits for an answer.
pub const ANSWER_GRACE: Duration = Duration::from_secs(5);

const _: () = assert!(1 << ZSTD_WINDOW_LOG_MAX >= BATCH_BYTES_MAX);
const _: () = assert!(DECOMPRESSED_BYTES_MAX >= BATCH_BYTES_MAX);
const _: () = assert!(RECV_BYTES_LOW < RECV_BYTES);
const _: () = assert!(BATCH_BYTES_MAX <= PAYLOAD_BYTES_MAX);
