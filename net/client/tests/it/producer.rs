use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use ringlog_client::{
    Acks, Client, ClientConfig, Compression, DeliveryError, ErrorCode, Partitioner, Producer,
    ProducerConfig, ProducerRecord, SendError,
};
use ringlog_record::batch::BatchView;
use ringlog_record::{Offset, PartitionIndex, ShardId};
use ringlog_wire::Api;

use crate::fake::{Fake, RECEIPT, Say, TOPIC, refuse_produce, stamp_of, values};

fn record(value: &str) -> ProducerRecord {
    ProducerRecord::value(TOPIC, value.to_owned())
}

fn to(partition: u32, value: &str) -> ProducerRecord {
    ProducerRecord {
        partition: Some(PartitionIndex::new(partition)),
        ..record(value)
    }
}

async fn client(fake: &Fake) -> Client {
    Client::connect(&fake.bootstrap(), ClientConfig::default())
        .await
        .unwrap()
}

fn stored(fake: &Fake, partition: u32) -> Vec<String> {
    let state = fake.state.lock().unwrap();
    let log = state.logs.get(&PartitionIndex::new(partition));
    let batches = log.into_iter().flatten();
    batches.flat_map(|(_, _, bytes)| values(bytes)).collect()
}

#[tokio::test]
async fn records_go_to_the_shard_that_owns_them_and_come_back_with_their_offsets() {
    let fake = Fake::start(&[0, 1, 3], |_| Say::Usual).await;
    let producer = Producer::new(&client(&fake).await, ProducerConfig::default());
    let mut deliveries = Vec::new();
    for number in 0..30 {
        let record = to(number % 3, &format!("value {number}"));
        deliveries.push(producer.send(record).await.unwrap());
    }
    for (number, delivery) in (0..).zip(deliveries) {
        let delivered = delivery.await.unwrap();
        assert_eq!(delivered.partition, PartitionIndex::new(number % 3));
        assert_eq!(delivered.offset, Offset::new(u64::from(number / 3)));
    }
    let stats = producer.close().await;
    assert_eq!((stats.records, stats.failed, stats.unknown), (30, 0, 0));
    assert_eq!(stats.ack_us.len(), 3, "one request for each partition");
    for asked in fake.asked(Api::Produce) {
        let (partition, _) = asked.produced();
        let owner = [0, 1, 3][usize::try_from(partition.get()).unwrap()];
        assert_eq!(asked.shard, Some(ShardId::new(owner)));
    }
}

#[tokio::test]
async fn what_was_refused_for_now_is_sent_again_in_order() {
    let mut refused = 0;
    let fake = Fake::start(&[0], move |asked| {
        let codes = [
            ErrorCode::Throttled,
            ErrorCode::NotLeader,
            ErrorCode::NoSpace,
        ];
        match codes.get(refused) {
            Some(&code) if asked.api == Api::Produce => {
                refused += 1;
                refuse_produce(asked, code)
            }
            _ => Say::Usual,
        }
    })
    .await;
    let config = ProducerConfig {
        batch_bytes: 200,
        linger: Duration::ZERO,
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client(&fake).await, config);
    let mut sent = Vec::new();
    for number in 0..40 {
        let value = format!("value {number:>40}");
        drop(producer.send(record(&value)).await.unwrap());
        sent.push(value);
    }
    let stats = producer.close().await;
    assert_eq!(stats.records, 40);
    assert!(stats.retries >= 3, "{} retries", stats.retries);
    assert_eq!(stored(&fake, 0), sent);
}

fn not_idempotent() -> ProducerConfig {
    ProducerConfig {
        idempotent: false,
        ..ProducerConfig::default()
    }
}

#[tokio::test]
async fn what_may_have_been_stored_is_sent_again_under_its_number_and_stored_once() {
    for lose in [|| Say::Hangup, || Say::CarryOutAndHangup] {
        let mut lost = 0;
        let fake = Fake::start(&[0], move |asked| {
            if asked.api == Api::Produce && lost < 3 {
                lost += 1;
                return lose();
            }
            Say::Usual
        })
        .await;
        let producer = Producer::new(&client(&fake).await, ProducerConfig::default());
        for (offset, value) in (0..).zip(["first", "next"]) {
            let delivery = producer.send(record(value)).await.unwrap();
            assert_eq!(delivery.await.unwrap().offset, Offset::new(offset));
        }
        let stats = producer.close().await;
        assert_eq!((stats.unknown, stats.records, stats.retries), (0, 2, 3));
        assert_eq!(stored(&fake, 0), ["first", "next"]);
        let stamps = fake.asked(Api::Produce);
        let stamps = stamps.iter().map(|asked| stamp_of(&asked.payload).unwrap());
        let numbers: Vec<u32> = stamps.map(|stamp| stamp.base_sequence.get()).collect();
        assert_eq!(numbers, [0, 0, 0, 0, 1]);
    }
}

#[tokio::test]
async fn several_batches_of_a_partition_are_under_way_at_a_time() {
    let fake = Fake::start(&[0], |asked| match asked.api {
        Api::Produce => Say::Nothing,
        _ => Say::Usual,
    })
    .await;
    let config = ProducerConfig {
        batch_bytes: 1,
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client(&fake).await, config);
    for number in 0..10 {
        drop(producer.send(record(&format!("{number}"))).await.unwrap());
    }
    while fake.asked(Api::Produce).len() < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let values = fake.asked(Api::Produce).into_iter();
    let values: Vec<_> = values.flat_map(|asked| asked.produced().1).collect();
    assert_eq!(values, ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn what_is_not_numbered_and_may_have_been_stored_is_never_sent_again() {
    for lose in [|| Say::Hangup, || Say::CarryOutAndHangup] {
        let mut is_lost = false;
        let fake = Fake::start(&[0], move |asked| {
            if asked.api == Api::Produce && !std::mem::replace(&mut is_lost, true) {
                return lose();
            }
            Say::Usual
        })
        .await;
        let producer = Producer::new(&client(&fake).await, not_idempotent());
        let lost = producer.send(record("lost")).await.unwrap().await;
        let error = lost.unwrap_err();
        assert!(
            matches!(error, DeliveryError::UnknownOutcome { .. }),
            "{error}"
        );
        // The producer goes on.
        producer.send(record("next")).await.unwrap().await.unwrap();
        let stats = producer.close().await;
        assert_eq!((stats.unknown, stats.records, stats.retries), (1, 1, 0));
        let produced = fake.asked(Api::Produce);
        let values: Vec<_> = produced.iter().map(|asked| asked.produced().1).collect();
        assert_eq!(values, [["lost"], ["next"]]);
    }
}

#[tokio::test]
async fn a_definite_refusal_and_an_unknown_outcome_of_the_broker_are_told_apart() {
    for code in [ErrorCode::UnknownOutcome, ErrorCode::BatchTooLarge] {
        let fake = Fake::start(&[0], move |asked| match asked.api {
            Api::Produce => refuse_produce(asked, code),
            _ => Say::Usual,
        })
        .await;
        let producer = Producer::new(&client(&fake).await, not_idempotent());
        let delivery = producer.send(record("value")).await.unwrap();
        match (code, delivery.await.unwrap_err()) {
            (ErrorCode::UnknownOutcome, DeliveryError::UnknownOutcome { .. }) => {}
            (code, DeliveryError::Refused { code: told, .. }) => assert_eq!(told, code),
            (code, error) => panic!("{code}: {error}"),
        }
        assert_eq!(fake.asked(Api::Produce).len(), 1);
    }
}

#[tokio::test]
async fn what_has_no_answer_until_the_time_is_over_is_unknown() {
    let fake = Fake::start(&[0], |asked| match asked.api {
        Api::Produce => Say::Hangup,
        _ => Say::Usual,
    })
    .await;
    let config = ProducerConfig {
        delivery_timeout: Duration::from_millis(300),
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client(&fake).await, config);
    let delivery = producer.send(record("value")).await.unwrap();
    let error = delivery.await.unwrap_err();
    assert!(
        matches!(error, DeliveryError::UnknownOutcome { .. }),
        "{error}"
    );
    assert!(producer.stats().retries > 1);
}

#[tokio::test]
async fn records_are_compressed_where_that_makes_them_smaller() {
    for compression in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let fake = Fake::start(&[0], |_| Say::Usual).await;
        let config = ProducerConfig {
            compression,
            ..ProducerConfig::default()
        };
        let producer = Producer::new(&client(&fake).await, config);
        for value in ["v".repeat(10_000), "v".to_owned()] {
            producer.send(record(&value)).await.unwrap().await.unwrap();
        }
        let asked = fake.asked(Api::Produce);
        let used = asked.iter().map(|asked| {
            let batch = BatchView::parse(&asked.payload).unwrap();
            assert!(batch.crc_is_valid() && batch.len_bytes() < 1_000);
            batch.header().attributes().compression().unwrap()
        });
        let used: Vec<_> = used.collect();
        assert_eq!(used, [compression, Compression::None]);
    }
}

#[tokio::test]
async fn what_is_refused_until_the_time_is_over_expires() {
    let fake = Fake::start(&[0], |asked| match asked.api {
        Api::Produce => refuse_produce(asked, ErrorCode::NoSpace),
        _ => Say::Usual,
    })
    .await;
    let config = ProducerConfig {
        delivery_timeout: Duration::from_millis(300),
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client(&fake).await, config);
    let error = producer
        .send(record("value"))
        .await
        .unwrap()
        .await
        .unwrap_err();
    assert!(matches!(error, DeliveryError::Expired { .. }), "{error}");
    assert!(producer.stats().retries > 1);
}

#[tokio::test]
async fn a_full_producer_makes_the_sender_wait_and_lingers_no_more() {
    let fake = Fake::start(&[0], |_| Say::Usual).await;
    let config = ProducerConfig {
        buffer_bytes: 300,
        linger: Duration::from_secs(3600),
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client(&fake).await, config);
    let sending = async {
        for number in 0..20 {
            drop(
                producer
                    .send(record(&format!("{number:>60}")))
                    .await
                    .unwrap(),
            );
        }
    };
    tokio::time::timeout(Duration::from_secs(5), sending)
        .await
        .unwrap();
    producer.flush().await;
    assert_eq!(stored(&fake, 0).len(), 20);
    assert!(fake.asked(Api::Produce).len() >= 5);
}

#[tokio::test]
async fn records_without_a_key_take_turns_among_partitions_batch_by_batch() {
    let fake = Fake::start(&[0, 0, 0, 0], |_| Say::Usual).await;
    let config = ProducerConfig {
        linger: Duration::ZERO,
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client(&fake).await, config);
    let mut partitions = BTreeSet::new();
    for _ in 0..4 {
        let delivered = producer.send(record("value")).await.unwrap().await.unwrap();
        partitions.insert(delivered.partition);
    }
    assert_eq!(partitions.len(), 4);
}

#[tokio::test]
async fn keys_and_functions_choose_the_partition() {
    let fake = Fake::start(&[0, 0, 0, 0], |_| Say::Usual).await;
    let client = client(&fake).await;
    let producer = Producer::new(&client, ProducerConfig::default());
    // What Kafka's default partitioner gives for these keys among four partitions.
    for (key, partition) in [("21", 0), ("foobar", 2), ("abc", 3)] {
        let record = ProducerRecord {
            key: Some(Bytes::from(key)),
            ..record("value")
        };
        let delivered = producer.send(record).await.unwrap();
        producer.flush().await;
        assert_eq!(
            delivered.await.unwrap().partition,
            PartitionIndex::new(partition)
        );
    }
    let config = ProducerConfig {
        partitioner: Partitioner::Function(std::sync::Arc::new(|_, count| count + 1)),
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client, config);
    let delivered = producer.send(record("value")).await.unwrap().await.unwrap();
    assert_eq!(delivered.partition, PartitionIndex::new(1));
    let error = producer.send(to(4, "value")).await.unwrap_err();
    assert!(matches!(error, SendError::Client(_)), "{error}");
}

#[tokio::test]
async fn without_acknowledgement_nobody_waits() {
    let fake = Fake::start(&[0], |asked| match asked.api {
        Api::Produce => Say::Nothing,
        _ => Say::Usual,
    })
    .await;
    let config = ProducerConfig {
        acks: Acks::None,
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client(&fake).await, config);
    producer.send(record("value")).await.unwrap().await.unwrap();
    let stats = producer.close().await;
    assert_eq!(stats.records, 1);
}

#[tokio::test]
async fn each_delivery_has_the_receipt_of_its_request_for_those_who_ask() {
    let fake = Fake::start(&[0], |_| Say::Usual).await;
    let client = client(&fake).await;
    let config = ProducerConfig {
        wants_receipts: true,
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client, config);
    let delivery = producer.send(record("a")).await.unwrap();
    producer.flush().await;
    assert_eq!(delivery.await.unwrap().receipt, Some(RECEIPT));
    let stats = producer.close().await;
    let stages: Vec<_> = stats
        .stages
        .iter()
        .map(|(name, ns)| (name, ns.len()))
        .collect();
    let names = ["queued", "appended", "flushed", "replicated", "replied"];
    assert_eq!(stages, names.map(|name| (name, 1)));
    let longest = stats.stages.iter().max_by_key(|(_, ns)| ns.max()).unwrap();
    assert_eq!(longest.0, "flushed");
}

#[tokio::test]
async fn batches_behind_those_that_expire_come_to_their_end_too() {
    let fake = Fake::start(&[0], |asked| match asked.api {
        Api::Produce => Say::Hangup,
        _ => Say::Usual,
    })
    .await;
    let config = ProducerConfig {
        // A record a batch: more than may be under way.
        batch_bytes: 1,
        linger: Duration::ZERO,
        delivery_timeout: Duration::from_millis(200),
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client(&fake).await, config);
    let mut deliveries = Vec::new();
    for number in 0..30 {
        let record = to(0, &number.to_string());
        deliveries.push(producer.send(record).await.unwrap());
    }
    let ended = futures_util::future::join_all(deliveries);
    let ended = tokio::time::timeout(Duration::from_secs(30), ended);
    let ended = ended.await.unwrap();
    assert!(ended.iter().all(Result::is_err));
    let stats = producer.close().await;
    assert_eq!((stats.records, stats.failed + stats.unknown), (0, 30));
}
