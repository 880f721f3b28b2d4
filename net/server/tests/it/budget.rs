//! The memory that a broker declares: kept with thousands of partitions, and refused beyond.

use std::time::Duration;

use ringlog_record::TopicPartition;
use ringlog_server::PartitionBudget;
use ringlog_server::limits::{DESCRIPTORS_OF_BROKER, PARTITION_BYTES};
use ringlog_wire::{AlterTopicRequest, CreateTopicRequest, ErrorCode, Setting};

use crate::client::{Client, partition};
use crate::world::World;

async fn create(
    client: &mut Client,
    name: &str,
    partitions: u32,
    settings: &[(&str, &str)],
) -> Option<(ErrorCode, String)> {
    let settings = settings.iter().copied();
    let request = CreateTopicRequest {
        name: name.to_owned(),
        partitions,
        settings: settings
            .map(|(key, value)| Setting::new(key, value))
            .collect(),
    };
    let answer = client.call(&request, &[]).await;
    answer
        .refusal()
        .map(|refusal| (refusal.code, refusal.message))
}

#[test]
fn partitions_beyond_the_memory_are_refused_with_the_arithmetic() {
    let world = World::new(80, 2);
    world.start();
    let budget = PartitionBudget::of(&world.config());
    let most = u32::try_from(budget.partitions_max()).unwrap();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let (code, message) = create(&mut client, "many", most + 1, &[]).await.unwrap();
        assert_eq!(code, ErrorCode::InvalidRequest);
        let shard_bytes = u64::from(most / 2) * PARTITION_BYTES as u64;
        assert!(
            message.contains(&format!("the {shard_bytes} bytes")),
            "{message}"
        );
        assert!(message.contains("0 are taken"), "{message}");
        assert!(message.contains("--memory"), "{message}");
        // Of those in memory fewer fit, and they leave room for others.
        let settings = [("durability", "memory"), ("retention_bytes", "16MiB")];
        let refused = create(&mut client, "fast", 6, &settings).await.unwrap();
        assert!(refused.1.contains("the largest of them"), "{}", refused.1);
        assert_eq!(create(&mut client, "fast", 4, &settings).await, None);
        assert_eq!(create(&mut client, "few", 10, &[]).await, None);
        let request = AlterTopicRequest {
            name: "fast".to_owned(),
            set: vec![Setting::new("retention_bytes", "64MiB")],
            ..AlterTopicRequest::default()
        };
        let refused = client.call(&request, &[]).await.refusal().unwrap();
        assert_eq!(refused.code, ErrorCode::InvalidConfig);
        let less = AlterTopicRequest {
            set: vec![Setting::new("retention_bytes", "1MiB")],
            ..request
        };
        assert_eq!(client.call(&less, &[]).await.refusal(), None);
        assert_eq!(
            create(&mut client, "fast2", 6, &settings)
                .await
                .map(|one| one.0),
            Some(ErrorCode::InvalidRequest)
        );
        assert_eq!(create(&mut client, "fast3", 2, &settings).await, None);
    });
}

#[test]
fn partitions_beyond_the_open_files_are_refused() {
    let world = World::new(81, 1);
    let mut config = world.config();
    config.connections_max = 10;
    config.descriptors_max = Some(10 + 256 + DESCRIPTORS_OF_BROKER + 3 * 7);
    let Ok(_running) = world.try_start_with(config) else {
        panic!("it starts");
    };
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let refused = create(&mut client, "many", 8, &[]).await.unwrap();
        assert!(
            refused
                .1
                .contains("8 partitions with 3 files each need 24, and 21"),
            "{}",
            refused.1
        );
        assert_eq!(create(&mut client, "many", 7, &[]).await, None);
        assert!(create(&mut client, "one", 1, &[]).await.is_some());
    });
}

#[test]
fn five_thousand_partitions_stay_within_the_memory() {
    let world = World::new(82, 1);
    let mut config = world.config();
    config.memory_bytes = 320 << 20;
    let memory_bytes = config.memory_bytes as u64;
    let Ok(running) = world.try_start_with(config) else {
        panic!("it starts");
    };
    let handle = running.handle.clone();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        assert_eq!(create(&mut client, "many", 5_000, &[]).await, None);
        let topic = client.topic("many").await;
        for round in 0..2 {
            for index in 0..5_000 {
                let id = partition(&topic, index);
                let error = produce_until_taken(&reactor, &mut client, id, &[round; 100]).await;
                assert_eq!(error, ErrorCode::None);
            }
        }
        let metrics = handle.metrics().await.unwrap();
        assert!(metrics[0].gauges.pool_bytes <= memory_bytes);
        assert_eq!(metrics[0].gauges.partitions, 5_000);
    });
}

#[test]
fn a_thousand_topics_in_memory_stay_within_the_memory() {
    let world = World::new(83, 1);
    let mut config = world.config();
    config.memory_bytes = 320 << 20;
    let memory_bytes = config.memory_bytes as u64;
    let Ok(running) = world.try_start_with(config) else {
        panic!("it starts");
    };
    let handle = running.handle.clone();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let settings = [
            ("durability", "memory"),
            ("retention_bytes", "64KiB"),
            ("max_batch_bytes", "16KiB"),
        ];
        let mut ids = Vec::new();
        for number in 0..1_000 {
            let name = format!("fast-{number}");
            assert_eq!(create(&mut client, &name, 1, &settings).await, None);
            ids.push(partition(&client.topic(&name).await, 0));
        }
        for _ in 0..12 {
            for &id in &ids {
                let error = produce_until_taken(&reactor, &mut client, id, &[7; 10_000]).await;
                assert_eq!(error, ErrorCode::None);
            }
        }
        let metrics = handle.metrics().await.unwrap();
        let gauges = metrics[0].gauges;
        assert_eq!(gauges.partitions_in_memory, 1_000);
        assert!(gauges.pool_bytes <= memory_bytes, "{gauges:?}");
        assert!(gauges.memory_bytes <= 1_000 * (64 << 10), "{gauges:?}");
        assert!(
            gauges.memory_bytes >= 1_000 * (48 << 10),
            "what may be kept is: {gauges:?}"
        );
        assert!(metrics[0].log.memory_dropped_bytes > 0);
        assert_eq!(metrics[0].log.written_bytes, 0);
    });
}

async fn produce_until_taken(
    reactor: &ringlog_reactor::Reactor,
    client: &mut Client,
    id: TopicPartition,
    value: &[u8],
) -> ErrorCode {
    loop {
        match client.produce(id, &[value]).await.error {
            ErrorCode::Throttled => reactor.sleep(Duration::from_millis(1)).await,
            error => return error,
        }
    }
}
