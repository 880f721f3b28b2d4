//! NATS JetStream: a partition is a subject of a stream, a request is its records published one after the other and
//! awaited together.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, stream};
use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};

use super::{
    ConsumerConnection, ConsumerSpec, Driver, DriverError, Durability, Each, Polled,
    ProducerConnection, ProducerSpec, Receipt, StreamSpec,
};
use crate::payload::Request;

/// How long a poll waits for records.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// Acknowledgements that may be missing on a connection: more than are ever under way.
const ACKS_MAX: usize = 1 << 20;
/// Records that the server pushes ahead, at most.
const AHEAD_RECORDS: usize = 5000;

pub(super) struct Nats {
    bootstrap: String,
    client: async_nats::Client,
}

impl Nats {
    pub(super) async fn connect(bootstrap: &str) -> Result<Self, DriverError> {
        Ok(Self {
            bootstrap: bootstrap.to_owned(),
            client: connect(bootstrap).await?,
        })
    }

    /// Whether the server syncs before it acknowledges: it tells only on its monitoring port.
    async fn is_syncing(&self) -> Result<bool, DriverError> {
        let unknown = || {
            DriverError::Unsupported(
                "whether NATS syncs is a setting of its server, which it tells on its monitoring port only: let that be \
                 the port behind the clients' one (`http_port`), or measure with --durability default and a label"
                    .to_owned(),
            )
        };
        let (host, port) = self.bootstrap.rsplit_once(':').ok_or_else(unknown)?;
        let port = port
            .parse::<u16>()
            .ok()
            .and_then(|port| port.checked_add(1));
        let address = format!("http://{host}:{}/varz", port.ok_or_else(unknown)?);
        let told = crate::metrics::get(address).await.ok_or_else(unknown)?;
        let told: serde_json::Value = serde_json::from_str(&told).map_err(|_| unknown())?;
        let config = &told["jetstream"]["config"];
        Ok(config["sync_always"].as_bool().unwrap_or(false))
    }
}

async fn connect(bootstrap: &str) -> Result<async_nats::Client, DriverError> {
    let client = async_nats::connect(format!("nats://{bootstrap}")).await;
    client.map_err(DriverError::failed)
}

fn context(client: async_nats::Client) -> jetstream::Context {
    jetstream::context::ContextBuilder::new()
        .max_ack_inflight(ACKS_MAX)
        .build(client)
}

fn subject(stream: &StreamSpec, partition: u32) -> String {
    format!("{}.{partition}", stream.name)
}

#[async_trait]
impl Driver for Nats {
    async fn describe(&self) -> Result<Vec<(String, String)>, DriverError> {
        let info = self.client.server_info();
        let mut said = vec![("version".to_owned(), info.version)];
        if let Ok(is_syncing) = self.is_syncing().await {
            let how = if is_syncing {
                "always"
            } else {
                "from time to time"
            };
            said.push(("syncs".to_owned(), how.to_owned()));
        }
        Ok(said)
    }

    async fn create(&self, stream: &StreamSpec) -> Result<(), DriverError> {
        let storage = match stream.durability {
            Durability::Memory => stream::StorageType::Memory,
            Durability::Sync if !self.is_syncing().await? => {
                return Err(DriverError::Unsupported(
                    "this NATS server does not sync before it acknowledges: start one with `sync_interval: always`"
                        .to_owned(),
                ));
            }
            Durability::Async if self.is_syncing().await? => {
                return Err(DriverError::Unsupported(
                    "this NATS server syncs before it acknowledges: start one without `sync_interval`".to_owned(),
                ));
            }
            Durability::Sync | Durability::Async | Durability::Default => stream::StorageType::File,
        };
        if let Some((name, _)) = stream.settings.first() {
            return Err(DriverError::Unsupported(format!(
                "the driver for NATS passes on no settings; {name} is one"
            )));
        }
        let context = context(self.client.clone());
        let made = context.create_stream(stream::Config {
            name: stream.name.clone(),
            subjects: vec![format!("{}.*", stream.name)],
            storage,
            ..stream::Config::default()
        });
        made.await.map(drop).map_err(DriverError::failed)
    }

    async fn remove(&self, stream: &StreamSpec) -> Result<(), DriverError> {
        let removed = context(self.client.clone())
            .delete_stream(&stream.name)
            .await;
        removed.map(drop).map_err(DriverError::failed)
    }

    async fn producer(
        &self,
        stream: &StreamSpec,
        _producer: ProducerSpec,
    ) -> Result<Arc<dyn ProducerConnection>, DriverError> {
        let client = connect(&self.bootstrap).await?;
        let subjects = (0..stream.partitions).map(|one| subject(stream, one).into());
        Ok(Arc::new(Sending {
            context: context(client),
            subjects: subjects.collect(),
        }))
    }

    async fn consumer(
        &self,
        stream: &StreamSpec,
        consumer: ConsumerSpec,
    ) -> Result<Box<dyn ConsumerConnection>, DriverError> {
        let context = context(connect(&self.bootstrap).await?);
        let made = context.get_stream(&stream.name).await;
        let made = made.map_err(DriverError::failed)?;
        let subject = subject(stream, consumer.partition);
        Ok(Box::new(Reading {
            messages: messages(&made, &subject).await?,
            stream: made,
            subject,
            consumer,
        }))
    }
}

struct Sending {
    context: jetstream::Context,
    subjects: Vec<async_nats::Subject>,
}

#[async_trait]
impl ProducerConnection for Sending {
    async fn send(
        &self,
        partition: u32,
        request: &Request,
    ) -> Result<Option<Receipt>, DriverError> {
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let subject = self.subjects.get(index).ok_or_else(|| {
            DriverError::Failed(format!("the stream has no partition {partition}"))
        })?;
        let mut acknowledgements = Vec::with_capacity(request.records());
        for value in request.values() {
            let value = value.to_vec().into();
            let published = self.context.publish(subject.clone(), value).await;
            acknowledgements.push(published.map_err(DriverError::failed)?);
        }
        for acknowledgement in acknowledgements {
            acknowledgement.await.map_err(DriverError::failed)?;
        }
        Ok(None)
    }
}

/// The messages of a subject from the first, with a consumer of the server's made for it.
async fn messages(stream: &stream::Stream, subject: &str) -> Result<pull::Stream, DriverError> {
    let reader = stream.create_consumer(pull::Config {
        filter_subject: subject.to_owned(),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::None,
        ..pull::Config::default()
    });
    let reader = reader.await.map_err(DriverError::failed)?;
    let messages = reader
        .stream()
        .max_messages_per_batch(AHEAD_RECORDS)
        .messages();
    messages.await.map_err(DriverError::failed)
}

struct Reading {
    messages: pull::Stream,
    stream: stream::Stream,
    subject: String,
    consumer: ConsumerSpec,
}

#[async_trait]
impl ConsumerConnection for Reading {
    async fn restart(&mut self) -> Result<(), DriverError> {
        self.messages = messages(&self.stream, &self.subject).await?;
        Ok(())
    }

    async fn poll(&mut self, each: Each<'_>) -> Result<Polled, DriverError> {
        let mut polled = Polled::default();
        let first = tokio::time::timeout(POLL_WAIT, self.messages.next()).await;
        let mut next = first.unwrap_or(None);
        while let Some(received) = next {
            let message = received.map_err(DriverError::failed)?;
            polled.records += 1;
            polled.bytes += message.payload.len() as u64;
            if self.consumer.is_decoding {
                each(&message.payload);
            }
            if polled.bytes >= u64::from(self.consumer.fetch_bytes) {
                break;
            }
            next = self.messages.next().now_or_never().flatten();
        }
        Ok(polled)
    }
}
