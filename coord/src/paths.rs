//! Where things are in the metadata store.
//!
//! | path | kind | holds | fence |
//! | --- | --- | --- | --- |
//! | `/cluster` | persistent | cluster id | written once |
//! | `/controller` | ephemeral | broker, broker epoch, controller epoch | existence |
//! | `/controller_epoch` | persistent, never deleted | number | version: every controller write checks it |
//! | `/brokers/ids/{id}` | ephemeral | incarnation, addresses, cores, rack, directories, software | czxid = broker epoch |
//! | `/brokers/lease/{id}` | ephemeral | counter | a committed write is the renewal |
//! | `/brokers/report/{id}` | ephemeral | broker epoch, revision applied, whether it drains | the broker only |
//! | `/brokers/state/{id}` | persistent | fenced, active or draining; broker epoch | controller only |
//! | `/changes` | persistent | revision, and which topics the last ones were about | controller only |
//! | `/topics/{name}` | persistent | topic id, partitions, config, state | commit point of create and delete |
//! | `/t/{topic_id}/a/{chunk}` | persistent, 256 partitions each | replicas, adding, removing, slot | version |
//! | `/t/{topic_id}/p/{n}` | persistent | leader, leader epoch, ISR, ELR, … | version = partition epoch |
//! | `/pid_block` | persistent | next block of producer ids | version |
//! | `/config/{scope}` | persistent | map | version |
//!
//! Paths under the topic's id, not its name, so that a name deleted and made again cannot be confused. The
//! paths are public and stable: any client of the store may watch `/brokers/ids`.

use std::fmt;

use ringlog_record::{BrokerId, PartitionIndex, TopicId};

use crate::ids::ChunkIndex;
use crate::store::NodePath;
use crate::topic_name::TopicName;

/// The nodes that hold only other nodes, parents first: made once for a cluster.
#[must_use]
pub fn layout() -> Vec<NodePath> {
    vec![
        brokers(),
        broker_ids(),
        broker_leases(),
        broker_reports(),
        broker_states(),
        topics(),
        topic_roots(),
        configs(),
    ]
}

fn top(name: impl fmt::Display) -> NodePath {
    NodePath::root().join(name)
}

/// `/cluster`
#[must_use]
pub fn cluster() -> NodePath {
    top("cluster")
}

/// `/controller`
#[must_use]
pub fn controller() -> NodePath {
    top("controller")
}

/// `/controller_epoch`
#[must_use]
pub fn controller_epoch() -> NodePath {
    top("controller_epoch")
}

/// `/brokers`
#[must_use]
pub fn brokers() -> NodePath {
    top("brokers")
}

/// `/brokers/ids`
#[must_use]
pub fn broker_ids() -> NodePath {
    brokers().join("ids")
}

/// `/brokers/ids/{id}`
#[must_use]
pub fn broker_id(broker: BrokerId) -> NodePath {
    broker_ids().join(broker.get())
}

/// `/brokers/lease`
#[must_use]
pub fn broker_leases() -> NodePath {
    brokers().join("lease")
}

/// `/brokers/lease/{id}`
#[must_use]
pub fn broker_lease(broker: BrokerId) -> NodePath {
    broker_leases().join(broker.get())
}

/// `/brokers/report`
#[must_use]
pub fn broker_reports() -> NodePath {
    brokers().join("report")
}

/// `/brokers/report/{id}`
#[must_use]
pub fn broker_report(broker: BrokerId) -> NodePath {
    broker_reports().join(broker.get())
}

/// `/changes`
#[must_use]
pub fn changes() -> NodePath {
    top("changes")
}

/// `/brokers/state`
#[must_use]
pub fn broker_states() -> NodePath {
    brokers().join("state")
}

/// `/brokers/state/{id}`
#[must_use]
pub fn broker_state(broker: BrokerId) -> NodePath {
    broker_states().join(broker.get())
}

/// `/topics`
#[must_use]
pub fn topics() -> NodePath {
    top("topics")
}

/// `/topics/{name}`
#[must_use]
pub fn topic(name: &TopicName) -> NodePath {
    topics().join(name)
}

/// `/t`
#[must_use]
pub fn topic_roots() -> NodePath {
    top("t")
}

/// `/t/{topic_id}`
#[must_use]
pub fn topic_root(topic: TopicId) -> NodePath {
    topic_roots().join(topic)
}

/// `/t/{topic_id}/a`
#[must_use]
pub fn assignments(topic: TopicId) -> NodePath {
    topic_root(topic).join("a")
}

/// `/t/{topic_id}/a/{chunk}`
#[must_use]
pub fn assignment(topic: TopicId, chunk: ChunkIndex) -> NodePath {
    assignments(topic).join(chunk)
}

/// `/t/{topic_id}/p`
#[must_use]
pub fn partition_states(topic: TopicId) -> NodePath {
    topic_root(topic).join("p")
}

/// `/t/{topic_id}/p/{n}`
#[must_use]
pub fn partition_state(topic: TopicId, partition: PartitionIndex) -> NodePath {
    partition_states(topic).join(partition.get())
}

/// `/pid_block`
#[must_use]
pub fn pid_block() -> NodePath {
    top("pid_block")
}

/// `/config`
#[must_use]
pub fn configs() -> NodePath {
    top("config")
}

/// Whose settings a node under `/config` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigScope {
    /// Every broker's.
    Cluster,
    /// One broker's.
    Broker(BrokerId),
}

/// `/config/{scope}`: `cluster` or `broker-{id}`.
#[must_use]
pub fn config(scope: ConfigScope) -> NodePath {
    match scope {
        ConfigScope::Cluster => configs().join("cluster"),
        ConfigScope::Broker(broker) => configs().join(format_args!("broker-{}", broker.get())),
    }
}

#[cfg(test)]
mod tests;
