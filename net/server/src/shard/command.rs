//! What the control task asks of a shard.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use futures_channel::oneshot;
use ringlog_coord::config::TopicConfigs;
use ringlog_coord::controller::PartitionAssignment;
use ringlog_record::{BrokerId, PartitionIndex, ShardId, TopicId, TopicPartition};
use ringlog_replication::PartitionStatus;

use crate::cluster_view::ClusterView;
use crate::metrics::ShardMetrics;
use crate::slow::SlowRequest;

/// Where the answer to a command goes.
pub(crate) type Answer<T> = oneshot::Sender<T>;

/// A command to a shard.
#[derive(Debug)]
pub(crate) enum ShardCommand {
    /// Open partitions, several at a time; gives those that could not be, with the reason.
    Open {
        broker: BrokerId,
        partitions: Vec<PartitionAssignment>,
        answer: Answer<Vec<(TopicPartition, String)>>,
    },
    /// Close partitions, which are somebody else's, or this broker's in another epoch.
    Close {
        partitions: Vec<TopicPartition>,
        answer: Answer<()>,
    },
    /// Close the partitions of a topic and remove their directories.
    Delete {
        topic: TopicId,
        answer: Answer<Result<(), String>>,
    },
    /// Use other settings for the partitions of a topic; gives those that hold records which keep them from their new
    /// durability.
    SetConfig {
        topic: TopicId,
        configs: TopicConfigs,
        answer: Answer<Vec<PartitionIndex>>,
    },
    /// Tell the state of partitions; of all without a topic.
    Describe {
        topic: Option<TopicId>,
        answer: Answer<Vec<PartitionReport>>,
    },
    /// Tell what was counted.
    Metrics { answer: Answer<ShardMetrics> },
    /// Tell which requests were the slowest of late.
    Slow {
        answer: Answer<(ShardId, Vec<SlowRequest>)>,
    },
    /// Answer with this picture of the cluster from now on.
    Publish {
        view: Arc<ClusterView>,
        answer: Answer<()>,
    },
    /// Bind the address; connections wait until they are accepted.
    Listen {
        address: SocketAddr,
        answer: Answer<std::io::Result<SocketAddr>>,
    },
    /// Take connections.
    Accept,
    /// Do something about the data directory.
    Directory {
        command: DirectoryCommand,
        answer: Answer<Result<DirectoryFound, String>>,
    },
    /// Take no more connections and requests, finish those under way, close the logs.
    Drain { answer: Answer<()> },
    /// Let go of the data directory and end: all shards have closed their logs.
    End { answer: Answer<()> },
}

/// The state of a partition, open or not.
#[derive(Clone, Debug)]
pub(crate) struct PartitionReport {
    pub(crate) id: TopicPartition,
    pub(crate) state: Result<PartitionStatus, String>,
}

/// Work on the data directory, done by the first shard: whoever decides must not touch files itself.
#[derive(Debug)]
pub(crate) enum DirectoryCommand {
    /// Make it if it is missing, lock it, and tell what is in it.
    Inspect,
    /// Write `format.json` durably.
    WriteFormat(Vec<u8>),
    /// Rename entries of `topics/` durably.
    SetAside(Vec<(String, String)>),
    /// Remove what is left of a topic, durably.
    RemoveTopic(TopicId),
}

/// What is in the data directory.
#[derive(Debug, Default)]
pub(crate) struct DirectoryFound {
    /// `format.json`.
    pub(crate) format: Option<Vec<u8>>,
    /// The names in `topics/`.
    pub(crate) topics: Vec<String>,
    /// Chance, for ids that are to be unique.
    pub(crate) seed: [u8; 32],
}

/// The directory of a partition's log.
pub(crate) fn partition_directory(data_dir: &std::path::Path, id: TopicPartition) -> PathBuf {
    topic_directory(data_dir, id.topic).join(id.partition.to_string())
}

/// The directory of a topic.
pub(crate) fn topic_directory(data_dir: &std::path::Path, topic: TopicId) -> PathBuf {
    topics_directory(data_dir).join(topic.to_string())
}

/// The directory of all topics.
pub(crate) fn topics_directory(data_dir: &std::path::Path) -> PathBuf {
    data_dir.join("topics")
}
