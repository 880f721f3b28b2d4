//! The producer state of a log: the last batches of each idempotent producer, so that one that is sent again is
//! answered with the offset that it has, and one whose predecessor is missing is refused.
//!
//! It describes everything that was appended, durable or not. A checkpoint takes of it what lies below the durable
//! end, and recovery notes the batches behind that as it walks over them: what a crash took from the log is not in
//! here either. Retention leaves it alone: that a batch was stored holds after its records have gone.

use std::collections::{BTreeMap, VecDeque};

use ringlog_record::{Offset, ProducerEpoch, ProducerId, ProducerStamp, Sequence, TimestampMs};

use crate::limits::{PRODUCER_BATCHES_MAX, PRODUCER_EXPIRY_MS, PRODUCER_KEPT_MS, PRODUCERS_MAX};

/// A batch of a producer that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredBatch {
    pub(crate) epoch: ProducerEpoch,
    pub(crate) base_sequence: Sequence,
    /// At least one.
    pub(crate) records: u32,
    pub(crate) base_offset: Offset,
}

impl StoredBatch {
    /// The offset behind its last record.
    pub(crate) fn end(&self) -> Offset {
        self.base_offset
            .checked_add(u64::from(self.records))
            .unwrap_or(Offset::MAX)
    }

    /// Whether it can be what its producer appended after `earlier`.
    fn follows(&self, earlier: &Self) -> bool {
        earlier.end() <= self.base_offset && earlier.epoch <= self.epoch
    }

    fn next_sequence(&self) -> Sequence {
        self.base_sequence.after(self.records)
    }
}

/// What is known of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    /// When it last appended, by the broker's clock.
    pub(crate) last_append: TimestampMs,
    /// In the order of their offsets, at least one; the last one tells the epoch and what comes next.
    pub(crate) batches: VecDeque<StoredBatch>,
}

/// What is to become of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next one.
    Append,
    /// It is in the log already.
    Stored(StoredBatch),
}

/// Why a batch of an idempotent producer is not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// A batch before it is missing: it was never appended, or is lost.
    #[error(
        "producer {id} in epoch {epoch} sent sequence {found} where {expected} is next: a batch before it is missing"
    )]
    OutOfOrder {
        /// The producer.
        id: ProducerId,
        /// Its epoch.
        epoch: ProducerEpoch,
        /// What it sent.
        found: Sequence,
        /// What is expected.
        expected: Sequence,
    },
    /// A newer life of the producer has appended already.
    #[error("producer {id} in epoch {epoch} is fenced: epoch {latest} has appended")]
    Fenced {
        /// The producer.
        id: ProducerId,
        /// The epoch of the batch.
        epoch: ProducerEpoch,
        /// The latest epoch.
        latest: ProducerEpoch,
    },
    /// It was appended before, so long ago that its offset is not remembered, or in batches cut otherwise.
    #[error(
        "producer {id} sent sequence {found} in epoch {epoch} before; where it is stored is no longer known"
    )]
    Duplicate {
        /// The producer.
        id: ProducerId,
        /// Its epoch.
        epoch: ProducerEpoch,
        /// What it sent.
        found: Sequence,
    },
    /// An append of several batches with one of an idempotent producer, or of one in a batch that is not alone.
    #[error("an append of an idempotent producer is one batch, this one is {batches}")]
    NotAlone {
        /// How many batches there are.
        batches: usize,
    },
    /// As many producers as are remembered have appended of late.
    #[error(
        "{producers} producers have appended to this partition of late, and no more are remembered"
    )]
    TooMany {
        /// How many.
        producers: usize,
    },
}

/// The producers of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producers(BTreeMap<ProducerId, Producer>);

impl Producers {
    /// State as a checkpoint had it, or `None` when it cannot be.
    pub(crate) fn from_entries(entries: Vec<(ProducerId, Producer)>) -> Option<Self> {
        let is_sound = |producer: &Producer| {
            let ordered = (producer.batches.iter())
                .zip(producer.batches.iter().skip(1))
                .all(|(one, next)| next.follows(one));
            ordered && producer.batches.iter().all(|batch| batch.records > 0)
        };
        let count = entries.len();
        let sound = entries.iter().all(|(_, one)| {
            (1..=PRODUCER_BATCHES_MAX).contains(&one.batches.len()) && is_sound(one)
        });
        let producers: BTreeMap<_, _> = entries.into_iter().collect();
        (sound && producers.len() == count && count <= PRODUCERS_MAX).then_some(Self(producers))
    }

    /// By id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ProducerId, &Producer)> {
        self.0.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What is to become of a batch of so many records.
    pub(crate) fn check(
        &self,
        stamp: ProducerStamp,
        records: u32,
        now: TimestampMs,
    ) -> Result<Verdict, ProducerError> {
        let ProducerStamp {
            id,
            epoch,
            base_sequence: found,
        } = stamp;
        let Some(producer) = self.0.get(&id) else {
            self.check_room(now)?;
            return in_order(stamp, Sequence::ZERO);
        };
        let Some(last) = producer.batches.back() else {
            return in_order(stamp, Sequence::ZERO);
        };
        if epoch < last.epoch {
            let latest = last.epoch;
            return Err(ProducerError::Fenced { id, epoch, latest });
        }
        if epoch > last.epoch {
            return in_order(stamp, Sequence::ZERO);
        }
        let is_it = |batch: &&StoredBatch| {
            (batch.epoch, batch.base_sequence, batch.records) == (epoch, found, records)
        };
        if let Some(stored) = producer.batches.iter().rev().find(is_it) {
            return Ok(Verdict::Stored(*stored));
        }
        if found.is_behind(last.next_sequence()) {
            return Err(ProducerError::Duplicate { id, epoch, found });
        }
        in_order(stamp, last.next_sequence())
    }

    /// A batch was appended. What lies behind `durable_end` may be lost yet, so that the
    /// last batches in front of it are kept as well.
    pub(crate) fn note(
        &mut self,
        id: ProducerId,
        batch: StoredBatch,
        now: TimestampMs,
        durable_end: Offset,
    ) {
        if self.0.len() >= PRODUCERS_MAX && !self.0.contains_key(&id) {
            self.forget_longest_idle();
        }
        let producer = self.0.entry(id).or_insert_with(|| Producer {
            last_append: now,
            batches: VecDeque::with_capacity(1),
        });
        producer.last_append = now;
        producer.batches.push_back(batch);
        let is_spare =
            |next: Option<&StoredBatch>| next.is_some_and(|one| one.end() <= durable_end);
        while is_spare(producer.batches.get(PRODUCER_BATCHES_MAX)) {
            producer.batches.pop_front();
        }
    }

    /// Notes a batch that recovery found, unless no append can have left it: a checkpoint with it would not be taken for
    /// sound, and what was appended after it lost.
    pub(crate) fn note_found(&mut self, id: ProducerId, batch: StoredBatch, now: TimestampMs) {
        let last = self.0.get(&id).and_then(|one| one.batches.back());
        if last.is_none_or(|last| batch.follows(last)) {
            // All that is walked over is durable when the log is open.
            self.note(id, batch, now, batch.end());
        }
    }

    /// Forgets who has not appended for so long that nothing of theirs is under way.
    pub(crate) fn expire(&mut self, now: TimestampMs) {
        self.0
            .retain(|_, producer| idle_ms(producer, now) < PRODUCER_EXPIRY_MS);
    }

    /// What is durable of it.
    pub(crate) fn below(&self, durable_end: Offset) -> Self {
        let durable = self.0.iter().filter_map(|(&id, producer)| {
            let durable = producer
                .batches
                .iter()
                .filter(|one| one.end() <= durable_end);
            let count = durable.clone().count();
            let batches: VecDeque<_> = durable
                .skip(count.saturating_sub(PRODUCER_BATCHES_MAX))
                .copied()
                .collect();
            let last_append = producer.last_append;
            (count > 0).then_some((
                id,
                Producer {
                    last_append,
                    batches,
                },
            ))
        });
        Self(durable.collect())
    }

    /// Whether a producer that is not known can be remembered.
    fn check_room(&self, now: TimestampMs) -> Result<(), ProducerError> {
        let is_idle = |producer: &Producer| idle_ms(producer, now) >= PRODUCER_KEPT_MS;
        if self.0.len() < PRODUCERS_MAX || self.0.values().any(is_idle) {
            return Ok(());
        }
        Err(ProducerError::TooMany {
            producers: self.0.len(),
        })
    }

    fn forget_longest_idle(&mut self) {
        let longest = self.0.iter().min_by_key(|(_, one)| one.last_append);
        if let Some(id) = longest.map(|(&id, _)| id) {
            self.0.remove(&id);
        }
    }
}

fn in_order(stamp: ProducerStamp, expected: Sequence) -> Result<Verdict, ProducerError> {
    if stamp.base_sequence == expected {
        return Ok(Verdict::Append);
    }
    Err(ProducerError::OutOfOrder {
        id: stamp.id,
        epoch: stamp.epoch,
        found: stamp.base_sequence,
        expected,
    })
}

fn idle_ms(producer: &Producer, now: TimestampMs) -> i64 {
    now.get().saturating_sub(producer.last_append.get())
}

#[cfg(test)]
mod tests;
