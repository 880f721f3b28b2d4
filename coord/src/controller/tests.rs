use futures_executor::block_on;

use super::*;
use crate::config::{ConfigError, Durability};
use crate::ids::{ClusterId, DirectoryId, Incarnation};
use crate::store::faulty::FaultyStore;
use crate::store::{MemoryStore, NodePath};
use crate::{limits, paths};

mod producers;
mod reassignment;
mod resume;

fn name(text: &str) -> TopicName {
    TopicName::parse(text).unwrap()
}

fn start_of(incarnation: u128) -> BrokerStart {
    BrokerStart {
        broker: BrokerId::new(1),
        incarnation: Incarnation::new(incarnation),
        addresses: vec!["127.0.0.1:9400".to_owned()],
        shards: NonZeroU16::new(2).unwrap(),
        rack: None,
        directory: DirectoryId::new(7),
        software: "test".to_owned(),
        replaced_directory: ReplacedDirectory::Refuse,
    }
}

fn topic(text: &str, id: u128, partitions: u32) -> NewTopic {
    NewTopic {
        name: name(text),
        topic_id: TopicId::new(id),
        partitions,
        replication_factor: 1,
        config: ConfigChanges::none(),
    }
}

async fn fresh() -> MemoryStore {
    let store = MemoryStore::new();
    init_cluster(&store, ClusterId::new(5)).await.unwrap();
    store
}

const NOW: Duration = Duration::ZERO;

/// What a broker that has started is to serve.
#[derive(Debug, Clone)]
struct Started {
    broker_epoch: BrokerEpoch,
    controller_epoch: ControllerEpoch,
    assignment: Vec<PartitionAssignment>,
    deleting: Vec<DeletingTopic>,
}

/// Starts the only broker of a cluster: it registers, becomes the controller, and takes itself in.
async fn try_start<S: MetadataStore + Clone>(
    store: S,
    start: BrokerStart,
) -> Result<(Controller<S>, Started), StartError> {
    let image = Image::load(&store).await?;
    check_directory(&image, &start)?;
    let broker_epoch = register(&store, &start).await?;
    let controller = Controller::take_office(store, start.broker, broker_epoch).await?;
    let mut controller = controller.expect("nobody else is the controller");
    controller.look(NOW).await?;
    let image = controller.image();
    let started = Started {
        broker_epoch,
        controller_epoch: controller.epoch(),
        assignment: image.assignment_of(start.broker, broker_epoch),
        deleting: image.deleting(),
    };
    Ok((controller, started))
}

async fn start<S: MetadataStore + Clone>(store: S, incarnation: u128) -> (Controller<S>, Started) {
    try_start(store, start_of(incarnation)).await.unwrap()
}

/// What broker 1 leads, as the controller knows it.
fn assignment<S: MetadataStore + Clone>(controller: &Controller<S>) -> Vec<PartitionAssignment> {
    let me = BrokerId::new(1);
    let epoch = controller.live()[&me].epoch;
    controller.image().assignment_of(me, epoch)
}

/// Broker 1 serves, and has removed, everything until now.
async fn apply<S: MetadataStore + Clone>(
    controller: &mut Controller<S>,
) -> Result<(), ControllerError> {
    let me = BrokerId::new(1);
    let told = BrokerReport {
        broker_epoch: controller.live()[&me].epoch,
        applied: controller.revision(),
        draining: false,
        unremoved: Vec::new(),
    };
    report(&controller.store, me, &told).await?;
    controller.look(NOW).await
}

/// Every path of the store.
async fn all_paths<S: MetadataStore>(store: &S) -> Vec<NodePath> {
    let mut found = Vec::new();
    let mut left = vec![NodePath::root()];
    while let Some(path) = left.pop() {
        left.extend(
            store
                .children(&path)
                .await
                .unwrap()
                .unwrap()
                .into_iter()
                .map(|child| path.join(child)),
        );
        found.push(path);
    }
    found.sort();
    found
}

type LeaderEpochs = BTreeMap<(TopicId, PartitionIndex), LeaderEpoch>;

fn leader_epochs(assignment: &[PartitionAssignment]) -> LeaderEpochs {
    assignment
        .iter()
        .map(|led| ((led.topic_id, led.partition), led.leader_epoch))
        .collect()
}

#[test]
fn a_cluster_is_made_once() {
    block_on(async {
        let store = MemoryStore::new();
        assert_eq!(cluster_id(&store).await, Ok(None));
        assert_eq!(
            init_cluster(&store, ClusterId::new(5)).await,
            Ok(ClusterId::new(5))
        );
        assert_eq!(
            init_cluster(&store, ClusterId::new(6)).await,
            Ok(ClusterId::new(5))
        );
        assert_eq!(cluster_id(&store).await, Ok(Some(ClusterId::new(5))));
    });
}

#[test]
fn a_first_start_registers_takes_office_and_is_active() {
    block_on(async {
        let store = fresh().await;
        let (_, started) = start(store.clone(), 1).await;
        assert_eq!(started.assignment, []);
        assert_eq!(started.deleting, []);
        assert_eq!(started.controller_epoch, ControllerEpoch::new(1));
        let brokers = registered_brokers(&store).await.unwrap();
        assert_eq!(brokers.len(), 1);
        let registration = &brokers[&BrokerId::new(1)].registration;
        assert_eq!(registration.addresses, ["127.0.0.1:9400"]);
        let registered = store
            .read(&paths::broker_id(BrokerId::new(1)))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(started.broker_epoch, registered.stat.czxid.into());
        let text = |path: NodePath| {
            let store = store.clone();
            async move { String::from_utf8(store.read(&path).await.unwrap().unwrap().data).unwrap() }
        };
        let epoch = started.broker_epoch;
        assert_eq!(
            text(paths::controller()).await,
            format!("{{\"v\":1,\"broker\":1,\"broker_epoch\":{epoch},\"controller_epoch\":1}}")
        );
        let state = paths::broker_state(BrokerId::new(1));
        assert!(
            text(state)
                .await
                .starts_with("{\"v\":1,\"state\":\"active\"")
        );
    });
}

#[test]
fn every_start_raises_all_epochs() {
    block_on(async {
        let mut store = fresh().await;
        let (mut controller, mut last) = start(store.clone(), 1).await;
        controller
            .create_topic(NOW, topic("a", 1, 3))
            .await
            .unwrap();
        controller
            .create_topic(NOW, topic("b", 2, 450))
            .await
            .unwrap();
        last.assignment = assignment(&controller);
        assert!(
            last.assignment
                .iter()
                .all(|led| led.leader_epoch == LeaderEpoch::new(0))
        );
        for incarnation in 2..5 {
            store = store.new_session();
            let (_, started) = start(store.clone(), incarnation).await;
            assert!(started.broker_epoch > last.broker_epoch);
            assert!(started.controller_epoch > last.controller_epoch);
            let (new, old) = (
                leader_epochs(&started.assignment),
                leader_epochs(&last.assignment),
            );
            assert_eq!(new.len(), 453);
            for (partition, epoch) in &new {
                assert_eq!(epoch.get(), old[partition].get() + 1);
            }
            last = started;
        }
    });
}

#[test]
fn a_started_broker_gets_what_was_created() {
    block_on(async {
        let store = fresh().await;
        let (mut controller, _) = start(store.clone(), 1).await;
        let mut new = topic("orders", 1, 300);
        new.config = ConfigChanges::parse(["retention_ms=1h", "durability=async"]).unwrap();
        let created = controller.create_topic(NOW, new).await.unwrap();
        assert_eq!(created.config.retention_ms, Some(3_600_000));
        let created = assignment(&controller);
        let (again, started) = start(store.new_session(), 2).await;
        let forget_epochs = |assignment: &[PartitionAssignment]| -> Vec<_> {
            let zero = (LeaderEpoch::new(0), Version::FIRST);
            assignment
                .iter()
                .cloned()
                .map(|led| PartitionAssignment {
                    leader_epoch: zero.0,
                    partition_epoch: zero.1,
                    ..led
                })
                .collect()
        };
        assert_eq!(forget_epochs(&started.assignment), forget_epochs(&created));
        assert_eq!(started.assignment, assignment(&again));
        let shards = NonZeroU16::new(2).unwrap();
        let on_first = started
            .assignment
            .iter()
            .filter(|led| led.shard(shards).get() == 0)
            .count();
        assert_eq!(on_first, 150);
        let described = again.image().describe(&name("orders")).unwrap();
        assert_eq!(described.partitions.len(), 300);
        assert_eq!(described.partitions[7].isr, [BrokerId::new(1)]);
        let overridden: Vec<String> = described
            .config_entries
            .iter()
            .filter(|entry| entry.overridden)
            .map(ToString::to_string)
            .collect();
        assert_eq!(overridden, ["durability=async", "retention_ms=3600000"]);
    });
}

#[test]
fn topics_are_listed_by_name_and_described() {
    block_on(async {
        let (mut controller, _) = start(fresh().await, 1).await;
        controller
            .create_topic(NOW, topic("b", 1, 1))
            .await
            .unwrap();
        controller
            .create_topic(NOW, topic("a", 2, 2))
            .await
            .unwrap();
        let listed: Vec<(String, u32)> = controller
            .image()
            .list()
            .iter()
            .map(|topic| (topic.name.to_string(), topic.partitions))
            .collect();
        assert_eq!(listed, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        assert_eq!(controller.image().describe(&name("c")), None);
    });
}

#[test]
fn a_topic_that_cannot_be_is_refused_and_leaves_nothing() {
    block_on(async {
        let store = fresh().await;
        let (mut controller, _) = start(store.clone(), 1).await;
        controller
            .create_topic(NOW, topic("a", 1, 1))
            .await
            .unwrap();
        let before = all_paths(&store).await;
        let refused = controller
            .create_topic(NOW, topic("a", 2, 1))
            .await
            .unwrap_err();
        assert_eq!(
            refused,
            CreateTopicError::AlreadyExists {
                name: name("a"),
                topic_id: TopicId::new(1)
            }
        );
        assert_eq!(
            controller.create_topic(NOW, topic("b", 2, 0)).await,
            Err(CreateTopicError::NoPartitions)
        );
        let refused = controller
            .create_topic(NOW, topic("b", 2, limits::BROKER_PARTITIONS_MAX))
            .await
            .unwrap_err();
        assert_eq!(
            refused,
            CreateTopicError::TooManyPartitions {
                asked: 10_000,
                existing: 1,
                partitions_max: 10_000
            }
        );
        for replication_factor in [0, 2] {
            let new = NewTopic {
                replication_factor,
                ..topic("b", 2, 1)
            };
            let refused = controller.create_topic(NOW, new).await.unwrap_err();
            assert!(matches!(
                refused,
                CreateTopicError::ReplicationFactor { brokers: 1, .. }
            ));
        }
        let mut new = topic("b", 2, 1);
        new.config = ConfigChanges::parse(["min_isr=2"]).unwrap();
        let refused = controller.create_topic(NOW, new).await.unwrap_err();
        assert!(matches!(
            refused,
            CreateTopicError::Config(ConfigError::Unfit { key: "min_isr", .. })
        ));
        assert_eq!(all_paths(&store).await, before);
    });
}

#[test]
fn a_deleted_topic_is_gone_at_once_and_its_name_free_at_the_end() {
    block_on(async {
        let store = fresh().await;
        let (mut controller, _) = start(store.clone(), 1).await;
        let before = all_paths(&store).await;
        controller
            .create_topic(NOW, topic("a", 1, 450))
            .await
            .unwrap();
        let deleting = controller.delete_topic(NOW, &name("a")).await.unwrap();
        assert_eq!(deleting.topic_id, TopicId::new(1));
        assert_eq!(deleting.partitions, 450);
        assert_eq!(controller.image().list(), []);
        assert_eq!(assignment(&controller), []);
        assert_eq!(
            controller.delete_topic(NOW, &name("a")).await,
            Ok(deleting.clone())
        );
        let refused = controller
            .create_topic(NOW, topic("a", 2, 1))
            .await
            .unwrap_err();
        assert!(matches!(refused, CreateTopicError::BeingDeleted { .. }));
        assert_eq!(
            refused.to_string(),
            "a topic a is being deleted, broker(s) 1 still have to remove its data; try again once that is done"
        );

        let (mut controller, started) = start(store.new_session(), 2).await;
        assert_eq!(started.deleting, [deleting]);
        assert_eq!(started.assignment, []);
        apply(&mut controller).await.unwrap();
        assert_eq!(controller.image().deleting(), []);
        assert_eq!(all_paths(&controller.store).await, before);
        let refused = controller.delete_topic(NOW, &name("a")).await.unwrap_err();
        assert_eq!(refused, DeleteTopicError::NotFound { name: name("a") });
        controller
            .create_topic(NOW, topic("a", 2, 1))
            .await
            .unwrap();
    });
}

#[test]
fn altered_settings_are_kept() {
    block_on(async {
        let store = fresh().await;
        let (mut controller, _) = start(store.clone(), 1).await;
        controller
            .create_topic(NOW, topic("a", 1, 1))
            .await
            .unwrap();
        let changes = ConfigChanges::parse(["retention_bytes=1GiB"]).unwrap();
        let (topic_id, config) = controller
            .alter_topic(NOW, &name("a"), None, &changes)
            .await
            .unwrap();
        assert_eq!(
            (topic_id, config.topic.retention_bytes),
            (TopicId::new(1), Some(1 << 30))
        );
        assert_eq!(assignment(&controller)[0].config, config.topic);
        let bad = ConfigChanges::parse(["segment_bytes=1MiB", "max_batch_bytes=2MiB"]).unwrap();
        assert!(matches!(
            controller.alter_topic(NOW, &name("a"), None, &bad).await,
            Err(AlterTopicError::Config(_))
        ));
        let none = controller
            .alter_topic(NOW, &name("b"), None, &changes)
            .await
            .unwrap_err();
        assert_eq!(none, AlterTopicError::NotFound { name: name("b") });
        let (mut controller, started) = start(store.new_session(), 2).await;
        assert_eq!(started.assignment[0].config, config.topic);
        let back = ConfigChanges::parse(["retention_bytes=default"]).unwrap();
        let (_, config) = controller
            .alter_topic(NOW, &name("a"), None, &back)
            .await
            .unwrap();
        assert_eq!(config.topic.retention_bytes, None);
    });
}

#[test]
fn a_partition_keeps_the_durability_that_it_was_given() {
    block_on(async {
        let store = fresh().await;
        let (mut controller, _) = start(store.clone(), 1).await;
        controller
            .create_topic(NOW, topic("a", 1, 3))
            .await
            .unwrap();
        let changes = ConfigChanges::parse(["durability=async"]).unwrap();
        let one = Some(PartitionIndex::new(1));
        controller
            .alter_topic(NOW, &name("a"), one, &changes)
            .await
            .unwrap();
        let durabilities = |controller: &Controller<MemoryStore>| {
            let partitions = controller.image().describe(&name("a")).unwrap().partitions;
            let own: Vec<_> = partitions.into_iter().map(|one| one.durability).collect();
            own
        };
        let expected = [None, Some("async".to_owned()), None];
        assert_eq!(durabilities(&controller), expected);
        let none = controller
            .alter_topic(NOW, &name("a"), Some(PartitionIndex::new(3)), &changes)
            .await
            .unwrap_err();
        assert!(none.to_string().contains("has 3 partition(s)"), "{none}");
        let (mut controller, started) = start(store.new_session(), 2).await;
        assert_eq!(durabilities(&controller), expected);
        assert_eq!(started.assignment[1].config.durability, Durability::Async);
        assert_eq!(started.assignment[0].config.durability, Durability::Sync);
        let back = ConfigChanges::parse(["durability=default"]).unwrap();
        controller
            .alter_topic(NOW, &name("a"), one, &back)
            .await
            .unwrap();
        assert_eq!(durabilities(&controller), [None, None, None]);
    });
}

#[test]
fn a_second_broker_with_the_same_id_is_refused() {
    block_on(async {
        let store = fresh().await;
        let (mut first, _) = start(store.clone(), 1).await;
        let other = BrokerStart {
            directory: DirectoryId::new(8),
            ..start_of(2)
        };
        let refused = try_start(store.another_session(), other).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "broker 1 is already running, at 127.0.0.1:9400: stop it, or give this broker another id"
        );
        first.create_topic(NOW, topic("a", 1, 1)).await.unwrap();
    });
}

#[test]
fn a_second_broker_is_not_the_controller_while_the_first_is() {
    block_on(async {
        let store = fresh().await;
        let (_first, _) = start(store.clone(), 1).await;
        let other = BrokerStart {
            broker: BrokerId::new(2),
            directory: DirectoryId::new(8),
            ..start_of(2)
        };
        let session = store.another_session();
        let epoch = register(&session, &other).await.unwrap();
        let office = Controller::take_office(session.clone(), other.broker, epoch).await;
        assert!(office.unwrap().is_none());
        store.end_session();
        let office = Controller::take_office(session, other.broker, epoch).await;
        assert_eq!(office.unwrap().unwrap().epoch(), ControllerEpoch::new(2));
    });
}

#[test]
fn the_next_run_of_a_broker_takes_over_from_a_session_that_still_lives() {
    block_on(async {
        let store = fresh().await;
        let (mut zombie, old) = start(store.clone(), 1).await;
        zombie.create_topic(NOW, topic("a", 1, 1)).await.unwrap();
        let (mut controller, new) = start(store.another_session(), 2).await;
        assert!(new.broker_epoch > old.broker_epoch);
        assert_eq!(new.assignment[0].leader_epoch, LeaderEpoch::new(1));
        let refused = zombie
            .create_topic(NOW, topic("b", 2, 1))
            .await
            .unwrap_err();
        let deposed = ControllerError::Deposed {
            epoch: ControllerEpoch::new(1),
        };
        assert_eq!(refused, CreateTopicError::Controller(deposed));
        // The end of the zombie's session takes nothing of its successor with it.
        store.end_session();
        assert_eq!(
            registered_brokers(&controller.store).await.unwrap().len(),
            1
        );
        controller
            .create_topic(NOW, topic("b", 2, 1))
            .await
            .unwrap();
    });
}

#[test]
fn a_replaced_data_directory_is_refused_while_it_has_partitions() {
    block_on(async {
        let store = fresh().await;
        let replaced = |incarnation, replaced_directory| BrokerStart {
            directory: DirectoryId::new(8),
            replaced_directory,
            ..start_of(incarnation)
        };
        start(store.clone(), 1).await;
        let store = store.new_session();
        let empty = try_start(store.clone(), replaced(2, ReplacedDirectory::Refuse)).await;
        empty
            .unwrap()
            .0
            .create_topic(NOW, topic("a", 1, 3))
            .await
            .unwrap();
        let store = store.new_session();
        let refused = try_start(store.clone(), start_of(3)).await.unwrap_err();
        assert!(matches!(
            refused,
            StartError::DirectoryReplaced { partitions: 3, .. }
        ));
        let store = store.new_session();
        let accepting = BrokerStart {
            replaced_directory: ReplacedDirectory::Accept,
            ..start_of(4)
        };
        try_start(store.clone(), accepting).await.unwrap();
        start(store.new_session(), 5).await;
    });
}

#[test]
fn every_write_of_the_controller_is_fenced_and_within_bounds() {
    block_on(async {
        let run = || async {
            let store = std::rc::Rc::new(FaultyStore::without_fault(fresh().await));
            let (mut controller, _) = start(std::rc::Rc::clone(&store), 1).await;
            let before = store.writes().len();
            controller
                .create_topic(NOW, topic("a", 1, 1000))
                .await
                .unwrap();
            let changes = ConfigChanges::parse(["flush_ms=3"]).unwrap();
            controller
                .alter_topic(NOW, &name("a"), None, &changes)
                .await
                .unwrap();
            controller.delete_topic(NOW, &name("a")).await.unwrap();
            apply(&mut controller).await.unwrap();
            store.writes().split_off(before)
        };
        let writes = run().await;
        assert!(writes.len() >= 14);
        for write in &writes {
            if *write[0].path() == paths::broker_report(BrokerId::new(1)) {
                continue;
            }
            assert_eq!(*write[0].path(), paths::controller_epoch());
            assert_eq!(limits::check_multi(write), Ok(()));
        }
        assert_eq!(writes, run().await, "the same calls give the same writes");
    });
}

#[test]
fn a_hand_edited_node_is_reported_with_its_path() {
    block_on(async {
        let store = fresh().await;
        let (mut controller, _) = start(store.clone(), 1).await;
        controller
            .create_topic(NOW, topic("a", 1, 2))
            .await
            .unwrap();
        let path = paths::partition_state(TopicId::new(1), PartitionIndex::new(1));
        let ruin = |data: &str| {
            let op = crate::store::conformance::set(path.as_str(), data, None);
            let store = store.clone();
            async move { store.multi(vec![op]).await.unwrap() }
        };
        ruin("{\"v\":1}").await;
        let store = store.new_session();
        let error = try_start(store.clone(), start_of(2)).await.unwrap_err();
        assert!(error.to_string().contains(path.as_str()), "{error}");
    });
}

#[test]
fn the_embedded_store_carries_a_broker_over_restarts() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("metadata.redb");
    let open = || std::rc::Rc::new(crate::store::EmbeddedStore::open(&path).unwrap());
    block_on(async {
        let store = open();
        init_cluster(&store, ClusterId::new(5)).await.unwrap();
        let (mut controller, first) = start(store, 1).await;
        controller
            .create_topic(NOW, topic("kept", 1, 300))
            .await
            .unwrap();
        controller
            .create_topic(NOW, topic("gone", 2, 3))
            .await
            .unwrap();
        controller.delete_topic(NOW, &name("gone")).await.unwrap();
        drop(controller);
        let (mut controller, second) = start(open(), 2).await;
        assert_eq!(
            cluster_id(&controller.store).await,
            Ok(Some(ClusterId::new(5)))
        );
        assert!(second.broker_epoch > first.broker_epoch);
        assert_eq!(second.assignment.len(), 300);
        assert!(
            second
                .assignment
                .iter()
                .all(|led| led.leader_epoch == LeaderEpoch::new(1))
        );
        assert_eq!(second.deleting.len(), 1);
        apply(&mut controller).await.unwrap();
        drop(controller);
        let (_, third) = start(open(), 3).await;
        assert_eq!((third.assignment.len(), third.deleting.len()), (300, 0));
    });
}
