//! The bounds of this crate, and how they relate.

use std::time::Duration;

use ringlog_record::limits::BATCH_BYTES_MAX;

use crate::store::{MetaOp, MultiError};

/// Operations in one multi, the check of the controller epoch included.
pub const MULTI_OPS_MAX: usize = 200;

/// Bytes of one multi: paths, data and an overhead for each operation. Under ZooKeeper's 1 MiB packet.
pub const MULTI_BYTES_MAX: usize = 512 * 1024;

/// What an operation is taken to cost besides its path and data.
pub const OP_OVERHEAD_BYTES: usize = 64;

/// Requests that may wait for the embedded store's thread.
pub const STORE_REQUESTS_MAX: usize = 256;

/// Requests that may wait for ZooKeeper's answer.
pub const ZOOKEEPER_REQUESTS_MAX: usize = 256;

/// How long the end of a ZooKeeper session is waited for, when it is closed: without an answer it ends by its time-out.
pub const ZOOKEEPER_CLOSE_MAX: Duration = Duration::from_secs(2);

/// Topics that the controller reads at a time, so that a load does not wait for each answer.
pub const TOPICS_IN_FLIGHT_MAX: usize = 8;

/// Partition states that the controller reads at a time of each of these topics.
pub const STATES_IN_FLIGHT_MAX: usize = 16;

/// Watches set on one local store.
pub const WATCHES_MAX: usize = 4096;

/// Partitions that one node of `/t/{topic_id}/a` describes.
pub const CHUNK_PARTITIONS: u32 = 256;

/// Partitions of one broker.
pub const BROKER_PARTITIONS_MAX: u32 = 10_000;

/// Replicas of one partition.
pub const REPLICAS_MAX: u16 = 7;

/// Slots that partitions are placed into; shard = slot % shards. Divisible by every count of shards up to 10,
/// so that slots used evenly load shards evenly.
pub const SLOTS: u16 = 2520;

/// Bytes of a topic's name.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Bytes that the description of one partition in a chunk may take.
const ASSIGNMENT_BYTES_MAX: usize = 512;

/// Producer ids that are noted in the store at a time.
pub const PRODUCER_ID_BLOCK: u64 = 1000;

/// Changes that `/changes` remembers: a broker further behind reads everything again.
pub const CHANGES_MAX: usize = 32;

/// Topics that one of them names; of more it says that everything changed.
pub const CHANGE_TOPICS_MAX: usize = 8;

/// Bytes that `/changes` takes in a multi at most.
pub(crate) const CHANGES_BYTES_MAX: usize =
    CHANGES_MAX * (CHANGE_TOPICS_MAX * (TOPIC_NAME_BYTES_MAX + 3) + 64) + 256;

/// Leaders that are moved back to their preferred broker at a time.
pub const PREFERRED_MOVES_MAX: usize = 50;

/// Pause between two such moves.
pub const PREFERRED_MOVES_INTERVAL: Duration = Duration::from_secs(10);

/// How often a lease is renewed within a session time-out.
pub const LEASE_RENEWALS: u32 = 9;

/// What must be left between the end of a lease and that of its session: clocks that run apart, a write on its way.
pub const LEASE_MARGIN_MIN: Duration = Duration::from_secs(1);

/// How often a write whose outcome is unknown is tried again before that is reported.
pub const UNKNOWN_RETRIES_MAX: u32 = 3;

/// Partitions of the topic in which groups are kept.
pub const GROUPS_PARTITIONS: u32 = 50;

/// Bytes of the name of a group.
pub const GROUP_ID_BYTES_MAX: usize = 255;

/// Offsets that a group may have committed.
pub const GROUP_PARTITIONS_MAX: usize = 10_000;

/// Bytes of metadata beside all offsets of a group, each with [`METADATA_OVERHEAD_BYTES`].
pub const GROUP_METADATA_BYTES_MAX: usize = 64 << 10;

/// What a text beside an offset costs besides its bytes.
pub const METADATA_OVERHEAD_BYTES: usize = 8;

/// Memory of a committed offset, about, without metadata.
pub const OFFSET_BYTES: usize = 160;

/// Memory of a group, about, without its offsets.
pub const GROUP_BYTES: usize = 512;

/// A group that has committed nothing for so long is forgotten.
pub const GROUP_IDLE_MS: i64 = 30 * 24 * 3600 * 1000;

/// Memory of the commits of one coordinator that are under way.
pub const PENDING_CHANGES_BYTES_MAX: usize = 8 << 20;

/// Bytes that the log of a coordinator has before it is worth a snapshot, however little it says.
pub const SNAPSHOT_LOG_BYTES_MIN: u64 = 1 << 20;

/// And for each byte of memory of what it says.
pub const SNAPSHOT_LOG_BYTES_PER_STATE_BYTE: u64 = 2;

/// Offsets in one batch of a snapshot.
pub const SNAPSHOT_CHUNK_OFFSETS: usize = 1000;

/// Offsets that are forgotten in one batch.
pub const STALE_OFFSETS_AT_ONCE_MAX: usize = 1000;

/// The most that a record of a committed offset takes in a batch, without its metadata.
const OFFSET_RECORD_BYTES_MAX: usize = 64 + GROUP_ID_BYTES_MAX;

const _: () = assert!(GROUP_ID_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!(
    GROUP_PARTITIONS_MAX * OFFSET_RECORD_BYTES_MAX + GROUP_METADATA_BYTES_MAX <= BATCH_BYTES_MAX,
    "the largest commit is one batch"
);
const _: () = assert!(
    SNAPSHOT_CHUNK_OFFSETS * (OFFSET_RECORD_BYTES_MAX + 1024) <= BATCH_BYTES_MAX,
    "offsets with all the metadata that one may have fit a batch"
);
const _: () = assert!(GROUP_PARTITIONS_MAX * OFFSET_BYTES <= PENDING_CHANGES_BYTES_MAX / 2);
const _: () = assert!(
    TOPICS_IN_FLIGHT_MAX * STATES_IN_FLIGHT_MAX < STORE_REQUESTS_MAX
        && TOPICS_IN_FLIGHT_MAX * STATES_IN_FLIGHT_MAX < ZOOKEEPER_REQUESTS_MAX,
    "a load leaves room for others"
);
const _: () = assert!(
    LEASE_RENEWALS > 4,
    "a lease of half a session outlives a renewal that fails"
);
const _: () = assert!(
    CHANGES_BYTES_MAX * 4 <= MULTI_BYTES_MAX,
    "what tells brokers of a change leaves room for the change"
);
const _: () = assert!(
    MULTI_OPS_MAX >= 8,
    "creating a topic needs the check, five nodes and the commit"
);
const _: () = assert!(
    CHUNK_PARTITIONS as usize * ASSIGNMENT_BYTES_MAX * 2 + CHANGES_BYTES_MAX <= MULTI_BYTES_MAX,
    "a chunk fits a multi"
);
const _: () = assert!(
    MULTI_BYTES_MAX <= 1024 * 1024 - 64 * 1024,
    "a multi fits a packet of ZooKeeper"
);

pub(crate) fn check_multi(ops: &[MetaOp]) -> Result<(), MultiError> {
    if ops.len() > MULTI_OPS_MAX {
        return Err(MultiError::TooManyOps {
            ops: ops.len(),
            ops_max: MULTI_OPS_MAX,
        });
    }
    let bytes = ops.iter().map(MetaOp::size_bytes).sum();
    if bytes > MULTI_BYTES_MAX {
        return Err(MultiError::TooLarge {
            bytes,
            bytes_max: MULTI_BYTES_MAX,
        });
    }
    Ok(())
}
