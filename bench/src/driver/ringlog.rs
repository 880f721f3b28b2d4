//! ringlog itself: a request is one batch for one partition, sent as it is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ringlog_client::{
    Acks, Admin, Client, ClientConfig, PartitionClient, ProduceReceipt, TopicInfo, TopicSetting,
};
use ringlog_record::batch::{BatchBuilder, RecordData, batches};
use ringlog_record::limits::BATCH_BYTES_MAX;
use ringlog_record::{Offset, PartitionIndex};

use super::wire::Place;
use super::{
    ConsumerConnection, ConsumerSpec, Driver, DriverError, Durability, Each, Polled,
    ProducerConnection, ProducerSpec, Receipt, StreamSpec,
};
use crate::payload::Request;

/// How long a poll waits for records.
const POLL_WAIT: Duration = Duration::from_millis(100);

/// The setting that says how much a partition keeps.
const RETENTION_BYTES: &str = "retention_bytes";

/// What a partition keeps in memory where the settings do not say: a topic in memory only has to have a bound.
const MEMORY_RETENTION: &str = "16MiB";

pub(super) struct Ringlog {
    client: Client,
    admin: Admin,
}

impl Ringlog {
    pub(super) async fn connect(bootstrap: &str) -> Result<Self, DriverError> {
        let addresses: Vec<String> = bootstrap.split(',').map(str::to_owned).collect();
        let client = Client::connect(&addresses, ClientConfig::default()).await;
        let client = client.map_err(DriverError::failed)?;
        Ok(Self {
            admin: Admin::new(&client),
            client,
        })
    }

    /// Where the partitions of a stream are.
    pub(super) async fn places(&self, stream: &str) -> Result<Vec<Place>, DriverError> {
        let topic = self.client.topic(stream).await;
        let topic = topic.map_err(DriverError::failed)?;
        let places = topic.partitions.iter().map(|partition| {
            let address = self.client.leader_address(stream, partition);
            Ok(Place {
                address: address.map_err(DriverError::failed)?,
                id: partition.id,
                shard: partition.shard,
            })
        });
        places.collect()
    }

    async fn topic(&self, stream: &StreamSpec) -> Result<Arc<TopicInfo>, DriverError> {
        let topic = self.client.topic(&stream.name).await;
        topic.map_err(DriverError::failed)
    }
}

#[async_trait]
impl Driver for Ringlog {
    async fn describe(&self) -> Result<Vec<(String, String)>, DriverError> {
        let cluster = self.admin.describe_cluster().await;
        let cluster = cluster.map_err(DriverError::failed)?;
        let mut said = vec![("brokers".to_owned(), cluster.brokers.len().to_string())];
        for broker in &cluster.brokers {
            said.push((
                format!("shards of broker {}", broker.broker.get()),
                broker.shard_count.to_string(),
            ));
            said.push((
                format!("software of broker {}", broker.broker.get()),
                broker.software.clone(),
            ));
        }
        Ok(said)
    }

    async fn create(&self, stream: &StreamSpec) -> Result<(), DriverError> {
        let mut settings: Vec<TopicSetting> = stream
            .settings
            .iter()
            .map(|(name, value)| setting(name, value))
            .collect();
        if stream.durability != Durability::Default {
            settings.push(setting("durability", stream.durability.name()));
        }
        let is_bounded = settings.iter().any(|set| set.key == RETENTION_BYTES);
        if stream.durability == Durability::Memory && !is_bounded {
            settings.push(setting(RETENTION_BYTES, MEMORY_RETENTION));
        }
        let created = self
            .admin
            .create_topic(&stream.name, stream.partitions, settings);
        created.await.map(drop).map_err(DriverError::failed)
    }

    async fn remove(&self, stream: &StreamSpec) -> Result<(), DriverError> {
        let removed = self.admin.delete_topic(&stream.name).await;
        removed.map_err(DriverError::failed)
    }

    async fn producer(
        &self,
        stream: &StreamSpec,
        producer: ProducerSpec,
    ) -> Result<Arc<dyn ProducerConnection>, DriverError> {
        let topic = self.topic(stream).await?;
        let first = PartitionIndex::new(0);
        let opened = PartitionClient::connect(&self.client, &stream.name, first).await;
        let opened = opened.map_err(DriverError::failed)?;
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let partition = opened.same_connection(partition.id);
            partitions.push(if producer.wants_receipts {
                partition.with_receipts()
            } else {
                partition
            });
        }
        Ok(Arc::new(Sending { partitions }))
    }

    async fn consumer(
        &self,
        stream: &StreamSpec,
        consumer: ConsumerSpec,
    ) -> Result<Box<dyn ConsumerConnection>, DriverError> {
        let partition = PartitionIndex::new(consumer.partition);
        let opened = PartitionClient::connect(&self.client, &stream.name, partition).await;
        Ok(Box::new(Reading {
            partition: opened.map_err(DriverError::failed)?,
            consumer,
            offset: Offset::ZERO,
        }))
    }
}

fn setting(name: &str, value: &str) -> TopicSetting {
    TopicSetting {
        key: name.to_owned(),
        value: value.to_owned(),
        is_default: false,
    }
}

/// One connection, seen as each of the partitions: the broker passes on what belongs to another shard.
struct Sending {
    partitions: Vec<PartitionClient>,
}

#[async_trait]
impl ProducerConnection for Sending {
    async fn send(
        &self,
        partition: u32,
        request: &Request,
    ) -> Result<Option<Receipt>, DriverError> {
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let target = self.partitions.get(index).ok_or_else(|| {
            DriverError::Failed(format!("the topic has no partition {partition}"))
        })?;
        let mut builder = BatchBuilder::new(BATCH_BYTES_MAX);
        for value in request.values() {
            let record = RecordData {
                key: request.key(),
                value: Some(value),
                ..RecordData::default()
            };
            builder.append(&record).map_err(DriverError::failed)?;
        }
        let batch = builder.build().map_err(DriverError::failed)?;
        let stored = target.produce(batch, Acks::All).await;
        let stored = stored.map_err(DriverError::failed)?;
        Ok(stored.receipt.map(|receipt| Receipt {
            names: &ProduceReceipt::STAGES,
            stages_ns: receipt.stages_ns().to_vec(),
        }))
    }
}

struct Reading {
    partition: PartitionClient,
    consumer: ConsumerSpec,
    offset: Offset,
}

#[async_trait]
impl ConsumerConnection for Reading {
    async fn restart(&mut self) -> Result<(), DriverError> {
        self.offset = Offset::ZERO;
        Ok(())
    }

    async fn poll(&mut self, each: Each<'_>) -> Result<Polled, DriverError> {
        let fetched = self
            .partition
            .fetch(self.offset, self.consumer.fetch_bytes, POLL_WAIT);
        let fetched = fetched.await.map_err(DriverError::failed)?;
        let mut polled = Polled::default();
        for batch in batches(&fetched.bytes) {
            let batch = batch.map_err(DriverError::failed)?;
            if self.consumer.is_decoding {
                if !batch.crc_is_valid() {
                    let first = batch.base_offset();
                    return Err(DriverError::Failed(format!(
                        "the batch at offset {first} is damaged"
                    )));
                }
                for record in batch.records() {
                    let record = record.map_err(DriverError::failed)?;
                    let value = record.value.unwrap_or_default();
                    polled.records += 1;
                    polled.bytes += value.len() as u64;
                    each(value);
                }
            } else {
                polled.records += u64::try_from(batch.header().record_count.get()).unwrap_or(0);
            }
            self.offset = batch.last_offset().next();
        }
        if !self.consumer.is_decoding {
            polled.bytes = fetched.bytes.len() as u64;
        }
        Ok(polled)
    }
}
