//! What the controller knows: the topics of the metadata store as it last read or wrote them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};
use serde::de::DeserializeOwned;

use super::error::ControllerError;
use super::{
    DeletingTopic, PartitionAssignment, PartitionDescription, TopicDescription, TopicSummary,
};
use crate::config::TopicConfigs;
use crate::ids::{BrokerEpoch, ChunkIndex};
use crate::limits;
use crate::paths;
use crate::records::{
    AssignmentChunk, BrokerLife, BrokerState, IsrMember, PartitionState, Payload, Placement,
    TopicRecord, TopicState,
};
use crate::store::{MetadataStore, NodePath, Version};
use crate::topic_name::TopicName;

/// A record and the version of its node.
#[derive(Debug, Clone)]
pub(crate) struct Stored<T> {
    pub(crate) record: Payload<T>,
    pub(crate) version: Version,
}

/// A topic in use.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) name: TopicName,
    pub(super) record: Stored<TopicRecord>,
    pub(super) placements: Vec<Placement>,
    /// The nodes that the placements are in, without them.
    pub(super) chunks: Vec<Stored<AssignmentChunk>>,
    pub(super) partitions: Vec<Stored<PartitionState>>,
    pub(super) config: TopicConfigs,
}

/// A topic whose deletion is not finished.
#[derive(Debug, Clone)]
pub(super) struct Deleting {
    pub(super) name: TopicName,
    pub(super) record: Stored<TopicRecord>,
    /// Brokers that may still have data of it.
    pub(super) brokers: BTreeSet<BrokerId>,
}

/// What the metadata store says about topics, and about brokers that were ever there.
#[derive(Debug, Clone, Default)]
pub struct Image {
    pub(super) topics: BTreeMap<TopicName, Topic>,
    pub(super) deleting: BTreeMap<TopicId, Deleting>,
    pub(super) states: BTreeMap<BrokerId, Stored<BrokerState>>,
}

impl Image {
    /// Reads everything.
    ///
    /// # Errors
    /// [`ControllerError`] when the store cannot be read, or holds what cannot be understood.
    pub async fn load<S: MetadataStore>(store: &S) -> Result<Self, ControllerError> {
        let mut image = Self::default();
        image.reload_states(store).await?;
        let names = children(store, &paths::topics()).await?;
        let mut found = stream::iter(names)
            .map(async |child| load_topic(store, &child).await)
            .buffered(limits::TOPICS_IN_FLIGHT_MAX);
        while let Some(found) = found.try_next().await? {
            image.put(found);
        }
        Ok(image)
    }

    /// Reads one topic again, by its name.
    pub(crate) async fn reload<S: MetadataStore>(
        &mut self,
        store: &S,
        name: &str,
    ) -> Result<(), ControllerError> {
        let found = load_topic(store, name).await?;
        self.topics.retain(|known, _| known.as_str() != name);
        self.deleting.retain(|_, known| known.name.as_str() != name);
        self.put(found);
        Ok(())
    }

    /// Reads the states of the brokers again.
    pub(crate) async fn reload_states<S: MetadataStore>(
        &mut self,
        store: &S,
    ) -> Result<(), ControllerError> {
        let mut states = BTreeMap::new();
        for name in children(store, &paths::broker_states()).await? {
            let broker = broker_named(&paths::broker_states(), &name)?;
            if let Some(state) = read(store, &paths::broker_state(broker)).await? {
                states.insert(broker, state);
            }
        }
        self.states = states;
        Ok(())
    }

    fn put(&mut self, found: Found) {
        match found {
            Found::Active(topic) => {
                self.topics.insert(topic.name.clone(), topic);
            }
            Found::Deleting(deleting) => {
                let topic_id = deleting.record.record.body.topic_id;
                self.deleting.insert(topic_id, deleting);
            }
            Found::Nothing => {}
        }
    }

    /// Every topic in use, by name.
    #[must_use]
    pub fn list(&self) -> Vec<TopicSummary> {
        let summary = |topic: &Topic| TopicSummary {
            name: topic.name.clone(),
            topic_id: topic.id(),
            partitions: topic.record.record.body.partitions,
            replication_factor: topic.replicas(),
        };
        self.topics.values().map(summary).collect()
    }

    /// One topic in use.
    #[must_use]
    pub fn describe(&self, name: &TopicName) -> Option<TopicDescription> {
        let topic = self.topics.get(name)?;
        Some(TopicDescription {
            name: name.clone(),
            topic_id: topic.id(),
            config: topic.config.topic,
            configs: topic.config.clone(),
            config_entries: topic.config.topic.entries(&topic.record.record.body.config),
            partitions: topic.describe_partitions(),
        })
    }

    /// Topics whose data is to be removed, by id.
    #[must_use]
    pub fn deleting(&self) -> Vec<DeletingTopic> {
        let deleting = self.deleting.iter();
        deleting
            .map(|(topic_id, one)| one.describe(*topic_id))
            .collect()
    }

    /// Every partition that a broker leads in this registration, by topic name and index. What it led in an earlier one
    /// it must be given anew, in another leader epoch.
    #[must_use]
    pub fn assignment_of(&self, broker: BrokerId, epoch: BrokerEpoch) -> Vec<PartitionAssignment> {
        self.topics
            .values()
            .flat_map(|topic| topic.assignment_of(broker, epoch))
            .collect()
    }

    /// Whether the controller has yet to decide about partitions that a broker may lead in this registration.
    #[must_use]
    pub fn is_undecided(&self, broker: BrokerId, epoch: BrokerEpoch) -> bool {
        let states = self.topics.values().flat_map(|topic| &topic.partitions);
        states.map(|stored| &stored.record.body).any(|state| {
            let of_old = |member: &IsrMember| member.id == broker && member.broker_epoch != epoch;
            state.isr.iter().any(of_old) || (state.leader.is_none() && state.elr.contains(&broker))
        })
    }

    /// Whether the controller has taken this registration of a broker in.
    #[must_use]
    pub fn is_active(&self, broker: BrokerId, epoch: BrokerEpoch) -> bool {
        self.life(broker, epoch) != BrokerLife::Fenced
    }

    /// Where a broker is in its life, as far as the controller has written it for this registration.
    #[must_use]
    pub fn life(&self, broker: BrokerId, epoch: BrokerEpoch) -> BrokerLife {
        let state = self.states.get(&broker).map(|stored| &stored.record.body);
        let state = state.filter(|state| state.broker_epoch == epoch);
        state.map_or(BrokerLife::Fenced, |state| state.state)
    }

    /// Replicas that exist, those of topics being deleted included: their data still takes a place.
    pub(super) fn replica_count(&self) -> u32 {
        let active = self.topics.values().map(|topic| {
            let partitions = topic.record.record.body.partitions;
            partitions.saturating_mul(topic.replicas().into())
        });
        let deleting = self
            .deleting
            .values()
            .map(|topic| topic.record.record.body.partitions);
        active.chain(deleting).fold(0, u32::saturating_add)
    }

    /// The placements of all partitions, with their leaders.
    pub(super) fn placements(&self) -> impl Iterator<Item = &Placement> + Clone {
        self.topics.values().flat_map(|topic| &topic.placements)
    }

    pub(super) fn partition_mut(
        &mut self,
        name: &TopicName,
        partition: PartitionIndex,
    ) -> Option<&mut Stored<PartitionState>> {
        let index = usize::try_from(partition.get()).ok()?;
        self.topics.get_mut(name)?.partitions.get_mut(index)
    }

    pub(super) fn is_known(&self, topic: TopicId) -> bool {
        self.deleting.contains_key(&topic) || self.topics.values().any(|known| known.id() == topic)
    }
}

impl Deleting {
    pub(super) fn describe(&self, topic_id: TopicId) -> DeletingTopic {
        DeletingTopic {
            name: self.name.clone(),
            topic_id,
            partitions: self.record.record.body.partitions,
        }
    }

    async fn load<S: MetadataStore>(
        store: &S,
        name: TopicName,
        record: Stored<TopicRecord>,
    ) -> Result<Self, ControllerError> {
        let TopicRecord {
            topic_id,
            partitions,
            ..
        } = record.record.body;
        let mut brokers = BTreeSet::new();
        // Where they are gone, the data is: its nodes are removed after it.
        for chunk in ChunkIndex::all(partitions) {
            let path = paths::assignment(topic_id, chunk);
            if let Some(chunk) = read::<AssignmentChunk, S>(store, &path).await? {
                let placements = chunk.record.body.partitions;
                brokers.extend(placements.into_iter().flat_map(|one| one.replicas));
            }
        }
        Ok(Self {
            name,
            record,
            brokers,
        })
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
    let path = paths::topic(&name);
    let mut before = read::<TopicRecord, S>(store, &path).await?;
    loop {
        let Some(record) = before else {
            return Ok(Found::Nothing);
        };
        let version = record.version;
        let topic_id = record.record.body.topic_id;
        let found = match record.record.body.state {
            TopicState::Active => Topic::load(store, name.clone(), record)
                .await
                .map(Found::Active),
            TopicState::Deleting => {
                let deleting = Deleting::load(store, name.clone(), record).await;
                deleting.map(Found::Deleting)
            }
        };
        let Err(error @ ControllerError::Inconsistent { .. }) = found else {
            return found;
        };
        // The nodes of a topic are not read in one go: it may have been deleted meanwhile.
        before = read(store, &path).await?;
        let is_same = before
            .as_ref()
            .is_some_and(|now| now.version == version && now.record.body.topic_id == topic_id);
        if is_same {
            return Err(error);
        }
    }
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
        let (mut placements, mut chunks) = (Vec::new(), Vec::new());
        for chunk in ChunkIndex::all(partitions) {
            let path = paths::assignment(topic_id, chunk);
            let mut chunk: Stored<AssignmentChunk> = require(store, &path).await?;
            placements.append(&mut chunk.record.body.partitions);
            chunks.push(chunk);
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
        let config = TopicConfigs::resolve(config, partition_config, replica_count(&placements))
            .map_err(|error| {
                ControllerError::inconsistent(&paths::topic(&name), error.to_string())
            })?;
        Ok(Self {
            name,
            record,
            placements,
            chunks,
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

    pub(super) fn state(&self, partition: PartitionIndex) -> Option<&Stored<PartitionState>> {
        self.partitions.get(usize::try_from(partition.get()).ok()?)
    }

    pub(super) fn placement(&self, partition: PartitionIndex) -> Option<&Placement> {
        self.placements.get(usize::try_from(partition.get()).ok()?)
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
        broker_epoch: BrokerEpoch,
    ) -> impl Iterator<Item = PartitionAssignment> {
        let me = IsrMember {
            id: broker,
            broker_epoch,
        };
        let led = self.rows().filter(move |(_, _, state)| {
            let state = &state.record.body;
            state.leader == Some(broker) && state.isr.contains(&me)
        });
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
                adding: placement.adding.clone(),
                removing: placement.removing.clone(),
                isr: state_body.isr.iter().map(|member| member.id).collect(),
                members: state_body.isr.clone(),
                min_isr: state_body.min_isr,
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

pub(crate) async fn read<T: DeserializeOwned, S: MetadataStore>(
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

/// The broker that a node is named after.
pub(super) fn broker_named(parent: &NodePath, name: &str) -> Result<BrokerId, ControllerError> {
    name.parse().map(BrokerId::new).map_err(|_| {
        ControllerError::inconsistent(parent, format!("{name:?} is not the id of a broker"))
    })
}

/// The children of a node; none when it does not exist.
pub(super) async fn children<S: MetadataStore>(
    store: &S,
    path: &NodePath,
) -> Result<Vec<String>, ControllerError> {
    Ok(store.children(path).await?.unwrap_or_default())
}
