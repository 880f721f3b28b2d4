//! Topics: made, removed, changed, described.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::time::Duration;

use ringlog_coord::config::{ConfigChanges, ConfigEntry};
use ringlog_coord::controller::{
    AlterTopicError, Controller, ControllerError, CreateTopicError, CreatedTopic, DeleteTopicError,
    DrainError, NewTopic, PartitionAssignment, ReassignError,
};
use ringlog_coord::groups::GROUPS_TOPIC;
use ringlog_coord::limits::GROUPS_PARTITIONS;
use ringlog_coord::topic_name::TopicName;
use ringlog_log::Durability;
use ringlog_record::{BrokerId, Offset, TopicId};
use ringlog_replication::PartitionStatus;
use ringlog_wire::{
    AlterTopicRequest, AlterTopicResponse, CreateTopicRequest, CreateTopicResponse,
    DeleteTopicResponse, DescribeTopicResponse, DescribedPartition, ErrorCode, PartitionState,
    Setting,
};

use super::request::Answer;
use super::waiting::Outcome;
use super::{BrokerError, Serving, Surroundings};
use crate::failure::Failure;
use crate::partition_budget::PartitionBudget;

/// What the controller refused, and what befell it if that is why.
pub(super) struct Governed {
    failure: Failure,
    cause: Option<ControllerError>,
}

impl Governed {
    /// Refused before the controller was asked.
    fn refused(code: ErrorCode, error: impl std::fmt::Display) -> Self {
        Self {
            failure: Failure::new(code, error),
            cause: None,
        }
    }
}

macro_rules! governed {
    ($($error:ident),+) => {$(
        impl From<$error> for Governed {
            fn from(error: $error) -> Self {
                let cause = match &error {
                    $error::Controller(cause) => Some(cause.clone()),
                    _ => None,
                };
                Self { failure: error.into(), cause }
            }
        }
    )+};
}

governed!(
    CreateTopicError,
    DeleteTopicError,
    AlterTopicError,
    DrainError,
    ReassignError
);

impl From<ControllerError> for Governed {
    fn from(error: ControllerError) -> Self {
        Self {
            failure: error.clone().into(),
            cause: Some(error),
        }
    }
}

impl From<ControllerError> for Failure {
    fn from(error: ControllerError) -> Self {
        let code = match error {
            ControllerError::UnknownOutcome { .. } => ErrorCode::UnknownOutcome,
            _ => ErrorCode::Internal,
        };
        Self::new(code, error)
    }
}

impl From<BrokerError> for Failure {
    fn from(error: BrokerError) -> Self {
        Self::new(ErrorCode::Internal, error)
    }
}

impl From<CreateTopicError> for Failure {
    fn from(error: CreateTopicError) -> Self {
        let code = match error {
            CreateTopicError::Controller(error) => return error.into(),
            CreateTopicError::AlreadyExists { .. } | CreateTopicError::BeingDeleted { .. } => {
                ErrorCode::TopicExists
            }
            CreateTopicError::NoPartitions
            | CreateTopicError::TooManyPartitions { .. }
            | CreateTopicError::ReplicationFactor { .. } => ErrorCode::InvalidRequest,
            CreateTopicError::Config(_) => ErrorCode::InvalidConfig,
        };
        Self::new(code, error)
    }
}

impl From<DeleteTopicError> for Failure {
    fn from(error: DeleteTopicError) -> Self {
        match error {
            DeleteTopicError::Controller(error) => error.into(),
            DeleteTopicError::NotFound { .. } => Self::new(ErrorCode::UnknownTopic, error),
        }
    }
}

impl From<AlterTopicError> for Failure {
    fn from(error: AlterTopicError) -> Self {
        match error {
            AlterTopicError::Controller(error) => error.into(),
            AlterTopicError::NotFound { .. } => Self::new(ErrorCode::UnknownTopic, error),
            AlterTopicError::NoSuchPartition { .. } => {
                Self::new(ErrorCode::UnknownPartition, error)
            }
            AlterTopicError::Config(_) => Self::new(ErrorCode::InvalidConfig, error),
        }
    }
}

/// The replicas that each partition is to have.
fn replication_factor(wanted: u16) -> Result<u16, Failure> {
    match wanted {
        0 | 1 => Ok(1),
        more => {
            let message = format!(
                "a replication factor of {more} is not available yet: partitions are not copied between brokers; leave it out, or ask for 1"
            );
            Err(Failure::new(ErrorCode::Unsupported, message))
        }
    }
}

/// The name of a topic that must be there.
pub(super) fn existing(name: &str) -> Result<TopicName, Failure> {
    TopicName::parse(name).map_err(|error| Failure::new(ErrorCode::InvalidTopicName, error))
}

/// The name of a topic that is the user's to change.
fn users(name: &str) -> Result<TopicName, Failure> {
    let name = existing(name)?;
    if name.is_internal() {
        let message = format!("the topic {name} is the broker's own: it is not to be changed");
        return Err(Failure::new(ErrorCode::Unsupported, message));
    }
    Ok(name)
}

/// Nothing of it goes by age; segments are small, since its log is kept short.
const GROUPS_SETTINGS: [(&str, &str); 3] = [
    ("retention_ms", "-1"),
    ("segment_bytes", "16MiB"),
    ("max_batch_bytes", "4MiB"),
];

fn changes<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<ConfigChanges, Failure> {
    ConfigChanges::parse_pairs(pairs).map_err(|error| Failure::new(ErrorCode::InvalidConfig, error))
}

fn settings(entries: Vec<ConfigEntry>) -> Vec<Setting> {
    let shown = entries.into_iter().map(|entry| Setting {
        key: entry.key.to_owned(),
        value: entry.value,
        is_default: !entry.overridden,
    });
    shown.collect()
}

impl<E: Surroundings> Serving<E> {
    /// Makes a topic. It is durable, and can be produced to through every broker that is there, when this is answered.
    pub(super) async fn create_topic(
        &mut self,
        wanted: CreateTopicRequest,
        answer: Answer<CreateTopicResponse>,
    ) {
        let new = match self.new_topic(&wanted) {
            Ok(new) => new,
            Err(refused) => return drop(answer.send(Err(refused))),
        };
        match self.make_topic(new).await {
            Err(failure) => drop(answer.send(Err(failure))),
            Ok(created) => {
                tracing::info!(topic = %created.name, partitions = wanted.partitions, "a topic was created");
                let outcome = Outcome::Created {
                    topic: created,
                    partitions: wanted.partitions,
                    answer,
                };
                self.answer_when_seen(outcome);
            }
        }
    }

    /// Makes the topic in which groups are kept, if it is not there; answered as for any topic.
    pub(super) async fn make_groups(&mut self, answer: Answer<()>) {
        let new = match self.groups_topic() {
            Ok(Some(new)) => new,
            Ok(None) => return drop(answer.send(Ok(()))),
            Err(refused) => return drop(answer.send(Err(refused))),
        };
        match self.make_topic(new).await {
            Err(failure) => drop(answer.send(Err(failure))),
            Ok(topic) => {
                tracing::debug!(topic = GROUPS_TOPIC, id = %topic.topic_id, "groups are kept from now on");
                self.answer_when_seen(Outcome::MadeGroups { topic, answer });
            }
        }
    }

    /// The topic in which groups are kept; none when it is there.
    fn groups_topic(&mut self) -> Result<Option<NewTopic>, Failure> {
        let name = existing(GROUPS_TOPIC)?;
        let known = self
            .controller
            .as_ref()
            .map(|controller| controller.image().describe(&name));
        if known.flatten().is_some() {
            return Ok(None);
        }
        Ok(Some(NewTopic {
            name,
            topic_id: TopicId::new(self.random_u128()),
            partitions: GROUPS_PARTITIONS,
            replication_factor: 1,
            config: changes(GROUPS_SETTINGS)?,
        }))
    }

    /// Has the controller make a topic, if this broker has room for its part of it.
    async fn make_topic(&mut self, new: NewTopic) -> Result<CreatedTopic, Failure> {
        let (me, budget) = (self.config.broker, PartitionBudget::of(&self.config));
        let present = self.assignment();
        let created = self.govern_with(async |controller, now| {
            // Where it cannot be made anyway, the controller says why.
            if let Ok(planned) = controller.plan_topic(me, &new) {
                let checked = budget.check(&present, &planned);
                checked.map_err(|error| Governed::refused(ErrorCode::InvalidRequest, error))?;
            }
            Ok(controller.create_topic(now, new).await?)
        });
        created.await
    }

    fn new_topic(&mut self, wanted: &CreateTopicRequest) -> Result<NewTopic, Failure> {
        let name = TopicName::parse_for_user(&wanted.name)
            .map_err(|error| Failure::new(ErrorCode::InvalidTopicName, error))?;
        let pairs = wanted.settings.iter();
        let config = changes(pairs.map(|one| (one.key.as_str(), one.value.as_str())))?;
        Ok(NewTopic {
            name,
            topic_id: TopicId::new(self.random_u128()),
            partitions: wanted.partitions,
            replication_factor: replication_factor(wanted.replication_factor)?,
            config,
        })
    }

    pub(super) fn settings_of(&self, name: &TopicName) -> Vec<Setting> {
        // Who is the controller no more waits until it sees the change.
        let image = match &self.controller {
            Some(controller) => controller.image(),
            None => &self.member.sight().image,
        };
        let described = image.describe(name);
        described.map_or_else(Vec::new, |topic| settings(topic.config_entries))
    }

    /// Removes a topic. Nobody is served any of it once brokers have seen that it is deleted; its data is gone, on every
    /// broker that is there, when this is answered.
    pub(super) async fn delete_topic(&mut self, name: &str, answer: Answer<DeleteTopicResponse>) {
        let name = match users(name) {
            Ok(name) => name,
            Err(refused) => return drop(answer.send(Err(refused))),
        };
        let deleting = self
            .govern_with(async |controller, now| Ok(controller.delete_topic(now, &name).await?));
        match deleting.await {
            Err(failure) => drop(answer.send(Err(failure))),
            Ok(topic) => {
                tracing::info!(topic = %topic.name, "a topic was deleted");
                self.answer_when_seen(Outcome::Deleted { topic, answer });
            }
        }
    }

    /// Changes settings of a topic. They are durable, and in force on every broker that is there, when this is answered.
    pub(super) async fn alter_topic(
        &mut self,
        wanted: AlterTopicRequest,
        answer: Answer<AlterTopicResponse>,
    ) {
        let set = wanted.set.iter();
        let set = set.map(|one| (one.key.as_str(), one.value.as_str()));
        let unset = wanted.unset.iter().map(|key| (key.as_str(), "default"));
        let parsed = users(&wanted.name).and_then(|name| Ok((name, changes(set.chain(unset))?)));
        let (name, changes) = match parsed {
            Ok(parsed) => parsed,
            Err(refused) => return drop(answer.send(Err(refused))),
        };
        let (me, budget) = (self.config.broker, PartitionBudget::of(&self.config));
        let (mut present, partition) = (self.assignment(), wanted.partition);
        let altered = self.govern_with(async |controller, now| {
            if let Ok(planned) = controller.plan_change(me, &name, partition, &changes) {
                let changed: BTreeSet<_> = planned.iter().map(PartitionAssignment::id).collect();
                present.retain(|one| !changed.contains(&one.id()));
                let checked = budget.check(&present, &planned);
                checked.map_err(|error| Governed::refused(ErrorCode::InvalidConfig, error))?;
            }
            Ok(controller
                .alter_topic(now, &name, partition, &changes)
                .await?)
        });
        match altered.await {
            Err(failure) => drop(answer.send(Err(failure))),
            Ok((topic, _)) => self.answer_when_seen(Outcome::Altered {
                topic,
                name,
                answer,
            }),
        }
    }

    /// The partitions that this broker leads.
    fn assignment(&self) -> Vec<PartitionAssignment> {
        let image = &self.member.sight().image;
        image.assignment_of(self.config.broker, self.member.epoch)
    }

    /// Has the controller do something, if that is this broker.
    pub(super) async fn govern_with<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Controller<E::Store>, Duration) -> Result<T, Governed>,
    ) -> Result<T, Failure> {
        let now = self.surroundings.now();
        if !self.is_joined() && self.is_store_local() {
            let message = "the metadata store has failed, and nothing is changed any more: the broker's log says why; start it again";
            return Err(Failure::new(ErrorCode::StorageFailed, message));
        }
        if !self.lease.is_valid(now) {
            let message = "the broker has not reached the metadata store lately, and changes nothing until it does";
            return Err(Failure::new(ErrorCode::NotController, message));
        }
        let Some(controller) = &mut self.controller else {
            return Err(self.not_controller());
        };
        match work(controller, now).await {
            Ok(done) => Ok(done),
            Err(Governed { failure, cause }) => {
                // Brokers may be waiting for what it found when it read everything again.
                self.is_count_due = true;
                if let Some(cause) = cause {
                    self.step_down_if(&cause);
                    if matches!(cause, ControllerError::Store(_)) {
                        // Nothing was done: it may be again, when the store is there.
                        return Err(Failure::new(ErrorCode::NotController, cause));
                    }
                    if matches!(cause, ControllerError::Deposed { .. }) {
                        return Err(self.not_controller());
                    }
                }
                Err(failure)
            }
        }
    }

    fn not_controller(&self) -> Failure {
        let sight = self.member.sight();
        let incumbent = sight
            .controller
            .as_ref()
            .filter(|one| one.broker != self.config.broker);
        let message = match incumbent {
            Some(one) => format!("broker {} is the controller; ask it", one.broker.get()),
            None => "there is no controller at the moment; ask again".to_owned(),
        };
        Failure::new(ErrorCode::NotController, message)
    }

    /// Describes a topic.
    pub(super) async fn describe_topic(
        &mut self,
        name: &str,
    ) -> Result<DescribeTopicResponse, Failure> {
        let name = existing(name)?;
        let not_found = || DeleteTopicError::NotFound { name: name.clone() };
        let topic = self
            .member
            .sight()
            .image
            .describe(&name)
            .ok_or_else(not_found)?;
        let reports = self.shards.describe(Some(topic.topic_id)).await;
        let mut states: BTreeMap<_, _> = reports
            .into_iter()
            .map(|report| (report.id.partition, report.state))
            .collect();
        let brokers = &self.member.sight().brokers;
        let shards_of = |broker: BrokerId| {
            let cores = brokers.get(&broker).map(|live| live.registration.cores);
            cores
                .and_then(NonZeroU16::new)
                .unwrap_or(self.config.shards)
        };
        let partitions = topic.partitions.into_iter().map(|one| {
            let (error, message, status) = match (states.remove(&one.partition), one.leader) {
                (Some(Ok(status)), _) => match &status.failure {
                    Some(failure) => (
                        ErrorCode::StorageFailed,
                        Some(failure.to_string()),
                        Some(status),
                    ),
                    None => (ErrorCode::None, None, Some(status)),
                },
                (Some(Err(reason)), _) => (ErrorCode::StorageFailed, Some(reason), None),
                (None, Some(leader)) if leader != self.config.broker => {
                    let message = format!("broker {} leads it; ask it", leader.get());
                    (ErrorCode::NotLeader, Some(message), None)
                }
                (None, Some(_)) => (
                    ErrorCode::NotLeader,
                    Some("its log is being opened".to_owned()),
                    None,
                ),
                (None, None) => {
                    let message = "no broker that has its records is there".to_owned();
                    (ErrorCode::NotLeader, Some(message), None)
                }
            };
            DescribedPartition {
                partition: one.partition,
                error,
                message,
                state: status
                    .as_ref()
                    .map_or_else(PartitionState::default, wire_state),
                leader: one.leader,
                shard: one
                    .slot
                    .shard(one.leader.map_or(self.config.shards, shards_of)),
                replicas: one.replicas,
                isr: one.isr,
                log_end: status.as_ref().map_or(Offset::ZERO, |one| one.ends.log_end),
                size_bytes: status.as_ref().map_or(0, |one| one.size_bytes),
                segments: (status.as_ref())
                    .map_or(0, |one| u32::try_from(one.segments).unwrap_or(u32::MAX)),
                durability: status.map(|one| durability_word(one.durability).to_owned()),
                own_durability: one.durability,
                adding: one.adding,
                removing: one.removing,
            }
        });
        Ok(DescribeTopicResponse {
            name: topic.name.as_str().to_owned(),
            topic: topic.topic_id,
            partitions: partitions.collect(),
            settings: settings(topic.config_entries),
        })
    }
}

/// A durability as settings name it.
fn durability_word(durability: Durability) -> &'static str {
    match durability {
        Durability::Sync => "sync",
        Durability::Async => "async",
        Durability::Memory => "memory",
    }
}

fn wire_state(status: &PartitionStatus) -> PartitionState {
    PartitionState {
        high_watermark: status.ends.high_watermark,
        log_start: status.ends.log_start,
        leader_epoch: status.ends.leader_epoch,
    }
}
