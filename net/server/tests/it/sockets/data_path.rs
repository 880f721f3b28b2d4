//! Produce, fetch and what goes with them, on one shard.

use std::time::Duration;

use bytes::Bytes;
use ringlog_record::Offset;
use ringlog_wire::{
    AckLevel, Acks, DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, ErrorCode,
    FetchPartition, FetchRequestDraft, ListOffsetsPartition, ListOffsetsRequest,
    ListOffsetsResponse, MetadataRequest, OffsetPosition, TopicSelection,
};

use ringlog_server::limits::{SHARD_MEMORY_BYTES_MIN, WATCH_BYTES, WATCHES_PART};

use super::stage::{Scene, on_all, on_sim};
use super::wire::{Wire, acked, batch, found, from};

#[test]
fn what_was_produced_is_fetched() {
    on_all(1, |scene: Scene| Box::pin(round_trip(scene)));
}

async fn round_trip(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, None).await;
    let topic = wire.create_topic("words", 1, &[]).await;
    let id = topic[0].0;
    let first = wire.produce(Acks::All, &[(id, batch(&[b"a", b"b"]))]).await;
    assert_eq!(first[0].error, ErrorCode::None);
    assert_eq!(first[0].base_offset, Offset::new(0));
    assert_eq!(first[0].level, AckLevel::AllDurable);
    let second = wire.produce(Acks::Leader, &[(id, batch(&[b"c"]))]).await;
    assert_eq!(second[0].base_offset, Offset::new(2));
    let found = wire.fetch(1, 1000, &[from(id, 0)]).await;
    let values: Vec<_> = found[0]
        .records
        .iter()
        .map(|(_, value)| &value[..])
        .collect();
    assert_eq!(values, [b"a", b"b", b"c"]);
    assert_eq!(found[0].state.high_watermark, Offset::new(3));
    assert!(!found[0].forwarded);
    let later = wire.fetch(1, 0, &[from(id, 2)]).await;
    assert_eq!(later[0].records, [(Offset::new(2), b"c".to_vec())]);
}

#[test]
fn produces_of_one_connection_keep_their_order_and_a_parked_fetch_stops_none() {
    on_all(1, |scene: Scene| Box::pin(pipelined(scene)));
}

async fn pipelined(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, None).await;
    let id = wire.create_topic("lines", 1, &[]).await[0].0;
    let parked = wire.send_fetch(u32::MAX, 3_000, &[from(id, 0)]).await;
    let mut produces = Vec::new();
    let mut requests = Vec::new();
    for number in 0..500_u32 {
        let batch = batch(&[&number.to_be_bytes()]);
        let draft = ringlog_wire::ProduceRequestDraft {
            acks: Acks::All,
            timeout_ms: 30_000,
            partitions: &[ringlog_wire::ProducePartition::new(
                id,
                u32::try_from(batch.len()).unwrap(),
            )],
            wants_receipt: false,
        };
        let (request, head) = wire.encode(&draft);
        produces.push(request);
        requests.extend([head, batch]);
    }
    // All at once: many frames are in one receive, and some across two.
    let sent = scene.reactor.now();
    wire.send_bytes(vec![Bytes::from(requests.concat())]).await;
    for _ in 0..500 {
        let answer = wire.receive().await.unwrap();
        let place = produces.iter().position(|&one| one == answer.id());
        let offset = acked(&answer)[0].base_offset;
        assert_eq!(
            offset.get(),
            place.expect("not the parked fetch yet") as u64
        );
    }
    let parked_answer = wire.receive().await.unwrap();
    assert_eq!(parked_answer.id(), parked);
    assert!(scene.reactor.now().since(sent) >= Duration::from_millis(2_500));
    let records = &found(&parked_answer)[0].records;
    assert_eq!(records.len(), 500, "at the deadline comes what there is");
    for (number, (offset, value)) in (0_u32..).zip(records) {
        assert_eq!(offset.get(), u64::from(number));
        assert_eq!(value[..], number.to_be_bytes());
    }
}

#[test]
fn a_parked_fetch_is_answered_as_soon_as_there_is_enough() {
    on_all(1, |scene: Scene| Box::pin(long_poll(scene)));
}

async fn long_poll(scene: Scene) {
    let mut reader = Wire::connect(&scene.reactor, scene.address, None).await;
    let mut writer = Wire::connect(&scene.reactor, scene.address, None).await;
    let ids = writer.create_topic("news", 2, &[]).await;
    let wanted: Vec<_> = ids.iter().map(|&(id, _)| from(id, 0)).collect();
    let small = batch(&[b"small"]);
    let least = u32::try_from(2 * small.len()).unwrap();
    let parked = reader.send_fetch(least, 60_000, &wanted).await;
    writer
        .produce(Acks::All, &[(ids[0].0, small.clone())])
        .await;
    scene.reactor.sleep(Duration::from_millis(200)).await;
    let began = scene.reactor.now();
    writer.produce(Acks::All, &[(ids[1].0, small)]).await;
    let answer = reader.receive().await.unwrap();
    assert_eq!(answer.id(), parked);
    assert!(scene.reactor.now().since(began) < Duration::from_secs(10));
    assert!(found(&answer).iter().all(|one| one.records.len() == 1));
}

#[test]
fn parked_fetches_are_bounded_and_one_too_many_is_answered_at_once() {
    on_sim(2, |scene: Scene| {
        Box::pin(async move {
            let mut wire = Wire::connect(&scene.reactor, scene.address, Some(0)).await;
            let ids = wire.create_topic("many", 100, &[]).await;
            let wanted: Vec<_> = ids.iter().map(|&(id, _)| from(id, 0)).collect();
            let least = SHARD_MEMORY_BYTES_MIN / WATCHES_PART.1 * WATCHES_PART.0;
            let places = least / WATCH_BYTES / wanted.len();
            let began = scene.reactor.now();
            let mut parked = Vec::new();
            for _ in 0..places + 3 {
                parked.push(wire.send_fetch(1, 60_000, &wanted).await);
            }
            for _ in 0..3 {
                let answer = wire.receive().await.unwrap();
                assert!(
                    found(&answer)
                        .iter()
                        .all(|one| one.error == ErrorCode::None)
                );
            }
            assert!(scene.reactor.now().since(began) < Duration::from_secs(10));
            for _ in 0..places {
                wire.receive().await.unwrap();
            }
            assert!(scene.reactor.now().since(began) > Duration::from_secs(59));
        })
    });
}

#[test]
fn a_fetch_that_may_not_take_what_it_wants_at_least_is_answered_once() {
    on_sim(1, |scene: Scene| {
        Box::pin(async move {
            let mut wire = Wire::connect(&scene.reactor, scene.address, None).await;
            let id = wire.create_topic("logs", 1, &[]).await[0].0;
            let value = vec![7; 1000];
            for _ in 0..10 {
                wire.produce(Acks::All, &[(id, batch(&[&value]))]).await;
            }
            let wanted = FetchPartition {
                max_bytes: 1,
                ..from(id, 0)
            };
            let began = scene.reactor.now();
            let found = wire.fetch(5_000, 30_000, &[wanted]).await;
            assert_eq!(found[0].records.len(), 1, "the first batch comes whole");
            assert!(scene.reactor.now().since(began) < Duration::from_secs(1));
        })
    });
}

#[test]
fn a_fetch_of_nothing_gets_one_batch_and_not_one_of_each_partition() {
    on_sim(2, |scene: Scene| {
        Box::pin(async move {
            let mut wire = Wire::connect(&scene.reactor, scene.address, None).await;
            let ids = wire.create_topic("logs", 4, &[]).await;
            for &(id, _) in &ids {
                wire.produce(Acks::All, &[(id, batch(&[b"x"]))]).await;
            }
            let partitions: Vec<_> = ids.iter().map(|&(id, _)| from(id, 0)).collect();
            let draft = FetchRequestDraft {
                max_wait_ms: 0,
                min_bytes: 0,
                max_bytes: 0,
                partitions: &partitions,
            };
            let answer = wire.ask(&draft, &[]).await;
            let counts = found(&answer).into_iter().map(|one| one.records.len());
            assert_eq!(counts.collect::<Vec<_>>(), [1, 0, 0, 0]);
        })
    });
}

#[test]
fn the_largest_frame_goes_in_and_the_largest_answer_comes_out() {
    on_all(1, |scene: Scene| Box::pin(largest(scene)));
}

async fn largest(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, None).await;
    let settings = [("max_batch_bytes", "4MiB")];
    let ids = wire.create_topic("blobs", 8, &settings).await;
    let value = vec![3; (4 << 20) - 200];
    let batches: Vec<_> = ids.iter().map(|&(id, _)| (id, batch(&[&value]))).collect();
    let mut done = vec![false; batches.len()];
    // Memory is short: what is throttled comes again.
    for _ in 0..1000 {
        for (one, acked) in done.iter_mut().zip(wire.produce(Acks::All, &batches).await) {
            *one |= acked.error == ErrorCode::None;
            assert!(acked.error == ErrorCode::None || acked.error == ErrorCode::Throttled);
        }
        if done.iter().all(|&one| one) {
            break;
        }
        scene.reactor.sleep(Duration::from_millis(10)).await;
    }
    assert!(done.iter().all(|&one| one), "not even one by one");
    let wanted: Vec<_> = ids
        .iter()
        .map(|&(id, _)| FetchPartition {
            max_bytes: 4 << 20,
            ..from(id, 0)
        })
        .collect();
    let draft = FetchRequestDraft {
        max_wait_ms: 10,
        min_bytes: 1,
        max_bytes: 32 << 20,
        partitions: &wanted,
    };
    let answer = wire.ask(&draft, &[]).await;
    let found = found(&answer);
    let served = found.iter().filter(|one| !one.records.is_empty());
    assert!(
        served.count() >= 4,
        "{:?}",
        found
            .iter()
            .map(|one| (one.error, one.bytes))
            .collect::<Vec<_>>()
    );
}

#[test]
fn offsets_are_listed_and_records_deleted() {
    on_all(2, |scene: Scene| Box::pin(offsets(scene)));
}

async fn offsets(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, None).await;
    let ids = wire.create_topic("logs", 4, &[]).await;
    for &(id, _) in &ids {
        for _ in 0..3 {
            wire.produce(Acks::All, &[(id, batch(&[b"one", b"two"]))])
                .await;
        }
    }
    let delete = ids.iter().map(|&(id, _)| DeleteRecordsPartition {
        id,
        before: Offset::new(4),
    });
    let request = DeleteRecordsRequest {
        partitions: delete.collect(),
    };
    let answer = wire.ask(&request, &[]).await;
    let deleted = DeleteRecordsResponse::decode(answer.body()).unwrap();
    for one in &deleted.partitions {
        assert_eq!(
            (one.error, one.state.log_start),
            (ErrorCode::None, Offset::new(4))
        );
    }
    let positions = [
        (OffsetPosition::Earliest, Some(4)),
        (OffsetPosition::Latest, Some(6)),
        (
            OffsetPosition::Timestamp(ringlog_record::TimestampMs::new(1_000_000)),
            None,
        ),
    ];
    for (position, expected) in positions {
        let list = ids
            .iter()
            .map(|&(id, _)| ListOffsetsPartition { id, position });
        let request = ListOffsetsRequest {
            partitions: list.collect(),
        };
        let answer = wire.ask(&request, &[]).await;
        let listed = ListOffsetsResponse::decode(answer.body()).unwrap();
        assert_eq!(listed.partitions.len(), 4);
        for (one, (id, _)) in listed.partitions.iter().zip(&ids) {
            assert_eq!((one.id, one.error), (*id, ErrorCode::None));
            assert_eq!(one.offset.map(Offset::get), expected);
        }
    }
    let found = wire.fetch(1, 0, &[from(ids[0].0, 0)]).await;
    assert_eq!(found[0].error, ErrorCode::OffsetOutOfRange);
}

#[test]
fn who_wants_no_acknowledgement_gets_none() {
    on_all(1, |scene: Scene| Box::pin(silent_produce(scene)));
}

async fn silent_produce(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, None).await;
    let id = wire.create_topic("noise", 1, &[]).await[0].0;
    wire.send_produce(Acks::None, &[(id, batch(&[b"x"]))]).await;
    let everything = MetadataRequest {
        topics: TopicSelection::All,
    };
    // `ask` checks that the next answer is its own.
    wire.ask(&everything, &[]).await;
    let found = wire.fetch(1, 10_000, &[from(id, 0)]).await;
    assert_eq!(found[0].records.len(), 1);
}
