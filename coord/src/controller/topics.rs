//! Creating, deleting and altering topics.
//!
//! **Create**: the states of the partitions are written first, under the topic's id; the write of
//! `/topics/{name}` commits. What a crash leaves before that is under an id that no topic has, and is swept.
//! Before anything is swept the fence is renewed: a commit that is still on its way must not come late and
//! make a topic whose states are gone.
//!
//! **Delete**: the mark in `/topics/{name}` commits; the topic is gone for its users. The brokers remove its
//! data, then the nodes go, `/topics/{name}` last, so that a crash anywhere leaves it on the list.

use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

use super::error::{AlterTopicError, ControllerError, CreateTopicError, DeleteTopicError};
use super::image::{Deleting, Image, Stored, Topic, children};
use super::placement::choose_slots;
use super::{Controller, CreatedTopic, DeletingTopic, PartitionAssignment};
use crate::config::{ConfigChanges, PartitionOverrides, TopicConfigs, TopicOverrides};
use crate::ids::{ChunkIndex, Slot};
use crate::limits;
use crate::paths;
use crate::records::{
    AssignmentChunk, IsrMember, PartitionState, Payload, Placement, TopicRecord, TopicState,
};
use crate::store::{MetaOp, MetadataStore, NodePath, Version};
use crate::topic_name::TopicName;

/// A topic to be created.
#[derive(Debug, Clone)]
pub struct NewTopic {
    /// Its name; [`TopicName::parse_for_user`] for one that a user gave.
    pub name: TopicName,
    /// Its id: random, and never used before.
    pub topic_id: TopicId,
    /// How many partitions.
    pub partitions: u32,
    /// How many replicas of each.
    pub replication_factor: u16,
    /// What is to differ from the defaults.
    pub config: ConfigChanges,
}

impl<S: MetadataStore> Controller<S> {
    /// Creates a topic. When this returns, it is durable.
    ///
    /// # Errors
    /// [`CreateTopicError`]. After [`ControllerError::UnknownOutcome`] the topic may or may not exist: the same
    /// call again finds out, and so does [`Controller::refresh`].
    pub async fn create_topic(&mut self, new: NewTopic) -> Result<CreatedTopic, CreateTopicError> {
        self.refresh_if_stale().await?;
        if let Some(created) = self.adopt_discovered(&new) {
            return Ok(created);
        }
        let overrides = TopicOverrides::default().changed_by(&new.config);
        self.check_new(&new)?;
        let config = TopicConfigs::resolve(&overrides, &[], new.replication_factor)?;
        let topic = self.plan(&new, overrides, config);
        let ops = creation(&topic)?;
        let commit = commit_of_creation(&topic)?;
        // What comes between leaves nodes, or a topic, that the image does not have.
        self.stale = true;
        self.fence
            .write_in_batches(&self.store, "creating the topic", ops)
            .await?;
        self.fence
            .write(&self.store, "creating the topic", vec![commit])
            .await?;
        self.stale = false;
        let created = self.created(&topic);
        self.image.topics.insert(new.name, topic);
        Ok(created)
    }

    /// The partitions that a topic would have on this broker. Nothing is written.
    ///
    /// # Errors
    /// [`CreateTopicError`], as far as it can be told without the store.
    pub fn plan_topic(&self, new: &NewTopic) -> Result<Vec<PartitionAssignment>, CreateTopicError> {
        self.check_new(new)?;
        let overrides = TopicOverrides::default().changed_by(&new.config);
        let config = TopicConfigs::resolve(&overrides, &[], new.replication_factor)?;
        Ok(self.created(&self.plan(new, overrides, config)).assignment)
    }

    /// The partitions of a topic on this broker as they would be with changes. Nothing is written.
    ///
    /// # Errors
    /// [`AlterTopicError`], as far as it can be told without the store.
    pub fn plan_change(
        &self,
        name: &TopicName,
        partition: Option<PartitionIndex>,
        changes: &ConfigChanges,
    ) -> Result<Vec<PartitionAssignment>, AlterTopicError> {
        let (_, configs) = self.altered(name, partition, changes)?;
        let assignment = self.image.assignment_of(self.broker).into_iter();
        let of_topic = assignment.filter(|one| one.topic == *name);
        let changed = of_topic.map(|one| PartitionAssignment {
            config: configs.of(one.partition),
            ..one
        });
        Ok(changed.collect())
    }

    /// A topic of an earlier call whose outcome was unknown, when it is the one that is asked for.
    fn adopt_discovered(&mut self, new: &NewTopic) -> Option<CreatedTopic> {
        let overrides = TopicOverrides::default().changed_by(&new.config);
        let topic = self.image.topics.get(&new.name)?;
        let record = &topic.record.record.body;
        if record.partitions != new.partitions || record.config != overrides {
            return None;
        }
        let index = self
            .discovered
            .iter()
            .position(|created| created.name == new.name)?;
        Some(self.discovered.remove(index))
    }

    fn check_new(&self, new: &NewTopic) -> Result<(), CreateTopicError> {
        if let Some(existing) = self.image.topics.get(&new.name) {
            return Err(CreateTopicError::AlreadyExists {
                name: new.name.clone(),
                topic_id: existing.id(),
            });
        }
        if self
            .image
            .deleting
            .values()
            .any(|deleting| deleting.name == new.name)
        {
            return Err(CreateTopicError::BeingDeleted {
                name: new.name.clone(),
            });
        }
        if new.partitions == 0 {
            return Err(CreateTopicError::NoPartitions);
        }
        let existing = self.image.partition_count();
        if new.partitions > limits::BROKER_PARTITIONS_MAX.saturating_sub(existing) {
            return Err(CreateTopicError::TooManyPartitions {
                asked: new.partitions,
                existing,
                partitions_max: limits::BROKER_PARTITIONS_MAX,
            });
        }
        if new.replication_factor != 1 {
            return Err(CreateTopicError::ReplicationFactor {
                asked: new.replication_factor,
                brokers: 1,
            });
        }
        Ok(())
    }

    fn plan(&self, new: &NewTopic, overrides: TopicOverrides, config: TopicConfigs) -> Topic {
        let mut load = self.image.slot_load(self.broker);
        let slots = choose_slots(&mut load, self.shards, new.partitions);
        let place = |slot: &Slot| Placement::settled(vec![self.broker], *slot);
        let state = |_: &Slot| Stored {
            record: Payload::new(PartitionState {
                leader: Some(self.broker),
                leader_epoch: LeaderEpoch::new(0),
                isr: vec![IsrMember {
                    id: self.broker,
                    broker_epoch: self.broker_epoch,
                }],
                elr: Vec::new(),
                min_isr: config.topic.min_isr,
                recovery: false,
                controller_epoch: self.fence.epoch,
            }),
            version: Version::FIRST,
        };
        let record = Payload::new(TopicRecord {
            topic_id: new.topic_id,
            partitions: new.partitions,
            config: overrides,
            partition_config: Vec::new(),
            state: TopicState::Active,
        });
        Topic {
            name: new.name.clone(),
            record: Stored {
                record,
                version: Version::FIRST,
            },
            placements: slots.iter().map(place).collect(),
            partitions: slots.iter().map(state).collect(),
            config,
        }
    }

    pub(super) fn created(&self, topic: &Topic) -> CreatedTopic {
        created(topic, self.broker)
    }

    /// Marks a topic as deleted, durably: it is gone for its users. Its data is to be removed, and then
    /// [`Controller::finish_delete`] called. A topic that is already being deleted is returned again.
    ///
    /// # Errors
    /// [`DeleteTopicError`].
    pub async fn delete_topic(
        &mut self,
        name: &TopicName,
    ) -> Result<DeletingTopic, DeleteTopicError> {
        self.refresh_if_stale().await?;
        if let Some((topic_id, deleting)) = self
            .image
            .deleting
            .iter()
            .find(|(_, deleting)| deleting.name == *name)
        {
            return Ok(deleting_topic(*topic_id, deleting));
        }
        let Some(topic) = self.image.topics.get(name) else {
            return Err(DeleteTopicError::NotFound { name: name.clone() });
        };
        let topic_id = topic.id();
        let mut record = topic.record.clone();
        record.record.body.state = TopicState::Deleting;
        let record = self.set_topic(name, record).await?;
        self.image.topics.remove(name);
        self.discovered.retain(|created| created.name != *name);
        let deleting = Deleting {
            name: name.clone(),
            record,
        };
        let answer = deleting_topic(topic_id, &deleting);
        self.image.deleting.insert(topic_id, deleting);
        Ok(answer)
    }

    /// Removes the nodes of a topic whose data is gone; nothing for a topic that is not being deleted.
    ///
    /// # Errors
    /// [`ControllerError`]; the topic is still on the list then.
    pub async fn finish_delete(&mut self, topic_id: TopicId) -> Result<(), ControllerError> {
        self.refresh_if_stale().await?;
        let Some(deleting) = self.image.deleting.get(&topic_id) else {
            return Ok(());
        };
        let last = MetaOp::Delete {
            path: paths::topic(&deleting.name),
            version: Some(deleting.record.version),
        };
        let mut ops = removal(&self.store, topic_id).await?;
        ops.push(last);
        self.stale = true;
        self.fence
            .write_in_batches(&self.store, "finishing the deletion", ops)
            .await?;
        self.stale = false;
        self.image.deleting.remove(&topic_id);
        Ok(())
    }

    /// Changes settings of a topic, or of one of its partitions, durably, and returns those that it has then.
    ///
    /// # Errors
    /// [`AlterTopicError`].
    pub async fn alter_topic(
        &mut self,
        name: &TopicName,
        partition: Option<PartitionIndex>,
        changes: &ConfigChanges,
    ) -> Result<(TopicId, TopicConfigs), AlterTopicError> {
        self.refresh_if_stale().await?;
        let (record, config) = self.altered(name, partition, changes)?;
        let topic_id = record.record.body.topic_id;
        let is_same = |topic: &Topic| topic.record.record == record.record;
        if self.image.topics.get(name).is_some_and(is_same) {
            return Ok((topic_id, config));
        }
        let record = self.set_topic(name, record).await?;
        if let Some(topic) = self.image.topics.get_mut(name) {
            topic.record = record;
            topic.config = config.clone();
        }
        Ok((topic_id, config))
    }

    /// What a topic would be with changes.
    fn altered(
        &self,
        name: &TopicName,
        partition: Option<PartitionIndex>,
        changes: &ConfigChanges,
    ) -> Result<(Stored<TopicRecord>, TopicConfigs), AlterTopicError> {
        let Some(topic) = self.image.topics.get(name) else {
            return Err(AlterTopicError::NotFound { name: name.clone() });
        };
        let mut altered = topic.record.clone();
        let record = &mut altered.record.body;
        match partition {
            None => record.config = record.config.changed_by(changes),
            Some(partition) if partition.get() < record.partitions => {
                record.partition_config =
                    PartitionOverrides::changed_by(&record.partition_config, partition, changes)?;
            }
            Some(partition) => {
                return Err(AlterTopicError::NoSuchPartition {
                    name: name.clone(),
                    partition,
                    partitions: record.partitions,
                });
            }
        }
        let replicas = topic.replicas();
        let configs = TopicConfigs::resolve(&record.config, &record.partition_config, replicas)?;
        Ok((altered, configs))
    }

    /// Writes `/topics/{name}` and returns it at its new version.
    async fn set_topic(
        &mut self,
        name: &TopicName,
        stored: Stored<TopicRecord>,
    ) -> Result<Stored<TopicRecord>, ControllerError> {
        let path = paths::topic(name);
        let op = MetaOp::Set {
            data: stored.record.encode(&path)?,
            path,
            version: Some(stored.version),
        };
        self.stale = true;
        self.fence
            .write(&self.store, "changing the topic", vec![op])
            .await?;
        self.stale = false;
        Ok(Stored {
            version: stored.version.next(),
            ..stored
        })
    }

    /// Reads everything again, sweeps what was half created, and notes topics that turned out to exist
    /// ([`Controller::take_discovered`]). Called by itself after a write that failed or may have.
    ///
    /// # Errors
    /// [`ControllerError`]; the next operation tries again.
    pub async fn refresh(&mut self) -> Result<(), ControllerError> {
        self.stale = true;
        self.fence.renew(&self.store).await?;
        let image = Image::load(&self.store).await?;
        let old = std::mem::replace(&mut self.image, image);
        self.discovered
            .retain(|created| self.image.topics.contains_key(&created.name));
        for topic in self.image.topics.values() {
            if old
                .topics
                .get(&topic.name)
                .is_none_or(|known| known.id() != topic.id())
            {
                self.discovered.push(created(topic, self.broker));
            }
        }
        self.sweep_orphans().await?;
        self.stale = false;
        Ok(())
    }

    async fn refresh_if_stale(&mut self) -> Result<(), ControllerError> {
        if self.stale {
            self.refresh().await
        } else {
            Ok(())
        }
    }

    /// Removes what lies under ids that no topic has.
    pub(super) async fn sweep_orphans(&mut self) -> Result<(), ControllerError> {
        for child in children(&self.store, &paths::topic_roots()).await? {
            let Ok(topic_id) = child.parse::<TopicId>() else {
                tracing::warn!(node = %child, "a node under /t is not the id of a topic, left alone");
                continue;
            };
            if !self.image.is_known(topic_id) {
                tracing::info!(topic_id = %topic_id, "removing what is left of a topic that was never created");
                let ops = removal(&self.store, topic_id).await?;
                self.fence
                    .write_in_batches(&self.store, "sweeping", ops)
                    .await?;
            }
        }
        Ok(())
    }
}

fn created(topic: &Topic, broker: BrokerId) -> CreatedTopic {
    CreatedTopic {
        name: topic.name.clone(),
        topic_id: topic.id(),
        config: topic.config.topic,
        assignment: topic.assignment_of(broker).collect(),
    }
}

pub(super) fn deleting_topic(topic_id: TopicId, deleting: &Deleting) -> DeletingTopic {
    DeletingTopic {
        name: deleting.name.clone(),
        topic_id,
        partitions: deleting.record.record.body.partitions,
    }
}

/// Everything of a new topic but its commit.
fn creation(topic: &Topic) -> Result<Vec<MetaOp>, ControllerError> {
    let topic_id = topic.id();
    let holder = |path: NodePath| MetaOp::Create {
        path,
        data: Vec::new(),
    };
    let mut ops = vec![
        holder(paths::topic_root(topic_id)),
        holder(paths::assignments(topic_id)),
        holder(paths::partition_states(topic_id)),
    ];
    let mut placements = topic.placements.iter().cloned();
    for chunk in 0..topic
        .record
        .record
        .body
        .partitions
        .div_ceil(limits::CHUNK_PARTITIONS)
    {
        let path = paths::assignment(topic_id, ChunkIndex::new(chunk));
        let chunk_len = usize::try_from(limits::CHUNK_PARTITIONS).unwrap_or(usize::MAX);
        let record = Payload::new(AssignmentChunk {
            partitions: placements.by_ref().take(chunk_len).collect(),
        });
        ops.push(MetaOp::Create {
            data: record.encode(&path)?,
            path,
        });
    }
    for (partition, _, stored) in topic.rows() {
        let path = paths::partition_state(topic_id, partition);
        ops.push(MetaOp::Create {
            data: stored.record.encode(&path)?,
            path,
        });
    }
    Ok(ops)
}

/// What makes a new topic exist.
fn commit_of_creation(topic: &Topic) -> Result<MetaOp, ControllerError> {
    let path = paths::topic(&topic.name);
    Ok(MetaOp::Create {
        data: topic.record.record.encode(&path)?,
        path,
    })
}

/// Removes whatever there is of a topic under its id, leaves first.
async fn removal<S: MetadataStore>(
    store: &S,
    topic_id: TopicId,
) -> Result<Vec<MetaOp>, ControllerError> {
    let root = paths::topic_root(topic_id);
    let mut ops = Vec::new();
    let delete = |path| MetaOp::Delete {
        path,
        version: None,
    };
    for holder in children(store, &root).await? {
        let holder = root.join(holder);
        for leaf in children(store, &holder).await? {
            ops.push(delete(holder.join(leaf)));
        }
        ops.push(delete(holder));
    }
    if store
        .read(&root)
        .await
        .map_err(ControllerError::from)?
        .is_some()
    {
        ops.push(delete(root));
    }
    Ok(ops)
}
