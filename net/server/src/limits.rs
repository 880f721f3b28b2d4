//! The bounds of a broker, in one place, with the relations between them asserted at compile time.

use std::time::Duration;

use ringlog_coord::limits as coord;
use ringlog_log::limits::{FLUSH_GROUP_BYTES_MAX, SCAN_WINDOW_BYTES_MAX};
use ringlog_reactor::limits::BUFFER_BYTES_MAX;
use ringlog_wire::limits::{
    BATCH_BYTES_MAX, BODY_BYTES_MAX, FRAME_BYTES_MAX, GROUP_ID_BYTES_MAX, GROUP_METADATA_BYTES_MAX,
    HEADER_BYTES, HELLO_BODY_BYTES_MAX, METADATA_OVERHEAD_BYTES, PAYLOAD_BYTES_MAX,
    REQUEST_PARTITIONS_MAX,
};

/// Connections of a broker, all shards together.
pub const CONNECTIONS_MAX: usize = 10_000;

/// Requests of one connection that may be under way; then the connection is not read from.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 128;

/// Requests of one connection that are begun before others get their turn.
pub const REQUESTS_PER_TURN: usize = 16;

/// Bytes of answers that may wait for a slow reader; then its connection is not read from.
pub const OUTBOX_BYTES_MAX: usize = 8 << 20;

/// Bytes of records that the answers of one connection may hold on to, being read or waiting to be sent; then its
/// fetches wait. One answer is never refused for it.
pub const CONNECTION_ANSWER_BYTES_MAX: usize = PAYLOAD_BYTES_MAX;

/// Bytes that are given to one send, so that each makes progress within the time-out.
pub const SEND_BYTES_MAX: usize = 1 << 20;

/// What is received at once on a connection that has been quiet.
pub const RECV_BYTES_MIN: usize = 4 << 10;

/// What is received at once on a connection that keeps the receiver busy.
pub const RECV_BYTES_MAX: usize = 64 << 10;

/// How long a new connection may take to say hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be open without a request under way or a byte received.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

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

/// How long the control task waits before it tries again what the metadata store has failed to do.
pub const STORE_RETRY: Duration = Duration::from_millis(200);

/// How long a broker that could not register anew waits before it tries again.
pub const REJOIN_RETRY: Duration = Duration::from_secs(1);

/// Pause between two looks of the controller at what is not as it should be although nothing happened.
pub const CONTROLLER_INTERVAL: Duration = Duration::from_secs(5);

/// How long the answer to a change of topics waits for brokers to have seen it.
pub const SEEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a broker that stops waits for others to lead what they can.
pub const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(10);

/// Commands to a shard and requests to the control task that may wait in a mailbox.
pub const COMMANDS_MAX: usize = 1024;

/// Partitions that a shard opens, or removes, at the same time.
pub const OPENS_AT_ONCE_MAX: usize = 12;

/// The least memory of a shard in bytes: two of the largest frames, and what is held beside them.
pub const SHARD_MEMORY_BYTES_MIN: usize = 96 << 20;

/// Part of a shard's memory that the tails of its logs may keep after they were written.
pub const CACHE_PART: (usize, usize) = (1, 2);

/// Part of a shard's memory that may hold what is read ahead of consumers that read old records.
pub const READ_AHEAD_PART: (usize, usize) = (1, 16);

/// Part of a shard's memory that its partitions may need. It is taken out of what the tails of the logs may keep, which
/// give way when it is used.
pub const PARTITIONS_PART: (usize, usize) = (3, 8);

/// What a partition needs whatever it holds, in bytes: a chunk for what is being appended, and its state: offsets, epochs,
/// segments, the sparse index.
pub const PARTITION_BYTES: usize = ringlog_log::limits::CHUNK_BYTES_MIN + (8 << 10);

/// Descriptors of an open partition: its active segment, the one that is prepared, its checkpoint.
pub const DESCRIPTORS_OF_PARTITION: u64 = 3;

/// Descriptors of the broker itself: rings, listeners, the metadata store, what is being opened and removed.
pub const DESCRIPTORS_OF_BROKER: u64 = 256;

/// The largest frame that is received together with ordinary ones: a body and one batch.
pub const LARGE_FRAME_BYTES_MAX: usize = HEADER_BYTES + BODY_BYTES_MAX + BATCH_BYTES_MAX;

/// Part of a shard's memory that frames above [`RECV_BYTES_MAX`] may hold while they are received. A frame that gets
/// none waits; smaller ones go on.
pub const LARGE_FRAMES_PART: (usize, usize) = (1, 8);

/// The same for frames above [`LARGE_FRAME_BYTES_MAX`], so that a few clients which announce as much as they may and
/// then stop keep nobody but their like waiting.
pub const HUGE_FRAMES_PART: (usize, usize) = (1, 8);

/// Part of a shard's memory that answers with records may hold on to, of all connections together.
pub const ANSWERS_PART: (usize, usize) = (1, 4);

/// Part of a shard's memory that committed offsets may take.
pub const GROUPS_PART: (usize, usize) = (1, 16);

/// Bytes that are read at once when the groups of a partition are opened.
pub const GROUPS_READ_BYTES: usize = 1 << 20;

/// Part of a shard's memory that answers which wait to be sent may amount to, records included; beyond it only
/// connections are read from that have none waiting.
pub const OUTBOXES_PART: (usize, usize) = (3, 8);

/// Part of a shard's memory that receives above [`RECV_BYTES_MIN`] may hold while nothing has come in yet.
pub const RECEIVES_PART: (usize, usize) = (1, 16);

/// Part of a shard's memory that parked fetches may take. One that gets none is answered at once.
pub const WATCHES_PART: (usize, usize) = (1, 32);

/// What a partition of a parked fetch costs: itself in the request, the wait for it, what wakes it.
pub const WATCH_BYTES: usize = 256;

/// A part of the memory of a shard, but never less than `bytes_min`.
pub(crate) const fn part_of(
    memory_bytes: usize,
    (parts, of): (usize, usize),
    bytes_min: usize,
) -> usize {
    let bytes = memory_bytes / of * parts;
    if bytes < bytes_min { bytes_min } else { bytes }
}

const _: () = assert!(HELLO_TIMEOUT.as_secs() <= IDLE_TIMEOUT.as_secs());
const _: () = assert!(FRAME_TIMEOUT.as_secs() <= IDLE_TIMEOUT.as_secs());
const _: () = assert!(FETCH_WAIT_MAX.as_secs() <= IDLE_TIMEOUT.as_secs());
const _: () = assert!(RECV_BYTES_MAX < LARGE_FRAME_BYTES_MAX);
const _: () = assert!(LARGE_FRAME_BYTES_MAX < FRAME_BYTES_MAX);
const _: () = assert!(
    part_of(SHARD_MEMORY_BYTES_MIN, WATCHES_PART, 0) >= WATCH_BYTES * REQUEST_PARTITIONS_MAX,
    "the largest fetch can be parked"
);
// What a log keeps of its last group while it is opened, and the windows that this begins in, that follow it and that
// are being read; only a batch that is larger than a window needs more.
const _: () = assert!(
    OPENS_AT_ONCE_MAX as u64 * (FLUSH_GROUP_BYTES_MAX + 3 * SCAN_WINDOW_BYTES_MAX as u64)
        <= SHARD_MEMORY_BYTES_MIN as u64,
    "as many logs as are opened at the same time fit the smallest shard"
);
const _: () = assert!(SEND_BYTES_MAX <= OUTBOX_BYTES_MAX);
const _: () = assert!(CONNECTION_ANSWER_BYTES_MAX >= PAYLOAD_BYTES_MAX);
// The largest buffers that are asked for exist: header and body in one, a payload in another.
const _: () = assert!(HEADER_BYTES + BODY_BYTES_MAX <= BUFFER_BYTES_MAX);
const _: () = assert!(PAYLOAD_BYTES_MAX <= BUFFER_BYTES_MAX);
// A quiet connection holds the smallest receive: all of them together leave room for everything else.
const _: () = assert!(CONNECTIONS_MAX * RECV_BYTES_MIN <= SHARD_MEMORY_BYTES_MIN / 2);
const _: () = assert!(RECV_BYTES_MIN >= 32 + HELLO_BODY_BYTES_MAX / 2);
const _: () = assert!(RECV_BYTES_MIN <= RECV_BYTES_MAX && RECV_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(SHARD_MEMORY_BYTES_MIN >= 2 * FRAME_BYTES_MAX + PAYLOAD_BYTES_MAX / 2);
const _: () = assert!(CACHE_PART.0 < CACHE_PART.1);
const _: () = assert!(
    part_of(SHARD_MEMORY_BYTES_MIN, PARTITIONS_PART, 0)
        < part_of(SHARD_MEMORY_BYTES_MIN, CACHE_PART, 0)
);
// What one side of the wire lets through the other can keep.
const _: () = assert!(coord::GROUP_ID_BYTES_MAX == GROUP_ID_BYTES_MAX);
const _: () = assert!(coord::GROUP_PARTITIONS_MAX == REQUEST_PARTITIONS_MAX);
const _: () = assert!(coord::GROUP_METADATA_BYTES_MAX == GROUP_METADATA_BYTES_MAX);
const _: () = assert!(coord::METADATA_OVERHEAD_BYTES == METADATA_OVERHEAD_BYTES);
const _: () = assert!(
    part_of(SHARD_MEMORY_BYTES_MIN, GROUPS_PART, 0)
        >= 2 * coord::GROUP_PARTITIONS_MAX * coord::OFFSET_BYTES,
    "the largest group can be kept"
);
const _: () = assert!(REQUESTS_PER_TURN <= REQUESTS_IN_FLIGHT_MAX);
const _: () = assert!(
    OUTBOXES_PART.0 * ANSWERS_PART.1 > ANSWERS_PART.0 * OUTBOXES_PART.1,
    "answers with records alone do not hold up those without"
);

/// Slow requests that a shard remembers of each of two windows; 160 bytes each.
pub const SLOW_REQUESTS_MAX: usize = 64;

/// How long a window is: slow requests are shown for one to two of them.
pub const SLOW_WINDOW: Duration = Duration::from_secs(300);

const _: () = assert!(size_of::<crate::slow::SlowRequest>() <= 160);
