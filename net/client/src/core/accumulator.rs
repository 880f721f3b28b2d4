//! Records waiting to be sent: collected into batches, one queue for each partition.
//!
//! A batch is ready when it is full, when its first record has waited for the linger time, or when everything is to
//! go out. Who sends the batches of a partition takes them one by one, in their order; a batch that is not taken yet
//! takes more records.

use std::collections::{BTreeMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use ringlog_record::batch::{BatchBuilder, BatchError, RecordData};

/// How batches are made.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// How long the first record of a batch waits for others.
    pub linger: Duration,
    /// Size at which a batch is full, unless a single record is larger.
    pub batch_bytes: usize,
    /// Size that no batch exceeds.
    pub batch_bytes_max: usize,
}

/// Records of a batch with those who wait for them, in their order.
#[derive(Debug)]
pub struct ReadyBatch<W> {
    /// The records, at least one.
    pub builder: BatchBuilder,
    /// One for each record.
    pub waiting: Vec<W>,
    /// When its first record came.
    pub since: Instant,
}

struct Queue<W> {
    full: VecDeque<ReadyBatch<W>>,
    open: Option<ReadyBatch<W>>,
    /// Whether somebody sends the batches of this partition.
    is_served: bool,
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self {
            full: VecDeque::new(),
            open: None,
            is_served: false,
        }
    }
}

/// What a record did to the batches of its partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// It is the first of a batch, whose linger time begins now.
    pub opened: bool,
    /// A batch became full, and can be sent.
    pub filled: bool,
    /// Nobody sends the batches of the partition: who put this in sees to it that somebody does.
    pub needs_service: bool,
}

/// Whether everything goes out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Batches may wait for more records.
    Linger,
    /// They may not.
    Flush,
}

/// The records of a producer that are not sent; `P` names a partition, `W` is who waits for a record.
pub struct Accumulator<P, W> {
    batching: Batching,
    queues: BTreeMap<P, Queue<W>>,
    /// Records that are in here or in flight.
    pending: usize,
}

impl<P: Ord + Clone + Hash, W> Accumulator<P, W> {
    /// An empty accumulator.
    pub fn new(batching: Batching) -> Self {
        Self {
            batching,
            queues: BTreeMap::new(),
            pending: 0,
        }
    }

    /// Puts a record in.
    ///
    /// # Errors
    ///
    /// When the record alone is larger than a batch may be; it comes back with its reason.
    pub fn append(
        &mut self,
        partition: &P,
        record: &RecordData<'_>,
        waiting: W,
        now: Instant,
    ) -> Result<Appended, (BatchError, W)> {
        let batching = self.batching;
        let queue = self.queues.entry(partition.clone()).or_default();
        let mut appended = Appended::default();
        if let Some(open) = &queue.open
            && open.builder.encoded_len_with(record) > batching.batch_bytes
        {
            appended.filled = true;
            queue.close();
        }
        appended.opened = queue.open.is_none();
        let open = queue.open.get_or_insert_with(|| ReadyBatch {
            builder: BatchBuilder::new(batching.batch_bytes_max),
            waiting: Vec::new(),
            since: now,
        });
        if let Err(error) = open.builder.append(record) {
            if open.waiting.is_empty() {
                queue.open = None;
            }
            if !queue.is_served && queue.open.is_none() && queue.full.is_empty() {
                self.queues.remove(partition);
            }
            return Err((error, waiting));
        }
        open.waiting.push(waiting);
        self.pending += 1;
        if open.builder.encoded_len() >= batching.batch_bytes {
            appended.filled = true;
            queue.close();
        }
        appended.needs_service = !std::mem::replace(&mut queue.is_served, true);
        Ok(appended)
    }

    /// Whether the record would go into a batch that is open, or begin one where none is.
    pub fn fits(&self, partition: &P, record: &RecordData<'_>) -> bool {
        let open = self
            .queues
            .get(partition)
            .and_then(|queue| queue.open.as_ref());
        open.is_none_or(|open| open.builder.encoded_len_with(record) <= self.batching.batch_bytes)
    }

    /// The open batch of a partition is to go, full or not.
    pub fn close(&mut self, partition: &P) {
        if let Some(queue) = self.queues.get_mut(partition) {
            queue.close();
        }
    }

    /// Takes the next batch of a partition that is ready.
    pub fn take_ready(
        &mut self,
        partition: &P,
        now: Instant,
        urgency: Urgency,
    ) -> Option<ReadyBatch<W>> {
        let queue = self.queues.get_mut(partition)?;
        if queue.full.is_empty() {
            let open = queue.open.as_ref()?;
            let has_lingered = now.saturating_duration_since(open.since) >= self.batching.linger;
            if urgency == Urgency::Flush || has_lingered {
                queue.close();
            }
        }
        queue.full.pop_front()
    }

    /// When the open batch of a partition will have waited long enough.
    pub fn due(&self, partition: &P) -> Option<Instant> {
        let open = self.queues.get(partition)?.open.as_ref()?;
        Some(open.since + self.batching.linger)
    }

    /// So many records have their outcome.
    pub fn finished(&mut self, records: usize) {
        self.pending -= records;
    }

    /// Nobody sends the batches of the partition from now on, if there are none; tells whether that is so.
    pub fn release(&mut self, partition: &P) -> bool {
        let queue = self.queues.get(partition);
        let is_idle = queue.is_none_or(|queue| queue.open.is_none() && queue.full.is_empty());
        if is_idle {
            self.queues.remove(partition);
        }
        is_idle
    }

    /// Records that have no outcome yet.
    pub fn pending(&self) -> usize {
        self.pending
    }
}

impl<W> Queue<W> {
    fn close(&mut self) {
        self.full.extend(self.open.take());
    }
}

#[cfg(test)]
mod tests;
