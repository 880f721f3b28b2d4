//! What the controller knows: the topics of the metadata store as it last read or wrote them.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};
use serde::de::DeserializeOwned;

use super::error::ControllerError;
use super::placement::SlotLoad;
use super::{PartitionAssignment, PartitionDescription};
use crate::config::TopicConfigs;
use crate::ids::ChunkIndex;
use crate::limits;
use crate::paths;
use crate::records::{
    AssignmentChunk, PartitionState, Payload, Placement, TopicRecord, TopicState,
};
use crate::store::{MetadataStore, NodePath, Version};
use crate::topic_name::TopicName;

/// A record and the version of its node.
#[derive(Debug, Clone)]
pub(super) struct Stored<T> {
    pub(super) record: Payload<T>,
    pub(super) version: Version,
}

/// A topic in use.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) name: TopicName,
    pub(super) record: Stored<TopicRecord>,
    pub(super) placements: Vec<Placement>,
    pub(super) partitions: Vec<Stored<PartitionState>>,
    pub(super) config: TopicConfigs,
}

/// A topic whose deletion is not finished.
#[derive(Debug, Clone)]
pub(super) struct Deleting {
    pub(super) name: TopicName,
    pub(super) record: Stored<TopicRecord>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    pub(super) topics: BTreeMap<TopicName, Topic>,
    pub(super) deleting: BTreeMap<TopicId, Deleting>,
}

impl Image {
    /// Reads all topics.
    pub(super) async fn load<S: MetadataStore>(store: &S) -> Result<Self, ControllerError> {
        let mut image = Self::default();
        let names = children(store, &paths::topics()).await?;
        let mut found = stream::iter(names)
            .map(async |child| load_topic(store, &child).await)
            .buffered(limits::TOPICS_IN_FLIGHT_MAX);
        while let Some(found) = found.try_next().await? {
            match found {
                Found::Active(topic) => {
                    image.topics.insert(topic.name.clone(), topic);
                }
                Found::Deleting(deleting) => {
                    let topic_id = deleting.record.record.body.topic_id;
                    image.deleting.insert(topic_id, deleting);
                }
                Found::Nothing => {}
            }
        }
        Ok(image)
    }

    /// Partitions that exist, those being deleted included: their data still takes a place.
    pub(super) fn partition_count(&self) -> u32 {
        let active = self
            .topics
            .values()
            .map(|topic| topic.record.record.body.partitions);
        let deleting = self
            .deleting
            .values()
            .map(|topic| topic.record.record.body.partitions);
        active.chain(deleting).fold(0, u32::saturating_add)
    }

    pub(super) fn slot_load(&self, broker: BrokerId) -> SlotLoad {
        let mut load = SlotLoad::empty();
        for placement in self.topics.values().flat_map(|topic| &topic.placements) {
            if placement.replicas.contains(&broker) {
                load.add(placement.slot);
            }
        }
        load
    }

    pub(super) fn is_known(&self, topic: TopicId) -> bool {
        self.deleting.contains_key(&topic) || self.topics.values().any(|known| known.id() == topic)
    }

    pub(super) fn assignment_of(&self, broker: BrokerId) -> Vec<PartitionAssignment> {
        self.topics
            .values()
            .flat_map(|topic| topic.assignment_of(broker))
            .collect()
    }
}

enum Found {
    Active(Topic),
    Deleting(Deleting),
    /// The deletion was finished while the names were read.
    Nothing,
}

async fn load_topic<S: MetadataStore>(store: &S, name: &str) -> Result<Found, ControllerError> {
    let name = TopicName::parse(name)
        .map_err(|error| ControllerError::inconsistent(&paths::topics(), error.to_string()))?;
    let Some(record) = read::<TopicRecord, S>(store, &paths::topic(&name)).await? else {
        return Ok(Found::Nothing);
    };
    Ok(match record.record.body.state {
        TopicState::Active => Found::Active(Topic::load(store, name, record).await?),
        TopicState::Deleting => Found::Deleting(Deleting { name, record }),
    })
}

impl Topic {
    async fn load<S: MetadataStore>(
        store: &S,
        name: TopicName,
        record: Stored<TopicRecord>,
    ) -> Result<Self, ControllerError> {
        let TopicRecord {
            topic_id,
            partitions,
            ref config,
            ref partition_config,
            ..
        } = record.record.body;
        let chunk_count = partitions.div_ceil(limits::CHUNK_PARTITIONS);
        let mut placements = Vec::new();
        for chunk in 0..chunk_count {
            let path = paths::assignment(topic_id, ChunkIndex::new(chunk));
            let chunk: Stored<AssignmentChunk> = require(store, &path).await?;
            placements.extend(chunk.record.body.partitions);
        }
        if u32::try_from(placements.len()) != Ok(partitions) {
            let reason = format!("places {} partitions of {partitions}", placements.len());
            return Err(ControllerError::inconsistent(
                &paths::assignments(topic_id),
                reason,
            ));
        }
        let states: Vec<Stored<PartitionState>> = stream::iter(0..partitions)
            .map(async |partition| {
                let path = paths::partition_state(topic_id, PartitionIndex::new(partition));
                require(store, &path).await
            })
            .buffered(limits::STATES_IN_FLIGHT_MAX)
            .try_collect()
            .await?;
        let replicas = replica_count(&placements);
        let config =
            TopicConfigs::resolve(config, partition_config, replicas).map_err(|error| {
                ControllerError::inconsistent(&paths::topic(&name), error.to_string())
            })?;
        Ok(Self {
            name,
            record,
            placements,
            partitions: states,
            config,
        })
    }

    pub(super) fn id(&self) -> TopicId {
        self.record.record.body.topic_id
    }

    pub(super) fn replicas(&self) -> u16 {
        replica_count(&self.placements)
    }

    /// The partitions with their indices, placements and states.
    pub(super) fn rows(
        &self,
    ) -> impl Iterator<Item = (PartitionIndex, &Placement, &Stored<PartitionState>)> {
        let indices = (0..self.record.record.body.partitions).map(PartitionIndex::new);
        let rows = indices.zip(&self.placements).zip(&self.partitions);
        rows.map(|((index, placement), state)| (index, placement, state))
    }

    pub(super) fn assignment_of(
        &self,
        broker: BrokerId,
    ) -> impl Iterator<Item = PartitionAssignment> {
        let led = self
            .rows()
            .filter(move |(_, _, state)| state.record.body.leader == Some(broker));
        led.map(|(partition, placement, state)| PartitionAssignment {
            topic: self.name.clone(),
            topic_id: self.id(),
            partition,
            slot: placement.slot,
            leader_epoch: state.record.body.leader_epoch,
            partition_epoch: state.version,
            config: self.config.of(partition),
        })
    }

    pub(super) fn describe_partitions(&self) -> Vec<PartitionDescription> {
        let described = |(partition, placement, state): (
            PartitionIndex,
            &Placement,
            &Stored<PartitionState>,
        )| {
            let state_body = &state.record.body;
            let overrides = &self.record.record.body.partition_config;
            let own = overrides
                .iter()
                .find(|one| one.partition == partition.get());
            PartitionDescription {
                partition,
                durability: own.and_then(|one| one.durability()).map(str::to_owned),
                leader: state_body.leader,
                leader_epoch: state_body.leader_epoch,
                partition_epoch: state.version,
                replicas: placement.replicas.clone(),
                isr: state_body.isr.iter().map(|member| member.id).collect(),
                slot: placement.slot,
            }
        };
        self.rows().map(described).collect()
    }
}

fn replica_count(placements: &[Placement]) -> u16 {
    let count = placements
        .iter()
        .map(|placement| placement.replicas.len())
        .min()
        .unwrap_or(0);
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// The epoch after this one.
pub(super) fn next_epoch(
    path: &NodePath,
    epoch: LeaderEpoch,
) -> Result<LeaderEpoch, ControllerError> {
    // A record batch holds the epoch in 31 bits.
    let next = epoch
        .get()
        .checked_add(1)
        .filter(|next| i32::try_from(*next).is_ok())
        .map(LeaderEpoch::new);
    next.ok_or_else(|| {
        ControllerError::inconsistent(path, "the leader epoch cannot be raised any more")
    })
}

pub(super) async fn read<T: DeserializeOwned, S: MetadataStore>(
    store: &S,
    path: &NodePath,
) -> Result<Option<Stored<T>>, ControllerError> {
    let Some(node) = store.read(path).await? else {
        return Ok(None);
    };
    Ok(Some(Stored {
        record: Payload::decode(path, &node.data)?,
        version: node.stat.version,
    }))
}

async fn require<T: DeserializeOwned, S: MetadataStore>(
    store: &S,
    path: &NodePath,
) -> Result<Stored<T>, ControllerError> {
    let stored = read(store, path).await?;
    stored.ok_or_else(|| ControllerError::inconsistent(path, "it does not exist"))
}

/// The children of a node; none when it does not exist.
pub(super) async fn children<S: MetadataStore>(
    store: &S,
    path: &NodePath,
) -> Result<Vec<String>, ControllerError> {
    Ok(store.children(path).await?.unwrap_or_default())
}
