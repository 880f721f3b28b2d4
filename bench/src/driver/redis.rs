//! Redis Streams: a partition is a stream key, a record an entry, a request a pipeline of `XADD`s.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, AsyncConnectionConfig, Client};

use super::{
    ConsumerConnection, ConsumerSpec, Counters, Driver, DriverError, Durability, Each, Polled,
    ProducerConnection, ProducerSpec, Receipt, StreamSpec,
};
use crate::payload::Request;

/// The field of an entry that is the value, and the one that is the key.
const VALUE: &str = "v";
const KEY: &str = "k";

/// How long a poll waits for records, in milliseconds.
const POLL_WAIT_MS: usize = 100;
/// Entries that one poll asks for: Redis counts entries, not bytes.
const POLL_ENTRIES: usize = 1000;
/// Behind this id comes the first entry.
const START: &str = "0";
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct Redis {
    client: Client,
    connection: MultiplexedConnection,
}

impl Redis {
    pub(super) async fn connect(bootstrap: &str) -> Result<Self, DriverError> {
        let client = Client::open(format!("redis://{bootstrap}/")).map_err(DriverError::failed)?;
        let connection = connect(&client).await?;
        Ok(Self { client, connection })
    }

    /// A setting of the server.
    async fn setting(&self, name: &str) -> Result<String, DriverError> {
        let mut connection = self.connection.clone();
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg(name);
        let found: Vec<String> = command
            .query_async(&mut connection)
            .await
            .map_err(DriverError::failed)?;
        Ok(found.into_iter().nth(1).unwrap_or_default())
    }

    /// When the server acknowledges.
    async fn durability(&self) -> Result<Durability, DriverError> {
        let is_appending = self.setting("appendonly").await? == "yes";
        let is_syncing = self.setting("appendfsync").await? == "always";
        Ok(match (is_appending, is_syncing) {
            (true, true) => Durability::Sync,
            (true, false) => Durability::Async,
            (false, _) => Durability::Memory,
        })
    }

    async fn info(&self, section: &str) -> Result<Vec<(String, String)>, DriverError> {
        let mut connection = self.connection.clone();
        let mut command = redis::cmd("INFO");
        command.arg(section);
        let text: String = command
            .query_async(&mut connection)
            .await
            .map_err(DriverError::failed)?;
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        Ok(lines
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, DriverError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(Some(TIMEOUT));
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    connection.await.map_err(DriverError::failed)
}

fn key(stream: &StreamSpec, partition: u32) -> String {
    format!("{}:{partition}", stream.name)
}

#[async_trait]
impl Driver for Redis {
    async fn describe(&self) -> Result<Vec<(String, String)>, DriverError> {
        let server = self.info("server").await?;
        let version = server.into_iter().find(|(name, _)| name == "redis_version");
        let mut said = Vec::new();
        said.extend(version.map(|(_, version)| ("version".to_owned(), version)));
        for name in ["appendonly", "appendfsync"] {
            said.push((name.to_owned(), self.setting(name).await?));
        }
        Ok(said)
    }

    async fn create(&self, stream: &StreamSpec) -> Result<(), DriverError> {
        let has = self.durability().await?;
        if stream.durability != Durability::Default && stream.durability != has {
            return Err(DriverError::Unsupported(format!(
                "this Redis server is {has} (appendonly and appendfsync are its own settings); start one that is {}",
                stream.durability
            )));
        }
        if let Some((name, _)) = stream.settings.first() {
            return Err(DriverError::Unsupported(format!(
                "Redis Streams have no settings; {name} is one"
            )));
        }
        // A stream begins with its first entry.
        Ok(())
    }

    async fn remove(&self, stream: &StreamSpec) -> Result<(), DriverError> {
        let mut connection = self.connection.clone();
        for partition in 0..stream.partitions {
            let removed: u64 = connection
                .unlink(key(stream, partition))
                .await
                .map_err(DriverError::failed)?;
            debug_assert!(removed <= 1);
        }
        Ok(())
    }

    async fn producer(
        &self,
        stream: &StreamSpec,
        _producer: ProducerSpec,
    ) -> Result<Arc<dyn ProducerConnection>, DriverError> {
        Ok(Arc::new(Sending {
            connection: connect(&self.client).await?,
            keys: (0..stream.partitions).map(|one| key(stream, one)).collect(),
        }))
    }

    async fn consumer(
        &self,
        stream: &StreamSpec,
        consumer: ConsumerSpec,
    ) -> Result<Box<dyn ConsumerConnection>, DriverError> {
        Ok(Box::new(Reading {
            connection: connect(&self.client).await?,
            key: key(stream, consumer.partition),
            last: START.to_owned(),
            consumer,
        }))
    }

    async fn counters(&self) -> Result<Counters, DriverError> {
        let mut counters = Counters::new();
        for (name, value) in self.info("stats").await? {
            if let Ok(value) = value.parse() {
                counters.insert(name, value);
            }
        }
        Ok(counters)
    }
}

struct Sending {
    connection: MultiplexedConnection,
    keys: Vec<String>,
}

#[async_trait]
impl ProducerConnection for Sending {
    async fn send(
        &self,
        partition: u32,
        request: &Request,
    ) -> Result<Option<Receipt>, DriverError> {
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let stream = self.keys.get(index).ok_or_else(|| {
            DriverError::Failed(format!("the stream has no partition {partition}"))
        })?;
        let mut pipe = redis::Pipeline::with_capacity(request.records());
        for value in request.values() {
            pipe.cmd("XADD").arg(stream).arg("*").arg(VALUE).arg(value);
            if let Some(key) = request.key() {
                pipe.arg(KEY).arg(key);
            }
            pipe.ignore();
        }
        let mut connection = self.connection.clone();
        let added: Result<(), _> = pipe.query_async(&mut connection).await;
        added.map(|()| None).map_err(DriverError::failed)
    }
}

struct Reading {
    connection: MultiplexedConnection,
    key: String,
    /// The last entry that was read.
    last: String,
    consumer: ConsumerSpec,
}

#[async_trait]
impl ConsumerConnection for Reading {
    async fn restart(&mut self) -> Result<(), DriverError> {
        START.clone_into(&mut self.last);
        Ok(())
    }

    async fn poll(&mut self, each: Each<'_>) -> Result<Polled, DriverError> {
        let options = StreamReadOptions::default()
            .count(POLL_ENTRIES)
            .block(POLL_WAIT_MS);
        let (keys, last) = ([&self.key], [&self.last]);
        let read = self.connection.xread_options(&keys, &last, &options);
        let read: Option<StreamReadReply> = read.await.map_err(DriverError::failed)?;
        let mut polled = Polled::default();
        let keys = read.into_iter().flat_map(|read| read.keys);
        for entry in keys.flat_map(|key| key.ids) {
            if let Some(redis::Value::BulkString(value)) = entry.map.get(VALUE) {
                polled.records += 1;
                polled.bytes += value.len() as u64;
                if self.consumer.is_decoding {
                    each(value);
                }
            }
            self.last = entry.id;
        }
        Ok(polled)
    }
}
