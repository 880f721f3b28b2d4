//! What must not harm a broker: wrong bytes, wrong requests, clients that stop, creep or never read.

use std::time::Duration;

use bytes::Bytes;
use ringlog_record::{PartitionIndex, TopicId, TopicPartition};
use ringlog_wire::{
    Acks, CorrelationId, Encoder, ErrorCode, FetchRequestDraft, HelloRequest, MetadataRequest,
    ProducePartition, ProduceRequestDraft, TopicSelection,
};

use crate::client::{Client, batch_of, partition, produced, wanted};
use crate::world::World;

fn metadata_frame() -> Vec<u8> {
    let request = MetadataRequest {
        topics: TopicSelection::All,
    };
    Encoder::new()
        .encode(CorrelationId::new(9), &request)
        .unwrap()
        .to_vec()
}

/// Bytes 24..28 hold the checksum of header and body, computed with that field zero.
fn reseal(frame: &mut [u8]) {
    frame[24..28].fill(0);
    let crc = crc32c::crc32c(frame);
    frame[24..28].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn frames_out_of_step_close_their_connection_and_no_other() {
    let world = World::new(40, 2);
    world.start();
    world.client(|reactor| async move {
        let (mut bystander, _) = Client::connect(&reactor, Some(0)).await;
        type Damage = fn(&mut Vec<u8>);
        let damages: [(&str, Damage); 6] = [
            ("magic", |frame| frame[0] ^= 0xff),
            ("checksum", |frame| frame[24] ^= 1),
            ("body", |frame| *frame.last_mut().unwrap() ^= 1),
            ("huge body", |frame| frame[16..20].fill(0xff)),
            ("huge payload", |frame| frame[20..24].fill(0xff)),
            ("padding", |frame| frame[16] += 1),
        ];
        for (what, damage) in damages {
            let (mut client, _) = Client::connect(&reactor, Some(0)).await;
            let mut frame = metadata_frame();
            damage(&mut frame);
            client.send_bytes(&frame).await;
            let mut last = None;
            while let Some(frame) = client.receive().await {
                last = Some(frame);
            }
            if let Some(frame) = last {
                assert!(frame.refusal().is_some(), "{what}");
            }
            assert_eq!(
                bystander.topic("none").await.error,
                ErrorCode::UnknownTopic,
                "{what}"
            );
        }
    });
}

#[test]
fn requests_in_step_are_refused_and_the_connection_goes_on() {
    let world = World::new(41, 1);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        type Change = fn(&mut Vec<u8>);
        let changes: [(Change, ErrorCode); 3] = [
            (|frame| frame[4] = 200, ErrorCode::UnsupportedVersion),
            (
                |frame| frame[6..8].copy_from_slice(&999_u16.to_le_bytes()),
                ErrorCode::UnknownApi,
            ),
            (|frame| frame[32..].fill(0xff), ErrorCode::InvalidRequest),
        ];
        for (change, code) in changes {
            let mut frame = metadata_frame();
            change(&mut frame);
            reseal(&mut frame);
            client.send_bytes(&frame).await;
            let answer = client.receive().await.expect("an answer");
            assert_eq!(answer.header.correlation_id(), CorrelationId::new(9));
            assert_eq!(answer.refusal().unwrap().code, code);
        }
        // A second hello is out of place.
        let again = client.call(&HelloRequest::new(None, "test"), &[]).await;
        assert_eq!(again.refusal().unwrap().code, ErrorCode::InvalidRequest);
        assert_eq!(client.topic("none").await.error, ErrorCode::UnknownTopic);
    });
}

#[test]
fn slices_that_do_not_tile_the_payload_are_refused() {
    let world = World::new(42, 1);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
        let topic = client.topic("events").await;
        let id = partition(&topic, 0);
        let batch = batch_of(&[b"x"]);
        let draft = ProduceRequestDraft {
            acks: Acks::All,
            timeout_ms: 1_000,
            partitions: &[ProducePartition::new(
                id,
                u32::try_from(batch.len()).unwrap(),
            )],
            wants_receipt: false,
        };
        let mut head = Encoder::new()
            .encode(CorrelationId::new(5), &draft)
            .unwrap()
            .to_vec();
        // The payload that the header announces is one byte longer than the slices together.
        let payload = u32::try_from(batch.len() + 1).unwrap();
        head[20..24].copy_from_slice(&payload.to_le_bytes());
        reseal(&mut head);
        client
            .send_bytes(&[&head[..], &batch[..], b"!"].concat())
            .await;
        let answer = client.receive().await.expect("an answer");
        assert_eq!(answer.refusal().unwrap().code, ErrorCode::InvalidRequest);
        assert_eq!(client.produce(id, &[b"y"]).await.base_offset, 0);
    });
}

#[test]
fn batches_that_are_wrong_are_refused_and_nothing_is_appended() {
    let world = World::new(43, 2);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, Some(0)).await;
        client.create_topic("events", 2, &[]).await;
        let topic = client.topic("events").await;
        type Damage = fn(&mut Vec<u8>);
        let damages: [(&str, Damage, ErrorCode); 6] = [
            (
                "crc",
                |batch| *batch.last_mut().unwrap() ^= 1,
                ErrorCode::CorruptBatch,
            ),
            ("magic", |batch| batch[16] = 1, ErrorCode::InvalidBatch),
            ("base offset", |batch| batch[7] = 1, ErrorCode::InvalidBatch),
            (
                "length",
                |batch| batch[11] = batch[11].wrapping_add(1),
                ErrorCode::InvalidBatch,
            ),
            (
                "cut",
                |batch| batch.truncate(batch.len() - 1),
                ErrorCode::InvalidBatch,
            ),
            ("nothing", Vec::clear, ErrorCode::InvalidBatch),
        ];
        for index in 0..2 {
            let id = partition(&topic, index);
            for (what, damage, code) in damages {
                let mut batch = batch_of(&[b"value"]).to_vec();
                damage(&mut batch);
                client.send_produce(id, &batch, Acks::All).await;
                let answer = client.receive().await.expect("an answer");
                assert_eq!(produced(&answer).error, code, "{what}");
            }
            let large = vec![1; 1 << 20];
            assert_eq!(
                client.produce(id, &[&large]).await.error,
                ErrorCode::BatchTooLarge
            );
            assert_eq!(client.produce(id, &[b"good"]).await.base_offset, 0);
        }
    });
}

#[test]
fn what_is_not_there_is_said_to_be_unknown() {
    let world = World::new(44, 2);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
        let topic = client.topic("events").await;
        let unknown = [
            partition(&topic, 7),
            TopicPartition {
                topic: TopicId::new(1),
                partition: PartitionIndex::new(0),
            },
        ];
        for id in unknown {
            assert_eq!(
                client.produce(id, &[b"x"]).await.error,
                ErrorCode::UnknownPartition
            );
            let fetched = client.fetch(&[wanted(id, 0)], 1, 60_000).await.remove(0);
            assert_eq!(fetched.error, ErrorCode::UnknownPartition);
        }
        let beyond = client
            .fetch(&[wanted(partition(&topic, 0), 5)], 1, 60_000)
            .await
            .remove(0);
        assert_eq!(beyond.error, ErrorCode::OffsetOutOfRange);
    });
}

#[test]
fn a_first_request_that_is_no_hello_is_not_served() {
    let world = World::new(45, 1);
    world.start();
    world.client(|reactor| async move {
        let mut client = Client::raw(&reactor).await;
        client.send_bytes(&metadata_frame()).await;
        assert!(client.receive().await.is_none());
        let mut client = Client::raw(&reactor).await;
        let mut hello = HelloRequest::new(None, "old");
        (hello.version_min, hello.version_max) = (90, 99);
        let refused = client.call(&hello, &[]).await.refusal().unwrap();
        assert_eq!(refused.code, ErrorCode::UnsupportedVersion);
        assert_eq!((refused.version_min, refused.version_max), (1, 1));
        let both = "speaks versions 90 to 99 of the protocol and this broker version 1";
        assert!(refused.message.contains(both), "{}", refused.message);
        assert!(client.receive().await.is_none());
        // A newer client that speaks the old version too is adapted to.
        let mut client = Client::raw(&reactor).await;
        let mut hello = HelloRequest::new(None, "new");
        (hello.version_min, hello.version_max) = (0, 99);
        let answer = client.call(&hello, &[]).await;
        let answer = ringlog_wire::HelloResponse::decode(answer.body()).unwrap();
        assert_eq!(answer.version, 1);
        assert_eq!(client.topic("none").await.error, ErrorCode::UnknownTopic);
        let mut client = Client::raw(&reactor).await;
        let elsewhere = HelloRequest::new(Some(ringlog_record::ShardId::new(77)), "test");
        let refused = client.call(&elsewhere, &[]).await.refusal().unwrap();
        assert_eq!(refused.code, ErrorCode::InvalidRequest);
    });
}

#[test]
fn clients_that_stop_or_creep_are_closed_and_others_do_not_notice() {
    let world = World::new(46, 1);
    let running = world.start();
    world.client(|reactor| async move {
        let (mut bystander, _) = Client::connect(&reactor, None).await;
        let silent = Client::raw(&reactor).await;
        let (halfway, _) = Client::connect(&reactor, None).await;
        halfway.send_bytes(&metadata_frame()[..40]).await;
        let (mut creeping, _) = Client::connect(&reactor, None).await;
        let frame = metadata_frame();
        for byte in frame.iter().cycle().take(90) {
            let sent = creeping
                .stream
                .send(&mut vec![Bytes::copy_from_slice(&[*byte])])
                .await;
            if sent.is_err() {
                break;
            }
            reactor.sleep(Duration::from_secs(1)).await;
            assert_eq!(bystander.topic("none").await.error, ErrorCode::UnknownTopic);
        }
        for mut client in [silent, halfway] {
            assert!(client.receive().await.is_none());
        }
        while creeping.receive().await.is_some() {}
    });
    world.stop(running);
}

#[test]
fn a_client_that_never_reads_costs_bounded_memory_and_is_closed() {
    let world = World::new(47, 1);
    let running = world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
        let topic = client.topic("events").await;
        let id = partition(&topic, 0);
        let value = vec![3; 900 << 10];
        for _ in 0..8 {
            client.produce(id, &[&value]).await;
        }
        let (greedy, _) = Client::connect(&reactor, None).await;
        let mut fetch = wanted(id, 0);
        fetch.max_bytes = 8 << 20;
        let draft = FetchRequestDraft {
            max_wait_ms: 0,
            min_bytes: 1,
            max_bytes: 8 << 20,
            partitions: &[fetch],
        };
        for _ in 0..100 {
            let head = Encoder::new()
                .encode(CorrelationId::new(1), &draft)
                .unwrap();
            // The broker stops reading at some point, and closes the connection in the end.
            let mut data = vec![head];
            let sent = greedy.stream.send(&mut data);
            if !matches!(
                reactor.timeout(Duration::from_secs(5), sent).await,
                Ok(Ok(()))
            ) {
                break;
            }
        }
        let began = reactor.now();
        reactor.sleep(Duration::from_secs(90)).await;
        assert!(reactor.now().since(began) >= Duration::from_secs(90));
        assert_eq!(
            client.produce(id, &[b"still here"]).await.error,
            ErrorCode::None
        );
        drop(greedy);
    });
    let handle = running.handle.clone();
    let metrics = world.client(move |_| async move { handle.metrics().await.unwrap() });
    assert!(metrics[0].gauges.pool_bytes <= world.config().memory_bytes as u64);
    assert_eq!(metrics[0].requests_in_flight, 0);
    world.stop(running);
}
