//! Records waiting to be sent: collected into batches, one queue for each partition.
//!
//! A batch is ready when it is full, when its first record has waited for the linger time, or when everything is to
//! go out. One request of a partition is under way at a time: what is refused can then be sent again without
//! overtaking or being overtaken.

use std::collections::{BTreeMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringlog_record::batch::{BatchBuilder, BatchError, RecordData};

use crate::limits::REQUEST_BYTES_MAX;

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

/// A batch with those who wait for it, in the order of its records.
#[derive(Debug)]
pub struct ReadyBatch<W> {
    /// The batch.
    pub bytes: Bytes,
    /// One for each record.
    pub waiting: Vec<W>,
    /// When its first record came.
    pub since: Instant,
}

struct OpenBatch<W> {
    builder: BatchBuilder,
    waiting: Vec<W>,
    since: Instant,
}

struct Queue<W> {
    full: VecDeque<ReadyBatch<W>>,
    open: Option<OpenBatch<W>>,
    is_in_flight: bool,
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self {
            full: VecDeque::new(),
            open: None,
            is_in_flight: false,
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
        let open = queue.open.get_or_insert_with(|| OpenBatch {
            builder: BatchBuilder::new(batching.batch_bytes_max),
            waiting: Vec::new(),
            since: now,
        });
        if let Err(error) = open.builder.append(record) {
            if open.waiting.is_empty() {
                queue.open = None;
            }
            return Err((error, waiting));
        }
        open.waiting.push(waiting);
        self.pending += 1;
        if open.builder.encoded_len() >= batching.batch_bytes {
            appended.filled = true;
            queue.close();
        }
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

    /// Takes what is to be sent of each partition that has something ready and nothing in flight.
    pub fn take_ready(&mut self, now: Instant, urgency: Urgency) -> Vec<(P, Vec<ReadyBatch<W>>)> {
        let linger = self.batching.linger;
        let mut ready = Vec::new();
        for (partition, queue) in &mut self.queues {
            if queue.is_in_flight {
                continue;
            }
            let is_due = queue.open.as_ref().is_some_and(|open| {
                urgency == Urgency::Flush || now.saturating_duration_since(open.since) >= linger
            });
            if is_due {
                queue.close();
            }
            let batches = queue.take();
            if !batches.is_empty() {
                queue.is_in_flight = true;
                ready.push((partition.clone(), batches));
            }
        }
        ready
    }

    /// When the next batch will have waited long enough, of those that could be sent.
    pub fn next_due(&self) -> Option<Instant> {
        let idle = self.queues.values().filter(|queue| !queue.is_in_flight);
        idle.filter_map(|queue| queue.open.as_ref())
            .map(|open| open.since + self.batching.linger)
            .min()
    }

    /// The request of a partition has come to its end, with this many records.
    pub fn finished(&mut self, partition: &P, records: usize) {
        if let Some(queue) = self.queues.get_mut(partition) {
            queue.is_in_flight = false;
            if queue.open.is_none() && queue.full.is_empty() {
                self.queues.remove(partition);
            }
        }
        self.pending -= records;
    }

    /// Records that have no outcome yet.
    pub fn pending(&self) -> usize {
        self.pending
    }
}

impl<W> Queue<W> {
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        // A builder that has taken a record builds.
        if let Ok(bytes) = open.builder.build() {
            self.full.push_back(ReadyBatch {
                bytes,
                waiting: open.waiting,
                since: open.since,
            });
        }
    }

    /// Takes as many batches as fit a request, at least one.
    fn take(&mut self) -> Vec<ReadyBatch<W>> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = self.full.front()
            && (taken.is_empty() || bytes + batch.bytes.len() <= REQUEST_BYTES_MAX)
        {
            bytes += batch.bytes.len();
            taken.extend(self.full.pop_front());
        }
        taken
    }
}

#[cfg(test)]
mod tests;
