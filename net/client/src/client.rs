//! The client: what it knows of the cluster, and its connections.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, ShardId, TopicId, TopicPartition};
use ringlog_wire::{
    ErrorCode, Message, MetadataRequest, MetadataResponse, TopicMetadata, TopicSelection,
};

use crate::core::assembler::Frame;
use crate::core::backoff::Backoff;
use crate::error::{ClientError, ConnectError};
use crate::transport::{Connection, ConnectionConfig, Pool, chance};

/// Refusals after which the controller is looked for again: nothing was done.
const CONTROLLER_MOVES: [ErrorCode; 2] = [ErrorCode::NotController, ErrorCode::ShuttingDown];

/// Refusals after which whoever keeps a group is looked for again: nothing was done.
const COORDINATOR_MOVES: [ErrorCode; 2] = [ErrorCode::NotLeader, ErrorCode::NotController];

fn is_elsewhere(error: &ClientError, moves: &[ErrorCode]) -> bool {
    matches!(error, ClientError::Refused { code, .. } if moves.contains(code))
}

/// Attempts at a request until time is over.
struct Attempts {
    deadline: Instant,
    backoff: Backoff,
}

impl Attempts {
    fn within(timeout: Duration) -> Self {
        Self {
            deadline: Instant::now() + timeout,
            backoff: Backoff::default(),
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// How long to wait before the next attempt; none when there is no time for one.
    fn next_pause(&mut self) -> Option<Duration> {
        let pause = self.backoff.next_pause(chance());
        (pause < self.left()).then_some(pause)
    }
}

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// How connections are made.
    pub connection: ConnectionConfig,
    /// How long an administrative request, or one for metadata, may take.
    pub request_timeout: Duration,
    /// How old what is known of a topic may get before it is asked for anew, beside the work that goes on with what is
    /// known: so partitions that were added are noticed.
    pub metadata_max_age: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connection: ConnectionConfig::default(),
            request_timeout: Duration::from_secs(30),
            metadata_max_age: Duration::from_secs(60),
        }
    }
}

/// A topic, as far as a client needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: TopicId,
    /// Its partitions in order.
    pub partitions: Vec<PartitionInfo>,
}

/// A partition, as far as a client needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Which.
    pub id: TopicPartition,
    /// Who leads it.
    pub leader: Option<BrokerId>,
    /// The shard that owns it there.
    pub shard: ShardId,
    /// The epoch of its leader.
    pub leader_epoch: LeaderEpoch,
    /// The brokers that have it, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Those in sync.
    pub isr: Vec<BrokerId>,
}

/// A client of a cluster. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bootstrap: Vec<String>,
    config: ClientConfig,
    pool: Pool,
    known: Mutex<Known>,
    /// Whose turn it is to ask for metadata after a failure.
    refreshing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    brokers: BTreeMap<BrokerId, String>,
    controller: Option<BrokerId>,
    /// Where the last question about a group was answered.
    coordinator: Option<String>,
    topics: HashMap<String, KnownTopic>,
}

#[derive(Debug)]
struct KnownTopic {
    info: Arc<TopicInfo>,
    /// When it was asked for last, whether or not the answer is there.
    asked: Instant,
}

impl Client {
    /// Connects to the first of `bootstrap` (each `host:port`) that answers.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: what the last of them said.
    pub async fn connect(bootstrap: &[String], config: ClientConfig) -> Result<Self, ClientError> {
        let client = Self(Arc::new(Inner {
            bootstrap: bootstrap.to_vec(),
            pool: Pool::new(config.connection.clone()),
            config,
            known: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
        }));
        client.any_connection().await?;
        Ok(client)
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.0.config
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to any broker.
    pub(crate) async fn any_connection(&self) -> Result<Arc<Connection>, ClientError> {
        let brokers: Vec<String> = self.known().brokers.values().cloned().collect();
        let mut last = ConnectError::NoBootstrap;
        for address in self.0.bootstrap.iter().chain(&brokers) {
            match self.0.pool.connection(address, None).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }

    /// The connection to the leader of a partition.
    pub(crate) async fn leader_connection(
        &self,
        topic: &str,
        partition: &PartitionInfo,
    ) -> Result<Arc<Connection>, ClientError> {
        let address = self.leader_address(topic, partition)?;
        let connection = self.0.pool.connection(&address, Some(partition.shard));
        Ok(connection.await?)
    }

    /// Where the leader of a partition is.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoLeader`] when it has none, or one whose address is not known.
    pub fn leader_address(
        &self,
        topic: &str,
        partition: &PartitionInfo,
    ) -> Result<String, ClientError> {
        let leader = partition.leader;
        let address = leader.and_then(|leader| self.broker_address(leader));
        address.ok_or_else(|| ClientError::NoLeader {
            topic: topic.to_owned(),
            partition: partition.id.partition,
        })
    }

    /// Asks any broker.
    pub(crate) async fn ask<M: Message>(
        &self,
        message: &M,
    ) -> Result<(Arc<Connection>, Frame), ClientError> {
        self.ask_within(message, self.0.config.request_timeout)
            .await
    }

    /// Asks any broker, and waits for so long.
    pub(crate) async fn ask_within<M: Message>(
        &self,
        message: &M,
        timeout: Duration,
    ) -> Result<(Arc<Connection>, Frame), ClientError> {
        let connection = self.any_connection().await?;
        let frame = connection.call(message, Vec::new(), timeout).await?;
        Ok((connection, frame))
    }

    /// Asks the controller, wherever it is or will be.
    pub(crate) async fn ask_controller<M: Message>(
        &self,
        message: &M,
    ) -> Result<(Arc<Connection>, Frame), ClientError> {
        let mut attempts = Attempts::within(self.0.config.request_timeout);
        loop {
            let error = match self.controller_address() {
                None => match self.ask(message).await {
                    Err(error) if is_elsewhere(&error, &CONTROLLER_MOVES) => error,
                    answer => return answer,
                },
                Some(address) => {
                    match self.ask_address(&address, message, attempts.left()).await {
                        // It is gone: another broker is the controller then, or will be.
                        Err(error @ ClientError::Connect(_)) => error,
                        Err(error) if is_elsewhere(&error, &CONTROLLER_MOVES) => error,
                        answer => return answer,
                    }
                }
            };
            match attempts.next_pause() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
            // One that cannot be asked now is asked again after the next pause.
            self.refresh(TopicSelection::Named(Vec::new())).await.ok();
            if attempts.left().is_zero() {
                return Err(error);
            }
        }
    }

    /// Asks the broker that keeps a group, whichever that is: one that does not says so, and another one is asked.
    pub(crate) async fn ask_coordinator<M: Message>(
        &self,
        message: &M,
    ) -> Result<(Arc<Connection>, Frame), ClientError> {
        let mut attempts = Attempts::within(self.0.config.request_timeout);
        loop {
            let last = self.known().coordinator.take();
            let asked = match &last {
                Some(address) => self.ask_address(address, message, attempts.left()).await,
                None => self.ask(message).await,
            };
            let mut error = match asked {
                Err(error) if is_elsewhere(&error, &COORDINATOR_MOVES) => error,
                Err(error @ ClientError::Connect(_)) if last.is_some() => error,
                answer => {
                    self.known().coordinator = last.filter(|_| answer.is_ok());
                    return answer;
                }
            };
            // One that cannot be asked now is asked again after the next pause.
            self.refresh(TopicSelection::Named(Vec::new())).await.ok();
            let brokers: Vec<String> = self.known().brokers.values().cloned().collect();
            for address in brokers {
                let left = attempts.left();
                if left.is_zero() {
                    return Err(error);
                }
                match self.ask_address(&address, message, left).await {
                    Err(other) if is_elsewhere(&other, &COORDINATOR_MOVES) => error = other,
                    // The one that is to be asked may be gone, and another one keep the group later.
                    Err(ClientError::Connect(_)) => {}
                    answer => {
                        self.known().coordinator = Some(address).filter(|_| answer.is_ok());
                        return answer;
                    }
                }
            }
            match attempts.next_pause() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    fn controller_address(&self) -> Option<String> {
        let controller = self.known().controller?;
        self.broker_address(controller)
    }

    /// Where a broker is, if it is known.
    pub(crate) fn broker_address(&self, broker: BrokerId) -> Option<String> {
        self.known().brokers.get(&broker).cloned()
    }

    /// Asks the broker at an address.
    pub(crate) async fn ask_address<M: Message>(
        &self,
        address: &str,
        message: &M,
        timeout: Duration,
    ) -> Result<(Arc<Connection>, Frame), ClientError> {
        let connection = self.0.pool.connection(address, None).await?;
        let frame = connection.call(message, Vec::new(), timeout).await?;
        Ok((connection, frame))
    }

    /// Asks for topics, and remembers them.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn refresh(&self, topics: TopicSelection) -> Result<Vec<TopicInfo>, ClientError> {
        let asked = Instant::now();
        let request = MetadataRequest { topics };
        let (connection, frame) = self.ask(&request).await?;
        let response = MetadataResponse::decode(frame.body());
        let response = response.map_err(ClientError::decode(connection.address()))?;
        let mut known = self.known();
        let brokers = response.brokers.into_iter();
        known.brokers = brokers.map(|one| (one.broker, one.address)).collect();
        known.controller = response.controller;
        let mut found = Vec::new();
        for topic in response.topics {
            match topic.error {
                ErrorCode::None => {
                    let info = topic_info(topic);
                    let remembered = KnownTopic {
                        info: Arc::new(info.clone()),
                        asked,
                    };
                    known.topics.insert(info.name.clone(), remembered);
                    found.push(info);
                }
                ErrorCode::UnknownTopic => drop(known.topics.remove(&topic.name)),
                code => {
                    return Err(ClientError::Refused {
                        code,
                        message: format!("topic {:?}: {}", topic.name, code.sentence()),
                    });
                }
            }
        }
        Ok(found)
    }

    /// A topic, from memory if it is known. Old knowledge is good for this answer, and replaced for the next.
    ///
    /// # Errors
    ///
    /// [`ClientError::UnknownTopic`], and what can befall the question.
    pub async fn topic(&self, name: &str) -> Result<Arc<TopicInfo>, ClientError> {
        let Some((info, is_old)) = self.known_topic(name) else {
            return self.refresh_topic(name).await;
        };
        if is_old {
            let (client, name) = (self.clone(), name.to_owned());
            tokio::spawn(async move {
                if let Err(error) = client.refresh_topic(&name).await {
                    tracing::debug!(%error, topic = name, "what is known of a topic got old");
                }
            });
        }
        Ok(info)
    }

    /// What is known of a topic, and whether it is to be asked for anew, which one of those who ask is told.
    fn known_topic(&self, name: &str) -> Option<(Arc<TopicInfo>, bool)> {
        let mut known = self.known();
        let topic = known.topics.get_mut(name)?;
        let is_old = topic.asked.elapsed() > self.0.config.metadata_max_age;
        if is_old {
            topic.asked = Instant::now();
        }
        Some((Arc::clone(&topic.info), is_old))
    }

    /// Asks for a topic anew, unless somebody did since it was as in `seen`: those who fail together ask once.
    pub(crate) async fn refresh_unless_new(
        &self,
        name: &str,
        seen: Option<&Arc<TopicInfo>>,
    ) -> Result<(), ClientError> {
        let _turn = self.0.refreshing.lock().await;
        let is_new = {
            let known = self.known();
            match (known.topics.get(name), seen) {
                (Some(known), Some(seen)) => !Arc::ptr_eq(&known.info, seen),
                _ => false,
            }
        };
        if !is_new {
            self.refresh_topic(name).await?;
        }
        Ok(())
    }

    /// What is known of a topic holds no more.
    pub(crate) fn forget(&self, name: &str) {
        self.known().topics.remove(name);
    }

    /// A topic, asked for anew.
    ///
    /// # Errors
    ///
    /// As for [`Client::topic`].
    pub async fn refresh_topic(&self, name: &str) -> Result<Arc<TopicInfo>, ClientError> {
        let selection = TopicSelection::Named(vec![name.to_owned()]);
        self.refresh(selection).await?;
        let known = self.known();
        let topic = known.topics.get(name);
        let topic = topic.map(|topic| Arc::clone(&topic.info));
        topic.ok_or_else(|| ClientError::UnknownTopic {
            topic: name.to_owned(),
        })
    }
}

fn topic_info(topic: TopicMetadata) -> TopicInfo {
    let id = topic.topic;
    let partitions = topic.partitions.into_iter().map(|one| PartitionInfo {
        id: TopicPartition {
            topic: id,
            partition: one.partition,
        },
        leader: one.leader,
        shard: one.shard,
        leader_epoch: one.leader_epoch,
        replicas: one.replicas,
        isr: one.isr,
    });
    TopicInfo {
        name: topic.name,
        id,
        partitions: partitions.collect(),
    }
}

impl TopicInfo {
    /// One of the partitions.
    ///
    /// # Errors
    ///
    /// [`ClientError::UnknownPartition`].
    pub fn partition(&self, partition: PartitionIndex) -> Result<&PartitionInfo, ClientError> {
        // They are in order, so that it is mostly where its number says.
        let place = usize::try_from(partition.get()).unwrap_or(usize::MAX);
        let is_it = |one: &&PartitionInfo| one.id.partition == partition;
        let there = self.partitions.get(place).filter(is_it);
        let found = there.or_else(|| self.partitions.iter().find(is_it));
        found.ok_or_else(|| ClientError::UnknownPartition {
            topic: self.name.clone(),
            partition,
            partitions: self.partitions.len(),
        })
    }
}
