//! Kafka's protocol, with librdkafka: a request is one produce request of one batch, acknowledged by all replicas in
//! sync.
//!
//! librdkafka collects records by itself. It is told to send a batch as soon as it has as many records as a request,
//! and at once when a request is one record; what it does with requests that follow each other closely is its own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::{Timeout, get_rdkafka_version};
use rdkafka::{Offset, TopicPartitionList};

use super::{
    ConsumerConnection, ConsumerSpec, Driver, DriverError, Durability, Each, Polled,
    ProducerConnection, ProducerSpec, Receipt, StreamSpec,
};
use crate::limits::REQUEST_BYTES_MAX;
use crate::payload::Request;

/// How long a question to the cluster may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a poll waits for records.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// Room for the headers of a batch.
const MESSAGE_BYTES_MAX: usize = REQUEST_BYTES_MAX * 2;

pub(super) struct Kafka {
    config: ClientConfig,
    admin: AdminClient<DefaultClientContext>,
}

impl Kafka {
    pub(super) async fn connect(bootstrap: &str) -> Result<Self, DriverError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        config.set("broker.address.family", "v4");
        let admin: AdminClient<_> = config.create().map_err(DriverError::failed)?;
        let kafka = Self { config, admin };
        kafka.brokers().await?;
        Ok(kafka)
    }

    /// Brokers that answer; asking blocks, but only before anything is measured.
    async fn brokers(&self) -> Result<usize, DriverError> {
        let metadata = self.admin.inner().fetch_metadata(None, TIMEOUT);
        Ok(metadata.map_err(DriverError::failed)?.brokers().len())
    }
}

#[async_trait]
impl Driver for Kafka {
    async fn describe(&self) -> Result<Vec<(String, String)>, DriverError> {
        let (_, client) = get_rdkafka_version();
        Ok(vec![
            ("brokers".to_owned(), self.brokers().await?.to_string()),
            (
                "client".to_owned(),
                format!("librdkafka {client}, acks=all"),
            ),
        ])
    }

    async fn create(&self, stream: &StreamSpec) -> Result<(), DriverError> {
        let partitions = i32::try_from(stream.partitions).unwrap_or(i32::MAX);
        let mut topic = NewTopic::new(&stream.name, partitions, TopicReplication::Fixed(1));
        match stream.durability {
            Durability::Sync => topic = topic.set("flush.messages", "1"),
            Durability::Default => {}
            Durability::Async | Durability::Memory => {
                return Err(DriverError::Unsupported(
                    "Kafka knows no durability but its default and sync (flush.messages=1)"
                        .to_owned(),
                ));
            }
        }
        for (name, value) in &stream.settings {
            topic = topic.set(name, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let made = self.admin.create_topics([&topic], &options).await;
        for outcome in made.map_err(DriverError::failed)? {
            outcome.map_err(|(_, code)| DriverError::failed(code))?;
        }
        Ok(())
    }

    async fn remove(&self, stream: &StreamSpec) -> Result<(), DriverError> {
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let removed = self.admin.delete_topics(&[&stream.name], &options).await;
        for outcome in removed.map_err(DriverError::failed)? {
            outcome.map_err(|(_, code)| DriverError::failed(code))?;
        }
        Ok(())
    }

    async fn producer(
        &self,
        stream: &StreamSpec,
        _producer: ProducerSpec,
    ) -> Result<Arc<dyn ProducerConnection>, DriverError> {
        Ok(Arc::new(Sending {
            config: self.config.clone(),
            topic: stream.name.clone(),
            producer: OnceLock::new(),
        }))
    }

    async fn consumer(
        &self,
        stream: &StreamSpec,
        consumer: ConsumerSpec,
    ) -> Result<Box<dyn ConsumerConnection>, DriverError> {
        let mut config = self.config.clone();
        let fetch_bytes = consumer.fetch_bytes.to_string();
        config
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.min.bytes", "1")
            .set("queued.min.messages", "1000000")
            .set("queued.max.messages.kbytes", "65536")
            .set("fetch.message.max.bytes", &fetch_bytes)
            .set("fetch.max.bytes", MESSAGE_BYTES_MAX.to_string());
        let reader: StreamConsumer = config.create().map_err(DriverError::failed)?;
        let mut assigned = TopicPartitionList::new();
        let partition = i32::try_from(consumer.partition).unwrap_or(i32::MAX);
        assigned
            .add_partition_offset(&stream.name, partition, Offset::Beginning)
            .map_err(DriverError::failed)?;
        reader.assign(&assigned).map_err(DriverError::failed)?;
        Ok(Box::new(Reading {
            reader,
            topic: stream.name.clone(),
            consumer,
        }))
    }
}

/// A producer with one connection to the leader; made with the first request, whose size is that of all.
struct Sending {
    config: ClientConfig,
    topic: String,
    producer: OnceLock<FutureProducer>,
}

impl Sending {
    fn producer(&self, records: usize) -> Result<&FutureProducer, DriverError> {
        if let Some(producer) = self.producer.get() {
            return Ok(producer);
        }
        let linger_ms = if records > 1 { "5" } else { "0" };
        let mut config = self.config.clone();
        config
            .set("acks", "all")
            .set("linger.ms", linger_ms)
            .set("batch.num.messages", records.to_string())
            .set("batch.size", MESSAGE_BYTES_MAX.to_string())
            .set("message.max.bytes", MESSAGE_BYTES_MAX.to_string())
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", "1048576")
            .set("socket.nagle.disable", "true")
            .set("compression.type", "none");
        let made = config.create().map_err(DriverError::failed)?;
        Ok(self.producer.get_or_init(|| made))
    }
}

#[async_trait]
impl ProducerConnection for Sending {
    async fn send(
        &self,
        partition: u32,
        request: &Request,
    ) -> Result<Option<Receipt>, DriverError> {
        let producer = self.producer(request.records())?;
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let mut deliveries = Vec::with_capacity(request.records());
        for value in request.values() {
            let mut record = FutureRecord::to(&self.topic)
                .partition(partition)
                .payload(value);
            if let Some(key) = request.key() {
                record = record.key(key);
            }
            let queued = producer.send_result(record);
            deliveries.push(queued.map_err(|(error, _)| DriverError::failed(error))?);
        }
        for delivery in deliveries {
            let delivered = delivery.await.map_err(DriverError::failed)?;
            delivered.map_err(|(error, _)| DriverError::failed(error))?;
        }
        Ok(None)
    }
}

struct Reading {
    reader: StreamConsumer,
    topic: String,
    consumer: ConsumerSpec,
}

#[async_trait]
impl ConsumerConnection for Reading {
    async fn restart(&mut self) -> Result<(), DriverError> {
        let partition = i32::try_from(self.consumer.partition).unwrap_or(i32::MAX);
        let begun = self.reader.seek(
            &self.topic,
            partition,
            Offset::Offset(0),
            Timeout::After(Duration::ZERO),
        );
        begun.map_err(DriverError::failed)
    }

    async fn poll(&mut self, each: Each<'_>) -> Result<Polled, DriverError> {
        let mut polled = Polled::default();
        let Ok(first) = tokio::time::timeout(POLL_WAIT, self.reader.recv()).await else {
            return Ok(polled);
        };
        let mut next = Some(first);
        while let Some(received) = next {
            let message = received.map_err(DriverError::failed)?;
            let value = message.payload().unwrap_or_default();
            polled.records += 1;
            polled.bytes += value.len() as u64;
            if self.consumer.is_decoding {
                each(value);
            }
            if polled.bytes >= u64::from(self.consumer.fetch_bytes) {
                break;
            }
            next = self.reader.recv().now_or_never();
        }
        Ok(polled)
    }
}
