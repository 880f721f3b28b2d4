//! What was appended to a partition and what became of it, and the checks of the one against the other.
//!
//! Each record has a number that no other record of a run has, and a value that is a function of it
//! ([`crate::value`]), so whatever is read tells which append it came from and whether it was changed. The history
//! holds only what clients know: what they sent, what was answered, what they read. An append without an answer is
//! *unknown*: it may be there or not, until the log was seen without it after a restart.

use std::collections::{BTreeMap, BTreeSet};

use crate::value::{RecordId, producer_of};
use crate::violation::Violation;

/// What is known of one append.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// By the clock of the broker, and in truth.
    sent_at_ms: (i64, i64),
    /// Offset and leader epoch.
    place: Option<(u64, u32)>,
    acknowledged: bool,
    served: bool,
    /// A log that had restarted since it was appended was seen without it.
    cut_off: bool,
}

/// A record as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRecord {
    /// Its offset.
    pub offset: u64,
    /// The leader epoch of its batch.
    pub epoch: u32,
    /// The id in its value; none when the value is not one that was sent.
    pub id: Option<RecordId>,
}

/// A partition as it is found after a restart, before anything is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The first offset.
    pub log_start: u64,
    /// The offset behind the last.
    pub log_end: u64,
    /// Now, by the clock of the broker.
    pub now_ms: i64,
}

/// What may remove records without being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The size of the log.
    pub by_size: bool,
    /// Age in milliseconds.
    pub ms: Option<u64>,
}

/// The history of one partition.
#[derive(Debug)]
pub struct History {
    partition: u32,
    retention: Retention,
    records: BTreeMap<RecordId, Known>,
    at: BTreeMap<u64, RecordId>,
    /// The log started here, durably.
    log_start: u64,
    /// Records below were asked to be deleted.
    asked_start: u64,
    /// Records below are durable: none of them may be lost.
    durable_end: u64,
    epoch: u32,
    checked: u64,
    /// The latest that the clock of the broker has been.
    latest_ms: i64,
    /// How far that clock is off.
    skew_ms: i64,
    removals: u64,
    /// It is in memory only: a restart may lose all of it, and gives out none of its offsets again.
    is_in_memory: bool,
}

impl History {
    /// An empty history.
    pub fn new(partition: u32, retention: Retention) -> Self {
        Self {
            partition,
            retention,
            records: BTreeMap::new(),
            at: BTreeMap::new(),
            log_start: 0,
            asked_start: 0,
            durable_end: 0,
            epoch: 0,
            checked: 0,
            latest_ms: i64::MIN,
            skew_ms: 0,
            removals: 0,
            is_in_memory: false,
        }
    }

    /// An empty history of a partition that is in memory only.
    pub fn in_memory(partition: u32) -> Self {
        let by_size = true;
        let ms = None;
        Self {
            is_in_memory: true,
            ..Self::new(partition, Retention { by_size, ms })
        }
    }

    /// Whether a restart may lose all of it.
    pub const fn is_in_memory(&self) -> bool {
        self.is_in_memory
    }

    /// Records compared so far.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// Everything below was acknowledged, or seen, as durable.
    pub fn durable_end(&self) -> u64 {
        self.durable_end
    }

    /// The latest leader epoch that was begun durably.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// A record is about to be appended.
    pub fn sent(&mut self, id: RecordId, now_ms: i64) {
        let known = Known {
            sent_at_ms: (now_ms, now_ms - self.skew_ms),
            ..Known::default()
        };
        self.records.insert(id, known);
    }

    /// A record was refused: it must never be there.
    pub fn refused(&mut self, id: RecordId) {
        if let Some(known) = self.records.get_mut(&id) {
            known.cut_off = true;
        }
    }

    /// A record was given an offset. It is not durable yet.
    ///
    /// # Errors
    ///
    /// When it is known to be elsewhere, or another one is known to be there.
    pub fn appended(&mut self, id: RecordId, offset: u64, epoch: u32) -> Result<(), Violation> {
        self.place(id, offset, epoch)
    }

    /// A record was acknowledged as durable at this offset.
    ///
    /// # Errors
    ///
    /// As for [`History::appended`].
    pub fn acknowledged(&mut self, id: RecordId, offset: u64, epoch: u32) -> Result<(), Violation> {
        self.place(id, offset, epoch)?;
        if let Some(known) = self.records.get_mut(&id) {
            known.acknowledged = true;
        }
        Ok(())
    }

    /// Everything below `end` was said to be durable.
    pub fn durable_to(&mut self, end: u64) {
        if end <= self.durable_end || self.is_in_memory {
            return;
        }
        for (_, id) in self.at.range(self.durable_end..end) {
            if let Some(known) = self.records.get_mut(id) {
                known.acknowledged = true;
            }
        }
        self.durable_end = end;
    }

    /// A leader epoch was begun durably.
    pub fn epoch_begun(&mut self, epoch: u32) {
        self.epoch = self.epoch.max(epoch);
    }

    /// The deletion of the records below `offset` is asked for, and happens or not.
    pub fn deletion_asked(&mut self, offset: u64) {
        self.asked_start = self.asked_start.max(offset);
    }

    /// The highest offset below which records were asked to be deleted.
    pub const fn asked_start(&self) -> u64 {
        self.asked_start
    }

    /// How often retention was seen to have removed something.
    pub const fn removals(&self) -> u64 {
        self.removals
    }

    /// Retention may remove this much from now on, and what it might before.
    pub fn retention_asked(&mut self, allowed: Retention) {
        self.retention.by_size |= allowed.by_size;
        let both = self.retention.ms.into_iter().chain(allowed.ms);
        self.retention.ms = both.min();
    }

    /// The clock of the broker, which shows `now_ms`, is set off by `skew_ms` from the truth.
    pub fn clock_set_off(&mut self, now_ms: i64, skew_ms: i64) {
        self.latest_ms = self.latest_ms.max(now_ms);
        self.skew_ms = skew_ms;
    }

    /// The broker starts when its clock shows `now_ms`. What it appended before may count from now on as appended then:
    /// it is not bound to know more of it, and the clock may be behind. What it can know nevertheless, from the times of
    /// files, is a matter of the engine's own tests.
    pub fn starting(&mut self, now_ms: i64) {
        for known in self.records.values_mut() {
            known.sent_at_ms.0 = known.sent_at_ms.0.min(now_ms);
        }
    }

    /// The log was said to start here.
    ///
    /// # Errors
    ///
    /// When it started later before, or nothing allows it to start so late.
    pub fn started_at(&mut self, log_start: u64, now_ms: i64) -> Result<(), Violation> {
        let partition = self.partition;
        if log_start < self.log_start {
            return Err(Violation::WentBack {
                partition,
                what: "the log start",
                before: self.log_start,
                now: log_start,
            });
        }
        let allowed = self.log_start.max(self.asked_start);
        if log_start > allowed && !self.retention.by_size {
            self.latest_ms = self.latest_ms.max(now_ms);
            let truth_ms = now_ms - self.skew_ms;
            // When a clock has jumped, what is old by it and what is old in truth may both go.
            let is_old = |id: &RecordId| match (self.retention.ms, self.records.get(id)) {
                (Some(ms), Some(known)) => {
                    let (by_clock, in_truth) = known.sent_at_ms;
                    by_clock.saturating_add_unsigned(ms) <= self.latest_ms
                        || in_truth.saturating_add_unsigned(ms) <= truth_ms
                }
                _ => false,
            };
            if !self.at.range(allowed..log_start).all(|(_, id)| is_old(id)) {
                return Err(Violation::RemovedTooEarly {
                    partition,
                    log_start,
                    allowed,
                });
            }
        }
        self.removals += u64::from(log_start > allowed);
        self.log_start = log_start;
        Ok(())
    }

    /// Records were read in order, beginning anywhere. Those below `durable_end` may never vanish.
    ///
    /// # Errors
    ///
    /// The first violation.
    pub fn served(
        &mut self,
        records: impl IntoIterator<Item = ReadRecord>,
        durable_end: u64,
    ) -> Result<(), Violation> {
        let partition = self.partition;
        let mut expected = None;
        let mut latest: BTreeMap<u64, RecordId> = BTreeMap::new();
        for ReadRecord { offset, epoch, id } in records {
            if let Some(expected) = expected.filter(|expected| *expected != offset) {
                return Err(Violation::NotDense {
                    partition,
                    offset,
                    expected,
                });
            }
            expected = Some(offset + 1);
            let Some((id, known)) = id.and_then(|id| Some((id, *self.records.get(&id)?))) else {
                return Err(Violation::ContentChanged { partition, offset });
            };
            if known.cut_off {
                return Err(Violation::CutOffReturned {
                    partition,
                    id,
                    offset,
                });
            }
            self.place(id, offset, epoch)?;
            if let Some(after) = latest
                .insert(producer_of(id), id)
                .filter(|after| *after > id)
            {
                return Err(Violation::NotInOrder {
                    partition,
                    id,
                    offset,
                    after,
                });
            }
            if let Some(known) = self.records.get_mut(&id) {
                known.served |= offset < durable_end;
            }
            self.checked += 1;
        }
        Ok(())
    }

    /// The whole log was read after a restart, and nothing was appended in between.
    ///
    /// # Errors
    ///
    /// The first violation.
    pub fn restarted(
        &mut self,
        found: Found,
        records: impl IntoIterator<Item = ReadRecord>,
    ) -> Result<(), Violation> {
        let partition = self.partition;
        let Found {
            log_start, log_end, ..
        } = found;
        self.started_at(log_start, found.now_ms)?;
        // What was in memory only may be gone, and others may be at its offsets.
        let kept: Vec<ReadRecord> = records.into_iter().collect();
        let present: BTreeSet<RecordId> = kept.iter().filter_map(|record| record.id).collect();
        self.forget_lost(log_start, &present)?;
        let first = kept.first().map_or(log_end, |record| record.offset);
        let next = kept.last().map_or(log_start, |last| last.offset + 1);
        self.served(kept, log_end)?;
        if first > log_start {
            return Err(Violation::NotDense {
                partition,
                offset: first,
                expected: log_start,
            });
        }
        if next != log_end {
            return Err(Violation::NotDense {
                partition,
                offset: next,
                expected: log_end,
            });
        }
        self.durable_end = self.durable_end.max(log_end);
        Ok(())
    }

    /// Decides about the records that a restarted log is without.
    fn forget_lost(
        &mut self,
        log_start: u64,
        present: &BTreeSet<RecordId>,
    ) -> Result<(), Violation> {
        let partition = self.partition;
        for (&id, known) in &mut self.records {
            if present.contains(&id) || known.cut_off {
                continue;
            }
            if let Some((offset, _)) = known.place {
                if offset < log_start {
                    continue;
                }
                if self.is_in_memory {
                    return Err(Violation::WentBack {
                        partition,
                        what: "the next offset of a partition in memory",
                        before: offset + 1,
                        now: log_start,
                    });
                }
                if known.acknowledged {
                    return Err(Violation::AcknowledgedLost {
                        partition,
                        id,
                        offset,
                    });
                }
                if known.served {
                    return Err(Violation::ServedVanished {
                        partition,
                        id,
                        offset,
                    });
                }
                self.at.remove(&offset);
                known.place = None;
            }
            known.cut_off = true;
        }
        Ok(())
    }

    /// Notes where a record is.
    fn place(&mut self, id: RecordId, offset: u64, epoch: u32) -> Result<(), Violation> {
        let partition = self.partition;
        let known = self.records.entry(id).or_default();
        match known.place {
            Some(before) if before != (offset, epoch) => {
                return Err(Violation::Moved {
                    partition,
                    id,
                    offset,
                    epoch,
                    before: before.0,
                    epoch_before: before.1,
                });
            }
            _ => known.place = Some((offset, epoch)),
        }
        if let Some(other) = self.at.insert(offset, id).filter(|other| *other != id) {
            let acknowledged = self
                .records
                .get(&other)
                .is_some_and(|known| known.acknowledged);
            return Err(match acknowledged {
                true => Violation::AcknowledgedLost {
                    partition,
                    id: other,
                    offset,
                },
                false => Violation::ServedVanished {
                    partition,
                    id: other,
                    offset,
                },
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
