//! What a controller answers that loses its office after it has done what was asked.

use std::num::NonZeroU16;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use ringlog_coord::controller::{BrokerStart, Controller, ReplacedDirectory, register, report};
use ringlog_coord::ids::{BrokerEpoch, DirectoryId, Incarnation};
use ringlog_coord::paths;
use ringlog_coord::records::BrokerReport;
use ringlog_coord::store::{MemoryStore, MetaOp, MetadataStore};
use ringlog_reactor::Reactor;
use ringlog_record::BrokerId;
use ringlog_wire::{
    AlterTopicRequest, AlterTopicResponse, CreateTopicRequest, DeleteTopicRequest,
    DeleteTopicResponse, ErrorCode, Message, Setting,
};

use crate::client::Client;
use crate::world::World;

const NOW: Duration = Duration::ZERO;

/// Another broker of the cluster, which never reports that it has seen anything.
struct Other {
    store: MemoryStore,
    broker: BrokerId,
    epoch: BrokerEpoch,
}

impl Other {
    async fn register(store: MemoryStore) -> Self {
        let broker = BrokerId::new(9);
        let start = BrokerStart {
            broker,
            incarnation: Incarnation::new(9),
            addresses: vec!["10.0.0.9:9400".to_owned()],
            shards: NonZeroU16::MIN,
            rack: None,
            directory: DirectoryId::new(9),
            software: "test".to_owned(),
            replaced_directory: ReplacedDirectory::Refuse,
        };
        let epoch = register(&store, &start).await.unwrap();
        Self {
            store,
            broker,
            epoch,
        }
    }

    /// Takes the office of whoever has it.
    async fn depose(&self) -> Controller<MemoryStore> {
        let path = paths::controller();
        let vacate = MetaOp::Delete {
            path,
            version: None,
        };
        self.store.multi(vec![vacate]).await.unwrap();
        let store = self.store.clone();
        let taken = Controller::take_office(store, self.broker, self.epoch).await;
        let mut controller = taken.unwrap().unwrap();
        controller.look(NOW).await.unwrap();
        controller
    }
}

/// Sends a request about the topic `events`, of which the other broker has a partition, and has the controller lose its
/// office before that broker has seen what was done. Gives the client, which has no answer yet.
async fn deposed_after<M: Message>(
    reactor: &Reactor,
    store: MemoryStore,
    request: M,
) -> (Client, Other, Controller<MemoryStore>) {
    let (mut client, _) = Client::connect(reactor, None).await;
    let other = Other::register(store).await;
    reactor.sleep(Duration::from_secs(1)).await;
    client.create_topic("events", 2, &[]).await;
    client.send(&request, &[]).await;
    reactor.sleep(Duration::from_secs(1)).await;
    let controller = other.depose().await;
    // The old one learns of it when it writes.
    let (mut second, _) = Client::connect(reactor, None).await;
    let create = CreateTopicRequest {
        name: "other".to_owned(),
        partitions: 1,
        settings: Vec::new(),
        replication_factor: 1,
    };
    let refused = second.call(&create, &[]).await.refusal().unwrap();
    assert_eq!(refused.code, ErrorCode::NotController);
    (client, other, controller)
}

#[test]
fn a_change_is_answered_with_the_settings_that_the_topic_has() {
    let world = World::new(101, 1);
    let store = world.another_session();
    world.start();
    world.client(move |reactor| async move {
        let request = AlterTopicRequest {
            name: "events".to_owned(),
            set: vec![Setting::new("retention_ms", "2d")],
            unset: Vec::new(),
            partition: None,
        };
        let (mut client, ..) = deposed_after(&reactor, store, request).await;
        let answer = client.receive().await.unwrap();
        let altered = AlterTopicResponse::decode(answer.body()).unwrap();
        let mut settings = altered.settings.iter();
        let shown = settings.find(|one| one.key == "retention_ms").unwrap();
        assert_eq!(shown.value, (2 * 24 * 3_600_000).to_string());
    });
}

#[test]
fn a_deletion_is_answered_once_every_broker_has_removed_the_data() {
    let world = World::new(102, 1);
    let store = world.another_session();
    world.start();
    world.client(move |reactor| async move {
        let request = DeleteTopicRequest {
            name: "events".to_owned(),
        };
        let (mut client, other, mut controller) = deposed_after(&reactor, store, request).await;
        let answer = pin!(client.receive());
        let pause = pin!(reactor.sleep(Duration::from_secs(2)));
        let Either::Right((_, answer)) = select(answer, pause).await else {
            panic!("the other broker has not removed anything");
        };
        let told = BrokerReport {
            broker_epoch: other.epoch,
            applied: controller.revision(),
            draining: false,
            unremoved: Vec::new(),
        };
        report(&other.store, other.broker, &told).await.unwrap();
        controller.look(NOW).await.unwrap();
        let answer = answer.await.unwrap();
        DeleteTopicResponse::decode(answer.body()).unwrap();
    });
}
