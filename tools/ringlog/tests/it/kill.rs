//! kill -9, again and again, in the middle of a load: nothing that was acknowledged is lost or changed.
//!
//! The page cache outlives the process, so this tests restart and recovery, not durability; that is the simulation's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringlog_client::{
    Admin, Assignment, Client, ClientConfig, Consumer, ConsumerConfig, Delivery, DeliveryError,
    Producer, ProducerConfig, ProducerRecord, StartAt,
};
use ringlog_record::{Offset, PartitionIndex};

use crate::process::{Broker, Start, directory};

const TOPIC: &str = "killed";
const PARTITIONS: u32 = 4;

/// Kills with produces under way that are wanted.
const KILLS: usize = 20;

/// Rounds at most, those included in which nothing was under way.
const ROUNDS_MAX: usize = 60;

/// Where a record is.
type Place = (u32, u64);

/// What the test knows of what it sent.
#[derive(Default)]
struct History {
    sent: BTreeSet<String>,
    acknowledged: BTreeMap<Place, String>,
    /// What was served before: it must not change.
    served: BTreeMap<Place, String>,
}

/// The value of a record: its name, and as much behind it as the name says.
fn value_of(round: usize, number: usize) -> String {
    let name = format!("{round}-{number}");
    let filler = (round * 7919 + number * 104_729) % 1500;
    format!("{name} {}", "x".repeat(filler))
}

#[test]
fn kill_9_twenty_times_loses_nothing_that_was_acknowledged() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let directory = directory();
    let mut start = Start::new(directory.path());
    let mut broker = start.broker();
    start.port = broker.address.port();
    let partitions = PARTITIONS.to_string();
    broker.ok(&[
        "topic",
        "create",
        TOPIC,
        "--partitions",
        &partitions,
        "--config",
        "segment_bytes=1MiB",
    ]);
    let mut history = History::default();
    let (mut kills, mut rounds, mut unanswered) = (0, 0, 0);
    while kills < KILLS {
        rounds += 1;
        assert!(
            rounds <= ROUNDS_MAX,
            "only {kills} of {rounds} kills met produces under way"
        );
        let unknown = runtime.block_on(load_and_kill(broker, rounds, &mut history));
        kills += usize::from(unknown > 0);
        unanswered += unknown;
        broker = start.broker();
        runtime.block_on(check(&broker, &mut history));
    }
    println!(
        "{rounds} rounds, {kills} kills with produces under way, {unanswered} records unanswered, \
         {} acknowledged, {} served in the end",
        history.acknowledged.len(),
        history.served.len()
    );
    assert!(history.acknowledged.len() > KILLS);
}

async fn client(broker: &Broker) -> Client {
    let bootstrap = [broker.address.to_string()];
    Client::connect(&bootstrap, ClientConfig::default())
        .await
        .unwrap()
}

/// Produces, kills the broker in the middle of it, and gives how many records were unanswered then.
async fn load_and_kill(broker: Broker, round: usize, history: &mut History) -> usize {
    let client = client(&broker).await;
    let producer = Producer::new(
        &client,
        ProducerConfig {
            linger: Duration::from_millis(1),
            batch_bytes: 4 << 10,
            delivery_timeout: Duration::from_millis(300),
            ..ProducerConfig::default()
        },
    );
    // Later in each round: between the first flush and well into a load.
    let until = tokio::time::Instant::now() + Duration::from_millis(20 + 7 * (round as u64 % 13));
    let mut deliveries: Vec<(String, Delivery)> = Vec::new();
    let mut number: usize = 0;
    let mut partitions = (0..PARTITIONS).map(PartitionIndex::new).cycle();
    while tokio::time::Instant::now() < until {
        for _ in 0..20 {
            let value = value_of(round, number);
            let record = ProducerRecord {
                partition: partitions.next(),
                ..ProducerRecord::value(TOPIC, value.clone())
            };
            let delivery = producer.send(record).await.unwrap();
            history.sent.insert(value.clone());
            deliveries.push((value, delivery));
            number += 1;
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    // Nothing runs on this thread between here and the kill: what is unanswered now stays so.
    broker.kill();
    let mut unknown = 0;
    for (value, delivery) in deliveries {
        match delivery.await {
            Ok(delivered) => {
                let place = (delivered.partition.get(), delivered.offset.get());
                let before = history.acknowledged.insert(place, value);
                assert!(before.is_none(), "offset {place:?} was acknowledged twice");
            }
            Err(DeliveryError::UnknownOutcome { .. }) => unknown += 1,
            // It was not under way: the connection was gone, or it never left.
            Err(_) => {}
        }
    }
    unknown
}

/// Reads everything and compares it with the history.
async fn check(broker: &Broker, history: &mut History) {
    let client = client(broker).await;
    let read = read_all(&client).await;
    for (place, value) in &history.acknowledged {
        assert_eq!(read.get(place), Some(value), "acknowledged at {place:?}");
    }
    for (place, value) in &history.served {
        assert_eq!(read.get(place), Some(value), "served before at {place:?}");
    }
    let mut once = BTreeSet::new();
    let mut next: BTreeMap<u32, u64> = BTreeMap::new();
    for ((partition, offset), value) in &read {
        assert!(history.sent.contains(value), "nobody sent {value:?}");
        assert!(once.insert(value), "{value:?} is there twice");
        let expected = next.entry(*partition).or_default();
        assert_eq!(
            offset, expected,
            "offsets of partition {partition} are not dense"
        );
        *expected += 1;
    }
    history.served = read;
}

async fn read_all(client: &Client) -> BTreeMap<Place, String> {
    let topic = client.refresh_topic(TOPIC).await.unwrap();
    let admin = Admin::new(client);
    let mut left: BTreeMap<PartitionIndex, Offset> = BTreeMap::new();
    for partition in (0..PARTITIONS).map(PartitionIndex::new) {
        let end = admin.end_offset(&topic, partition).await.unwrap();
        if end > Offset::ZERO {
            left.insert(partition, end);
        }
    }
    let mut consumer = Consumer::new(client, ConsumerConfig::default());
    let assignments = left.keys().map(|&partition| Assignment {
        topic: TOPIC.to_owned(),
        partition,
        start: StartAt::Earliest,
    });
    consumer.assign(assignments.collect()).await.unwrap();
    let mut read = BTreeMap::new();
    while !left.is_empty() {
        let batch = consumer.poll(Duration::from_secs(30)).await.unwrap();
        let batch = batch.expect("records below the high watermark come at once");
        let partition = batch.partition();
        for record in batch.records() {
            let record = record.unwrap();
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            read.insert((partition.get(), record.offset.get()), value);
        }
        if left
            .get(&partition)
            .is_some_and(|&end| batch.next_offset() >= end)
        {
            left.remove(&partition);
        }
    }
    read
}
