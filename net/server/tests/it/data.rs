//! Records in and out: over one shard and over several, across restarts.

use std::time::Duration;

use ringlog_reactor::sim::CrashKind;
use ringlog_record::Offset;
use ringlog_wire::{
    Acks, CorrelationId, DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse,
    ErrorCode, FetchRequestDraft, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse,
    OffsetPosition,
};

use crate::client::{Client, batch_of, partition, produced, shard_of, wanted};
use crate::world::World;

#[test]
fn what_was_acknowledged_is_there_after_the_power_was_lost() {
    let world = World::new(1, 1);
    let running = world.start();
    world.client(|reactor| async move {
        let (mut client, hello) = Client::connect(&reactor, None).await;
        assert_eq!(hello.shard_count, 1);
        client.create_topic("events", 1, &[]).await;
        let topic = client.topic("events").await;
        let id = partition(&topic, 0);
        assert_eq!(client.produce(id, &[b"a", b"b"]).await.base_offset, 0);
        assert_eq!(client.produce(id, &[b"c"]).await.base_offset, 2);
        assert_eq!(client.values(id, 0).await, [b"a", b"b", b"c"]);
    });
    drop(running);
    world.crash(CrashKind::Power);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let topic = client.topic("events").await;
        assert_eq!(topic.partitions[0].leader_epoch.get(), 1);
        let id = partition(&topic, 0);
        assert_eq!(
            client.values(id, 1).await,
            [b"a", b"b", b"c"],
            "whole batches"
        );
        assert_eq!(client.produce(id, &[b"d"]).await.base_offset, 3);
    });
}

#[test]
fn a_drained_broker_comes_back_with_everything() {
    let world = World::new(2, 2);
    let running = world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client
            .create_topic("events", 4, &[("durability", "async")])
            .await;
        let topic = client.topic("events").await;
        for index in 0..4 {
            client.produce(partition(&topic, index), &[b"x"]).await;
        }
    });
    world.stop(running);
    world.crash(CrashKind::Power);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let topic = client.topic("events").await;
        for index in 0..4 {
            assert_eq!(client.values(partition(&topic, index), 0).await, [b"x"]);
        }
    });
}

#[test]
fn a_request_at_the_wrong_shard_is_served_and_says_so() {
    let world = World::new(3, 3);
    world.start();
    world.client(|reactor| async move {
        let (mut client, hello) = Client::connect(&reactor, Some(0)).await;
        assert_eq!((hello.shard.get(), hello.shard_count), (0, 3));
        client.create_topic("events", 3, &[]).await;
        let topic = client.topic("events").await;
        for index in 0..3 {
            let id = partition(&topic, index);
            let is_elsewhere = shard_of(&topic, index) != 0;
            for value in [b"1", b"2", b"3"] {
                let produced = client.produce(id, &[value]).await;
                assert_eq!(
                    (produced.error, produced.forwarded),
                    (ErrorCode::None, is_elsewhere)
                );
            }
            let fetched = client.fetch(&[wanted(id, 0)], 1, 0).await.remove(0);
            assert_eq!(fetched.forwarded, is_elsewhere);
            assert_eq!(fetched.values, [b"1", b"2", b"3"]);
        }
        let all: Vec<_> = (0..3)
            .map(|index| wanted(partition(&topic, index), 1))
            .collect();
        for fetched in client.fetch(&all, 1, 0).await {
            assert_eq!(fetched.values, [b"2", b"3"]);
        }
    });
}

#[test]
fn a_connection_is_handed_over_to_the_shard_that_it_asked_for() {
    let world = World::new(4, 3);
    let running = world.start();
    world.client(|reactor| async move {
        for shard in [2, 0, 1, 2, 2, 1] {
            let (mut client, hello) = Client::connect(&reactor, Some(shard)).await;
            assert_eq!(hello.shard.get(), shard);
            assert_eq!(client.topic("none").await.error, ErrorCode::UnknownTopic);
        }
    });
    world.stop(running);
}

#[test]
fn produces_of_a_connection_keep_their_order_and_fetches_do_not_hold_them_up() {
    let world = World::new(5, 2);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, Some(0)).await;
        client.create_topic("events", 2, &[]).await;
        let topic = client.topic("events").await;
        let ids = [partition(&topic, 0), partition(&topic, 1)];
        let draft = FetchRequestDraft {
            max_wait_ms: 60_000,
            min_bytes: 1 << 20,
            max_bytes: 1 << 20,
            partitions: &[wanted(ids[0], 0), wanted(ids[1], 0)],
        };
        let parked = client.send(&draft, &[]).await;
        let mut sent = Vec::new();
        for number in 0..100_u64 {
            let id = ids[usize::try_from(number % 2).unwrap()];
            let batch = batch_of(&[&number.to_be_bytes()]);
            sent.push(client.send_produce(id, &batch, Acks::All).await);
        }
        let mut offsets = std::collections::BTreeMap::new();
        while offsets.len() < sent.len() {
            let frame = client.receive().await.unwrap();
            assert_ne!(frame.header.correlation_id(), CorrelationId::new(parked));
            offsets.insert(
                frame.header.correlation_id().get(),
                produced(&frame).base_offset,
            );
        }
        for (number, id) in (0..).zip(&sent) {
            assert_eq!(offsets[id], number / 2, "the {number}th produce");
        }
    });
}

#[test]
fn a_fetch_over_several_shards_waits_for_any_of_them() {
    let world = World::new(6, 2);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, Some(0)).await;
        client.create_topic("events", 2, &[]).await;
        let topic = client.topic("events").await;
        for index in 0..2 {
            let id = partition(&topic, index);
            let offset = u64::from(index > 0);
            let all = [
                wanted(partition(&topic, 0), offset),
                wanted(partition(&topic, 1), 0),
            ];
            let began = reactor.now();
            let empty = client.fetch(&all, 1, 300).await;
            assert!(empty.iter().all(|one| one.values.is_empty()));
            assert!(reactor.now().since(began) >= Duration::from_millis(300));
            let own = reactor.clone();
            let late = reactor.spawn("late", async move {
                own.sleep(Duration::from_secs(2)).await;
                let (mut other, _) = Client::connect(&own, None).await;
                other.produce(id, &[b"late"]).await;
            });
            let began = reactor.now();
            let found = client.fetch(&all, 1, 60_000).await;
            let waited = reactor.now().since(began);
            assert!(
                waited >= Duration::from_secs(2) && waited < Duration::from_secs(4),
                "{waited:?}"
            );
            assert_eq!(found[index as usize].values, [b"late"]);
            late.await;
        }
    });
}

#[test]
fn a_reader_of_records_that_were_lost_is_told_where_to_go_on() {
    let world = World::new(7, 1);
    let running = world.start();
    let epoch = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let settings = [("durability", "async"), ("flush_ms", "10s")];
        client.create_topic("events", 1, &settings).await;
        let topic = client.topic("events").await;
        let id = partition(&topic, 0);
        client.produce(id, &[b"a", b"b"]).await;
        let read = client.fetch(&[wanted(id, 0)], 1, 0).await.remove(0);
        assert_eq!(read.values.len(), 2);
        read.last_epoch
    });
    drop(running);
    world.crash(CrashKind::Power);
    world.start();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let topic = client.topic("events").await;
        let id = partition(&topic, 0);
        for value in [&b"c"[..], b"d", b"e"] {
            client.produce(id, &[value]).await;
        }
        let mut further = wanted(id, 2);
        further.last_epoch = epoch;
        let refused = client.fetch(&[further], 1, 0).await.remove(0);
        assert_eq!(refused.error, ErrorCode::LogTruncated);
        assert_eq!(refused.agreed_end, Some(Offset::ZERO));
    });
}

#[test]
fn offsets_are_found_and_records_deleted_through_any_shard() {
    let world = World::new(8, 2);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, Some(1)).await;
        client.create_topic("events", 2, &[]).await;
        let topic = client.topic("events").await;
        let ids = [partition(&topic, 0), partition(&topic, 1)];
        for id in ids {
            for value in [b"1", b"2", b"3"] {
                client.produce(id, &[value]).await;
            }
        }
        let delete = DeleteRecordsRequest {
            partitions: ids
                .iter()
                .map(|&id| DeleteRecordsPartition {
                    id,
                    before: Offset::new(2),
                })
                .collect(),
        };
        let answer = client.call(&delete, &[]).await;
        for one in DeleteRecordsResponse::decode(answer.body())
            .unwrap()
            .partitions
        {
            assert_eq!((one.error, one.state.log_start.get()), (ErrorCode::None, 2));
        }
        let positions = [OffsetPosition::Earliest, OffsetPosition::Latest];
        for (position, offset) in positions.into_iter().zip([2, 3]) {
            let request = ListOffsetsRequest {
                partitions: ids
                    .iter()
                    .map(|&id| ListOffsetsPartition { id, position })
                    .collect(),
            };
            let answer = client.call(&request, &[]).await;
            for one in ListOffsetsResponse::decode(answer.body())
                .unwrap()
                .partitions
            {
                assert_eq!(one.offset.map(Offset::get), Some(offset));
            }
        }
        let refused = client.fetch(&[wanted(ids[0], 0)], 1, 0).await.remove(0);
        assert_eq!(refused.error, ErrorCode::OffsetOutOfRange);
        assert_eq!(refused.high_watermark, 3);
        assert_eq!(client.values(ids[0], 2).await, [b"3"]);
    });
}

#[test]
fn a_parked_fetch_waits_for_the_bytes_that_it_wants_and_not_for_fewer() {
    let world = World::new(9, 2);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, Some(0)).await;
        client.create_topic("events", 2, &[]).await;
        let topic = client.topic("events").await;
        for index in 0..2 {
            let id = partition(&topic, index);
            for _ in 0..4 {
                client.produce(id, &[&[7; 10_000]]).await;
            }
            let own = reactor.clone();
            let late = reactor.spawn("late", async move {
                let (mut other, _) = Client::connect(&own, None).await;
                own.sleep(Duration::from_secs(1)).await;
                other.produce(id, &[b"too little"]).await;
                own.sleep(Duration::from_secs(2)).await;
                other.produce(id, &[&[8; 8_000]]).await;
            });
            let began = reactor.now();
            let found = client.fetch(&[wanted(id, 4)], 5_000, 60_000).await;
            let waited = reactor.now().since(began);
            assert_eq!(found[0].values.len(), 2, "after {waited:?}");
            assert!(
                waited >= Duration::from_secs(3) && waited < Duration::from_secs(5),
                "{waited:?}"
            );
            late.await;
        }
    });
}
