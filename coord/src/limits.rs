//! The bounds of this crate, and how they relate.

use std::time::Duration;

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

/// How often a write whose outcome is unknown is tried again before that is reported.
pub const UNKNOWN_RETRIES_MAX: u32 = 3;

const _: () = assert!(
    TOPICS_IN_FLIGHT_MAX * STATES_IN_FLIGHT_MAX < STORE_REQUESTS_MAX
        && TOPICS_IN_FLIGHT_MAX * STATES_IN_FLIGHT_MAX < ZOOKEEPER_REQUESTS_MAX,
    "a load leaves room for others"
);
const _: () = assert!(
    MULTI_OPS_MAX >= 8,
    "creating a topic needs the check, five nodes and the commit"
);
const _: () = assert!(
    CHUNK_PARTITIONS as usize * ASSIGNMENT_BYTES_MAX * 2 <= MULTI_BYTES_MAX,
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
