use ringlog_record::{BrokerId, PartitionIndex, TopicId};

use crate::ids::ChunkIndex;
use crate::paths::{self, ConfigScope};
use crate::topic_name::TopicName;

#[test]
fn paths_are_those_of_the_design() {
    let topic = TopicId::new(0x1f);
    let broker = BrokerId::new(3);
    let name = TopicName::parse("orders.v1").unwrap();
    for (path, text) in [
        (paths::cluster(), "/cluster"),
        (paths::controller(), "/controller"),
        (paths::controller_epoch(), "/controller_epoch"),
        (paths::broker_id(broker), "/brokers/ids/3"),
        (paths::broker_lease(broker), "/brokers/lease/3"),
        (paths::broker_report(broker), "/brokers/report/3"),
        (paths::broker_state(broker), "/brokers/state/3"),
        (paths::changes(), "/changes"),
        (paths::topic(&name), "/topics/orders.v1"),
        (
            paths::assignment(topic, ChunkIndex::new(2)),
            "/t/0000000000000000000000000000001f/a/2",
        ),
        (
            paths::partition_state(topic, PartitionIndex::new(7)),
            "/t/0000000000000000000000000000001f/p/7",
        ),
        (paths::pid_block(), "/pid_block"),
        (paths::config(ConfigScope::Cluster), "/config/cluster"),
        (
            paths::config(ConfigScope::Broker(broker)),
            "/config/broker-3",
        ),
    ] {
        assert_eq!(path.as_str(), text);
    }
}

#[test]
fn the_layout_lists_parents_before_children() {
    let layout = paths::layout();
    for (index, path) in layout.iter().enumerate() {
        let parent = path.parent().unwrap();
        assert!(
            parent.is_root() || layout[..index].contains(&parent),
            "{path}"
        );
    }
}
