//! The state of one partition of `__groups`: what its records say, in their order, and nothing else.

use std::collections::BTreeMap;
use std::ops::Bound;

use ringlog_record::{LeaderEpoch, Offset, TimestampMs, TopicPartition};

use super::record::Change;
use super::{GroupId, OffsetKey};
use crate::limits::{GROUP_BYTES, METADATA_OVERHEAD_BYTES, OFFSET_BYTES};

/// An offset that a group has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// What the group wants to read next.
    pub offset: Offset,
    /// Leader epoch of the last record that it read.
    pub leader_epoch: Option<LeaderEpoch>,
    /// When it was committed, by the broker's clock.
    pub at: TimestampMs,
    /// What the group put beside it.
    pub metadata: Box<str>,
}

impl Committed {
    /// What its text counts.
    pub(super) fn metadata_bytes(&self) -> usize {
        match self.metadata.len() {
            0 => 0,
            len => len + METADATA_OVERHEAD_BYTES,
        }
    }
}

/// What a group has committed. Never empty: a group without an offset is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    offsets: BTreeMap<TopicPartition, Committed>,
    metadata_bytes: usize,
}

impl Group {
    pub(super) fn partitions(&self) -> usize {
        self.offsets.len()
    }

    pub(super) fn metadata_bytes(&self) -> usize {
        self.metadata_bytes
    }

    pub(super) fn get(&self, id: TopicPartition) -> Option<&Committed> {
        self.offsets.get(&id)
    }
}

/// The offsets of the groups of one partition of `__groups`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetStore {
    groups: BTreeMap<GroupId, Group>,
    bytes: usize,
}

impl OffsetStore {
    /// Takes the next record.
    pub fn apply(&mut self, change: Change) {
        let Change { key, committed } = change;
        match committed {
            Some(committed) => self.put(key, committed),
            None => self.forget(&key),
        }
    }

    fn put(&mut self, key: OffsetKey, committed: Committed) {
        if !self.groups.contains_key(&key.group) {
            self.bytes += GROUP_BYTES;
        }
        let group = self.groups.entry(key.group).or_default();
        let metadata_bytes = committed.metadata_bytes();
        group.metadata_bytes += metadata_bytes;
        self.bytes += metadata_bytes;
        match group.offsets.insert(key.id, committed) {
            Some(old) => {
                group.metadata_bytes -= old.metadata_bytes();
                self.bytes -= old.metadata_bytes();
            }
            None => self.bytes += OFFSET_BYTES,
        }
    }

    fn forget(&mut self, key: &OffsetKey) {
        let Some(group) = self.groups.get_mut(&key.group) else {
            return;
        };
        if let Some(old) = group.offsets.remove(&key.id) {
            group.metadata_bytes -= old.metadata_bytes();
            self.bytes -= OFFSET_BYTES + old.metadata_bytes();
        }
        if group.offsets.is_empty() {
            self.groups.remove(&key.group);
            self.bytes -= GROUP_BYTES;
        }
    }

    /// What a group has committed for a partition.
    pub fn get(&self, group: &GroupId, id: TopicPartition) -> Option<&Committed> {
        self.groups.get(group)?.get(id)
    }

    /// All that a group has committed, by partition.
    pub fn of_group(
        &self,
        group: &GroupId,
    ) -> impl Iterator<Item = (TopicPartition, &Committed)> + use<'_> {
        let offsets = self.groups.get(group).map(|group| group.offsets.iter());
        offsets.into_iter().flatten().map(|(&id, one)| (id, one))
    }

    pub(super) fn group(&self, group: &GroupId) -> Option<&Group> {
        self.groups.get(group)
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All offsets behind `after`, by key.
    pub(super) fn behind(
        &self,
        after: Option<&OffsetKey>,
    ) -> impl Iterator<Item = (OffsetKey, &Committed)> {
        let first = after.map_or(Bound::Unbounded, |key| Bound::Included(key.group.clone()));
        let groups = self.groups.range((first, Bound::Unbounded));
        groups.flat_map(move |(name, group)| {
            let from = after.filter(|key| key.group == *name);
            let from = from.map_or(Bound::Unbounded, |key| Bound::Excluded(key.id));
            let offsets = group.offsets.range((from, Bound::Unbounded));
            offsets.map(move |(&id, committed)| {
                let group = name.clone();
                (OffsetKey { group, id }, committed)
            })
        })
    }

    /// What is to be forgotten: offsets of partitions that are not there any more, and of groups that have committed nothing
    /// since `idle_since`. At most `count`.
    pub(super) fn stale(
        &self,
        idle_since: TimestampMs,
        is_there: impl Fn(TopicPartition) -> bool,
        count: usize,
    ) -> Vec<OffsetKey> {
        let keys = self.groups.iter().flat_map(|(name, group)| {
            let is_idle = group.offsets.values().all(|one| one.at < idle_since);
            let is_there = &is_there;
            let stale = group.offsets.keys().copied();
            let stale = stale.filter(move |&id| is_idle || !is_there(id));
            stale.map(|id| OffsetKey {
                group: name.clone(),
                id,
            })
        });
        keys.take(count).collect()
    }
}
