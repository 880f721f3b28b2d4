//! The bounds of a log, in one place, with the relations between them asserted at compile time.

/// Granularity of direct I/O, in bytes.
pub const BLOCK_BYTES: u64 = ringlog_reactor::limits::BLOCK_BYTES as u64;

/// Bytes from one slot of a checkpoint file to the other.
pub const CHECKPOINT_SLOT_BYTES: usize = 128 << 10;

/// Most bytes of a flush group, and of the batches of one append. A constant of the format: after a crash at most
/// this much behind the durable end can be torn.
pub const FLUSH_GROUP_BYTES_MAX: u64 = 4 << 20;

/// Sizes that segment files grow through.
pub const SEGMENT_CLASSES_BYTES: [u64; 3] = [1 << 20, 16 << 20, 256 << 20];

/// Smallest `segment_bytes`.
pub const SEGMENT_BYTES_MIN: u64 = SEGMENT_CLASSES_BYTES[0];

/// Largest `segment_bytes`.
pub const SEGMENT_BYTES_MAX: u64 = SEGMENT_CLASSES_BYTES[2];

/// Bytes between two entries of the sparse index.
pub const INDEX_INTERVAL_BYTES: u64 = 64 << 10;

/// Most entries of the index of a segment.
pub const INDEX_ENTRIES_MAX: usize = (SEGMENT_BYTES_MAX / INDEX_INTERVAL_BYTES) as usize + 1;

/// Most entries of the leader epoch cache; the oldest go first.
pub const EPOCHS_MAX: usize = 1024;

/// Last batches of an idempotent producer that are remembered: as many as it may have under way.
pub const PRODUCER_BATCHES_MAX: usize = 5;

/// Most idempotent producers that a log remembers; those idle for longest make room.
pub const PRODUCERS_MAX: usize = 1024;

/// Bytes of each of the two regions of a checkpoint file that hold producers.
pub const PRODUCER_REGION_BYTES: usize = 112 << 10;

/// How long a producer is remembered after its last append even when there are too many, in milliseconds: so long it
/// may send a batch again. Producers that are new are refused meanwhile.
pub const PRODUCER_KEPT_MS: i64 = 120_000;

/// How long an idle producer is remembered, in milliseconds: a day.
pub const PRODUCER_EXPIRY_MS: i64 = 86_400_000;

/// Bytes made durable behind a checkpoint that ask for the next one.
pub const CHECKPOINT_INTERVAL_BYTES: u64 = 4 << 20;

/// Most bytes that may be written behind a checkpoint: a flush group beyond waits for the next one. Recovery looks
/// for batches no further.
pub const CHECKPOINT_LAG_BYTES_MAX: u64 = 12 << 20;

/// Chunks of the tail are at least this large when more than one append at a time meets in them.
pub const CHUNK_BYTES_MIN: usize = 16 << 10;

/// Chunks of the tail grow up to this while appends are many; one that holds a large batch is larger.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;

/// Most bytes of a log that are in memory and not on the device; appends above are throttled.
pub const PENDING_BYTES_MAX: u64 = 32 << 20;

/// Most bytes that one read takes from disk, unless a single batch is larger.
pub const DISK_READ_BYTES_MAX: usize = 2 << 20;

/// Bytes that one operation of the background class reads. Small, so that a write of the foreground does not lie behind
/// a large read in the device's queue; from here on larger ones are no faster.
pub const BACKGROUND_READ_BYTES: usize = 256 << 10;

/// The same while the flusher is at rest. A read of 1 MiB costs the processor as much as one of 256 KiB, and one operation
/// goes on by itself while the core sends what was read before.
pub const READ_BYTES_AT_REST: usize = 1 << 20;

/// After so long without a flush group the flusher is at rest, in milliseconds.
pub const FLUSHER_REST_MS: u64 = 1000;

/// Bytes that the background reads of a shard have under way at the device; the others wait in order of arrival.
pub const BACKGROUND_IN_FLIGHT_BYTES_MAX: usize = 512 << 10;

/// Bytes that are read ahead at least for a reader that goes on, however few it takes at a time.
pub const READ_AHEAD_BYTES_MIN: usize = 256 << 10;

/// Bytes that a shard reads ahead unless its owner says otherwise.
pub const READ_AHEAD_BYTES: usize = 4 * DISK_READ_BYTES_MAX;

/// Files of sealed segments that a shard keeps open.
pub const SEALED_FILES_MAX: usize = 256;

/// Readers of a shard that are recognised when they go on; of more, the one that has been quiet longest is forgotten.
pub const READ_STREAMS_MAX: usize = 256;

/// How long what was read ahead is kept for a reader that does not come, in milliseconds.
pub const READ_AHEAD_IDLE_MS: u64 = 1000;

/// Bytes of a buffer that any batch fits into wherever it begins.
pub const SCAN_BYTES: usize = (4 << 20) + (16 << 10);

/// Bytes of the first read of a walk over a segment.
pub const SCAN_WINDOW_BYTES_MIN: usize = 64 << 10;

/// Bytes of the later ones, unless a single batch is larger.
pub const SCAN_WINDOW_BYTES_MAX: usize = 1 << 20;

/// How long a round of flush groups waits for one of them, in milliseconds. A group that takes longer leaves the round
/// and goes on by itself, so that a slow or silent device below one log does not hold up the others.
pub const ROUND_PATIENCE_MS: u64 = 100;

/// The longest time that the preparation of one file is spread over, in milliseconds: then it can hardly be felt.
pub const PREPARATION_MS_MAX: u64 = 10_000;

/// How long a log waits for its prepared file before it gives it up, in milliseconds. Whoever prepares files may hang, and
/// is to be asked again some time.
pub const PREPARATION_PATIENCE_MS: u64 = 60_000;

/// The largest file that is filled with zeros when a roll finds none prepared: what a device takes in a few milliseconds.
pub const INTERIM_FILL_BYTES_MAX: u64 = 16 << 20;

/// Bytes that are written at once of it.
pub const INTERIM_FILL_PIECE_BYTES: u64 = 256 << 10;

/// Small files that serve a log one after the other while its next one is late; then they are larger.
pub const SMALL_INTERIM_FILES_MAX: u32 = 4;

/// How long to wait before asking again for space that the file system did not have, in milliseconds.
pub const SPACE_RETRY_MS: u64 = 500;

/// What a log in memory keeps when nothing else is said, in bytes.
pub const RETENTION_BYTES_IN_MEMORY: u64 = 16 << 20;

/// Offsets that a log in memory reserves ahead of those that it gives out. It reserves anew when half of them are given
/// out, and appends wait for that only when all are.
pub const OFFSETS_RESERVED: u64 = 4 << 20;

/// Chunks of a log in memory are at most this part of what it may hold, so that little leaves at a time.
pub const CHUNKS_IN_MEMORY_MIN: u64 = 16;

/// Bytes waiting at which a log of `async` durability is flushed before its time.
pub const WRITE_BEHIND_BYTES: u64 = 1 << 20;

/// How often the files of a directory are removed while others appear in it.
pub const DELETE_ATTEMPTS_MAX: usize = 5;

const _: () = assert!(ringlog_record::limits::BATCH_BYTES_MAX as u64 <= FLUSH_GROUP_BYTES_MAX);
const _: () = assert!(SCAN_BYTES as u64 >= FLUSH_GROUP_BYTES_MAX + BLOCK_BYTES);
const _: () = assert!(SCAN_WINDOW_BYTES_MIN <= SCAN_WINDOW_BYTES_MAX);
const _: () = assert!(SCAN_WINDOW_BYTES_MAX <= SCAN_BYTES);
const _: () = assert!(SEGMENT_CLASSES_BYTES[1] >= FLUSH_GROUP_BYTES_MAX);
const _: () =
    assert!(CHECKPOINT_LAG_BYTES_MAX >= CHECKPOINT_INTERVAL_BYTES + FLUSH_GROUP_BYTES_MAX);
const _: () = assert!(PREPARATION_PATIENCE_MS > 2 * PREPARATION_MS_MAX);
const _: () = assert!(INTERIM_FILL_BYTES_MAX.is_multiple_of(INTERIM_FILL_PIECE_BYTES));
const _: () = assert!(INTERIM_FILL_PIECE_BYTES.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(OFFSETS_RESERVED / 2 >= ringlog_record::limits::BATCH_RECORDS_MAX as u64);
const _: () = assert!(BACKGROUND_READ_BYTES <= BACKGROUND_IN_FLIGHT_BYTES_MAX);
const _: () = assert!(READ_BYTES_AT_REST.is_multiple_of(BACKGROUND_READ_BYTES));
const _: () = assert!((BACKGROUND_READ_BYTES as u64).is_multiple_of(BLOCK_BYTES));
const _: () = assert!(READ_AHEAD_BYTES_MIN <= DISK_READ_BYTES_MAX);
const _: () = assert!(SEGMENT_BYTES_MAX <= u32::MAX as u64);
const _: () = assert!(SCAN_BYTES <= ringlog_reactor::limits::BUFFER_BYTES_MAX);
