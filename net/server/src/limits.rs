//! The bounds of a broker, in one place, with the relations between them asserted at compile time.

use std::time::Duration;

use ringlog_wire::limits::{FRAME_BYTES_MAX, HELLO_BODY_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// Connections of a broker, all shards together.
pub const CONNECTIONS_MAX: usize = 10_000;

/// Requests of one connection that may be under way; then the connection is not read from.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 128;

/// Bytes of answers that may wait for a slow reader; then its connection is not read from.
pub const OUTBOX_BYTES_MAX: usize = 8 << 20;

/// What is received at once on a connection that has been quiet.
pub const RECV_BYTES_MIN: usize = 4 << 10;

/// What is received at once on a connection that keeps the receiver busy.
pub const RECV_BYTES_MAX: usize = 64 << 10;

/// How long a new connection may take to say hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a frame may take from its first byte to its last.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a send may go on without progress before the connection is closed.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait of a fetch for records.
pub const FETCH_WAIT_MAX: Duration = Duration::from_secs(300);

/// How long a connection waits before it looks again for a buffer when the shard has none left.
pub const BUFFER_RETRY: Duration = Duration::from_millis(1);

/// How long requests under way may take when the broker stops.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two looks at the age and size of the partitions of a shard.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// Pause between two looks at the free space of the file system.
pub const SPACE_INTERVAL: Duration = Duration::from_secs(1);

/// Pause after a failed accept, as when the process has no descriptors left.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Commands to a shard and requests to the control task that may wait in a mailbox.
pub const COMMANDS_MAX: usize = 1024;

/// Partitions that a shard opens at the same time.
pub const OPENS_AT_ONCE_MAX: usize = 16;

/// The least memory of a shard in bytes: two of the largest frames, and what is held beside them.
pub const SHARD_MEMORY_BYTES_MIN: usize = 96 << 20;

/// Part of a shard's memory that the tails of its logs may keep after they were written.
pub const CACHE_PART: (usize, usize) = (1, 2);

const _: () = assert!(RECV_BYTES_MIN >= 32 + HELLO_BODY_BYTES_MAX / 2);
const _: () = assert!(RECV_BYTES_MIN <= RECV_BYTES_MAX && RECV_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(SHARD_MEMORY_BYTES_MIN >= 2 * FRAME_BYTES_MAX + PAYLOAD_BYTES_MAX / 2);
const _: () = assert!(CACHE_PART.0 < CACHE_PART.1);
