use std::num::NonZeroU16;
use std::time::Duration;

use futures_executor::block_on;
use futures_util::FutureExt;
use ringlog_record::TopicId;

use super::*;
use crate::config::ConfigChanges;
use crate::controller::{
    BrokerStart, Controller, NewTopic, ReplacedDirectory, init_cluster, register,
};
use crate::ids::{ClusterId, DirectoryId, Incarnation};
use crate::store::MemoryStore;

const NOW: Duration = Duration::ZERO;

async fn controller(store: &MemoryStore) -> Controller<MemoryStore> {
    init_cluster(store, ClusterId::new(1)).await.unwrap();
    let start = BrokerStart {
        broker: BrokerId::new(1),
        incarnation: Incarnation::new(1),
        addresses: vec!["127.0.0.1:9400".to_owned()],
        shards: NonZeroU16::MIN,
        rack: None,
        directory: DirectoryId::new(1),
        software: "test".to_owned(),
        replaced_directory: ReplacedDirectory::Refuse,
    };
    let epoch = register(store, &start).await.unwrap();
    let office = Controller::take_office(store.clone(), start.broker, epoch).await;
    let mut controller = office.unwrap().unwrap();
    controller.look(NOW).await.unwrap();
    controller
}

async fn create(controller: &mut Controller<MemoryStore>, name: &str, id: u128) {
    let new = NewTopic {
        name: name.parse().unwrap(),
        topic_id: TopicId::new(id),
        partitions: 2,
        replication_factor: 1,
        config: ConfigChanges::default(),
    };
    controller.create_topic(NOW, new).await.unwrap();
}

fn names(observer: &Observer<MemoryStore>) -> Vec<String> {
    let topics = observer.sight().image.list().into_iter();
    topics.map(|topic| topic.name.to_string()).collect()
}

#[test]
fn an_observer_is_woken_by_each_change_and_sees_it() {
    block_on(async {
        let store = MemoryStore::new();
        let mut controller = controller(&store).await;
        let mut observer = Observer::new(store.another_session());
        observer.look().await.unwrap();
        assert_eq!(observer.sight().brokers.len(), 1);
        assert_eq!(
            observer.sight().controller.as_ref().unwrap().broker,
            BrokerId::new(1)
        );
        assert!(observer.changed().now_or_never().is_none());

        create(&mut controller, "a", 1).await;
        observer.changed().await;
        observer.look().await.unwrap();
        assert_eq!(names(&observer), ["a"]);
        assert_eq!(observer.sight().revision, controller.revision());

        let name = "a".parse().unwrap();
        controller.delete_topic(NOW, &name).await.unwrap();
        observer.changed().await;
        observer.look().await.unwrap();
        assert!(names(&observer).is_empty());
        assert_eq!(observer.sight().image.deleting().len(), 1);
    });
}

#[test]
fn an_observer_that_has_missed_too_much_reads_everything() {
    block_on(async {
        let store = MemoryStore::new();
        let mut controller = controller(&store).await;
        let mut observer = Observer::new(store.another_session());
        observer.look().await.unwrap();
        for id in 0..40 {
            create(&mut controller, &format!("topic-{id}"), id + 1).await;
        }
        observer.look().await.unwrap();
        assert_eq!(names(&observer).len(), 40);
    });
}

#[test]
fn an_observer_that_failed_reads_everything() {
    block_on(async {
        let store = MemoryStore::new();
        let mut controller = controller(&store).await;
        let session = store.another_session();
        let mut observer = Observer::new(session.clone());
        observer.look().await.unwrap();
        session.disconnect();
        assert!(observer.look().await.is_err());
        create(&mut controller, "a", 1).await;
        session.reconnect();
        observer.changed().await;
        observer.look().await.unwrap();
        assert_eq!(names(&observer), ["a"]);
    });
}
