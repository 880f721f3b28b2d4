//! The control task of a broker: it owns the metadata store and the controller, and tells the shards what to serve.
//!
//! It runs on any executor: all it does is wait for messages and for the store. One request is carried out after
//! the other, so that nothing about topics is ever done by two.

mod leaders;
mod member;
mod producers;
mod reassignment;
pub(crate) mod request;
mod serve;
mod shards;
mod start;
mod surroundings;
mod topics;
mod waiting;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, LocalBoxFuture, select};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use ringlog_coord::controller::{BrokerStart, Controller, ControllerError, StartError};
use ringlog_coord::directory::DataDirError;
use ringlog_coord::lease::{Lease, ThinMargin};
use ringlog_coord::store::{MetadataStore, Session};
use ringlog_reactor::mailbox;
use ringlog_wire::ErrorCode;

use self::member::{Member, Served};
use self::producers::ProducerIds;
use self::request::ControlRequest;
use self::shards::Shards;
pub use self::surroundings::{OnReactor, Surroundings};
use self::waiting::Waiting;
use crate::broker::{BrokerConfig, Health, OfflinePartition, ShardSlow};
use crate::cluster_view::{BrokerView, ClusterView};
use crate::connection::SOFTWARE;
use crate::failure::Failure;
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
    /// The session with the metadata store is too short.
    #[error(transparent)]
    Lease(#[from] ThinMargin),
    /// There is no session with the metadata store.
    #[error("there is no session with the metadata store: {0}")]
    Session(String),
    /// The broker, or one of its shards, has stopped.
    #[error("the broker has stopped")]
    Stopped,
}

/// The control task: [`ControlTask::run`] is the life of the broker.
pub struct ControlTask {
    config: BrokerConfig,
    shards: Shards,
    requests: mailbox::Receiver<ControlRequest>,
    ready: oneshot::Sender<SocketAddr>,
}

/// A broker that serves.
struct Serving<E: Surroundings> {
    surroundings: Rc<E>,
    config: BrokerConfig,
    shards: Shards,
    /// How it registers.
    registration: BrokerStart,
    member: Member<E::Store>,
    served: Served,
    /// The controller, when it is this broker.
    controller: Option<Controller<E::Store>>,
    /// When the controller has something to do at the latest.
    controller_at: Duration,
    /// Requests that are carried out, and answered when brokers have seen it.
    waiting: Vec<Waiting>,
    lease: Lease,
    renewal: Option<LocalBoxFuture<'static, Result<(), String>>>,
    /// The session as it was last seen.
    session: Session,
    /// The next session, when this one has ended.
    reopening: Option<LocalBoxFuture<'static, Result<E::Store, String>>>,
    /// The cluster is to be looked at.
    is_look_due: bool,
    /// The controller is to look at the brokers.
    is_count_due: bool,
    /// When to look again, because the last look failed.
    retry_at: Option<Duration>,
    /// Told once all that is led is open.
    ready: Option<(oneshot::Sender<SocketAddr>, SocketAddr)>,
    /// This broker, as clients are told.
    me: BrokerView,
    /// What shards were last shown.
    shown: Arc<ClusterView>,
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
            ready,
        }
    }

    /// Starts the broker, serves until it is told to stop, and stops it. The shards have ended when this returns.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] when it did not start. Nothing of the data was changed then that the next start would miss.
    pub async fn run<E: Surroundings>(self, surroundings: E) -> Result<(), BrokerError> {
        let shards = self.shards.clone();
        let (mut requests, starting) = self.split();
        let mut session = None;
        let ended = match Serving::start(starting, surroundings).await {
            Ok(mut serving) => {
                let ended = serving.serve(&mut requests).await;
                serving.answer_all().await;
                session = Some(serving.member.store.clone());
                ended
            }
            Err(error) => Err(error),
        };
        let mut stopping = Vec::new();
        {
            // Shards wait for the requests of their connections, so those that are still here must be answered.
            let stop = std::pin::pin!(shards.stop());
            let refuse = std::pin::pin!(refuse_all(&mut requests, &mut stopping));
            if let Either::Right((_, stop)) = select(stop, refuse).await {
                stop.await;
            }
        }
        if let Some(session) = session {
            // Others take the broker for gone from now on, not from the session's time-out.
            session.close().await;
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

impl<E: Surroundings> Serving<E> {
    /// Carries out a request; all but the one that stops the broker.
    async fn handle(&mut self, request: ControlRequest) {
        match request {
            ControlRequest::CreateTopic(wanted, answer) => self.create_topic(wanted, answer).await,
            ControlRequest::DeleteTopic(name, answer) => self.delete_topic(&name, answer).await,
            ControlRequest::AlterTopic(wanted, answer) => self.alter_topic(wanted, answer).await,
            ControlRequest::DescribeTopic(name, answer) => {
                answer.send(self.describe_topic(&name).await).ok();
            }
            ControlRequest::MakeGroups(answer) => self.make_groups(answer).await,
            ControlRequest::CheckSight(answer) => drop(answer.send(self.check_sight())),
            ControlRequest::DrainBroker(broker, answer) => {
                answer.send(self.drain_broker(broker).await).ok();
            }
            ControlRequest::ElectLeaders(topic, answer) => {
                answer.send(self.elect_leaders(topic).await).ok();
            }
            ControlRequest::Reassign(wanted, answer) => {
                answer.send(self.reassign(wanted).await).ok();
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
            ControlRequest::Shutdown(_) => {}
        }
    }

    /// Refuses while others may have changed what this broker would not have seen.
    fn check_sight(&self) -> Result<(), Failure> {
        let is_lease_valid = self.is_joined() && self.lease.is_valid(self.surroundings.now());
        // Nobody else changes a store of this broker's own.
        if self.is_store_local() || (is_lease_valid && self.retry_at.is_none()) {
            return Ok(());
        }
        let message = "the broker has not reached the metadata store lately, and cannot say; ask another one, or again";
        Err(Failure::new(ErrorCode::NotController, message))
    }

    /// A random number.
    fn random_u128(&mut self) -> u128 {
        u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64())
    }

    /// The slowest requests of each shard, with the names of the topics that are still there.
    async fn slow(&self) -> Vec<ShardSlow> {
        let names = self.member.sight().image.list();
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
        let mut health = Health {
            is_lease_valid: self.is_joined() && self.lease.is_valid(self.surroundings.now()),
            is_controller: self.controller.is_some(),
            ..Health::default()
        };
        let names = self.member.sight().image.list();
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
        state: "fenced",
    }
}

/// A generator of ids that no other start of a broker uses.
fn random_from(seed: [u8; 32]) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(seed)
}
