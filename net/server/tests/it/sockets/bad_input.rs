//! What must not harm a broker, over real sockets. That a client which creeps or never reads is closed in the end
//! takes its time, and is seen in simulated time elsewhere.

use std::time::Duration;

use bytes::Bytes;
use ringlog_record::{Offset, PartitionIndex, TopicId, TopicPartition};
use ringlog_wire::{
    Acks, ErrorCode, FetchPartition, FetchRequestDraft, HelloRequest, MetadataRequest,
    ProducePartition, ProduceRequestDraft, TopicSelection,
};

use super::stage::{Scene, on_all};
use super::wire::{Wire, acked, batch, from};

fn everything() -> MetadataRequest {
    MetadataRequest {
        topics: TopicSelection::All,
    }
}

/// Bytes 24..28 hold the checksum of header and body, computed with that field zero.
fn reseal(head: &mut [u8]) {
    head[24..28].fill(0);
    let crc = crc32c::crc32c(head);
    head[24..28].copy_from_slice(&crc.to_le_bytes());
}

type Damage = fn(&mut Vec<u8>);

#[test]
fn what_puts_a_stream_out_of_step_closes_it_and_no_other() {
    on_all(2, |scene: Scene| Box::pin(out_of_step(scene)));
}

async fn out_of_step(scene: Scene) {
    let mut bystander = Wire::connect(&scene.reactor, scene.address, Some(0)).await;
    let damages: [(&str, Damage); 9] = [
        ("magic", |frame| frame[0] ^= 0xff),
        ("checksum", |frame| frame[24] ^= 1),
        ("body", |frame| *frame.last_mut().unwrap() ^= 1),
        ("huge body", |frame| frame[16..20].fill(0xff)),
        ("huge payload", |frame| frame[20..24].fill(0xff)),
        ("large payload behind a wrong checksum", |frame| {
            frame[23] = 1
        }),
        ("padding", |frame| frame[16] += 1),
        ("no frame at all", |frame| {
            *frame = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".to_vec();
        }),
        ("zeros", |frame| *frame = vec![0; 100_000]),
    ];
    for (what, damage) in damages {
        for greets in [true, false] {
            let mut wire = if greets {
                Wire::connect(&scene.reactor, scene.address, Some(1)).await
            } else {
                Wire::silent(&scene.reactor, scene.address).await
            };
            let (_, head) = wire.encode(&everything());
            let mut frame = head.to_vec();
            damage(&mut frame);
            // It may be closed before all is sent.
            drop(wire.stream.send(&mut vec![Bytes::from(frame)]).await);
            while let Some(answer) = wire.receive().await {
                assert!(answer.refusal().is_some(), "{what}");
            }
            assert_eq!(
                bystander.ask(&everything(), &[]).await.refusal(),
                None,
                "{what}"
            );
        }
    }
}

#[test]
fn what_is_in_step_is_refused_and_the_connection_goes_on() {
    on_all(1, |scene: Scene| Box::pin(in_step(scene)));
}

async fn in_step(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, None).await;
    let id = wire.create_topic("events", 1, &[]).await[0].0;
    let changes: [(Damage, ErrorCode); 4] = [
        (|head| head[4] = 200, ErrorCode::UnsupportedVersion),
        (
            |head| head[6..8].copy_from_slice(&999_u16.to_le_bytes()),
            ErrorCode::UnknownApi,
        ),
        (|head| head[32..].fill(0xff), ErrorCode::InvalidRequest),
        (|head| head[5] = 1, ErrorCode::InvalidRequest),
    ];
    for (change, code) in changes {
        let (request, head) = wire.encode(&everything());
        let mut head = head.to_vec();
        change(&mut head);
        reseal(&mut head);
        wire.send_bytes(vec![Bytes::from(head)]).await;
        let answer = wire.receive().await.unwrap();
        assert_eq!((answer.id(), answer.refusal()), (request, Some(code)));
    }
    let again = wire.ask(&HelloRequest::new(None, "test"), &[]).await;
    assert_eq!(again.refusal(), Some(ErrorCode::InvalidRequest));
    // Slices that leave out the end of the payload, small and larger than a receive.
    for value in [&[1; 10][..], &[2; 200_000]] {
        let batch = batch(&[value]);
        let draft = ProduceRequestDraft {
            acks: Acks::All,
            timeout_ms: 1000,
            partitions: &[ProducePartition::new(
                id,
                u32::try_from(batch.len()).unwrap(),
            )],
            wants_receipt: false,
        };
        let (request, head) = wire.encode(&draft);
        let mut head = head.to_vec();
        let longer = u32::try_from(batch.len() + 1).unwrap();
        head[20..24].copy_from_slice(&longer.to_le_bytes());
        reseal(&mut head);
        wire.send_bytes(vec![Bytes::from(head), batch, Bytes::from_static(b"!")])
            .await;
        let answer = wire.receive().await.unwrap();
        let refused = Some(ErrorCode::InvalidRequest);
        assert_eq!((answer.id(), answer.refusal()), (request, refused));
    }
    let acked = wire.produce(Acks::All, &[(id, batch(&[b"good"]))]).await;
    assert_eq!(
        (acked[0].error, acked[0].base_offset),
        (ErrorCode::None, Offset::new(0))
    );
}

#[test]
fn what_cannot_be_appended_is_refused_partition_by_partition() {
    on_all(2, |scene: Scene| Box::pin(bad_batches(scene)));
}

async fn bad_batches(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, Some(0)).await;
    let ids = wire.create_topic("events", 2, &[]).await;
    let damages: [(Damage, ErrorCode); 6] = [
        (
            |batch| *batch.last_mut().unwrap() ^= 1,
            ErrorCode::CorruptBatch,
        ),
        (|batch| batch[16] = 1, ErrorCode::InvalidBatch),
        (|batch| batch[7] = 1, ErrorCode::InvalidBatch),
        (|batch| batch[11] ^= 0x40, ErrorCode::InvalidBatch),
        (|batch| batch.truncate(30), ErrorCode::InvalidBatch),
        (Vec::clear, ErrorCode::InvalidBatch),
    ];
    let mut good = 0;
    for (bad, other) in [(0, 1), (1, 0)] {
        for (damage, code) in damages {
            let mut damaged = batch(&[b"value"]).to_vec();
            damage(&mut damaged);
            let unknown = TopicPartition {
                topic: TopicId::new(7),
                partition: PartitionIndex::new(0),
            };
            let parts = [
                (ids[bad].0, Bytes::from(damaged)),
                (unknown, batch(&[b"value"])),
                (ids[other].0, batch(&[b"value"])),
            ];
            let acked = wire.produce(Acks::All, &parts).await;
            let codes: Vec<_> = acked.iter().map(|one| one.error).collect();
            assert_eq!(codes[0], code);
            assert!(matches!(
                codes[1],
                ErrorCode::UnknownTopic | ErrorCode::UnknownPartition
            ));
            assert_eq!(codes[2], ErrorCode::None);
        }
        good += damages.len() as u64;
        let ends = wire.fetch(0, 0, &[from(ids[other].0, 0)]).await;
        assert_eq!(
            ends[0].state.high_watermark,
            Offset::new(good / (1 + bad as u64))
        );
    }
    let beyond = wire.fetch(1, 60_000, &[from(ids[0].0, 1_000)]).await;
    assert_eq!(beyond[0].error, ErrorCode::OffsetOutOfRange);
}

#[test]
fn clients_that_stop_half_way_or_never_read_hold_up_nobody() {
    on_all(1, |scene: Scene| Box::pin(half_way(scene)));
}

async fn half_way(scene: Scene) {
    let mut wire = Wire::connect(&scene.reactor, scene.address, None).await;
    let id = wire.create_topic("events", 1, &[]).await[0].0;
    let value = vec![9; 900 << 10];
    for _ in 0..8 {
        wire.produce(Acks::All, &[(id, batch(&[&value]))]).await;
    }
    let mut others = Vec::new();
    for cut in [1, 20, 40] {
        let mut other = Wire::connect(&scene.reactor, scene.address, None).await;
        let (_, head) = other.encode(&everything());
        other.send_bytes(vec![head.slice(..cut)]).await;
        others.push(other);
    }
    // Announces 32 MiB and sends none of it.
    for _ in 0..4 {
        let mut other = Wire::connect(&scene.reactor, scene.address, None).await;
        let draft = ProduceRequestDraft {
            acks: Acks::All,
            timeout_ms: 1000,
            partitions: &[ProducePartition::new(id, 32 << 20)],
            wants_receipt: false,
        };
        let (_, head) = other.encode(&draft);
        other.send_bytes(vec![head]).await;
        others.push(other);
    }
    // Asks for much, again and again, and reads nothing.
    for _ in 0..2 {
        let mut greedy = Wire::connect(&scene.reactor, scene.address, None).await;
        let draft = FetchRequestDraft {
            max_wait_ms: 0,
            min_bytes: 1,
            max_bytes: 8 << 20,
            partitions: &[FetchPartition {
                max_bytes: 8 << 20,
                ..from(id, 0)
            }],
        };
        for _ in 0..40 {
            let (_, head) = greedy.encode(&draft);
            let mut data = vec![head];
            let send = greedy.stream.send(&mut data);
            drop(scene.reactor.timeout(Duration::from_secs(1), send).await);
        }
        others.push(greedy);
    }
    scene.reactor.sleep(Duration::from_millis(100)).await;
    let began = scene.reactor.now();
    let small = vec![1; 10_000];
    for _ in 0..20 {
        let id = wire
            .send_produce(Acks::All, &[(id, batch(&[&small]))])
            .await;
        let answer = wire.receive().await.unwrap();
        assert_eq!(
            (answer.id(), acked(&answer)[0].error),
            (id, ErrorCode::None)
        );
    }
    // One batch, too large for an ordinary receive, passes those who announced 32 MiB.
    wire.produce(Acks::All, &[(id, batch(&[&value]))]).await;
    assert!(scene.reactor.now().since(began) < Duration::from_secs(5));
    let metrics = scene.broker.metrics().await.unwrap();
    assert!(metrics[0].gauges.pool_bytes <= 96 << 20);
    drop(others);
}
