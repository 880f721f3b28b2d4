//! Topics: how one is made, changed and removed, as operations on nodes. Pure but for [`removal`].
//!
//! A topic exists from the moment that `/topics/{name}` does, which is written last; it is gone for its users from the
//! moment that `/topics/{name}` says `deleting`, and its name is free when that is removed, last again.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

use super::election::Standing;
use super::error::{AlterTopicError, ControllerError, CreateTopicError};
use super::image::{Image, Stored, Topic, children};
use super::machine::Op;
use super::placement::{Candidate, place};
use crate::config::{ConfigChanges, PartitionOverrides, TopicConfig, TopicConfigs, TopicOverrides};
use crate::ids::{ChunkIndex, ControllerEpoch};
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

/// A topic that exists since this call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its name.
    pub name: TopicName,
    /// Its id.
    pub topic_id: TopicId,
    /// Its settings.
    pub config: TopicConfig,
}

/// A new topic, placed on the brokers that are there; or why it cannot be.
pub(super) fn plan(
    image: &Image,
    standing: Standing<'_>,
    epoch: ControllerEpoch,
    new: &NewTopic,
) -> Result<Topic, CreateTopicError> {
    let candidates = candidates(standing);
    check_new(image, candidates.len(), new)?;
    let overrides = TopicOverrides::default().changed_by(&new.config);
    let config = TopicConfigs::resolve(&overrides, &[], new.replication_factor)?;
    let placements = place(
        &candidates,
        image.placements(),
        new.partitions,
        new.replication_factor,
    );
    let member = |broker: &BrokerId| {
        let live = standing.live.get(broker)?;
        Some(IsrMember {
            id: *broker,
            broker_epoch: live.epoch,
        })
    };
    let state = |placement: &Placement| Stored {
        record: Payload::new(PartitionState {
            leader: placement.replicas.first().copied(),
            leader_epoch: LeaderEpoch::new(0),
            isr: placement.replicas.iter().filter_map(member).collect(),
            elr: Vec::new(),
            min_isr: config.topic.min_isr,
            recovery: false,
            controller_epoch: epoch,
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
    let chunk = |_| Stored {
        record: Payload::new(AssignmentChunk {
            partitions: Vec::new(),
        }),
        version: Version::FIRST,
    };
    Ok(Topic {
        name: new.name.clone(),
        record: Stored {
            record,
            version: Version::FIRST,
        },
        chunks: ChunkIndex::all(new.partitions).map(chunk).collect(),
        partitions: placements.iter().map(state).collect(),
        placements,
        config,
    })
}

/// The brokers that partitions may be placed on.
fn candidates(standing: Standing<'_>) -> Vec<Candidate> {
    let active = standing
        .live
        .iter()
        .filter(|(broker, _)| standing.may_lead(**broker));
    let candidate = |(broker, live): (&BrokerId, &super::machine::LiveBroker)| Candidate {
        broker: *broker,
        cores: NonZeroU16::new(live.registration.cores).unwrap_or(NonZeroU16::MIN),
        rack: live.registration.rack.clone(),
    };
    active.map(candidate).collect()
}

fn check_new(image: &Image, brokers: usize, new: &NewTopic) -> Result<(), CreateTopicError> {
    if let Some(existing) = image.topics.get(&new.name) {
        return Err(CreateTopicError::AlreadyExists {
            name: new.name.clone(),
            topic_id: existing.id(),
        });
    }
    if let Some(deleting) = image
        .deleting
        .values()
        .find(|deleting| deleting.name == new.name)
    {
        return Err(CreateTopicError::BeingDeleted {
            name: new.name.clone(),
            brokers: deleting.brokers.iter().copied().collect(),
        });
    }
    if new.partitions == 0 {
        return Err(CreateTopicError::NoPartitions);
    }
    let brokers = u16::try_from(brokers).unwrap_or(u16::MAX);
    let replicas_max = brokers.min(limits::REPLICAS_MAX);
    if new.replication_factor == 0 || new.replication_factor > replicas_max {
        return Err(CreateTopicError::ReplicationFactor {
            asked: new.replication_factor,
            brokers,
        });
    }
    let existing = image.replica_count();
    let partitions_max = limits::BROKER_PARTITIONS_MAX.saturating_mul(brokers.into());
    let asked = new.partitions.saturating_mul(new.replication_factor.into());
    if asked > partitions_max.saturating_sub(existing) {
        return Err(CreateTopicError::TooManyPartitions {
            asked: new.partitions,
            existing,
            partitions_max,
        });
    }
    Ok(())
}

/// A topic of an earlier call whose outcome was unknown, when it is the one that is asked for.
pub(super) fn adopt(
    image: &Image,
    unsettled: &mut BTreeMap<TopicName, TopicId>,
    new: &NewTopic,
) -> Option<CreatedTopic> {
    let overrides = TopicOverrides::default().changed_by(&new.config);
    let topic = image.topics.get(&new.name)?;
    let record = &topic.record.record.body;
    let is_it = unsettled.get(&new.name) == Some(&topic.id())
        && record.partitions == new.partitions
        && topic.replicas() == new.replication_factor
        && record.config == overrides;
    is_it.then(|| {
        unsettled.remove(&new.name);
        created(topic)
    })
}

pub(super) fn created(topic: &Topic) -> CreatedTopic {
    CreatedTopic {
        name: topic.name.clone(),
        topic_id: topic.id(),
        config: topic.config.topic,
    }
}

/// What a topic would be with changes, to it or to one of its partitions.
pub(super) fn altered(
    image: &Image,
    name: &TopicName,
    partition: Option<PartitionIndex>,
    changes: &ConfigChanges,
) -> Result<(Stored<TopicRecord>, TopicConfigs), AlterTopicError> {
    let Some(topic) = image.topics.get(name) else {
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

/// The write of `/topics/{name}`, and the record at its new version.
pub(super) fn set_topic(
    name: &TopicName,
    stored: Stored<TopicRecord>,
) -> Result<(Op, Stored<TopicRecord>), ControllerError> {
    let path = paths::topic(name);
    let op = MetaOp::Set {
        data: stored.record.encode(&path)?,
        path,
        version: Some(stored.version),
    };
    let stored = Stored {
        version: stored.version.next(),
        ..stored
    };
    Ok((
        Op {
            op,
            about: Some(name.clone()),
        },
        stored,
    ))
}

/// Everything of a new topic but its commit.
pub(super) fn creation(topic: &Topic) -> Result<Vec<Op>, ControllerError> {
    let topic_id = topic.id();
    let create = |path: NodePath, data| Op {
        op: MetaOp::Create { path, data },
        about: None,
    };
    let mut ops = vec![
        create(paths::topic_root(topic_id), Vec::new()),
        create(paths::assignments(topic_id), Vec::new()),
        create(paths::partition_states(topic_id), Vec::new()),
    ];
    let chunk_len = usize::try_from(limits::CHUNK_PARTITIONS).unwrap_or(usize::MAX);
    for (chunk, placements) in (0..).zip(topic.placements.chunks(chunk_len)) {
        let path = paths::assignment(topic_id, ChunkIndex::new(chunk));
        let record = Payload::new(AssignmentChunk {
            partitions: placements.to_vec(),
        });
        let data = record.encode(&path)?;
        ops.push(create(path, data));
    }
    for (partition, _, stored) in topic.rows() {
        let path = paths::partition_state(topic_id, partition);
        let data = stored.record.encode(&path)?;
        ops.push(create(path, data));
    }
    Ok(ops)
}

/// What makes a new topic exist.
pub(super) fn commit_of_creation(topic: &Topic) -> Result<Op, ControllerError> {
    let path = paths::topic(&topic.name);
    let data = topic.record.record.encode(&path)?;
    Ok(Op {
        op: MetaOp::Create { path, data },
        about: Some(topic.name.clone()),
    })
}

/// Removes whatever there is of a topic under its id, leaves first.
pub(super) async fn removal<S: MetadataStore>(
    store: &S,
    topic_id: TopicId,
) -> Result<Vec<Op>, ControllerError> {
    let root = paths::topic_root(topic_id);
    let mut ops = Vec::new();
    let delete = |path| Op {
        op: MetaOp::Delete {
            path,
            version: None,
        },
        about: None,
    };
    for holder in children(store, &root).await? {
        let holder = root.join(holder);
        for leaf in children(store, &holder).await? {
            ops.push(delete(holder.join(leaf)));
        }
        ops.push(delete(holder));
    }
    if store.read(&root).await?.is_some() {
        ops.push(delete(root));
    }
    Ok(ops)
}
