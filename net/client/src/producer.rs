//! The producer: records in, acknowledgements out.

mod delivery;
mod sender;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use ringlog_record::batch::{HeaderData, RecordData};
use ringlog_record::{PartitionIndex, TimestampMs};
use ringlog_wire::Acks;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;

use self::delivery::Waiting;
pub use self::delivery::{Delivered, Delivery};
use crate::client::{Client, TopicInfo};
use crate::core::accumulator::{Accumulator, Batching};
use crate::core::murmur2::partition_of_key;
use crate::error::SendError;

/// A user's own choice of the partition: of a record, among so many.
pub type PartitionFn = dyn Fn(&ProducerRecord, u32) -> u32 + Send + Sync;

/// How the partition of a record is chosen when the record does not say it.
#[derive(Clone, Default)]
pub enum Partitioner {
    /// By the key, as Kafka does it; records without a key stick to one partition for a batch, then to the next.
    #[default]
    Key,
    /// By a function; what it gives is taken modulo the number of partitions.
    Function(Arc<PartitionFn>),
}

impl std::fmt::Debug for Partitioner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "Key",
            Self::Function(_) => "Function",
        })
    }
}

/// How a producer behaves.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// When the broker answers.
    pub acks: Acks,
    /// How long the first record of a batch waits for others.
    pub linger: Duration,
    /// Size at which a batch is full, in bytes.
    pub batch_bytes: usize,
    /// Size that no batch exceeds, in bytes; a single record must fit.
    pub batch_bytes_max: usize,
    /// Bytes of records that may be in the producer; then `send` waits.
    pub buffer_bytes: usize,
    /// How long a record may take from the first attempt to its outcome.
    pub delivery_timeout: Duration,
    /// How the partition is chosen.
    pub partitioner: Partitioner,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            linger: Duration::from_millis(5),
            batch_bytes: 64 << 10,
            batch_bytes_max: 1 << 20,
            buffer_bytes: 32 << 20,
            delivery_timeout: Duration::from_secs(120),
            partitioner: Partitioner::Key,
        }
    }
}

/// A record to be produced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerRecord {
    /// Name of the topic.
    pub topic: String,
    /// The partition; chosen by the partitioner without.
    pub partition: Option<PartitionIndex>,
    /// The key, if any.
    pub key: Option<Bytes>,
    /// The value; none is a tombstone.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// When it was made; now without.
    pub timestamp: Option<TimestampMs>,
}

impl ProducerRecord {
    /// A record without a key.
    pub fn value(topic: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            value: Some(value.into()),
            ..Self::default()
        }
    }

    /// What it takes of the producer's memory, about.
    fn size_bytes(&self) -> usize {
        let bytes = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(key, value)| key.len() + bytes(value)).sum();
        32 + bytes(&self.key) + bytes(&self.value) + headers
    }
}

/// What a producer has done.
#[derive(Clone, Debug)]
pub struct ProducerStats {
    /// Records acknowledged.
    pub records: u64,
    /// Batches acknowledged.
    pub batches: u64,
    /// Bytes of batches acknowledged.
    pub bytes: u64,
    /// Records that failed for sure.
    pub failed: u64,
    /// Records whose outcome is unknown.
    pub unknown: u64,
    /// Attempts that were made again.
    pub retries: u64,
    /// From sending a request to its acknowledgement, in microseconds; one value for each request.
    pub ack_us: Histogram<u64>,
}

/// Largest latency that is told apart, in microseconds: ten minutes.
const ACK_US_MAX: u64 = 600_000_000;

impl Default for ProducerStats {
    fn default() -> Self {
        // The bounds are constants that fit: the fallback is never made.
        let ack_us = Histogram::new_with_bounds(1, ACK_US_MAX, 3).or_else(|_| Histogram::new(1));
        Self {
            records: 0,
            batches: 0,
            bytes: 0,
            failed: 0,
            unknown: 0,
            retries: 0,
            ack_us: ack_us.unwrap_or_else(|_| unreachable!("constant bounds")),
        }
    }
}

/// A partition of a topic that is produced to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Target {
    topic: Arc<str>,
    partition: PartitionIndex,
}

/// Produces records. Dropping it abandons what is not sent; [`Producer::close`] sends it first.
#[derive(Debug)]
pub struct Producer {
    shared: Arc<Shared>,
    sender: Option<JoinHandle<()>>,
}

struct Shared {
    client: Client,
    config: ProducerConfig,
    state: Mutex<State>,
    /// Bytes that may still be taken.
    room: Arc<Semaphore>,
    /// Tells the sender to look again.
    changed: Notify,
    /// Tells those who flush to look again.
    settled: Notify,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

struct State {
    accumulator: Accumulator<Target, Waiting>,
    sticky: std::collections::HashMap<String, u32>,
    next_sticky: u32,
    flushing: usize,
    is_closed: bool,
    stats: ProducerStats,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Poisoned only by a panic, which has been reported already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Producer {
    /// A producer; must be called within a tokio runtime.
    pub fn new(client: &Client, config: ProducerConfig) -> Self {
        let batching = Batching {
            linger: config.linger,
            batch_bytes: config.batch_bytes.min(config.batch_bytes_max),
            batch_bytes_max: config.batch_bytes_max,
        };
        let room = config.buffer_bytes.min(Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared {
            client: client.clone(),
            config,
            state: Mutex::new(State {
                accumulator: Accumulator::new(batching),
                sticky: std::collections::HashMap::new(),
                next_sticky: 0,
                flushing: 0,
                is_closed: false,
                stats: ProducerStats::default(),
            }),
            room: Arc::new(Semaphore::new(room)),
            changed: Notify::new(),
            settled: Notify::new(),
        });
        let sender = tokio::spawn(sender::run(Arc::clone(&shared)));
        Self {
            shared,
            sender: Some(sender),
        }
    }

    /// Takes a record; waits while the producer is full. Records of one partition are stored in the order of the
    /// calls. The outcome comes from the [`Delivery`], which may be dropped.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the record was not taken then.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, SendError> {
        let topic = self.shared.client.topic(&record.topic).await?;
        let size = u32::try_from(record.size_bytes()).unwrap_or(u32::MAX);
        let most = u32::try_from(self.shared.config.buffer_bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.shared.room)
            .acquire_many_owned(size.min(most))
            .await
            .map_err(|_| SendError::Closed)?;
        let (outcome, delivery) = oneshot::channel();
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|(key, value)| HeaderData {
                key,
                value: value.as_deref(),
            })
            .collect();
        let data = RecordData {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            timestamp: record.timestamp.unwrap_or_else(now_ms),
        };
        let waiting = Waiting::new(outcome, room);
        let appended = {
            let mut state = self.shared.state();
            if state.is_closed {
                return Err(SendError::Closed);
            }
            let partition = self.partition(&mut state, &topic, &record);
            topic.partition(partition)?;
            let target = Target {
                topic: topic.name.as_str().into(),
                partition,
            };
            let appended = state
                .accumulator
                .append(&target, &data, waiting, Instant::now());
            let appended = appended.map_err(|(error, _)| SendError::Record(error))?;
            if appended.filled {
                // Records without a key go on with another partition.
                state.sticky.remove(&record.topic);
            }
            appended
        };
        if appended.opened || appended.filled {
            self.shared.changed.notify_one();
        }
        Ok(Delivery::new(delivery))
    }

    fn partition(
        &self,
        state: &mut State,
        topic: &TopicInfo,
        record: &ProducerRecord,
    ) -> PartitionIndex {
        let count = u32::try_from(topic.partitions.len())
            .unwrap_or(u32::MAX)
            .max(1);
        if let Some(partition) = record.partition {
            return partition;
        }
        let chosen = match (&self.shared.config.partitioner, &record.key) {
            (Partitioner::Function(choose), _) => choose(record, count) % count,
            (Partitioner::Key, Some(key)) => partition_of_key(key, count),
            (Partitioner::Key, None) => match state.sticky.get(&record.topic) {
                Some(&partition) => partition % count,
                None => {
                    let partition = state.next_sticky % count;
                    state.next_sticky = state.next_sticky.wrapping_add(1);
                    state.sticky.insert(record.topic.clone(), partition);
                    partition
                }
            },
        };
        PartitionIndex::new(chosen)
    }

    /// Sends everything that was taken, and waits for its outcome.
    pub async fn flush(&self) {
        self.shared.state().flushing += 1;
        self.shared.changed.notify_one();
        loop {
            let settled = self.shared.settled.notified();
            if self.shared.state().accumulator.pending() == 0 {
                break;
            }
            settled.await;
        }
        self.shared.state().flushing -= 1;
    }

    /// What was done until now.
    pub fn stats(&self) -> ProducerStats {
        self.shared.state().stats.clone()
    }

    /// Takes no more records, sends those that were taken, and waits for their outcome. Gives what was done.
    pub async fn close(mut self) -> ProducerStats {
        self.shared.state().is_closed = true;
        self.flush().await;
        if let Some(sender) = self.sender.take() {
            sender.abort();
        }
        self.stats()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.state().is_closed = true;
        if let Some(sender) = self.sender.take() {
            sender.abort();
        }
    }
}

fn now_ms() -> TimestampMs {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    TimestampMs::new(i64::try_from(millis).unwrap_or(i64::MAX))
}
