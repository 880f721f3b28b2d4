//! Which leader epoch begins where: the leader epoch cache of a log.

use ringlog_record::{LeaderEpoch, Offset};

use crate::limits::EPOCHS_MAX;

/// Where a leader epoch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The first offset that its leader assigned, or would have.
    pub start: Offset,
}

/// The epochs of a log in order, with their first offsets. Epochs grow strictly, offsets do not shrink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochCache(Vec<EpochStart>);

impl EpochCache {
    /// A cache of these entries, or `None` when they are not in order.
    pub fn from_entries(entries: Vec<EpochStart>) -> Option<Self> {
        let ordered = entries
            .windows(2)
            .all(|two| two[0].epoch < two[1].epoch && two[0].start <= two[1].start);
        (ordered && entries.len() <= EPOCHS_MAX).then_some(Self(entries))
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> &[EpochStart] {
        &self.0
    }

    /// The newest epoch.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.0.last().map(|entry| entry.epoch)
    }

    /// Notes that `epoch` begins at `start`. Nothing happens unless it is newer than all others. An epoch before it
    /// that got no offsets is forgotten.
    pub fn begin(&mut self, epoch: LeaderEpoch, start: Offset) {
        if self.latest().is_some_and(|latest| latest >= epoch) {
            return;
        }
        self.0.retain(|entry| entry.start < start);
        if self.0.len() == EPOCHS_MAX {
            self.0.remove(0);
        }
        self.0.push(EpochStart { epoch, start });
    }

    /// The epoch that assigned `offset`, as far as is known.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.0.partition_point(|entry| entry.start <= offset);
        self.0[..after].last().map(|entry| entry.epoch)
    }

    /// The newest epoch that is not above `epoch`, and where it ends in a log that ends at `log_end`. A reader that
    /// saw more of `epoch` than that has seen records that are gone.
    pub fn end_of(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<EpochEnd> {
        let after = self.0.partition_point(|entry| entry.epoch <= epoch);
        let entry = self.0[..after].last()?;
        let end = self.0.get(after).map_or(log_end, |next| next.start);
        Some(EpochEnd {
            epoch: entry.epoch,
            end,
        })
    }

    /// Forgets what lies below `log_start`, but for the epoch that is in force there.
    pub fn forget_below(&mut self, log_start: Offset) {
        let after = self.0.partition_point(|entry| entry.start <= log_start);
        if after > 1 {
            self.0.drain(..after - 1);
        }
        if let Some(first) = self.0.first_mut() {
            first.start = first.start.max(log_start);
        }
    }

    /// Notes that a log came back with this end: the newest epoch begins there if it was to begin beyond it.
    pub(crate) fn come_back(&mut self, log_end: Offset) {
        let latest = self.latest();
        self.truncate(log_end);
        if let Some(latest) = latest {
            self.begin(latest, log_end);
        }
    }

    /// Forgets what begins beyond `log_end`.
    pub fn truncate(&mut self, log_end: Offset) {
        self.0.retain(|entry| entry.start <= log_end);
    }
}

/// Where an epoch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The first offset that is not of it.
    pub end: Offset,
}

#[cfg(test)]
mod tests;
