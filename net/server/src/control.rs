//! The control task of a broker: it owns the metadata store and the controller, and tells the shards what to serve.
//!
//! It runs on any executor: all it does is wait for messages and for the store. One request is carried out after
//! the other, so that nothing about topics is ever done by two.

mod producers;
pub(crate) mod request;
mod shards;
mod start;
mod topics;

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use ringlog_coord::controller::{Controller, ControllerError, StartError};
use ringlog_coord::directory::DataDirError;
use ringlog_coord::records::BrokerLife;
use ringlog_coord::store::MetadataStore;
use ringlog_reactor::mailbox;

use self::producers::ProducerIds;
use self::request::ControlRequest;
use self::shards::Shards;
use crate::broker::{BrokerConfig, Health, OfflinePartition, ShardSlow};
use crate::cluster_view::{BrokerView, ClusterView, PartitionView, TopicView};
use crate::connection::SOFTWARE;
use crate::partition_budget::PartitionBudget;
use crate::shard::command::ShardCommand;
use crate::slow::SlowRequest;

/// Why a broker did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The data directory cannot be used.
    #[error("{0}")]
    Directory(String),
    /// The data directory must not be served.
    #[error(transparent)]
    Identity(#[from] DataDirError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The broker may not start as it is.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The metadata store.
    #[error(transparent)]
    Controller(#[from] ControllerError),
    /// The broker, or one of its shards, has stopped.
    #[error("the broker has stopped")]
    Stopped,
}

/// The control task: [`ControlTask::run`] is the life of the broker.
pub struct ControlTask {
    config: BrokerConfig,
    shards: Shards,
    requests: mailbox::Receiver<ControlRequest>,
    ready: Option<oneshot::Sender<SocketAddr>>,
}

/// A broker that serves.
struct Serving<S> {
    shards: Shards,
    shard_count: NonZeroU16,
    budget: PartitionBudget,
    controller: Controller<S>,
    /// This broker, as clients are told.
    me: BrokerView,
    cluster_id: String,
    random: ChaCha8Rng,
    producer_ids: ProducerIds,
}

impl ControlTask {
    pub(crate) fn new(
        config: BrokerConfig,
        shards: Vec<mailbox::Sender<ShardCommand>>,
        requests: mailbox::Receiver<ControlRequest>,
        ready: oneshot::Sender<SocketAddr>,
    ) -> Self {
        Self {
            config,
            shards: Shards::new(shards),
            requests,
            ready: Some(ready),
        }
    }

    /// Starts the broker, serves until it is told to stop, and stops it. The shards have ended when this returns.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] when it did not start. Nothing of the data was changed then that the next start would miss.
    pub async fn run<S: MetadataStore>(mut self, store: S) -> Result<(), BrokerError> {
        let shards = self.shards.clone();
        let ended = match self.start(store).await {
            Ok(mut serving) => Ok(serving.serve(&mut self.requests).await),
            Err(error) => Err(error),
        };
        let mut stopping = Vec::new();
        {
            // Shards wait for the requests of their connections, so those that are still here must be answered.
            let stop = std::pin::pin!(shards.stop());
            let refuse = std::pin::pin!(refuse_all(&mut self.requests, &mut stopping));
            if let Either::Right((_, stop)) = select(stop, refuse).await {
                stop.await;
            }
        }
        let first = ended?;
        for stopped in first.into_iter().chain(stopping) {
            stopped.send(()).ok();
        }
        Ok(())
    }
}

/// Refuses requests for as long as somebody may send one; notes who is to be told when the broker has stopped.
async fn refuse_all(
    requests: &mut mailbox::Receiver<ControlRequest>,
    stopping: &mut Vec<oneshot::Sender<()>>,
) {
    while let Some(request) = requests.recv().await {
        stopping.extend(request.refuse());
    }
}

impl<S: MetadataStore> Serving<S> {
    /// Carries out requests until one says to stop; gives whom to tell when that is done.
    async fn serve(
        &mut self,
        requests: &mut mailbox::Receiver<ControlRequest>,
    ) -> Option<oneshot::Sender<()>> {
        while let Some(request) = requests.recv().await {
            match request {
                ControlRequest::CreateTopic(wanted, answer) => {
                    answer.send(self.create_topic(wanted).await).ok();
                }
                ControlRequest::DeleteTopic(name, answer) => {
                    answer.send(self.delete_topic(&name).await).ok();
                }
                ControlRequest::AlterTopic(wanted, answer) => {
                    answer.send(self.alter_topic(wanted).await).ok();
                }
                ControlRequest::DescribeTopic(name, answer) => {
                    answer.send(self.describe_topic(&name).await).ok();
                }
                ControlRequest::MakeGroups(answer) => {
                    answer.send(self.make_groups().await).ok();
                }
                ControlRequest::InitProducer(answer) => {
                    answer.send(self.init_producer().await).ok();
                }
                ControlRequest::Metrics(answer) => {
                    answer.send(self.shards.metrics().await).ok();
                }
                ControlRequest::Slow(answer) => {
                    answer.send(self.slow().await).ok();
                }
                ControlRequest::Health(answer) => {
                    answer.send(self.health().await).ok();
                }
                ControlRequest::Shutdown(answer) => {
                    self.leave().await;
                    return Some(answer);
                }
            }
        }
        None
    }

    /// Tells the cluster that this broker goes.
    async fn leave(&mut self) {
        if let Err(error) = self.controller.set_broker_life(BrokerLife::Draining).await {
            tracing::warn!(%error, "the metadata store was not told that the broker stops");
        }
    }

    /// A random number.
    fn random_u128(&mut self) -> u128 {
        u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64())
    }

    /// Shows all shards the cluster as it is now.
    async fn publish(&self) {
        self.shards.publish(Arc::new(self.view())).await;
    }

    fn view(&self) -> ClusterView {
        let mut view = ClusterView {
            cluster_id: self.cluster_id.clone(),
            controller: Some(self.controller.broker()),
            brokers: vec![self.me.clone()],
            ..ClusterView::default()
        };
        for summary in self.controller.list() {
            let Some(topic) = self.controller.describe(&summary.name) else {
                continue;
            };
            let partitions = topic.partitions.into_iter().map(|one| PartitionView {
                partition: one.partition,
                leader: one.leader,
                leader_epoch: one.leader_epoch,
                shard: one.slot.shard(self.shard_count),
                replicas: one.replicas,
                isr: one.isr,
            });
            let described = TopicView {
                topic: topic.topic_id,
                partitions: partitions.collect(),
            };
            view.topics
                .insert(topic.name.as_str().to_owned(), described);
        }
        for one in self.controller.assignment() {
            let id = ringlog_record::TopicPartition {
                topic: one.topic_id,
                partition: one.partition,
            };
            view.owners.insert(id, one.shard(self.shard_count));
        }
        view
    }

    /// The slowest requests of each shard, with the names of the topics that are still there.
    async fn slow(&self) -> Vec<ShardSlow> {
        let names = self.controller.list();
        let name_of = |request: &SlowRequest| {
            let id = request.partition?.topic;
            let topic = names.iter().find(|topic| topic.topic_id == id)?;
            Some(topic.name.to_string())
        };
        let shards = self.shards.slow().await.into_iter();
        let shards = shards.map(|(shard, requests)| ShardSlow {
            shard,
            requests: requests
                .into_iter()
                .map(|request| (name_of(&request), request))
                .collect(),
        });
        shards.collect()
    }

    async fn health(&self) -> Health {
        let mut health = Health::default();
        let names = self.controller.list();
        for report in self.shards.describe(None).await {
            let reason = match report.state {
                Ok(status) => status.failure.map(|failure| failure.to_string()),
                Err(reason) => Some(reason),
            };
            let Some(reason) = reason else {
                health.partitions += 1;
                continue;
            };
            let topic = names
                .iter()
                .find(|topic| topic.topic_id == report.id.topic)
                .map_or_else(
                    || report.id.topic.to_string(),
                    |topic| topic.name.to_string(),
                );
            health.offline.push(OfflinePartition {
                topic,
                partition: report.id.partition,
                reason,
            });
        }
        health
    }
}

/// This broker as clients are told.
fn broker_view(config: &BrokerConfig, address: String, broker_epoch: u64) -> BrokerView {
    BrokerView {
        broker: config.broker,
        address,
        shards: config.shards.get(),
        rack: config.rack.clone(),
        broker_epoch,
        software: SOFTWARE.to_owned(),
    }
}

/// A generator of ids that no other start of a broker uses.
fn random_from(seed: [u8; 32]) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(seed)
}
