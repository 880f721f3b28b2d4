//! Topics: made, removed, changed, described.

use std::collections::{BTreeMap, BTreeSet};

use ringlog_coord::config::{ConfigChanges, ConfigEntry};
use ringlog_coord::controller::{
    AlterTopicError, ControllerError, CreateTopicError, DeleteTopicError, NewTopic,
    PartitionAssignment,
};
use ringlog_coord::groups::GROUPS_TOPIC;
use ringlog_coord::limits::GROUPS_PARTITIONS;
use ringlog_coord::store::MetadataStore;
use ringlog_coord::topic_name::TopicName;
use ringlog_log::Durability;
use ringlog_record::{Offset, TopicId};
use ringlog_replication::PartitionStatus;
use ringlog_wire::{
    AlterTopicRequest, AlterTopicResponse, CreateTopicRequest, CreateTopicResponse,
    DeleteTopicResponse, DescribeTopicResponse, DescribedPartition, ErrorCode, PartitionState,
    Setting,
};

use super::{BrokerError, Serving};
use crate::failure::Failure;
use crate::shard::command::DirectoryCommand;

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

/// The name of a topic that must be there.
fn existing(name: &str) -> Result<TopicName, Failure> {
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

impl<S: MetadataStore> Serving<S> {
    /// Makes a topic. It is durable, and can be produced to through every shard, when this returns.
    pub(super) async fn create_topic(
        &mut self,
        wanted: CreateTopicRequest,
    ) -> Result<CreateTopicResponse, Failure> {
        let name = TopicName::parse_for_user(&wanted.name)
            .map_err(|error| Failure::new(ErrorCode::InvalidTopicName, error))?;
        let pairs = wanted.settings.iter();
        let config = changes(pairs.map(|one| (one.key.as_str(), one.value.as_str())))?;
        self.make_topic(name, wanted.partitions, config).await
    }

    /// Makes the topic in which groups are kept, if it is not there.
    pub(super) async fn make_groups(&mut self) -> Result<(), Failure> {
        let name = existing(GROUPS_TOPIC)?;
        if self.controller.describe(&name).is_some() {
            return Ok(());
        }
        let config = changes(GROUPS_SETTINGS)?;
        let made = self.make_topic(name, GROUPS_PARTITIONS, config).await?;
        tracing::debug!(topic = GROUPS_TOPIC, id = %made.topic, "groups are kept from now on");
        Ok(())
    }

    async fn make_topic(
        &mut self,
        name: TopicName,
        partitions: u32,
        config: ConfigChanges,
    ) -> Result<CreateTopicResponse, Failure> {
        let new = NewTopic {
            name: name.clone(),
            topic_id: TopicId::new(self.random_u128()),
            partitions,
            replication_factor: 1,
            config,
        };
        if let Ok(planned) = self.controller.plan_topic(&new) {
            // Where it cannot be made anyway, the controller says why.
            let present = self.controller.assignment();
            let checked = self.budget.check(&present, &planned);
            checked.map_err(|error| Failure::new(ErrorCode::InvalidRequest, error))?;
        }
        let created = self.controller.create_topic(new).await;
        self.serve_discovered().await?;
        let created = created?;
        let failed = self.open(created.assignment).await?;
        self.publish().await;
        if let Some((id, reason)) = failed.first() {
            let message = format!(
                "the topic {name} is there, but its partition {} is offline: {reason}",
                id.partition
            );
            return Err(Failure::new(ErrorCode::StorageFailed, message));
        }
        tracing::info!(topic = %name, partitions, "a topic was created");
        Ok(CreateTopicResponse {
            topic: created.topic_id,
            partitions,
            settings: self.settings_of(&name),
        })
    }

    /// Serves topics of earlier requests whose outcome was unknown and which turned out to be there.
    async fn serve_discovered(&mut self) -> Result<(), Failure> {
        let discovered = self.controller.take_discovered();
        if discovered.is_empty() {
            return Ok(());
        }
        for topic in discovered {
            self.open(topic.assignment).await?;
        }
        self.publish().await;
        Ok(())
    }

    fn settings_of(&self, name: &TopicName) -> Vec<Setting> {
        let described = self.controller.describe(name);
        described.map_or_else(Vec::new, |topic| settings(topic.config_entries))
    }

    /// Removes a topic. Nobody is served any of it from the moment that this is durable; its data is gone when this
    /// returns.
    pub(super) async fn delete_topic(
        &mut self,
        name: &str,
    ) -> Result<DeleteTopicResponse, Failure> {
        let deleting = self.controller.delete_topic(&users(name)?).await;
        self.serve_discovered().await?;
        let deleting = deleting?;
        self.publish().await;
        let topic = deleting.topic_id;
        let removed = async {
            self.shards
                .delete(topic)
                .await
                .map_err(BrokerError::Directory)?;
            let remove = DirectoryCommand::RemoveTopic(topic);
            self.shards.directory(remove).await
        };
        removed.await.map_err(|error| {
            let message = format!(
                "the topic {name} is deleted, but its data is not removed yet: {error}; the next start of the broker tries again"
            );
            Failure::new(ErrorCode::StorageFailed, message)
        })?;
        self.controller.finish_delete(topic).await?;
        tracing::info!(topic = name, "a topic was deleted");
        Ok(DeleteTopicResponse { topic })
    }

    /// Changes settings of a topic, or of one of its partitions. They are durable when this returns, and in force, but for
    /// the durability of partitions that hold records which keep them from it.
    pub(super) async fn alter_topic(
        &mut self,
        wanted: AlterTopicRequest,
    ) -> Result<AlterTopicResponse, Failure> {
        let name = users(&wanted.name)?;
        let set = wanted.set.iter();
        let set = set.map(|one| (one.key.as_str(), one.value.as_str()));
        let unset = wanted.unset.iter().map(|key| (key.as_str(), "default"));
        let changes = changes(set.chain(unset))?;
        let partition = wanted.partition;
        if let Ok(planned) = self.controller.plan_change(&name, partition, &changes) {
            let mut present = self.controller.assignment();
            let changed: BTreeSet<_> = planned.iter().map(PartitionAssignment::id).collect();
            present.retain(|one| !changed.contains(&one.id()));
            let checked = self.budget.check(&present, &planned);
            checked.map_err(|error| Failure::new(ErrorCode::InvalidConfig, error))?;
        }
        let altered = self.controller.alter_topic(&name, partition, &changes);
        let altered = altered.await;
        self.serve_discovered().await?;
        let (topic, configs) = altered?;
        let pending = self.shards.set_config(topic, &configs).await;
        Ok(AlterTopicResponse {
            topic,
            settings: self.settings_of(&name),
            pending,
        })
    }

    /// Describes a topic.
    pub(super) async fn describe_topic(
        &mut self,
        name: &str,
    ) -> Result<DescribeTopicResponse, Failure> {
        let name = existing(name)?;
        let not_found = || DeleteTopicError::NotFound { name: name.clone() };
        let topic = self.controller.describe(&name).ok_or_else(not_found)?;
        let reports = self.shards.describe(Some(topic.topic_id)).await;
        let mut states: BTreeMap<_, _> = reports
            .into_iter()
            .map(|report| (report.id.partition, report.state))
            .collect();
        let partitions = topic.partitions.into_iter().map(|one| {
            let missing = || Err("no shard has it open".to_owned());
            let state = states.remove(&one.partition).unwrap_or_else(missing);
            let failure = match &state {
                Ok(status) => status.failure.as_ref().map(ToString::to_string),
                Err(reason) => Some(reason.clone()),
            };
            let status = state.ok();
            DescribedPartition {
                partition: one.partition,
                error: if failure.is_some() {
                    ErrorCode::StorageFailed
                } else {
                    ErrorCode::None
                },
                message: failure,
                state: status
                    .as_ref()
                    .map_or_else(PartitionState::default, wire_state),
                leader: one.leader,
                shard: one.slot.shard(self.shard_count),
                replicas: one.replicas,
                isr: one.isr,
                log_end: status.as_ref().map_or(Offset::ZERO, |one| one.ends.log_end),
                size_bytes: status.as_ref().map_or(0, |one| one.size_bytes),
                segments: (status.as_ref())
                    .map_or(0, |one| u32::try_from(one.segments).unwrap_or(u32::MAX)),
                durability: status.map(|one| durability_word(one.durability).to_owned()),
                own_durability: one.durability,
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
