//! The coordinator of the groups of one partition of `__groups`: what is stable, what is on its way, and when the log is
//! made shorter.
//!
//! **Answers.** A commit is answered, and read by others, when its record is stable: below the high watermark. So what
//! was read once is there after any crash.
//!
//! **The log is made shorter** by a snapshot: once it is much longer than what it says, all offsets are appended again and
//! the log start is moved in front of them. It begins at the log end S of some moment and waits until everything before S
//! is stable and taken into the state. Then it appends the offsets in the order of their keys, some at a time, each
//! with the value that it has when it is appended. One with a change on its way is left out: that change lies behind S.
//! When the last of them is stable the log start moves to S. Commits go on all the while. A crash at any moment leaves a
//! log whose records, in order, give the same state: before the move all of it is there, and what was appended again says
//! nothing new.

use std::collections::{BTreeSet, VecDeque};

use ringlog_record::{LeaderEpoch, Offset, TimestampMs, TopicPartition};

use super::record::Change;
use super::store::{Committed, OffsetStore};
use super::{GroupId, OffsetKey};
use crate::limits::{
    GROUP_IDLE_MS, GROUP_METADATA_BYTES_MAX, GROUP_PARTITIONS_MAX, OFFSET_BYTES,
    PENDING_CHANGES_BYTES_MAX, SNAPSHOT_CHUNK_OFFSETS, SNAPSHOT_LOG_BYTES_MIN,
    SNAPSHOT_LOG_BYTES_PER_STATE_BYTE, STALE_OFFSETS_AT_ONCE_MAX,
};

/// An offset that a group wants to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// For which partition.
    pub id: TopicPartition,
    /// What it wants to read next.
    pub offset: Offset,
    /// Leader epoch of the last record that it read.
    pub leader_epoch: Option<LeaderEpoch>,
    /// What it wants to find beside it again.
    pub metadata: Box<str>,
}

/// Why nothing of a commit is carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The group would have more offsets than it may.
    #[error(
        "group {group} would have committed offsets for {partitions} partitions, and at most {partitions_max} are kept"
    )]
    TooManyPartitions {
        /// The group.
        group: GroupId,
        /// How many it would have.
        partitions: usize,
        /// How many it may have.
        partitions_max: usize,
    },
    /// The group would have more metadata than it may.
    #[error(
        "group {group} would have {bytes} bytes of metadata beside its offsets, and at most {bytes_max} are kept"
    )]
    TooMuchMetadata {
        /// The group.
        group: GroupId,
        /// How much it would have.
        bytes: usize,
        /// How much it may have.
        bytes_max: usize,
    },
    /// The memory for the offsets of groups is used up.
    #[error(
        "the offsets of all groups take {bytes} bytes of memory on this core, and no more are set apart: groups that are idle for long are forgotten in time, a larger `memory` of the broker helps at once"
    )]
    Full {
        /// What they take.
        bytes: usize,
    },
    /// Too many commits are on their way.
    #[error("too many commits are under way; send less at a time")]
    Throttled,
}

/// Changes that are appended and not stable.
#[derive(Clone, Debug)]
struct Pending {
    /// The offset behind their records.
    end: Offset,
    changes: Vec<Change>,
    bytes: usize,
}

/// What is to be done next about a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotStep {
    /// Wait until the high watermark is here, and ask again.
    AwaitStable(Offset),
    /// Append these, say so with [`Coordinator::appended`], and ask again.
    Append(Vec<Change>),
    /// Move the log start here, and say so with [`Coordinator::trimmed`]. It is the last step.
    Trim(Offset),
}

/// A snapshot that is being made.
#[derive(Clone, Debug)]
struct Snapshot {
    /// Where it begins.
    start: Offset,
    /// Bytes of the log before it.
    bytes_before: u64,
    /// The last key that was looked at.
    cursor: Option<OffsetKey>,
    /// The log end when all keys had been looked at.
    end: Option<Offset>,
}

/// The coordinator of one partition of `__groups`.
#[derive(Clone, Debug, Default)]
pub struct Coordinator {
    stable: OffsetStore,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    log_end: Offset,
    /// Bytes of batches between log start and log end.
    log_bytes: u64,
    snapshot: Option<Snapshot>,
}

impl Coordinator {
    /// Takes a batch that lies in the log and is stable, when the log is read from its start.
    pub fn replay(&mut self, changes: Vec<Change>, end: Offset, bytes: u64) {
        changes
            .into_iter()
            .for_each(|change| self.stable.apply(change));
        self.log_end = end;
        self.log_bytes += bytes;
    }

    /// What is stable.
    pub fn offsets(&self) -> &OffsetStore {
        &self.stable
    }

    /// Memory that it takes, about, with what is on its way.
    pub fn bytes(&self) -> usize {
        self.stable.bytes() + self.pending_bytes
    }

    /// The changes of a commit: to be appended as one batch, followed by [`Coordinator::appended`]. `bytes_free` is the memory
    /// that is left for new offsets.
    ///
    /// # Errors
    ///
    /// [`CommitError`]; nothing is to be appended then.
    pub fn commit(
        &self,
        group: &GroupId,
        entries: Vec<Entry>,
        now: TimestampMs,
        bytes_free: usize,
    ) -> Result<Vec<Change>, CommitError> {
        let known = self.stable.group(group);
        let (mut partitions, mut metadata_bytes) =
            known.map_or((0, 0), |known| (known.partitions(), known.metadata_bytes()));
        let before_bytes = metadata_bytes;
        let mut seen = BTreeSet::new();
        let mut changes = Vec::with_capacity(entries.len());
        // Of a partition that is there twice the last one counts.
        for entry in entries.into_iter().rev() {
            if !seen.insert(entry.id) {
                continue;
            }
            let committed = Committed {
                offset: entry.offset,
                leader_epoch: entry.leader_epoch,
                at: now,
                metadata: entry.metadata,
            };
            metadata_bytes += committed.metadata_bytes();
            match known.and_then(|known| known.get(entry.id)) {
                Some(old) => metadata_bytes -= old.metadata_bytes(),
                None => partitions += 1,
            }
            let group = group.clone();
            let id = entry.id;
            changes.push(Change {
                key: OffsetKey { group, id },
                committed: Some(committed),
            });
        }
        changes.reverse();
        if partitions > GROUP_PARTITIONS_MAX {
            return Err(CommitError::TooManyPartitions {
                group: group.clone(),
                partitions,
                partitions_max: GROUP_PARTITIONS_MAX,
            });
        }
        if metadata_bytes > GROUP_METADATA_BYTES_MAX {
            return Err(CommitError::TooMuchMetadata {
                group: group.clone(),
                bytes: metadata_bytes,
                bytes_max: GROUP_METADATA_BYTES_MAX,
            });
        }
        // What is on its way may fill the group up too.
        let on_its_way = self.on_its_way(group);
        if partitions + on_its_way.partitions > GROUP_PARTITIONS_MAX
            || metadata_bytes + on_its_way.metadata_bytes > GROUP_METADATA_BYTES_MAX
            || self.pending_bytes + bytes_of(&changes) > PENDING_CHANGES_BYTES_MAX
        {
            return Err(CommitError::Throttled);
        }
        let known_partitions = known.map_or(0, |known| known.partitions());
        let grows = partitions > known_partitions || metadata_bytes > before_bytes;
        if grows && bytes_of(&changes) > bytes_free {
            return Err(CommitError::Full {
                bytes: self.bytes(),
            });
        }
        Ok(changes)
    }

    /// By how much a group may grow at most by what is on its way.
    fn on_its_way(&self, group: &GroupId) -> OnItsWay {
        let known = self.stable.group(group);
        let changes = self.pending.iter().flat_map(|one| &one.changes);
        let mut growth = OnItsWay::default();
        for change in changes.filter(|change| change.key.group == *group) {
            let Some(committed) = &change.committed else {
                continue;
            };
            let old = known.and_then(|known| known.get(change.key.id));
            growth.partitions += usize::from(old.is_none());
            let old_bytes = old.map_or(0, Committed::metadata_bytes);
            growth.metadata_bytes += committed.metadata_bytes().saturating_sub(old_bytes);
        }
        growth
    }

    /// Changes were appended as a batch of `bytes`; `end` is the offset behind it.
    pub fn appended(&mut self, changes: Vec<Change>, end: Offset, bytes: u64) {
        let pending = Pending {
            end,
            bytes: bytes_of(&changes),
            changes,
        };
        self.pending_bytes += pending.bytes;
        self.pending.push_back(pending);
        self.log_end = end;
        self.log_bytes += bytes;
    }

    /// The high watermark is here: what lies below it is stable.
    pub fn stable(&mut self, high_watermark: Offset) {
        let is_stable = |one: &Pending| one.end <= high_watermark;
        while self.pending.front().is_some_and(is_stable)
            && let Some(pending) = self.pending.pop_front()
        {
            self.pending_bytes -= pending.bytes;
            let changes = pending.changes.into_iter();
            changes.for_each(|change| self.stable.apply(change));
        }
    }

    /// What is to be forgotten by now, to be appended as a batch and followed by [`Coordinator::appended`]: offsets of
    /// partitions that are not there any more, and of groups that were idle for too long. Some at a time.
    pub fn stale(
        &self,
        now: TimestampMs,
        is_there: impl Fn(TopicPartition) -> bool,
    ) -> Vec<Change> {
        let idle_since = TimestampMs::new(now.get().saturating_sub(GROUP_IDLE_MS));
        let on_their_way = self.keys_on_their_way();
        let stale = self
            .stable
            .stale(idle_since, is_there, STALE_OFFSETS_AT_ONCE_MAX);
        // A commit that is on its way is one more sign of life.
        let stale = stale
            .into_iter()
            .filter(|key| !on_their_way.contains(key))
            .map(|key| Change {
                key,
                committed: None,
            });
        stale.collect()
    }

    fn keys_on_their_way(&self) -> BTreeSet<&OffsetKey> {
        let changes = self.pending.iter().flat_map(|one| &one.changes);
        changes.map(|change| &change.key).collect()
    }

    /// Begins a snapshot when the log is long enough for one, and none is being made. Then [`Coordinator::next_step`] says
    /// what to do.
    pub fn begin_snapshot(&mut self) -> bool {
        let state_bytes = self.stable.bytes() as u64;
        let due = SNAPSHOT_LOG_BYTES_MIN + SNAPSHOT_LOG_BYTES_PER_STATE_BYTE * state_bytes;
        if self.snapshot.is_some() || self.log_bytes < due {
            return false;
        }
        self.snapshot = Some(Snapshot {
            start: self.log_end,
            bytes_before: self.log_bytes,
            cursor: None,
            end: None,
        });
        true
    }

    /// What is to be done next about the snapshot that was begun.
    pub fn next_step(&mut self) -> Option<SnapshotStep> {
        let snapshot = self.snapshot.as_mut()?;
        let needed = snapshot.end.unwrap_or(snapshot.start);
        if self.pending.front().is_some_and(|one| one.end <= needed) {
            return Some(SnapshotStep::AwaitStable(needed));
        }
        if snapshot.end.is_some() {
            return Some(SnapshotStep::Trim(snapshot.start));
        }
        let changes = self.pending.iter().flat_map(|one| &one.changes);
        let on_their_way: BTreeSet<&OffsetKey> = changes.map(|change| &change.key).collect();
        let mut chunk = Vec::new();
        let mut last = None;
        for (key, committed) in self.stable.behind(snapshot.cursor.as_ref()) {
            if chunk.len() == SNAPSHOT_CHUNK_OFFSETS {
                break;
            }
            if !on_their_way.contains(&key) {
                chunk.push(Change {
                    key: key.clone(),
                    committed: Some(committed.clone()),
                });
            }
            last = Some(key);
        }
        match last {
            Some(last) => snapshot.cursor = Some(last),
            None => snapshot.end = Some(self.log_end),
        }
        if chunk.is_empty() {
            return self.next_step();
        }
        Some(SnapshotStep::Append(chunk))
    }

    /// The log start was moved to where the snapshot begins: it is over.
    pub fn trimmed(&mut self) {
        if let Some(snapshot) = self.snapshot.take() {
            self.log_bytes -= snapshot.bytes_before;
        }
    }

    /// The snapshot is given up; another one begins anew.
    pub fn give_up_snapshot(&mut self) {
        self.snapshot = None;
    }
}

/// The growth of a group that is on its way.
#[derive(Default)]
struct OnItsWay {
    partitions: usize,
    metadata_bytes: usize,
}

/// Memory that changes take, about.
fn bytes_of(changes: &[Change]) -> usize {
    let metadata = changes.iter().filter_map(|one| one.committed.as_ref());
    let metadata_bytes: usize = metadata.map(Committed::metadata_bytes).sum();
    changes.len() * OFFSET_BYTES + metadata_bytes
}

#[cfg(test)]
mod tests;
