//! What every shard knows of the cluster: made by the control task, published whole, never changed.

use std::collections::BTreeMap;

use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, ShardId, TopicId, TopicPartition};

/// A picture of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// The cluster's id, 32 hexadecimal digits.
    pub cluster_id: String,
    /// The controller.
    pub controller: Option<BrokerId>,
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
}

impl ClusterView {
    /// Whether there is such a partition. As yet this broker has all of them.
    pub fn has(&self, id: TopicPartition) -> bool {
        self.owners.contains_key(&id)
    }

    /// The shard of this broker that owns a partition.
    pub fn owner(&self, id: TopicPartition) -> Option<ShardId> {
        self.owners.get(&id).copied()
    }
}
