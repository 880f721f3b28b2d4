//! What every shard knows of the cluster: made by the control task, published whole, never changed.

use std::collections::BTreeMap;

use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, ShardId, TopicId, TopicPartition};

/// A picture of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// The cluster's id, 32 hexadecimal digits.
    pub cluster_id: String,
    /// Which picture this is: another number for another picture, never 0.
    pub picture: u64,
    /// The controller.
    pub controller: Option<BrokerId>,
    /// Its epoch.
    pub controller_epoch: u64,
    /// How far the changes of the cluster have come.
    pub revision: u64,
    /// The brokers that are alive.
    pub brokers: Vec<BrokerView>,
    /// The topics by name.
    pub topics: BTreeMap<String, TopicView>,
    /// The owner of each partition on this broker.
    pub owners: BTreeMap<TopicPartition, ShardId>,
}

/// A broker that is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerView {
    /// Its id.
    pub broker: BrokerId,
    /// Where clients reach it, `host:port`.
    pub address: String,
    /// How many shards it has.
    pub shards: u16,
    /// Where it stands.
    pub rack: Option<String>,
    /// Its registration.
    pub broker_epoch: u64,
    /// Its program.
    pub software: String,
    /// Where it is in its life: fenced, active or draining.
    pub state: &'static str,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicView {
    /// Its id.
    pub topic: TopicId,
    /// Its partitions in order.
    pub partitions: Vec<PartitionView>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// Which.
    pub partition: PartitionIndex,
    /// Who leads it.
    pub leader: Option<BrokerId>,
    /// In which epoch.
    pub leader_epoch: LeaderEpoch,
    /// The shard that owns it on its leader.
    pub shard: ShardId,
    /// Its replicas.
    pub replicas: Vec<BrokerId>,
    /// Those in sync.
    pub isr: Vec<BrokerId>,
    /// How many in-sync replicas an acknowledgement needs.
    pub min_isr: u16,
}

impl ClusterView {
    /// Whether there is such a partition, on whichever broker.
    pub fn has(&self, id: TopicPartition) -> bool {
        let is_there = |topic: &TopicView| {
            let count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
            topic.topic == id.topic && id.partition.get() < count
        };
        self.owners.contains_key(&id) || self.topics.values().any(is_there)
    }

    /// The shard of this broker that owns a partition.
    pub fn owner(&self, id: TopicPartition) -> Option<ShardId> {
        self.owners.get(&id).copied()
    }
}
