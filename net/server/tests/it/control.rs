//! Starting, stopping, topics: what the control task does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ringlog_reactor::sim::CrashKind;
use ringlog_reactor::{ListenOptions, Reactor};
use ringlog_record::BrokerId;
use ringlog_wire::{
    AlterTopicRequest, AlterTopicResponse, CreateTopicRequest, DeleteTopicRequest,
    DescribeClusterRequest, DescribeClusterResponse, DescribeTopicRequest, DescribeTopicResponse,
    ErrorCode, Setting,
};

use crate::client::{Client, partition};
use crate::world::{DATA_DIR, World};

fn topics_of(world: &World) -> Vec<String> {
    let path = Path::new(DATA_DIR).join("topics");
    let entries = world.sim.list_dir(world.broker, &path).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn topics_their_ids_and_settings_outlive_restarts_and_epochs_grow() {
    let world = World::new(20, 2);
    let running = world.start();
    let id = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client
            .create_topic("kept", 3, &[("retention_ms", "2d")])
            .await;
        client.topic("kept").await.topic
    });
    world.stop(running);
    for epoch in 1..4 {
        let running = world.start();
        world.client(move |reactor| async move {
            let (mut client, _) = Client::connect(&reactor, None).await;
            let topic = client.topic("kept").await;
            assert_eq!(topic.topic, id);
            assert!(
                topic
                    .partitions
                    .iter()
                    .all(|one| one.leader_epoch.get() == epoch)
            );
            let request = DescribeTopicRequest {
                name: "kept".to_owned(),
            };
            let answer = client.call(&request, &[]).await;
            let described = DescribeTopicResponse::decode(answer.body()).unwrap();
            assert_eq!(described.partitions.len(), 3);
            assert!(
                described
                    .partitions
                    .iter()
                    .all(|one| one.error == ErrorCode::None)
            );
            let retention = described
                .settings
                .iter()
                .find(|one| one.key == "retention_ms");
            assert_eq!(retention.unwrap().value, (2 * 24 * 3_600_000).to_string());
            let answer = client.call(&DescribeClusterRequest, &[]).await;
            let cluster = DescribeClusterResponse::decode(answer.body()).unwrap();
            assert_eq!((cluster.topics, cluster.partitions), (1, 3));
        });
        drop(running);
        world.crash(CrashKind::Power);
    }
}

#[test]
fn the_number_of_shards_may_change_between_starts() {
    let world = World::new(21, 3);
    let running = world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 5, &[]).await;
        let topic = client.topic("events").await;
        for index in 0..5 {
            client.produce(partition(&topic, index), &[b"x"]).await;
        }
    });
    world.stop(running);
    let mut config = world.config();
    config.shards = std::num::NonZeroU16::new(1).unwrap();
    world.try_start_with(config).map(drop).unwrap();
    world.client(|reactor| async move {
        let (mut client, hello) = Client::connect(&reactor, None).await;
        assert_eq!(hello.shard_count, 1);
        let topic = client.topic("events").await;
        for index in 0..5 {
            assert_eq!(client.values(partition(&topic, index), 0).await, [b"x"]);
        }
    });
}

#[test]
fn a_deleted_topic_is_gone_with_its_data_and_its_name_is_free() {
    let world = World::new(22, 2);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("gone", 4, &[]).await;
        let old = client.topic("gone").await;
        client.produce(partition(&old, 0), &[b"x"]).await;
        let request = DeleteTopicRequest {
            name: "gone".to_owned(),
        };
        assert_eq!(client.call(&request, &[]).await.refusal(), None);
        assert_eq!(client.topic("gone").await.error, ErrorCode::UnknownTopic);
        let refused = client.produce(partition(&old, 0), &[b"y"]).await;
        assert_eq!(refused.error, ErrorCode::UnknownPartition);
        let again = client.call(&request, &[]).await.refusal().unwrap();
        assert_eq!(again.code, ErrorCode::UnknownTopic);
        client.create_topic("gone", 1, &[]).await;
        assert_ne!(client.topic("gone").await.topic, old.topic);
    });
    assert_eq!(topics_of(&world).len(), 1);
}

#[test]
fn a_deletion_is_finished_whenever_the_power_went() {
    for micros in (0..12_000).step_by(400) {
        let world = World::new(23, 2);
        let running = world.start();
        world.client(|reactor| async move {
            let (mut client, _) = Client::connect(&reactor, None).await;
            client.create_topic("gone", 3, &[]).await;
            client.create_topic("kept", 1, &[]).await;
            let kept = client.topic("kept").await;
            client.produce(partition(&kept, 0), &[b"x"]).await;
        });
        world.client(move |reactor| async move {
            let (mut client, _) = Client::connect(&reactor, None).await;
            let request = DeleteTopicRequest {
                name: "gone".to_owned(),
            };
            client.send(&request, &[]).await;
            reactor.sleep(Duration::from_micros(micros)).await;
        });
        drop(running);
        world.crash(CrashKind::Power);
        world.start();
        let is_there = world.client(|reactor| async move {
            let (mut client, _) = Client::connect(&reactor, None).await;
            let kept = client.topic("kept").await;
            assert_eq!(client.values(partition(&kept, 0), 0).await, [b"x"]);
            client.topic("gone").await.error == ErrorCode::None
        });
        assert_eq!(
            topics_of(&world).len(),
            1 + usize::from(is_there),
            "{micros} us"
        );
    }
}

#[test]
fn settings_are_changed_checked_and_given_back() {
    let world = World::new(24, 1);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
        let alter = |set: Vec<Setting>, unset: Vec<String>| AlterTopicRequest {
            name: "events".to_owned(),
            set,
            unset,
            partition: None,
        };
        let set = alter(vec![Setting::new("max_batch_bytes", "2KiB")], Vec::new());
        let answer = client.call(&set, &[]).await;
        let altered = AlterTopicResponse::decode(answer.body()).unwrap();
        let shown = altered
            .settings
            .iter()
            .find(|one| one.key == "max_batch_bytes");
        assert_eq!(shown.unwrap().value, "2048");
        let topic = client.topic("events").await;
        let id = partition(&topic, 0);
        let large = vec![7; 3000];
        assert_eq!(
            client.produce(id, &[&large]).await.error,
            ErrorCode::BatchTooLarge
        );
        let unset = alter(Vec::new(), vec!["max_batch_bytes".to_owned()]);
        assert_eq!(client.call(&unset, &[]).await.refusal(), None);
        assert_eq!(client.produce(id, &[&large]).await.error, ErrorCode::None);
        for wrong in [
            Setting::new("retention", "7d"),
            Setting::new("durability", "memory"),
        ] {
            let refused = client.call(&alter(vec![wrong], Vec::new()), &[]).await;
            assert_eq!(refused.refusal().unwrap().code, ErrorCode::InvalidConfig);
        }
    });
}

#[test]
fn topics_that_cannot_be_made_are_refused_with_a_reason() {
    let world = World::new(25, 1);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
        let refused = [
            ("events", 1, "durability", "sync", ErrorCode::TopicExists),
            (
                "no spaces",
                1,
                "durability",
                "sync",
                ErrorCode::InvalidTopicName,
            ),
            (
                "__internal",
                1,
                "durability",
                "sync",
                ErrorCode::InvalidTopicName,
            ),
            ("none", 0, "durability", "sync", ErrorCode::InvalidRequest),
            (
                "many",
                10_001,
                "durability",
                "sync",
                ErrorCode::InvalidRequest,
            ),
            (
                "memory",
                1,
                "durability",
                "memory",
                ErrorCode::InvalidConfig,
            ),
            (
                "unit",
                1,
                "retention_ms",
                "7 fortnights",
                ErrorCode::InvalidConfig,
            ),
        ];
        for (name, partitions, key, value, code) in refused {
            let request = CreateTopicRequest {
                name: name.to_owned(),
                partitions,
                settings: vec![Setting::new(key, value)],
                replication_factor: 0,
            };
            let refusal = client.call(&request, &[]).await.refusal().expect(name);
            assert_eq!(refusal.code, code, "{name}: {}", refusal.message);
        }
    });
}

#[test]
fn a_lost_or_foreign_store_never_costs_data() {
    let mut world = World::new(26, 1);
    let running = world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
    });
    world.stop(running);
    let before = topics_of(&world);
    world.lose_store();
    let error = world.try_start().map(drop).unwrap_err().to_string();
    assert!(error.contains("missing or empty"), "{error}");
    assert_eq!(topics_of(&world), before);
    world.crash(CrashKind::Process);
    // Another directory with the same new store makes it another cluster's.
    let mut elsewhere = world.config();
    elsewhere.data_dir = PathBuf::from("/elsewhere");
    let running = world
        .try_start_with(elsewhere)
        .map_err(|error| error.to_string())
        .unwrap();
    world.stop(running);
    let error = world.try_start().map(drop).unwrap_err().to_string();
    assert!(error.contains("belongs to cluster"), "{error}");
    assert_eq!(topics_of(&world), before);
}

#[test]
fn another_brokers_a_newer_and_a_locked_directory_are_refused() {
    let world = World::new(27, 1);
    let running = world.start();
    let mut second = world.config();
    second.listen = "10.0.0.1:9500".parse().unwrap();
    let error = world
        .try_start_with(second)
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(error.contains("in use by another broker"), "{error}");
    world.stop(running);
    let mut other = world.config();
    other.broker = BrokerId::new(9);
    let error = world
        .try_start_with(other)
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(error.contains("belongs to broker 0"), "{error}");
    world.crash(CrashKind::Process);
    let format = Path::new(DATA_DIR).join("format.json");
    let text = world.sim.read_file(world.broker, &format).unwrap();
    let text = String::from_utf8(text).unwrap();
    let at = text.find("\"format_version\": 1").unwrap() + "\"format_version\": ".len();
    world
        .sim
        .overwrite(world.broker, &format, at as u64, b"7")
        .unwrap();
    let error = world.try_start().map(drop).unwrap_err().to_string();
    assert!(
        error.contains("format 7") && error.contains("up to 1"),
        "{error}"
    );
}

#[test]
fn an_address_in_use_is_found_out_before_anything_is_changed() {
    let world = World::new(28, 1);
    let listen = |reactor: Reactor| async move {
        let listener = reactor.listen(World::address(), ListenOptions::default());
        let _held = listener.unwrap();
        std::future::pending::<()>().await;
    };
    world.sim.launch_local(world.broker, listen);
    world.sim.run_for(Duration::from_secs(1));
    let error = world.try_start().map(drop).unwrap_err().to_string();
    assert!(error.contains("the address is in use"), "{error}");
    world.crash(CrashKind::Process);
    let running = world.start();
    world.stop(running);
}

#[test]
fn a_directory_that_nobody_knows_is_set_aside_and_kept() {
    let world = World::new(29, 1);
    let running = world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
    });
    world.stop(running);
    let stray = "0123456789abcdef0123456789abcdef";
    let path = Path::new(DATA_DIR).join("topics").join(stray);
    world.sim.make_dir_all(world.broker, &path).unwrap();
    world.start();
    let topics = topics_of(&world);
    assert!(topics.contains(&format!("{stray}.unknown")), "{topics:?}");
    assert_eq!(topics.len(), 2);
}
