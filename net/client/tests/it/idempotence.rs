//! Idempotence and order against a real broker behind a proxy that misbehaves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ringlog_client::{
    Admin, Assignment, Client, ClientConfig, Consumer, ConsumerConfig, Producer, ProducerConfig,
    ProducerRecord, StartAt,
};
use ringlog_record::PartitionIndex;
use tokio::net::TcpListener;

use crate::broker::Broker;
use crate::proxy::Proxy;

const TOPIC: &str = "ordered";
const PARTITIONS: u32 = 4;
const RECORDS: u32 = 10_000;
const SEED: u64 = 20_261_128;

/// Time that no busy machine needs.
const PATIENCE: Duration = Duration::from_secs(600);

#[expect(clippy::print_stdout, reason = "the counts are what the test shows")]
#[tokio::test]
async fn idempotence_and_order_under_a_proxy_that_cuts_delays_duplicates_and_reorders_connections()
{
    println!("seed {SEED}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Clients are told the proxy's address for every partition.
    let broker = Broker::start(Some(address.clone()));
    let proxy = Proxy::start(listener, broker.address, SEED);
    let client = broker.client().await;
    Admin::new(&client)
        .create_topic(TOPIC, PARTITIONS, Vec::new())
        .await
        .unwrap();

    let client = Client::connect(&[address], ClientConfig::default())
        .await
        .unwrap();
    let config = ProducerConfig {
        // Many small batches, so that there are many requests to meet with something.
        batch_bytes: 200,
        linger: Duration::from_millis(1),
        delivery_timeout: PATIENCE,
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client, config);
    let mut deliveries = Vec::new();
    for number in 0..RECORDS {
        let record = ProducerRecord {
            partition: Some(PartitionIndex::new(number % PARTITIONS)),
            ..ProducerRecord::value(TOPIC, number.to_string())
        };
        deliveries.push(producer.send(record).await.unwrap());
    }
    for (number, delivery) in (0..).zip(deliveries) {
        let delivered = delivery.await.unwrap();
        assert_eq!(delivered.partition.get(), number % PARTITIONS);
        // In order, without a gap: its offset is its place among the records of the partition.
        assert_eq!(delivered.offset.get(), u64::from(number / PARTITIONS));
    }
    let stats = producer.close().await;
    assert_eq!(
        (stats.records, stats.failed, stats.unknown),
        (u64::from(RECORDS), 0, 0)
    );
    proxy.is_calm.store(true, Ordering::Relaxed);
    // What is still under way to the broker arrives late, and changes nothing.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let read = read_all(&client).await;
    let expected: Vec<Vec<u32>> = (0..PARTITIONS)
        .map(|partition| (partition..RECORDS).step_by(4).collect())
        .collect();
    assert_eq!(read, expected);

    let counts = &proxy.counts;
    let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{RECORDS} records in {} batches: {} connections cut, {} of them with requests that arrived late, {} requests \
         delayed, {} delivered twice, {} answers out of order; {} retries by the producer, {} batches seen again, {} \
         duplicates acknowledged; none lost, none stored twice, order kept",
        stats.batches,
        of(&counts.cuts),
        of(&counts.late),
        of(&counts.delayed),
        of(&counts.doubled),
        of(&counts.reordered),
        stats.retries,
        of(&counts.sent_again),
        of(&counts.duplicates),
    );
    assert!(stats.retries > 20, "{} retries", stats.retries);
    for (what, counter) in [
        ("cuts", &counts.cuts),
        ("late", &counts.late),
        ("delayed", &counts.delayed),
        ("doubled", &counts.doubled),
        ("reordered", &counts.reordered),
        ("sent again", &counts.sent_again),
        ("duplicates", &counts.duplicates),
    ] {
        assert!(of(counter) > 3, "{what}: {}", of(counter));
    }
}

/// The values of each partition in the order of their offsets.
async fn read_all(client: &Client) -> Vec<Vec<u32>> {
    let mut consumer = Consumer::new(client, ConsumerConfig::default());
    let assignments = (0..PARTITIONS).map(|partition| Assignment {
        topic: TOPIC.to_owned(),
        partition: PartitionIndex::new(partition),
        start: StartAt::Earliest,
    });
    consumer.assign(assignments.collect()).await.unwrap();
    let ends = consumer.end_offsets().await.unwrap();
    let mut read = vec![Vec::new(); 4];
    while ends
        .iter()
        .any(|(topic, partition, end)| consumer.position(topic, *partition) < Some(*end))
    {
        let batch = consumer.poll(PATIENCE).await.unwrap().unwrap();
        let partition = usize::try_from(batch.partition().get()).unwrap();
        for record in batch.records() {
            let value = record.unwrap().value.unwrap();
            read[partition].push(str::from_utf8(value).unwrap().parse().unwrap());
        }
    }
    read
}
