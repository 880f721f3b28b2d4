//! The controller: the only writer of topics and partition states.
//!
//! Duty: decides who leads which partition and where it lies, and keeps that in the metadata store. Today
//! there is one broker, which is always the controller and leads everything; the nodes, the fences and the
//! order of the writes are those of a cluster.
//!
//! Thread: the control thread; one operation at a time (`&mut self`), and one that is given up midway (its
//! future dropped) only makes the next one read everything again.
//!
//! Invariants: every write checks the controller epoch. Written first, told afterwards: what an operation
//! returns is durable. Every leader of a partition has a larger leader epoch than the one before.
//!
//! Must not know: shards, sockets, files. Randomness and time are handed in, and there is no order but that
//! of names and numbers, so that the same calls give the same writes.

use std::num::NonZeroU16;

use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, ShardId, TopicId, TopicPartition};

use crate::config::{ConfigEntry, TopicConfig};
use crate::ids::{BrokerEpoch, ControllerEpoch, DirectoryId, Slot};
use crate::store::{MetadataStore, Version};
use crate::topic_name::TopicName;

mod cluster;
mod commit;
mod error;
mod image;
mod placement;
mod producers;
mod start;
mod topics;

pub use cluster::{cluster_id, init_cluster, registered_brokers};
use commit::Fence;
pub use error::{AlterTopicError, ControllerError, CreateTopicError, DeleteTopicError, StartError};
use image::Image;
pub use start::{BrokerStart, ReplacedDirectory, StartedBroker};
pub use topics::NewTopic;

/// The controller of a cluster, over its metadata store.
#[derive(Debug)]
pub struct Controller<S> {
    store: S,
    broker: BrokerId,
    shards: NonZeroU16,
    broker_epoch: BrokerEpoch,
    directory: DirectoryId,
    fence: Fence,
    image: Image,
    /// A write was begun and not seen to be done: the image may not be what the store has.
    stale: bool,
    discovered: Vec<CreatedTopic>,
}

/// A partition that a broker leads, as the broker needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionAssignment {
    /// The topic's name.
    pub topic: TopicName,
    /// The topic's id.
    pub topic_id: TopicId,
    /// Which partition.
    pub partition: PartitionIndex,
    /// Where on the broker.
    pub slot: Slot,
    /// The epoch to lead in.
    pub leader_epoch: LeaderEpoch,
    /// The version of the partition's state.
    pub partition_epoch: Version,
    /// The topic's settings.
    pub config: TopicConfig,
}

impl PartitionAssignment {
    /// Which partition this is.
    #[must_use]
    pub fn id(&self) -> TopicPartition {
        TopicPartition {
            topic: self.topic_id,
            partition: self.partition,
        }
    }

    /// The shard that owns the partition on a broker with so many.
    #[must_use]
    pub fn shard(&self, shards: NonZeroU16) -> ShardId {
        self.slot.shard(shards)
    }
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
    /// Its partitions on this broker.
    pub assignment: Vec<PartitionAssignment>,
}

/// A topic whose data is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletingTopic {
    /// Its name, which cannot be used until the deletion is finished.
    pub name: TopicName,
    /// Its id.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
}

/// A topic in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSummary {
    /// Its name.
    pub name: TopicName,
    /// Its id.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// How many replicas each has.
    pub replication_factor: u16,
}

/// A topic with everything that the controller knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: TopicName,
    /// Its id.
    pub topic_id: TopicId,
    /// Its settings.
    pub config: TopicConfig,
    /// Its settings as they are shown.
    pub config_entries: Vec<ConfigEntry>,
    /// Its partitions.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition with everything that the controller knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Which partition.
    pub partition: PartitionIndex,
    /// The durability that it has for itself; that of its topic without.
    pub durability: Option<String>,
    /// Who leads it; none while it is offline.
    pub leader: Option<BrokerId>,
    /// The epoch of its last leader.
    pub leader_epoch: LeaderEpoch,
    /// The version of its state.
    pub partition_epoch: Version,
    /// Its replicas.
    pub replicas: Vec<BrokerId>,
    /// Those in sync.
    pub isr: Vec<BrokerId>,
    /// Where on each broker.
    pub slot: Slot,
}

impl<S: MetadataStore> Controller<S> {
    /// The store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The broker that is the controller.
    #[must_use]
    pub fn broker(&self) -> BrokerId {
        self.broker
    }

    /// The registration of that broker.
    #[must_use]
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.broker_epoch
    }

    /// The epoch of the controller.
    #[must_use]
    pub fn epoch(&self) -> ControllerEpoch {
        self.fence.epoch
    }

    /// Every topic in use, by name.
    #[must_use]
    pub fn list(&self) -> Vec<TopicSummary> {
        let summary = |topic: &image::Topic| TopicSummary {
            name: topic.name.clone(),
            topic_id: topic.id(),
            partitions: topic.record.record.body.partitions,
            replication_factor: topic.replicas(),
        };
        self.image.topics.values().map(summary).collect()
    }

    /// One topic in use.
    #[must_use]
    pub fn describe(&self, name: &TopicName) -> Option<TopicDescription> {
        let topic = self.image.topics.get(name)?;
        Some(TopicDescription {
            name: name.clone(),
            topic_id: topic.id(),
            config: topic.config.topic,
            config_entries: topic.config.topic.entries(&topic.record.record.body.config),
            partitions: topic.describe_partitions(),
        })
    }

    /// Topics whose data is to be removed, by id.
    #[must_use]
    pub fn deleting(&self) -> Vec<DeletingTopic> {
        let deleting = self.image.deleting.iter();
        deleting
            .map(|(topic_id, deleting)| topics::deleting_topic(*topic_id, deleting))
            .collect()
    }

    /// Every partition that this broker leads, by topic name and index.
    #[must_use]
    pub fn assignment(&self) -> Vec<PartitionAssignment> {
        self.image.assignment_of(self.broker)
    }

    /// Topics that turned out to exist after a create whose outcome was unknown: to be served.
    #[must_use]
    pub fn take_discovered(&mut self) -> Vec<CreatedTopic> {
        std::mem::take(&mut self.discovered)
    }
}

#[cfg(test)]
mod tests;
