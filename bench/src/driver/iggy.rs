//! Apache Iggy: a stream with one topic, a request is one `send_messages` to one partition.
//!
//! Written against the client crate; its server is in no package registry, so that nothing was measured with it yet.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iggy::prelude::{
    Client, Consumer, Durability as IggyDurability, Identifier, IggyClient, IggyMessage,
    MessageClient, Partitioning, PollingStrategy, StreamClient, SystemClient, TopicClient,
    TopicCreateOptions,
};

use super::{
    ConsumerConnection, ConsumerSpec, Driver, DriverError, Durability, Each, Polled,
    ProducerConnection, ProducerSpec, Receipt, StreamSpec,
};
use crate::payload::Request;

/// The one topic of a stream.
const TOPIC: &str = "records";
/// Records that one poll asks for: Iggy counts records, not bytes.
const POLL_RECORDS: u32 = 1000;
/// How long a reader waits after a poll that brought nothing.
const POLL_PAUSE: Duration = Duration::from_millis(1);

pub(super) struct Iggy {
    bootstrap: String,
    client: IggyClient,
}

impl Iggy {
    pub(super) async fn connect(bootstrap: &str) -> Result<Self, DriverError> {
        Ok(Self {
            bootstrap: bootstrap.to_owned(),
            client: connect(bootstrap).await?,
        })
    }
}

/// A client with a connection of its own, logged in as the user that a new server has.
async fn connect(bootstrap: &str) -> Result<IggyClient, DriverError> {
    let address = format!("iggy://iggy:iggy@{bootstrap}");
    let client = IggyClient::from_connection_string(&address).map_err(DriverError::failed)?;
    client.connect().await.map_err(DriverError::failed)?;
    Ok(client)
}

fn identifier(name: &str) -> Result<Identifier, DriverError> {
    Identifier::named(name).map_err(DriverError::failed)
}

#[async_trait]
impl Driver for Iggy {
    async fn describe(&self) -> Result<Vec<(String, String)>, DriverError> {
        let stats = self.client.get_stats().await;
        let stats = stats.map_err(DriverError::failed)?;
        Ok(vec![("version".to_owned(), stats.iggy_server_version)])
    }

    async fn create(&self, stream: &StreamSpec) -> Result<(), DriverError> {
        let durability = match stream.durability {
            Durability::Sync => IggyDurability::Persisted,
            Durability::Default => IggyDurability::default(),
            Durability::Async | Durability::Memory => {
                return Err(DriverError::Unsupported(
                    "Iggy knows no durability but its default and sync (persisted)".to_owned(),
                ));
            }
        };
        if let Some((name, _)) = stream.settings.first() {
            return Err(DriverError::Unsupported(format!(
                "the driver for Iggy passes on no settings; {name} is one"
            )));
        }
        let made = self.client.create_stream(&stream.name).await;
        made.map_err(DriverError::failed)?;
        let options = TopicCreateOptions {
            partitions_count: Some(stream.partitions),
            durability,
            ..TopicCreateOptions::default()
        };
        let stream = identifier(&stream.name)?;
        let topic = self.client.create_topic(&stream, TOPIC, &options);
        topic.await.map(drop).map_err(DriverError::failed)
    }

    async fn remove(&self, stream: &StreamSpec) -> Result<(), DriverError> {
        let removed = self.client.delete_stream(&identifier(&stream.name)?).await;
        removed.map_err(DriverError::failed)
    }

    async fn producer(
        &self,
        stream: &StreamSpec,
        _producer: ProducerSpec,
    ) -> Result<Arc<dyn ProducerConnection>, DriverError> {
        Ok(Arc::new(Sending {
            client: connect(&self.bootstrap).await?,
            stream: identifier(&stream.name)?,
            topic: identifier(TOPIC)?,
        }))
    }

    async fn consumer(
        &self,
        stream: &StreamSpec,
        consumer: ConsumerSpec,
    ) -> Result<Box<dyn ConsumerConnection>, DriverError> {
        Ok(Box::new(Reading {
            client: connect(&self.bootstrap).await?,
            stream: identifier(&stream.name)?,
            topic: identifier(TOPIC)?,
            next: 0,
            consumer,
        }))
    }
}

struct Sending {
    client: IggyClient,
    stream: Identifier,
    topic: Identifier,
}

#[async_trait]
impl ProducerConnection for Sending {
    async fn send(
        &self,
        partition: u32,
        request: &Request,
    ) -> Result<Option<Receipt>, DriverError> {
        let messages: Result<Vec<IggyMessage>, _> = request
            .values()
            .map(|value| {
                let payload = value.to_vec().into();
                IggyMessage::builder().payload(payload).build()
            })
            .collect();
        let mut messages = messages.map_err(DriverError::failed)?;
        let partitioning = Partitioning::partition_id(partition);
        let sent =
            self.client
                .send_messages(&self.stream, &self.topic, &partitioning, &mut messages);
        sent.await.map(|_| None).map_err(DriverError::failed)
    }
}

struct Reading {
    client: IggyClient,
    stream: Identifier,
    topic: Identifier,
    next: u64,
    consumer: ConsumerSpec,
}

#[async_trait]
impl ConsumerConnection for Reading {
    async fn restart(&mut self) -> Result<(), DriverError> {
        self.next = 0;
        Ok(())
    }

    async fn poll(&mut self, each: Each<'_>) -> Result<Polled, DriverError> {
        let consumer = Consumer::default();
        let strategy = PollingStrategy::offset(self.next);
        let polled = self.client.poll_messages(
            &self.stream,
            &self.topic,
            Some(self.consumer.partition),
            &consumer,
            &strategy,
            POLL_RECORDS,
            false,
        );
        let messages = polled.await.map_err(DriverError::failed)?.messages;
        let mut polled = Polled::default();
        for message in &messages {
            polled.records += 1;
            polled.bytes += message.payload.len() as u64;
            self.next = message.header.offset + 1;
            if self.consumer.is_decoding {
                each(&message.payload);
            }
        }
        if messages.is_empty() {
            // Iggy has no long poll.
            tokio::time::sleep(POLL_PAUSE).await;
        }
        Ok(polled)
    }
}
