//! What the generator asks of a system under load: the same few calls for ringlog and for every peer.
//!
//! A driver adds nothing: one connection is one client of its own with one TCP connection, a request goes out when it
//! is given and is over when the system has acknowledged it, and nothing is collected, retried or dropped on the way.

#[cfg(feature = "iggy")]
mod iggy;
#[cfg(feature = "peers")]
mod kafka;
#[cfg(feature = "peers")]
mod nats;
#[cfg(feature = "peers")]
mod redis;
mod ringlog;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use ringlog_device::{Answer, Script};
use serde::{Deserialize, Serialize};

use crate::payload::Request;

/// When an acknowledgement is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The records are on the device: they survive the loss of power.
    Sync,
    /// The system has taken them; they are written later.
    Async,
    /// They are kept in memory alone.
    Memory,
    /// Whatever the system does when nobody tells it otherwise.
    #[default]
    Default,
}

impl Durability {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Sync, Self::Async, Self::Memory, Self::Default];

    /// The name on the command line and in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
            Self::Memory => "memory",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| format!("{name:?} is not one of sync, async, memory, default"))
    }
}

/// A topic, stream or key that is made for a run and removed after it.
#[derive(Clone, Debug)]
pub struct StreamSpec {
    /// Its name: letters, digits and `-` only, so that every system takes it.
    pub name: String,
    /// Parts that records are spread over: partitions of a topic, subjects of a stream, one stream key each.
    pub partitions: u32,
    /// When an acknowledgement is given.
    pub durability: Durability,
    /// Settings of the topic in the system's own words, such as `segment_bytes=64MiB`.
    pub settings: Vec<(String, String)>,
}

/// Why a system did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// It cannot be asked that; the sentence says what to do instead.
    #[error("{0}")]
    Unsupported(String),
    /// It was asked and refused, or did not answer.
    #[error("{0}")]
    Failed(String),
}

impl DriverError {
    /// A refusal or a lost connection.
    pub fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Counters that a system tells of itself, by name; those that only grow can be subtracted.
pub type Counters = BTreeMap<String, f64>;

/// A system under load.
#[async_trait]
pub trait Driver: Send + Sync {
    /// What it says of itself: its version and the settings that matter for what is measured, one fact a pair.
    ///
    /// # Errors
    ///
    /// [`DriverError`].
    async fn describe(&self) -> Result<Vec<(String, String)>, DriverError>;

    /// Makes a stream, and makes sure that it has the durability asked for: a system that has another one refuses.
    ///
    /// # Errors
    ///
    /// [`DriverError`].
    async fn create(&self, stream: &StreamSpec) -> Result<(), DriverError>;

    /// Removes a stream and what is in it.
    ///
    /// # Errors
    ///
    /// [`DriverError`].
    async fn remove(&self, stream: &StreamSpec) -> Result<(), DriverError>;

    /// A new connection that sends to any partition of a stream.
    ///
    /// # Errors
    ///
    /// [`DriverError`].
    async fn producer(
        &self,
        stream: &StreamSpec,
        producer: ProducerSpec,
    ) -> Result<Arc<dyn ProducerConnection>, DriverError>;

    /// A new connection that reads one partition from its start.
    ///
    /// # Errors
    ///
    /// [`DriverError`].
    async fn consumer(
        &self,
        stream: &StreamSpec,
        consumer: ConsumerSpec,
    ) -> Result<Box<dyn ConsumerConnection>, DriverError>;

    /// What connections send again and again when the requests are made beforehand; none when a request is made each
    /// time, by [`ProducerConnection::send`].
    ///
    /// # Errors
    ///
    /// [`DriverError`].
    async fn replay(
        &self,
        _stream: &StreamSpec,
        _spec: ReplaySpec,
    ) -> Result<Option<Replayed>, DriverError> {
        Ok(None)
    }

    /// What it counts of itself; nothing when it does not.
    ///
    /// # Errors
    ///
    /// [`DriverError`].
    async fn counters(&self) -> Result<Counters, DriverError> {
        Ok(Counters::new())
    }
}

/// A connection that sends.
#[async_trait]
pub trait ProducerConnection: Send + Sync {
    /// Sends the records of a request together and waits until all are acknowledged. Several requests may be under way
    /// on one connection. Gives the receipt, if that was asked for and the system knows receipts.
    ///
    /// # Errors
    ///
    /// [`DriverError`].
    async fn send(&self, partition: u32, request: &Request)
    -> Result<Option<Receipt>, DriverError>;
}

/// Requests that are made beforehand.
#[derive(Clone, Copy, Debug)]
pub struct ReplaySpec {
    /// Connections; each sends to one partition, in turn.
    pub connections: usize,
    /// Requests under way on a connection.
    pub in_flight: usize,
    /// Records of a request.
    pub batch_records: usize,
    /// Size of a record's value.
    pub record_bytes: usize,
}

/// What was made beforehand.
pub struct Replayed {
    /// Of each connection.
    pub scripts: Vec<Script>,
    /// Tells the answers apart.
    pub answer: Answer,
}

/// How a producer sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProducerSpec {
    /// Whether the system is asked where its time went, with every request.
    pub wants_receipts: bool,
}

/// Where the time of a system went for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The stages, in their order: the same for all receipts of a system.
    pub names: &'static [&'static str],
    /// How long each took, in nanoseconds.
    pub stages_ns: Vec<u64>,
}

/// What a consumer reads, and how.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerSpec {
    /// The partition.
    pub partition: u32,
    /// Bytes that one poll asks for, as far as the system lets one say so.
    pub fetch_bytes: u32,
    /// Whether records are looked at one by one, as a consumer does, or handed on undecoded, as a gateway may.
    pub is_decoding: bool,
}

/// What one poll brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// Records; none when nothing came in time.
    pub records: u64,
    /// Bytes of their values; of whole batches when they are not decoded.
    pub bytes: u64,
}

/// Who is shown the value of each record.
pub type Each<'a> = &'a mut (dyn for<'v> FnMut(&'v [u8]) + Send);

/// A connection that reads.
#[async_trait]
pub trait ConsumerConnection: Send {
    /// Waits a moment (100 ms or so) for records behind those that were read, and shows the value of each, unless they
    /// are not decoded.
    ///
    /// # Errors
    ///
    /// [`DriverError`].
    async fn poll(&mut self, each: Each<'_>) -> Result<Polled, DriverError>;

    /// Begins again at the start of the partition, on the same connection.
    ///
    /// # Errors
    ///
    /// [`DriverError`].
    async fn restart(&mut self) -> Result<(), DriverError>;
}

/// The systems that there is a driver for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriverKind {
    /// This project's broker, by its client.
    Ringlog,
    /// This project's broker, by the client of the raw programs, which sends requests that were made beforehand.
    Wire,
    /// A broker that speaks Kafka's protocol.
    Kafka,
    /// NATS JetStream.
    Nats,
    /// Redis Streams.
    Redis,
    /// Apache Iggy.
    Iggy,
}

impl DriverKind {
    /// Every system.
    pub const ALL: [Self; 6] = [
        Self::Ringlog,
        Self::Wire,
        Self::Kafka,
        Self::Nats,
        Self::Redis,
        Self::Iggy,
    ];

    /// The name on the command line and in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ringlog => "ringlog",
            Self::Wire => "wire",
            Self::Kafka => "kafka",
            Self::Nats => "nats",
            Self::Redis => "redis",
            Self::Iggy => "iggy",
        }
    }

    /// Where such a system listens when nobody says otherwise.
    #[must_use]
    pub const fn default_bootstrap(self) -> &'static str {
        match self {
            Self::Ringlog | Self::Wire => "127.0.0.1:9400",
            Self::Kafka => "127.0.0.1:9092",
            Self::Nats => "127.0.0.1:4222",
            Self::Redis => "127.0.0.1:6379",
            Self::Iggy => "127.0.0.1:8090",
        }
    }

    /// Whether it is this project's broker.
    #[must_use]
    pub const fn is_ringlog(self) -> bool {
        matches!(self, Self::Ringlog | Self::Wire)
    }

    /// Connects to it.
    ///
    /// # Errors
    ///
    /// [`DriverError::Unsupported`] when this program was built without that driver.
    pub async fn connect(self, bootstrap: &str) -> Result<Arc<dyn Driver>, DriverError> {
        match self {
            Self::Ringlog => Ok(Arc::new(ringlog::Ringlog::connect(bootstrap).await?)),
            Self::Wire => Ok(Arc::new(wire::Wire::connect(bootstrap).await?)),
            #[cfg(feature = "peers")]
            Self::Kafka => Ok(Arc::new(kafka::Kafka::connect(bootstrap).await?)),
            #[cfg(feature = "peers")]
            Self::Nats => Ok(Arc::new(nats::Nats::connect(bootstrap).await?)),
            #[cfg(feature = "peers")]
            Self::Redis => Ok(Arc::new(redis::Redis::connect(bootstrap).await?)),
            #[cfg(feature = "iggy")]
            Self::Iggy => Ok(Arc::new(iggy::Iggy::connect(bootstrap).await?)),
            #[cfg(not(all(feature = "peers", feature = "iggy")))]
            other => Err(DriverError::Unsupported(format!(
                "this program was built without the driver for {other}; build it with \
                 `cargo build --release --features peers` (for iggy: `--features peers,iggy`)"
            ))),
        }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DriverKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| {
            format!("{name:?} is not one of ringlog, wire, kafka, nats, redis, iggy")
        })
    }
}
