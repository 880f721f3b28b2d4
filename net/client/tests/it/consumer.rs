use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ringlog_client::core::compression::compress;
use ringlog_client::{
    Admin, Assignment, Client, ClientConfig, Compression, ConsumeError, Consumer, ConsumerConfig,
    ErrorCode, OffsetReset, StartAt,
};
use ringlog_record::batch::{BatchBuilder, RecordData};
use ringlog_record::{LeaderEpoch, Offset, PartitionIndex, ShardId, TimestampMs, TopicId};
use ringlog_wire::{Api, FetchRequest, frame};

use crate::fake::{Asked, Fake, Say, TOPIC, refuse_fetch};

const SOON: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(100);

fn at(partition: u32, start: StartAt) -> Assignment {
    Assignment {
        topic: TOPIC.to_owned(),
        partition: PartitionIndex::new(partition),
        start,
    }
}

async fn consumer(fake: &Fake, reset: OffsetReset, assignments: Vec<Assignment>) -> Consumer {
    let client = Client::connect(&fake.bootstrap(), ClientConfig::default())
        .await
        .unwrap();
    let config = ConsumerConfig {
        offset_reset: reset,
        ..ConsumerConfig::default()
    };
    let mut consumer = Consumer::new(&client, config);
    consumer.assign(assignments).await.unwrap();
    consumer
}

/// A fetch that finds nothing is never answered, as if it waited for long.
fn parked(fake_fetch: &Asked, ends: &[(u32, u64)]) -> Say {
    let (_, body) = frame::parse(&fake_fetch.head).unwrap();
    let request = FetchRequest::decode(body).unwrap();
    let is_behind = request.partitions().any(|one| {
        let end = ends
            .iter()
            .find(|(partition, _)| *partition == one.id.partition.get());
        end.is_some_and(|&(_, end)| one.offset.get() < end)
    });
    if is_behind { Say::Usual } else { Say::Nothing }
}

async fn values(consumer: &mut Consumer, count: usize) -> Vec<(u32, u64, String)> {
    let mut values = Vec::new();
    while values.len() < count {
        let batch = consumer.poll(SOON).await.unwrap().expect("more records");
        for record in batch.records() {
            let record = record.unwrap();
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            values.push((batch.partition().get(), record.offset.get(), value));
        }
    }
    values
}

fn fake_records(fake: &Fake) {
    fake.store(0, &[("a", 10), ("b", 20), ("c", 15)]);
    fake.store(0, &[("d", 12), ("e", 30)]);
    fake.store(1, &[("x", 1), ("y", 2)]);
}

fn parks(ends: &'static [(u32, u64)]) -> impl FnMut(&Asked) -> Say + Send {
    move |asked| match asked.api {
        Api::Fetch => parked(asked, ends),
        _ => Say::Usual,
    }
}

#[tokio::test]
async fn partitions_are_fetched_from_their_shards_in_order() {
    let fake = Fake::start(&[0, 3], parks(&[(0, 5), (1, 2)])).await;
    fake_records(&fake);
    let assignments = vec![
        at(0, StartAt::Earliest),
        at(1, StartAt::Offset(Offset::new(1))),
    ];
    let mut consumer = consumer(&fake, OffsetReset::Error, assignments).await;
    let mut read = values(&mut consumer, 6).await;
    read.sort();
    let expected = [
        (0, 0, "a"),
        (0, 1, "b"),
        (0, 2, "c"),
        (0, 3, "d"),
        (0, 4, "e"),
        (1, 1, "y"),
    ];
    let expected = expected.map(|(partition, offset, value)| (partition, offset, value.to_owned()));
    assert_eq!(read, expected);
    for asked in fake.asked(Api::Fetch) {
        let (_, body) = frame::parse(&asked.head).unwrap();
        for one in FetchRequest::decode(body).unwrap().partitions() {
            let owner = if one.id.partition.get() == 0 { 0 } else { 3 };
            assert_eq!(asked.shard, Some(ShardId::new(owner)));
            let is_first = one.last_epoch.is_none();
            assert!(is_first || one.last_epoch == Some(LeaderEpoch::new(3)));
        }
    }
    assert_eq!(consumer.poll(SHORT).await.unwrap().map(|_| ()), None);
    let partition = PartitionIndex::new(0);
    assert_eq!(consumer.position(TOPIC, partition), Some(Offset::new(5)));
    assert_eq!(
        consumer.high_watermark(TOPIC, partition),
        Some(Offset::new(5))
    );
    consumer.seek(TOPIC, partition, Offset::new(2));
    let read = values(&mut consumer, 1).await;
    assert_eq!(read[0], (0, 2, "c".to_owned()));
}

#[tokio::test]
async fn a_time_is_found_to_the_record_and_what_follows_is_read_whatever_its_time() {
    let fake = Fake::start(&[0, 0], parks(&[(0, 5)])).await;
    fake_records(&fake);
    let start = StartAt::Timestamp(TimestampMs::new(16));
    let mut consumer = consumer(&fake, OffsetReset::Error, vec![at(0, start)]).await;
    let read = values(&mut consumer, 4).await;
    let read: Vec<_> = read.into_iter().map(|(_, _, value)| value).collect();
    assert_eq!(read, ["b", "c", "d", "e"]);
    let client = Client::connect(&fake.bootstrap(), ClientConfig::default())
        .await
        .unwrap();
    let topic = client.topic(TOPIC).await.unwrap();
    let admin = Admin::new(&client);
    for (time, found) in [
        (0, Some((0, 10))),
        (20, Some((1, 20))),
        (21, Some((4, 30))),
        (31, None),
    ] {
        let partition = PartitionIndex::new(0);
        let offset = admin
            .offset_of_time(&topic, partition, TimestampMs::new(time))
            .await;
        let offset = offset
            .unwrap()
            .map(|(offset, time)| (offset.get(), time.get()));
        assert_eq!(offset, found);
    }
}

#[tokio::test]
async fn a_log_that_came_back_shorter_is_a_typed_error() {
    let fake = Fake::start(&[0], |asked| match asked.api {
        Api::Fetch => {
            let (_, body) = frame::parse(&asked.head).unwrap();
            let request = FetchRequest::decode(body).unwrap();
            let has_read = request.partitions().any(|one| one.last_epoch.is_some());
            if has_read {
                refuse_fetch(asked, ErrorCode::LogTruncated, Some(Offset::new(3)))
            } else {
                Say::Usual
            }
        }
        _ => Say::Usual,
    })
    .await;
    fake_records(&fake);
    let mut consumer = consumer(&fake, OffsetReset::Earliest, vec![at(0, StartAt::Earliest)]).await;
    values(&mut consumer, 5).await;
    let error = consumer.poll(SOON).await.unwrap_err();
    let text = error.to_string();
    match error {
        ConsumeError::LogTruncated {
            topic,
            partition,
            offset,
            agreed_end,
        } => {
            assert_eq!(topic, TOPIC);
            assert_eq!(partition, PartitionIndex::new(0));
            assert_eq!((offset, agreed_end), (Offset::new(5), Offset::new(3)));
        }
        error => panic!("{error}"),
    }
    assert!(text.contains("events"), "{text}");
    // Who accepts the loss goes on.
    consumer.seek(TOPIC, PartitionIndex::new(0), Offset::new(3));
    assert_eq!(values(&mut consumer, 2).await[0].2, "d");
}

#[tokio::test]
async fn a_position_outside_of_the_partition_is_reset_or_told() {
    let out_of_range = |asked: &Asked| match asked.api {
        Api::Fetch => {
            let (_, body) = frame::parse(&asked.head).unwrap();
            let request = FetchRequest::decode(body).unwrap();
            let is_out = request.partitions().any(|one| one.offset.get() > 5);
            if is_out {
                return refuse_fetch(asked, ErrorCode::OffsetOutOfRange, None);
            }
            parked(asked, &[(0, 5)])
        }
        _ => Say::Usual,
    };
    let beyond = || vec![at(0, StartAt::Offset(Offset::new(99)))];
    let fake = Fake::start(&[0], out_of_range).await;
    fake_records(&fake);
    let mut earliest = consumer(&fake, OffsetReset::Earliest, beyond()).await;
    assert_eq!(values(&mut earliest, 5).await[0].2, "a");
    let mut latest = consumer(&fake, OffsetReset::Latest, beyond()).await;
    // The position follows, also when nothing is there to be read.
    let end = Offset::new(5);
    let follows = async {
        while latest.positions().next().unwrap().2 != end {
            assert!(latest.poll(SHORT).await.unwrap().is_none());
        }
    };
    tokio::time::timeout(SOON, follows).await.unwrap();
    let mut error = consumer(&fake, OffsetReset::Error, beyond()).await;
    let error = error.poll(SOON).await.unwrap_err();
    assert!(
        matches!(error, ConsumeError::OffsetOutOfRange { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_lost_fetch_is_made_again_and_a_moved_partition_is_followed() {
    let mut fetches = 0;
    let fake = Fake::start(&[0], move |asked| {
        if asked.api != Api::Fetch {
            return Say::Usual;
        }
        fetches += 1;
        match fetches {
            1 => Say::Hangup,
            2 => refuse_fetch(asked, ErrorCode::NotLeader, None),
            _ => parked(asked, &[(0, 5)]),
        }
    })
    .await;
    fake_records(&fake);
    let mut consumer = consumer(&fake, OffsetReset::Error, vec![at(0, StartAt::Earliest)]).await;
    fake.state.lock().unwrap().shards = vec![ShardId::new(2)];
    assert_eq!(values(&mut consumer, 5).await.len(), 5);
    let last = fake.asked(Api::Fetch).pop().unwrap();
    assert_eq!(last.shard, Some(ShardId::new(2)));
}

#[tokio::test]
async fn a_topic_made_anew_under_its_name_is_not_read_on() {
    let is_gone = Arc::new(AtomicBool::new(false));
    let script = Arc::clone(&is_gone);
    let fake = Fake::start(&[0], move |asked| match asked.api {
        Api::Fetch if script.load(Ordering::SeqCst) => {
            refuse_fetch(asked, ErrorCode::UnknownPartition, None)
        }
        _ => Say::Usual,
    })
    .await;
    fake_records(&fake);
    let mut consumer = consumer(&fake, OffsetReset::Earliest, vec![at(0, StartAt::Earliest)]).await;
    values(&mut consumer, 5).await;
    fake.state.lock().unwrap().topic = TopicId::new(8);
    is_gone.store(true, Ordering::SeqCst);
    let error = loop {
        if let Err(error) = consumer.poll(SOON).await {
            break error;
        }
    };
    assert!(error.to_string().contains("made anew"), "{error}");
}

#[tokio::test]
async fn a_damaged_batch_is_told_and_not_given_out() {
    let fake = Fake::start(&[0], |_| Say::Usual).await;
    fake_records(&fake);
    {
        let mut state = fake.state.lock().unwrap();
        let log = state.logs.get_mut(&PartitionIndex::new(0)).unwrap();
        let mut bytes = log[1].2.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        log[1].2 = bytes.into();
    }
    let mut consumer = consumer(&fake, OffsetReset::Error, vec![at(0, StartAt::Earliest)]).await;
    assert_eq!(values(&mut consumer, 3).await.len(), 3);
    let error = consumer.poll(SOON).await.unwrap_err();
    assert!(matches!(error, ConsumeError::Batch { .. }), "{error}");
}

#[tokio::test]
async fn no_more_is_fetched_ahead_than_there_is_room_for() {
    let fake = Fake::start(&[0], parks(&[(0, 200)])).await;
    let value = "v".repeat(1000);
    for _ in 0..200 {
        fake.store(0, &[(&value, 1)]);
    }
    let client = Client::connect(&fake.bootstrap(), ClientConfig::default())
        .await
        .unwrap();
    let config = ConsumerConfig {
        prefetch_bytes: 10_000,
        ..ConsumerConfig::default()
    };
    let mut consumer = Consumer::new(&client, config);
    consumer
        .assign(vec![at(0, StartAt::Earliest)])
        .await
        .unwrap();
    let first = values(&mut consumer, 1).await;
    assert_eq!(first.len(), 1);
    tokio::time::sleep(SHORT).await;
    // Two batches an answer, ten thousand bytes of room, one request ahead.
    assert!(fake.asked(Api::Fetch).len() <= 8);
    assert_eq!(values(&mut consumer, 199).await.len(), 199);
}

#[tokio::test]
async fn partitions_of_a_shard_take_turns_at_the_front_of_a_fetch() {
    let fake = Fake::start(&[0, 0, 0], parks(&[(0, 4), (1, 4), (2, 4)])).await;
    for partition in 0..3 {
        for _ in 0..4 {
            fake.store(partition, &[("value", 1)]);
        }
    }
    let assignments = (0..3).map(|partition| at(partition, StartAt::Earliest));
    let mut consumer = consumer(&fake, OffsetReset::Error, assignments.collect()).await;
    assert_eq!(values(&mut consumer, 12).await.len(), 12);
    let first = |asked: &Asked| {
        let (_, body) = frame::parse(&asked.head).unwrap();
        let mut partitions = FetchRequest::decode(body).unwrap().partitions();
        partitions.next().unwrap().id.partition.get()
    };
    let fronts: Vec<u32> = fake.asked(Api::Fetch).iter().take(2).map(first).collect();
    assert_eq!(fronts, [0, 1]);
}

#[tokio::test]
async fn a_consumer_without_partitions_waits_and_gives_nothing() {
    let fake = Fake::start(&[0], |_| Say::Usual).await;
    let mut consumer = consumer(&fake, OffsetReset::Error, Vec::new()).await;
    assert!(consumer.poll(SHORT).await.unwrap().is_none());
    let unknown = Assignment {
        topic: "nothing".to_owned(),
        ..at(0, StartAt::Earliest)
    };
    let error = consumer.assign(vec![unknown]).await.unwrap_err();
    assert!(error.to_string().contains("topic create"), "{error}");
    assert_eq!(consumer.positions().count(), 0);
}

#[tokio::test]
async fn a_batch_larger_than_all_bounds_is_given_out() {
    let fake = Fake::start(&[0], parks(&[(0, 2)])).await;
    let value = "v".repeat(100_000);
    fake.store(0, &[(&value, 1)]);
    fake.store(0, &[("small", 1)]);
    let client = Client::connect(&fake.bootstrap(), ClientConfig::default())
        .await
        .unwrap();
    let config = ConsumerConfig {
        max_bytes: 1,
        partition_max_bytes: 1,
        prefetch_bytes: 1,
        ..ConsumerConfig::default()
    };
    let mut consumer = Consumer::new(&client, config);
    consumer
        .assign(vec![at(0, StartAt::Earliest)])
        .await
        .unwrap();
    let read = values(&mut consumer, 2).await;
    assert_eq!((read[0].2.len(), read[1].2.as_str()), (100_000, "small"));
}

/// A batch of values, compressed, as it is stored.
fn compressed(compression: Compression, values: &[&[u8]]) -> Bytes {
    let mut builder = BatchBuilder::new(4 << 20);
    for (time, value) in (0..).zip(values) {
        let record = RecordData {
            value: Some(value),
            timestamp: TimestampMs::new(time),
            ..RecordData::default()
        };
        builder.append(&record).unwrap();
    }
    let records = compress(compression, builder.records()).unwrap();
    builder.build_compressed(compression, &records).unwrap()
}

#[tokio::test]
async fn compressed_records_are_read_and_found_by_their_time() {
    let fake = Fake::start(&[0], parks(&[(0, 8)])).await;
    for compression in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        fake.store_batch(0, &compressed(compression, &[b"first", b"second"]));
    }
    let mut consumer = consumer(&fake, OffsetReset::Error, vec![at(0, StartAt::Earliest)]).await;
    let read = values(&mut consumer, 8).await;
    let expected =
        (0..8).map(|offset| (0, offset, ["first", "second"][usize::from(offset % 2 == 1)]));
    let expected: Vec<_> = expected
        .map(|(partition, offset, value)| (partition, offset, value.to_owned()))
        .collect();
    assert_eq!(read, expected);
    let partition = PartitionIndex::new(0);
    let found = consumer
        .seek_to(TOPIC, partition, StartAt::Timestamp(TimestampMs::new(1)))
        .await;
    assert_eq!(found.unwrap(), Some(Offset::new(1)));
    assert_eq!(values(&mut consumer, 1).await[0].2, "second");
    let unknown = consumer
        .seek_to("other", partition, StartAt::Earliest)
        .await;
    assert_eq!(unknown.unwrap(), None);
}

#[tokio::test]
async fn a_batch_that_grows_beyond_bounds_is_an_error_and_what_follows_is_read() {
    let fake = Fake::start(&[0], parks(&[(0, 2)])).await;
    let large = vec![b'x'; 3 << 20];
    let bomb = compressed(Compression::Zstd, &[&large]);
    assert!(bomb.len() < 10_000);
    fake.store_batch(0, &bomb);
    fake.store(0, &[("next", 1)]);
    let client = Client::connect(&fake.bootstrap(), ClientConfig::default())
        .await
        .unwrap();
    let config = ConsumerConfig {
        decompressed_bytes_max: 1 << 20,
        ..ConsumerConfig::default()
    };
    let mut consumer = Consumer::new(&client, config);
    consumer
        .assign(vec![at(0, StartAt::Earliest)])
        .await
        .unwrap();
    let batch = consumer.poll(SOON).await.unwrap().unwrap();
    let error = batch.records().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("1048576 bytes"), "{error}");
    assert_eq!(values(&mut consumer, 1).await[0].2, "next");
}

#[tokio::test]
async fn a_paused_partition_is_not_read_and_goes_on_where_it_was() {
    let fake = Fake::start(&[0, 1], parks(&[(0, 5), (1, 2)])).await;
    fake_records(&fake);
    let assignments = vec![at(0, StartAt::Earliest), at(1, StartAt::Earliest)];
    let mut consumer = consumer(&fake, OffsetReset::Error, assignments).await;
    let (first, second) = (PartitionIndex::new(0), PartitionIndex::new(1));
    consumer.pause(TOPIC, first);
    assert!(consumer.is_paused(TOPIC, first));
    let read = values(&mut consumer, 2).await;
    assert!(read.iter().all(|(partition, ..)| *partition == 1));
    assert!(consumer.poll(SHORT).await.unwrap().is_none());
    consumer.pause(TOPIC, second);
    assert!(consumer.poll(SHORT).await.unwrap().is_none());
    consumer.resume(TOPIC, first);
    assert_eq!(values(&mut consumer, 5).await[0].2, "a");
    assert_eq!(consumer.position(TOPIC, second), Some(Offset::new(2)));
}

#[tokio::test]
async fn ends_are_asked_for_and_lag_follows_the_position() {
    let fake = Fake::start(&[0, 1], parks(&[(0, 5), (1, 2)])).await;
    fake_records(&fake);
    let assignments = vec![
        at(0, StartAt::Offset(Offset::new(3))),
        at(1, StartAt::Latest),
    ];
    let mut consumer = consumer(&fake, OffsetReset::Error, assignments).await;
    let (first, second) = (PartitionIndex::new(0), PartitionIndex::new(1));
    assert_eq!(consumer.lag(TOPIC, first), None);
    let ends = consumer.end_offsets().await.unwrap();
    let expected = [(first, 5), (second, 2)]
        .map(|(partition, end)| (TOPIC.to_owned(), partition, Offset::new(end)));
    assert_eq!(ends, expected);
    assert_eq!(consumer.lag(TOPIC, first), Some(2));
    assert_eq!(consumer.lag(TOPIC, second), Some(0));
    values(&mut consumer, 2).await;
    assert_eq!(consumer.lag(TOPIC, first), Some(0));
}
