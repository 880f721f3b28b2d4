//! Putting a broker together and taking it apart: what is bound, locked, resumed and refused on the way.

use std::cell::RefCell;
use std::io;
use std::num::NonZeroU16;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringlog_log::NoBulkFiles;
use ringlog_reactor::sim::{CrashKind, DiskFault, FaultEffect, FaultTrigger, FaultyOp};
use ringlog_reactor::{OpenOptions, Reactor};
use ringlog_server::BulkFactory;
use ringlog_wire::{
    CreateTopicRequest, DeleteTopicRequest, DescribeTopicRequest, DescribeTopicResponse, ErrorCode,
    MetadataRequest, MetadataResponse, TopicSelection,
};

use crate::client::{Client, partition};
use crate::world::{DATA_DIR, World};

fn strike(world: &World, op: FaultyOp, path_contains: String) {
    world.sim.inject(
        world.broker,
        DiskFault {
            op,
            path_contains,
            trigger: FaultTrigger::Always,
            effect: FaultEffect::Error(io::ErrorKind::Other),
        },
    );
}

fn is_directory(world: &World, path: &str) -> bool {
    world.sim.list_dir(world.broker, Path::new(path)).is_ok()
}

fn delete(name: &str) -> DeleteTopicRequest {
    DeleteTopicRequest {
        name: name.to_owned(),
    }
}

/// Waits until the lock of the data directory is free, and takes it.
async fn take_lock(reactor: &Reactor) {
    let options = OpenOptions {
        read: true,
        write: true,
        ..OpenOptions::default()
    };
    let path = Path::new(DATA_DIR).join("lock");
    let file = reactor.open(&path, options).await.unwrap();
    while file.try_lock().await.is_err() {
        reactor.sleep(Duration::from_micros(10)).await;
    }
}

#[test]
fn the_data_directory_is_free_only_when_every_log_is_closed() {
    for seed in 60..68 {
        let world = World::new(seed, 4);
        let running = world.start();
        world.client(|reactor| async move {
            let (mut client, _) = Client::connect(&reactor, None).await;
            // The first shard has the least to close.
            client.create_topic("events", 31, &[]).await;
            let topic = client.topic("events").await;
            for index in 0..31 {
                client.produce(partition(&topic, index), &[b"x"]).await;
            }
        });
        let free = Rc::new(RefCell::new(false));
        let is_free = Rc::clone(&free);
        world
            .sim
            .launch_local(world.broker, move |reactor| async move {
                take_lock(&reactor).await;
                is_free.replace(true);
            });
        let handle = running.handle.clone();
        world.sim.launch_local(world.client, move |_| async move {
            handle.shutdown().await.unwrap();
        });
        assert!(
            world
                .sim
                .run_until(Duration::from_secs(60), || *free.borrow())
        );
        let when_free = world.sim.disk_stats(world.broker);
        world.sim.run_for(Duration::from_secs(60));
        let at_the_end = world.sim.disk_stats(world.broker);
        assert_eq!(
            (when_free.writes, when_free.syncs),
            (at_the_end.writes, at_the_end.syncs),
            "seed {seed}: somebody wrote to a directory that was no longer locked"
        );
    }
}

#[test]
fn data_that_cannot_be_removed_keeps_no_broker_from_starting() {
    let world = World::new(70, 2);
    let running = world.start();
    let ids = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("gone", 4, &[]).await;
        client.create_topic("kept", 1, &[]).await;
        let (gone, kept) = (client.topic("gone").await, client.topic("kept").await);
        client.produce(partition(&gone, 1), &[b"x"]).await;
        client.produce(partition(&kept, 0), &[b"x"]).await;
        (gone.topic, partition(&kept, 0))
    });
    let (gone, kept) = ids;
    strike(&world, FaultyOp::Rename, format!("/topics/{gone}/1"));
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let refusal = client.call(&delete("gone"), &[]).await.refusal().unwrap();
        assert_eq!(refusal.code, ErrorCode::StorageFailed);
        assert!(
            refusal.message.contains("next start"),
            "{}",
            refusal.message
        );
        assert_eq!(client.topic("gone").await.error, ErrorCode::UnknownTopic);
    });
    let directory = format!("{DATA_DIR}/topics/{gone}");
    // The other partitions are removed all the same.
    let left = world
        .sim
        .list_dir(world.broker, Path::new(&directory))
        .unwrap();
    let left: Vec<_> = left.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(left, ["1"]);
    world.stop(running);
    let running = world.start();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        assert_eq!(client.values(kept, 0).await, [b"x"]);
        assert_eq!(client.topic("gone").await.error, ErrorCode::UnknownTopic);
        let request = CreateTopicRequest {
            name: "gone".to_owned(),
            partitions: 1,
            settings: Vec::new(),
            replication_factor: 0,
        };
        let refusal = client.call(&request, &[]).await.refusal().unwrap();
        assert_eq!(refusal.code, ErrorCode::TopicExists);
    });
    world.stop(running);
    assert!(is_directory(&world, &directory));
    world.sim.clear_faults(world.broker);
    world.start();
    assert!(!is_directory(&world, &directory));
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("gone", 1, &[]).await;
        let found = client.topic("gone").await;
        assert_eq!(client.values(partition(&found, 0), 0).await.len(), 0);
    });
}

#[test]
fn a_partition_that_does_not_open_is_offline_and_the_rest_is_served() {
    let world = World::new(71, 2);
    let running = world.start();
    let ids = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 3, &[]).await;
        let topic = client.topic("events").await;
        for index in 0..3 {
            client.produce(partition(&topic, index), &[b"x"]).await;
        }
        [0, 1, 2].map(|index| partition(&topic, index))
    });
    world.stop(running);
    let broken = format!("/topics/{}/1", ids[1].topic);
    strike(&world, FaultyOp::Open, broken);
    let running = world.start();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let request = DescribeTopicRequest {
            name: "events".to_owned(),
        };
        let answer = client.call(&request, &[]).await;
        let described = DescribeTopicResponse::decode(answer.body()).unwrap();
        let errors: Vec<_> = described.partitions.iter().map(|one| one.error).collect();
        let (none, failed) = (ErrorCode::None, ErrorCode::StorageFailed);
        assert_eq!(errors, [none, failed, none]);
        assert!(described.partitions[1].message.is_some());
        assert_eq!(client.produce(ids[1], &[b"y"]).await.error, failed);
        assert_eq!(client.values(ids[0], 0).await, [b"x"]);
        assert_eq!(client.produce(ids[2], &[b"y"]).await.base_offset, 1);
    });
    let handle = running.handle.clone();
    let health = world.client(|_| async move { handle.health().await.unwrap() });
    assert_eq!(health.partitions, 2);
    assert_eq!(health.offline.len(), 1);
    assert_eq!(health.offline[0].topic, "events");
    assert_eq!(health.offline[0].partition, ids[1].partition);
    // What was not opened is not lost.
    world.stop(running);
    world.sim.clear_faults(world.broker);
    world.start();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        assert_eq!(client.values(ids[1], 0).await, [b"x"]);
    });
}

#[test]
fn a_creation_is_whole_or_not_there_whenever_the_process_died() {
    for micros in (0..12_000).step_by(300) {
        let world = World::new(72, 2);
        let running = world.start();
        world.client(move |reactor| async move {
            let (mut client, _) = Client::connect(&reactor, None).await;
            let request = CreateTopicRequest {
                name: "events".to_owned(),
                partitions: 3,
                settings: Vec::new(),
                replication_factor: 0,
            };
            client.send(&request, &[]).await;
            reactor.sleep(Duration::from_micros(micros)).await;
        });
        drop(running);
        // What the dead process had named is there, and not durable.
        world.crash(CrashKind::Process);
        let running = world.start();
        let id = world.client(|reactor| async move {
            let (mut client, _) = Client::connect(&reactor, None).await;
            if client.topic("events").await.error != ErrorCode::None {
                client.create_topic("events", 3, &[]).await;
            }
            let topic = client.topic("events").await;
            assert_eq!(topic.partitions.len(), 3);
            for index in 0..3 {
                let done = client.produce(partition(&topic, index), &[b"x"]).await;
                assert_eq!(done.error, ErrorCode::None);
            }
            topic.topic
        });
        drop(running);
        world.crash(CrashKind::Power);
        world.start();
        world.client(move |reactor| async move {
            let (mut client, _) = Client::connect(&reactor, None).await;
            let topic = client.topic("events").await;
            assert_eq!(topic.topic, id, "{micros} us");
            for index in 0..3 {
                assert_eq!(client.values(partition(&topic, index), 0).await, [b"x"]);
            }
        });
        let path = format!("{DATA_DIR}/topics");
        let topics = world.sim.list_dir(world.broker, Path::new(&path)).unwrap();
        assert_eq!(topics.len(), 1, "{micros} us");
    }
}

#[test]
fn topics_that_are_being_made_do_not_hold_up_a_stop() {
    const MANY: usize = 60;
    let world = World::new(75, 2);
    let running = world.start();
    let handle = running.handle.clone();
    let codes = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let own = reactor.clone();
        let answers = reactor.spawn("creations", async move {
            for number in 0..MANY {
                let request = CreateTopicRequest {
                    name: format!("topic-{number}"),
                    partitions: 1,
                    settings: Vec::new(),
                    replication_factor: 0,
                };
                // Some come in behind the request to stop.
                client.send(&request, &[]).await;
                own.sleep(Duration::from_micros(20)).await;
            }
            let mut codes = Vec::new();
            while let Some(answer) = client.receive().await {
                codes.push(answer.refusal().map(|refusal| refusal.code));
            }
            codes
        });
        reactor.sleep(Duration::from_micros(600)).await;
        let began = reactor.now();
        let (first, second) = futures_util::join!(handle.shutdown(), handle.shutdown());
        first.and(second).unwrap();
        assert!(reactor.now().since(began) < Duration::from_secs(5));
        answers.await
    });
    let made = codes.iter().filter(|code| code.is_none()).count();
    let refused = codes.iter().flatten();
    assert!(refused.clone().all(|&code| code == ErrorCode::ShuttingDown));
    assert!(made > 0 && refused.count() > 0, "{made} were made");
    world.crash(CrashKind::Power);
    world.start();
    let topics = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let request = MetadataRequest {
            topics: TopicSelection::All,
        };
        let answer = client.call(&request, &[]).await;
        let metadata = MetadataResponse::decode(answer.body()).unwrap();
        metadata.topics.len()
    });
    assert_eq!(topics, made, "what was refused was not made");
}

#[test]
fn clients_are_told_an_address_that_they_can_use() {
    let world = World::new(73, 1);
    let mut config = world.config();
    config.listen = "0.0.0.0:9400".parse().unwrap();
    let platform = world.sim.platform(world.broker);
    let bulk: BulkFactory = Arc::new(|_| Rc::new(NoBulkFiles));
    let refused = ringlog_server::start(&platform, config, bulk).map(drop);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("advertised address"), "{refused}");
    let mut config = world.config();
    config.advertised = Some("broker.example:9400".to_owned());
    world
        .try_start_with(config)
        .map_err(|error| error.to_string())
        .unwrap();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let request = MetadataRequest {
            topics: TopicSelection::All,
        };
        let answer = client.call(&request, &[]).await;
        let metadata = MetadataResponse::decode(answer.body()).unwrap();
        assert_eq!(metadata.brokers[0].address, "broker.example:9400");
    });
}

#[test]
fn too_little_memory_is_refused_with_how_much_is_needed() {
    let world = World::new(74, 1);
    let mut config = world.config();
    config.shards = NonZeroU16::new(2).unwrap();
    let needed = ringlog_server::BrokerConfig::memory_bytes_min(config.shards);
    let platform = world.sim.platform(world.broker);
    let bulk: BulkFactory = Arc::new(|_| Rc::new(NoBulkFiles));
    let refused = ringlog_server::start(&platform, config, bulk).map(drop);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains(&needed.to_string()), "{refused}");
}

#[test]
fn the_number_of_shards_may_change_between_starts_and_no_data_moves() {
    let world = World::new(76, 1);
    let start = |shards: u16| {
        let mut config = world.config();
        config.shards = NonZeroU16::new(shards).unwrap();
        config.memory_bytes = ringlog_server::BrokerConfig::memory_bytes_min(config.shards);
        match world.try_start_with(config) {
            Ok(running) => running,
            Err(error) => panic!("{error}"),
        }
    };
    let running = start(1);
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 7, &[]).await;
        let topic = client.topic("events").await;
        for index in 0..7 {
            client.produce(partition(&topic, index), &[b"1"]).await;
        }
    });
    let directories = || {
        let topics = world
            .sim
            .list_dir(world.broker, &Path::new(DATA_DIR).join("topics"));
        let topic = topics.unwrap().remove(0).name;
        let path = Path::new(DATA_DIR).join("topics").join(topic);
        let mut names: Vec<_> = world.sim.list_dir(world.broker, &path).unwrap();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        names
            .into_iter()
            .map(|entry| entry.name)
            .collect::<Vec<_>>()
    };
    let before = directories();
    let mut running = Some(running);
    for (round, shards) in (2_u8..).zip([3, 2, 1, 4]) {
        match running.take() {
            Some(running) if round % 2 == 0 => world.stop(running),
            _ => world.crash(CrashKind::Power),
        }
        running = Some(start(shards));
        let owners = world.client(move |reactor| async move {
            let (mut client, _) = Client::connect(&reactor, None).await;
            let topic = client.topic("events").await;
            let mut owners = std::collections::BTreeSet::new();
            for index in 0..7 {
                let id = partition(&topic, index);
                let value = [b'0' + round];
                assert_eq!(client.produce(id, &[&value]).await.error, ErrorCode::None);
                let expected: Vec<Vec<u8>> = (1..=round).map(|one| vec![b'0' + one]).collect();
                assert_eq!(client.values(id, 0).await, expected, "{shards} shards");
                owners.insert(crate::client::shard_of(&topic, index));
            }
            owners.len()
        });
        assert_eq!(owners, usize::from(shards), "all shards have some");
        assert_eq!(directories(), before);
    }
}
