//! Topics that are in memory only, and partitions with a durability of their own.

use ringlog_reactor::sim::CrashKind;
use ringlog_record::{Offset, PartitionIndex, TopicPartition};
use ringlog_wire::{
    AckLevel, AlterTopicRequest, AlterTopicResponse, DeleteRecordsPartition, DeleteRecordsRequest,
    DescribeTopicRequest, DescribeTopicResponse, DescribedPartition, ErrorCode, FetchPartition,
    Setting,
};

use crate::client::{Client, partition, wanted};
use crate::world::World;

const IN_MEMORY: [(&str, &str); 2] = [("durability", "memory"), ("retention_bytes", "4MiB")];

async fn describe(client: &mut Client, name: &str) -> Vec<DescribedPartition> {
    let request = DescribeTopicRequest {
        name: name.to_owned(),
    };
    let answer = client.call(&request, &[]).await;
    let described = DescribeTopicResponse::decode(answer.body()).unwrap();
    described.partitions
}

/// Gives one partition a durability of its own, or takes it back; gives those that are pending.
async fn alter(client: &mut Client, name: &str, index: u32, durability: &str) -> Vec<u32> {
    let request = AlterTopicRequest {
        name: name.to_owned(),
        set: vec![Setting::new("durability", durability)],
        unset: Vec::new(),
        partition: Some(PartitionIndex::new(index)),
    };
    let answer = client.call(&request, &[]).await;
    assert_eq!(answer.refusal(), None);
    let altered = AlterTopicResponse::decode(answer.body()).unwrap();
    altered.pending.iter().map(|one| one.get()).collect()
}

async fn delete_all(client: &mut Client, id: TopicPartition, before: u64) {
    let request = DeleteRecordsRequest {
        partitions: vec![DeleteRecordsPartition {
            id,
            before: Offset::new(before),
        }],
    };
    assert_eq!(client.call(&request, &[]).await.refusal(), None);
}

#[test]
fn a_topic_in_memory_says_so_and_its_readers_are_told_what_a_crash_took() {
    let world = World::new(60, 2);
    world.start();
    let (id, last_epoch) = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("fast", 2, &IN_MEMORY).await;
        let topic = client.topic("fast").await;
        let id = partition(&topic, 1);
        for value in [b"a", b"b", b"c"] {
            let produced = client.produce(id, &[value]).await;
            assert_eq!(produced.error, ErrorCode::None);
            assert_eq!(produced.level, AckLevel::AllMemory);
        }
        let found = client.fetch(&[wanted(id, 0)], 1, 0).await.remove(0);
        assert_eq!(found.values, [b"a", b"b", b"c"]);
        let described = describe(&mut client, "fast").await;
        assert_eq!(described[1].durability.as_deref(), Some("memory"));
        (id, found.last_epoch)
    });
    for kind in [CrashKind::Process, CrashKind::Power] {
        world.crash(kind);
        world.start();
        world.client(move |reactor| async move {
            let (mut client, _) = Client::connect(&reactor, None).await;
            let reader = FetchPartition {
                last_epoch,
                ..wanted(id, 2)
            };
            let told = client.fetch(&[reader], 1, 0).await.remove(0);
            assert_eq!(told.error, ErrorCode::LogTruncated);
            let fresh = client.fetch(&[wanted(id, 2)], 1, 0).await.remove(0);
            assert_eq!(fresh.error, ErrorCode::OffsetOutOfRange);
            let start = told.agreed_end.unwrap().get();
            assert!(start > 3, "no offset is given out twice");
            let produced = client.produce(id, &[b"d"]).await;
            assert!(produced.base_offset >= start);
            assert_eq!(client.values(id, start).await, [b"d"]);
        });
    }
}

#[test]
fn a_partition_has_a_durability_of_its_own_until_it_is_taken_back() {
    let world = World::new(61, 2);
    let running = world.start();
    let id = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let settings = [("retention_bytes", "4MiB")];
        client.create_topic("events", 3, &settings).await;
        let topic = client.topic("events").await;
        let id = partition(&topic, 1);
        assert_eq!(
            client.produce(id, &[b"a"]).await.level,
            AckLevel::AllDurable
        );
        assert!(alter(&mut client, "events", 1, "async").await.is_empty());
        assert_eq!(client.produce(id, &[b"b"]).await.level, AckLevel::AllMemory);
        let other = partition(&topic, 0);
        assert_eq!(
            client.produce(other, &[b"a"]).await.level,
            AckLevel::AllDurable
        );
        // What it holds keeps it on the device; it promises what it does meanwhile.
        assert_eq!(alter(&mut client, "events", 1, "memory").await, [1]);
        let described = describe(&mut client, "events").await;
        assert_eq!(described[1].own_durability.as_deref(), Some("memory"));
        assert_eq!(described[1].durability.as_deref(), Some("sync"));
        assert_eq!(described[0].own_durability, None);
        assert_eq!(
            client.produce(id, &[b"c"]).await.level,
            AckLevel::AllDurable
        );
        delete_all(&mut client, id, 3).await;
        let described = describe(&mut client, "events").await;
        assert_eq!(described[1].durability.as_deref(), Some("memory"));
        assert_eq!(client.produce(id, &[b"d"]).await.level, AckLevel::AllMemory);
        id
    });
    world.stop(running);
    world.start();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let described = describe(&mut client, "events").await;
        assert_eq!(described[1].durability.as_deref(), Some("memory"));
        assert_eq!(described[0].durability.as_deref(), Some("sync"));
        let end = client.produce(id, &[b"e"]).await.base_offset + 1;
        assert_eq!(alter(&mut client, "events", 1, "default").await, [1]);
        assert_eq!(client.produce(id, &[b"f"]).await.level, AckLevel::AllMemory);
        delete_all(&mut client, id, end + 1).await;
        assert_eq!(
            client.produce(id, &[b"g"]).await.level,
            AckLevel::AllDurable
        );
        let described = describe(&mut client, "events").await;
        assert_eq!(described[1].own_durability, None);
        assert_eq!(client.values(id, end + 1).await, [b"g"]);
    });
    world.crash(CrashKind::Power);
    world.start();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let start = describe(&mut client, "events").await[1].state.log_start;
        assert_eq!(client.values(id, start.get()).await, [b"g"]);
    });
}

#[test]
fn what_is_no_setting_of_a_partition_is_refused() {
    let world = World::new(62, 1);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 2, &[]).await;
        for (index, key, value, code) in [
            (0, "retention_ms", "1h", ErrorCode::InvalidConfig),
            (0, "durability", "memory", ErrorCode::InvalidConfig),
            (2, "durability", "async", ErrorCode::UnknownPartition),
        ] {
            let request = AlterTopicRequest {
                name: "events".to_owned(),
                set: vec![Setting::new(key, value)],
                unset: Vec::new(),
                partition: Some(PartitionIndex::new(index)),
            };
            let refusal = client.call(&request, &[]).await.refusal().unwrap();
            assert_eq!(refusal.code, code, "{}", refusal.message);
        }
    });
}
