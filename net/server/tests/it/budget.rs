//! The memory that a broker declares: kept with thousands of partitions, and refused beyond.

use std::time::Duration;

use ringlog_reactor::Reactor;
use ringlog_record::TopicPartition;
use ringlog_server::PartitionBudget;
use ringlog_server::limits::{DESCRIPTORS_OF_BROKER, PARTITION_BYTES};
use ringlog_wire::{
    Acks, AlterTopicRequest, CreateTopicRequest, ErrorCode, ProducePartition, ProduceRequestDraft,
    ProduceResponse, Setting,
};

use crate::client::{Client, batch_of, partition};
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
        replication_factor: 0,
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
fn as_many_partitions_as_the_least_memory_serves_stay_within_it() {
    let world = World::new(82, 1);
    let config = world.config();
    let memory_bytes = config.memory_bytes as u64;
    let most = u32::try_from(PartitionBudget::of(&config).partitions_max()).unwrap();
    let running = world.start();
    let handle = running.handle.clone();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        assert_eq!(create(&mut client, "many", most, &[]).await, None);
        let topic = client.topic("many").await;
        let ids: Vec<_> = (0..most).map(|index| partition(&topic, index)).collect();
        for round in 0..2 {
            produce_everywhere(&reactor, &mut client, &ids, &[round; 100]).await;
        }
        let metrics = handle.metrics().await.unwrap();
        assert!(metrics[0].gauges.pool_bytes <= memory_bytes);
        assert_eq!(metrics[0].gauges.partitions, u64::from(most));
    });
}

#[test]
fn a_thousand_partitions_in_memory_stay_within_the_memory() {
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
        for number in 0..10 {
            let name = format!("fast-{number}");
            assert_eq!(create(&mut client, &name, 100, &settings).await, None);
            let topic = client.topic(&name).await;
            ids.extend((0..100).map(|index| partition(&topic, index)));
        }
        for _ in 0..12 {
            produce_everywhere(&reactor, &mut client, &ids, &[7; 10_000]).await;
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

/// A record to each of the partitions, again where memory is short for the moment.
async fn produce_everywhere(
    reactor: &Reactor,
    client: &mut Client,
    ids: &[TopicPartition],
    value: &[u8],
) {
    let batch = batch_of(&[value]);
    let mut left = ids.to_vec();
    while !left.is_empty() {
        let mut throttled = Vec::new();
        for some in left.chunks(100) {
            let len_bytes = u32::try_from(batch.len()).unwrap();
            let partitions: Vec<_> = (some.iter())
                .map(|&id| ProducePartition::new(id, len_bytes))
                .collect();
            let draft = ProduceRequestDraft {
                acks: Acks::All,
                timeout_ms: 30_000,
                partitions: &partitions,
                wants_receipt: false,
            };
            let frame = client.call(&draft, &batch.repeat(some.len())).await;
            let response = ProduceResponse::decode(frame.body()).unwrap();
            for (produced, &id) in response.partitions().zip(some) {
                match produced.error {
                    ErrorCode::None => {}
                    ErrorCode::Throttled => throttled.push(id),
                    error => panic!("{error}"),
                }
            }
        }
        left = throttled;
        reactor.sleep(Duration::from_millis(1)).await;
    }
}
