//! The registration of a broker, on a real server.

use std::num::NonZeroU16;

use ringlog_record::{BrokerId, TopicId};

use super::*;
use crate::config::ConfigChanges;
use crate::controller::{
    BrokerStart, Controller, ControllerError, CreateTopicError, NewTopic, ReplacedDirectory,
    StartError, init_cluster, register, registered_brokers,
};
use crate::ids::{BrokerEpoch, ClusterId, DirectoryId, Incarnation};
use crate::paths;

fn start_of(incarnation: u128) -> BrokerStart {
    BrokerStart {
        broker: BrokerId::new(1),
        incarnation: Incarnation::new(incarnation),
        addresses: vec!["127.0.0.1:9400".to_owned()],
        shards: NonZeroU16::new(2).unwrap(),
        rack: Some("a".to_owned()),
        software: "test".to_owned(),
        directory: DirectoryId::new(7),
        replaced_directory: ReplacedDirectory::Refuse,
    }
}

fn topic(name: &str, id: u128) -> NewTopic {
    NewTopic {
        name: name.parse().unwrap(),
        topic_id: TopicId::new(id),
        partitions: 3,
        replication_factor: 1,
        config: ConfigChanges::default(),
    }
}

const NOW: Duration = Duration::ZERO;

/// Registers the only broker of a cluster, as the controller, and takes it in.
async fn try_start(
    store: ZooKeeperStore,
    start: BrokerStart,
) -> Result<(Controller<ZooKeeperStore>, BrokerEpoch), StartError> {
    let epoch = register(&store, &start).await?;
    let controller = Controller::take_office(store, start.broker, epoch).await?;
    let mut controller = controller.expect("nobody else is the controller");
    controller.look(NOW).await?;
    Ok((controller, epoch))
}

async fn start(
    store: ZooKeeperStore,
    incarnation: u128,
) -> (Controller<ZooKeeperStore>, BrokerEpoch) {
    init_cluster(&store, ClusterId::new(1)).await.unwrap();
    try_start(store, start_of(incarnation)).await.unwrap()
}

fn led(controller: &Controller<ZooKeeperStore>, epoch: BrokerEpoch) -> usize {
    controller
        .image()
        .assignment_of(BrokerId::new(1), epoch)
        .len()
}

#[test]
fn a_brokers_epoch_is_the_zxid_that_created_its_registration() {
    ZooKeeper::block_on(async {
        let mut harness = ZooKeeper::new();
        let (_controller, epoch) = start(harness.open().await, 1).await;
        let witness = harness.witness().await;
        let node = witness
            .read(&paths::broker_id(BrokerId::new(1)))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(epoch, node.stat.czxid.into());
        let registered = registered_brokers(&witness).await.unwrap();
        assert_eq!(registered.len(), 1);
        let registration = &registered[&BrokerId::new(1)].registration;
        assert_eq!(registration.incarnation, Incarnation::new(1));
        assert_eq!(registration.addresses, ["127.0.0.1:9400"]);
        assert_eq!(registration.cores, 2);
        assert_eq!(registration.rack.as_deref(), Some("a"));
    });
}

/// What happens after kill -9: the old session lives on in the server for a while.
#[test]
fn a_restarted_broker_takes_over_its_own_old_registration() {
    ZooKeeper::block_on(async {
        let mut harness = ZooKeeper::new();
        let session = harness.open().await;
        let (mut old, first) = start(session.clone(), 1).await;
        old.create_topic(NOW, topic("kept", 1)).await.unwrap();
        let witness = harness.witness().await;
        let (mut new, second) = start(witness.clone(), 2).await;
        assert!(second > first);
        assert!(new.epoch() > old.epoch());
        assert_eq!(led(&new, second), 3);
        // The zombie writes nothing any more.
        let refused = old.create_topic(NOW, topic("zombie", 2)).await;
        assert!(matches!(
            refused,
            Err(CreateTopicError::Controller(
                ControllerError::Deposed { .. }
            ))
        ));
        // And the end of its session takes nothing away.
        session.close().await;
        new.create_topic(NOW, topic("more", 3)).await.unwrap();
        assert_eq!(registered_brokers(&witness).await.unwrap().len(), 1);
    });
}

#[test]
fn another_broker_with_the_same_id_is_refused() {
    ZooKeeper::block_on(async {
        let mut harness = ZooKeeper::new();
        let (mut first, _) = start(harness.open().await, 1).await;
        let other = BrokerStart {
            directory: DirectoryId::new(8),
            ..start_of(2)
        };
        let refused = try_start(harness.witness().await, other).await;
        assert!(matches!(refused, Err(StartError::DuplicateBroker { .. })));
        first.create_topic(NOW, topic("served", 1)).await.unwrap();
    });
}

/// Hundreds of nodes in batches, each of them fenced.
#[test]
fn a_topic_of_a_thousand_partitions_is_created_and_loaded() {
    ZooKeeper::block_on(async {
        let mut harness = ZooKeeper::new();
        let (mut controller, _) = start(harness.open().await, 1).await;
        let wide = NewTopic {
            partitions: 1000,
            ..topic("wide", 1)
        };
        controller.create_topic(NOW, wide).await.unwrap();
        let (again, epoch) = start(harness.witness().await, 2).await;
        assert_eq!(led(&again, epoch), 1000);
    });
}
