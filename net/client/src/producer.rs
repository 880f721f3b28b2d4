//! The producer: records in, acknowledgements out.

mod batch;
mod delivery;
mod sender;
mod stages;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use ringlog_record::batch::{Compression, HeaderData, RecordData};
use ringlog_record::{PartitionIndex, ProducerEpoch, ProducerId, TimestampMs};
use ringlog_wire::{Acks, InitProducerRequest, InitProducerResponse};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;

use self::delivery::Waiting;
pub use self::delivery::{Delivered, Delivery};
use self::sender::PartitionLane;
pub use self::stages::StageStats;
use crate::client::{Client, TopicInfo};
use crate::core::accumulator::{Accumulator, Batching};
use crate::core::lane::NeededProducer;
use crate::core::murmur2::partition_of_key;
use crate::core::partitioner::{RoundRobin, Sticky};
use crate::error::{ClientError, SendError};
use crate::limits::IDEMPOTENT_IN_FLIGHT_MAX;
use crate::transport::chance;

/// A user's own choice of the partition: of a record, among so many.
pub type PartitionFn = dyn Fn(&ProducerRecord, u32) -> u32 + Send + Sync;

/// How the partition of a record is chosen when the record does not say it.
#[derive(Clone, Default)]
pub enum Partitioner {
    /// By the key, as Kafka does it; records without a key stick to one partition for a batch, then to the next.
    #[default]
    Key,
    /// All records stick to one partition for a batch, then to the next, whatever their keys.
    Sticky,
    /// Record by record to one partition after the other, whatever their keys.
    RoundRobin,
    /// By a function; what it gives is taken modulo the number of partitions.
    Function(Arc<PartitionFn>),
}

impl std::fmt::Debug for Partitioner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "Key",
            Self::Sticky => "Sticky",
            Self::RoundRobin => "RoundRobin",
            Self::Function(_) => "Function",
        })
    }
}

/// How a producer behaves.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// When the broker answers. With [`Acks::None`] nothing is known of any record, and `idempotent` has no effect.
    pub acks: Acks,
    /// Whether batches are numbered, so that one whose outcome is not known can be sent again and is stored once. Without,
    /// such an outcome is [`crate::DeliveryError::UnknownOutcome`] at once.
    pub idempotent: bool,
    /// How long the first record of a batch waits for others.
    pub linger: Duration,
    /// Size at which a batch is full, in bytes.
    pub batch_bytes: usize,
    /// Size that no batch exceeds, in bytes; a single record must fit.
    pub batch_bytes_max: usize,
    /// Bytes of records that may be in the producer; then `send` waits.
    pub buffer_bytes: usize,
    /// Batches of a partition under way at a time, 1 to 5; what is more counts as 5, of which brokers keep account. One
    /// without `idempotent`: only so is order kept when a batch is sent again.
    pub max_in_flight: usize,
    /// How records are compressed. A batch that would get larger is sent as it is.
    pub compression: Compression,
    /// How long a batch may take from its first record to its outcome. An attempt may take
    /// [`crate::ClientConfig::request_timeout`] of it.
    pub delivery_timeout: Duration,
    /// How the partition is chosen.
    pub partitioner: Partitioner,
    /// Whether the broker is asked where its time went: [`Delivered::receipt`].
    pub wants_receipts: bool,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotent: true,
            linger: Duration::from_millis(5),
            batch_bytes: 64 << 10,
            batch_bytes_max: 1 << 20,
            buffer_bytes: 32 << 20,
            max_in_flight: IDEMPOTENT_IN_FLIGHT_MAX,
            compression: Compression::None,
            delivery_timeout: Duration::from_secs(120),
            partitioner: Partitioner::Key,
            wants_receipts: false,
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
    /// Where the broker's time went; empty unless receipts were asked for.
    pub stages: StageStats,
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
            stages: StageStats::default(),
        }
    }
}

/// A partition of a topic that is produced to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Target {
    topic: Arc<str>,
    partition: PartitionIndex,
}

/// Produces records. Dropping it abandons what has no outcome; [`Producer::close`] waits for that first.
#[derive(Debug)]
pub struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    config: ProducerConfig,
    state: Mutex<State>,
    /// Bytes that may still be taken.
    room: Arc<Semaphore>,
    /// The producer id that was asked for last, and its first epoch.
    identity: tokio::sync::Mutex<Option<(ProducerId, ProducerEpoch)>>,
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
    /// The partitions that are being sent to, each by a task that is told to look again through this.
    services: HashMap<Target, Arc<Notify>>,
    tasks: JoinSet<()>,
    /// The numbering of partitions that are not being sent to now.
    lanes: HashMap<Target, PartitionLane>,
    sticky: Sticky,
    round_robin: RoundRobin,
    /// How many wait for batches to go out now.
    hurrying: usize,
    is_closed: bool,
    stats: ProducerStats,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Poisoned only by a panic, which has been reported already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A producer id, the one that all lanes share or one that nobody has used.
    async fn identity(
        &self,
        needed: NeededProducer,
    ) -> Result<(ProducerId, ProducerEpoch), ClientError> {
        let mut identity = self.identity.lock().await;
        if let Some(known) = *identity
            && needed == NeededProducer::Any
        {
            return Ok(known);
        }
        let (connection, frame) = self.client.ask(&InitProducerRequest).await?;
        let address = connection.address();
        let body = frame.body();
        let response = InitProducerResponse::decode(body).map_err(ClientError::decode(address))?;
        let made = (response.producer_id, response.producer_epoch);
        *identity = Some(made);
        Ok(made)
    }
}

impl State {
    /// Tells who sends to a partition to look again.
    fn wake(&self, target: &Target) {
        if let Some(wake) = self.services.get(target) {
            wake.notify_one();
        }
    }

    /// Tells all who send to look again.
    fn wake_all(&self) {
        self.services.values().for_each(|wake| wake.notify_one());
    }
}

impl Producer {
    /// A producer. It, and all that it does, is to be used within a tokio runtime with I/O and time.
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
                services: HashMap::new(),
                tasks: JoinSet::new(),
                lanes: HashMap::new(),
                sticky: Sticky::starting_at(chance_of_partition()),
                round_robin: RoundRobin::starting_at(chance_of_partition()),
                hurrying: 0,
                is_closed: false,
                stats: ProducerStats::default(),
            }),
            room: Arc::new(Semaphore::new(room)),
            identity: tokio::sync::Mutex::default(),
            settled: Notify::new(),
        });
        Self { shared }
    }

    /// Takes a record; waits while the producer is full. Records of one partition are stored in the order of the
    /// calls. The outcome comes from the [`Delivery`], which may be dropped.
    ///
    /// May be given up at any time: the record was not taken then.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the record was not taken then.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, SendError> {
        let topic = self.shared.client.topic(&record.topic).await?;
        let room = self.room(record.size_bytes()).await?;
        let (outcome, delivery) = oneshot::channel();
        let headers = record.headers.iter().map(|(key, value)| HeaderData {
            key,
            value: value.as_deref(),
        });
        let headers: Vec<_> = headers.collect();
        let data = RecordData {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            timestamp: record.timestamp.unwrap_or_else(now_ms),
        };
        let waiting = Waiting::new(outcome, room);
        {
            let mut state = self.shared.state();
            if state.is_closed {
                return Err(SendError::Closed);
            }
            let target = self.target(&mut state, &topic, &record, &data);
            topic.partition(target.partition)?;
            let now = Instant::now();
            let appended = state.accumulator.append(&target, &data, waiting, now);
            let appended = appended.map_err(|(error, _)| SendError::Record(error))?;
            if appended.filled {
                state.sticky.batch_done(&target.topic, target.partition);
            }
            if appended.needs_service {
                self.serve(&mut state, target);
            } else if appended.opened || appended.filled {
                state.wake(&target);
            }
        }
        Ok(Delivery::new(delivery))
    }

    /// Starts to send the batches of a partition.
    fn serve(&self, state: &mut State, target: Target) {
        while state.tasks.try_join_next().is_some() {}
        let wake = Arc::new(Notify::new());
        state.services.insert(target.clone(), Arc::clone(&wake));
        let shared = Arc::clone(&self.shared);
        state.tasks.spawn(sender::run(shared, target, wake));
    }

    /// Waits for room; as long as somebody waits, nothing lingers.
    async fn room(&self, size_bytes: usize) -> Result<OwnedSemaphorePermit, SendError> {
        let most = self.shared.config.buffer_bytes.min(Semaphore::MAX_PERMITS);
        let size = u32::try_from(size_bytes.min(most)).unwrap_or(u32::MAX);
        let room = &self.shared.room;
        if let Ok(room) = Arc::clone(room).try_acquire_many_owned(size) {
            return Ok(room);
        }
        let _hurry = Hurry::new(&self.shared);
        let room = Arc::clone(room).acquire_many_owned(size).await;
        room.map_err(|_| SendError::Closed)
    }

    fn target(
        &self,
        state: &mut State,
        topic: &TopicInfo,
        record: &ProducerRecord,
        data: &RecordData<'_>,
    ) -> Target {
        let count = u32::try_from(topic.partitions.len())
            .unwrap_or(u32::MAX)
            .max(1);
        let in_partition = |partition| Target {
            topic: topic.name.as_str().into(),
            partition,
        };
        if let Some(partition) = record.partition {
            return in_partition(partition);
        }
        match (&self.shared.config.partitioner, &record.key) {
            (Partitioner::Function(choose), _) => {
                in_partition(PartitionIndex::new(choose(record, count) % count))
            }
            (Partitioner::Key, Some(key)) => {
                in_partition(PartitionIndex::new(partition_of_key(key, count)))
            }
            (Partitioner::RoundRobin, _) => {
                in_partition(state.round_robin.partition(&topic.name, count))
            }
            (Partitioner::Key, None) | (Partitioner::Sticky, _) => {
                let target = in_partition(state.sticky.partition(&topic.name, count));
                if state.accumulator.fits(&target, data) {
                    return target;
                }
                // The batch is as full as it gets: it goes, and this record is the first of another partition's.
                state.accumulator.close(&target);
                state.wake(&target);
                state.sticky.batch_done(&topic.name, target.partition);
                in_partition(state.sticky.partition(&topic.name, count))
            }
        }
    }

    /// Sends everything that was taken, and waits until nothing is left without an outcome: at the latest when the delivery
    /// time-out of the last record is over.
    ///
    /// May be given up at any time: the records are sent all the same.
    pub async fn flush(&self) {
        let _hurry = Hurry::new(&self.shared);
        loop {
            let settled = self.shared.settled.notified();
            if self.shared.state().accumulator.pending() == 0 {
                return;
            }
            settled.await;
        }
    }

    /// What was done until now.
    pub fn stats(&self) -> ProducerStats {
        self.shared.state().stats.clone()
    }

    /// Takes no more records, sends those that were taken, and waits for their outcome. Gives what was done.
    ///
    /// Given up, it drops the producer, and with it what has no outcome yet.
    pub async fn close(self) -> ProducerStats {
        self.shared.state().is_closed = true;
        self.flush().await;
        self.stats()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_closed = true;
        state.tasks.abort_all();
    }
}

/// While it lives, no batch lingers.
struct Hurry<'a>(&'a Shared);

impl<'a> Hurry<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut state = shared.state();
        state.hurrying += 1;
        state.wake_all();
        drop(state);
        Self(shared)
    }
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.state().hurrying -= 1;
    }
}

/// Where to begin among partitions.
fn chance_of_partition() -> u32 {
    u32::try_from(chance() >> 32).unwrap_or_default()
}

fn now_ms() -> TimestampMs {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    TimestampMs::new(i64::try_from(millis).unwrap_or(i64::MAX))
}
