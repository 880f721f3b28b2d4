//! Consumer groups, as their coordinator knows them: the offsets that they have committed.
//!
//! Duty: the state of one partition of the topic `__groups`, the records that it is kept in, and when these are written
//! again so that the log does not grow for ever. [`OffsetStore`] is the state: what the records of the log say, in their
//! order, and nothing else. [`Coordinator`] is the machine around it: it knows what is appended and not yet stable, and
//! what is to be done next. Neither does I/O or reads a clock; whoever owns the partition's log is the shell.
//!
//! Thread: the core that owns the partition, unlike the rest of this crate.

mod coordinator;
mod record;
mod store;

pub use coordinator::{CommitError, Coordinator, Entry, SnapshotStep};
pub use record::{Change, RecordFault, batch_of, changes_of};
pub use store::{Committed, OffsetStore};

use ringlog_record::TopicPartition;
use ringlog_record::murmur2::partition_of_key;

/// The topic in which groups are kept.
pub const GROUPS_TOPIC: &str = "__groups";

/// The partition of the topic that a group is kept in, by its number.
pub fn partition_of_group(group: &GroupId, partitions: u32) -> u32 {
    partition_of_key(group.as_str().as_bytes(), partitions)
}

/// The name of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(Box<str>);

impl GroupId {
    /// The group of this name; `None` when it has no or too many bytes.
    pub fn new(name: &str) -> Option<Self> {
        let allowed = 1..=crate::limits::GROUP_ID_BYTES_MAX;
        allowed.contains(&name.len()).then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for GroupId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names what an offset is committed for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetKey {
    /// Who committed it.
    pub group: GroupId,
    /// For which partition.
    pub id: TopicPartition,
}
