//! Produces records and consumes them again:
//! `cargo run -p ringlog-client --example produce_consume -- 127.0.0.1:9400 TOPIC`.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use ringlog_client::{
    Admin, Assignment, Client, ClientConfig, Compression, Consumer, ConsumerConfig, Producer,
    ProducerConfig, ProducerRecord, StartAt,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bootstrap), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: produce_consume HOST:PORT TOPIC".into());
    };
    run(&bootstrap, &topic, &mut std::io::stdout()).await
}

/// Makes the topic if it is not there, sends ten records, and reads the topic to its end.
pub(crate) async fn run(
    bootstrap: &str,
    topic: &str,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(&[bootstrap.to_owned()], ClientConfig::default()).await?;
    if client.topic(topic).await.is_err() {
        Admin::new(&client)
            .create_topic(topic, 2, Vec::new())
            .await?;
    }

    let config = ProducerConfig {
        compression: Compression::Zstd,
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client, config);
    let mut deliveries = Vec::new();
    for number in 0..10 {
        let record = ProducerRecord {
            key: Some(format!("key {}", number % 3).into()),
            headers: vec![("origin".to_owned(), Some("example".into()))],
            ..ProducerRecord::value(topic, format!("record {number}"))
        };
        // Waits when the producer's memory is full; the outcome comes later.
        deliveries.push(producer.send(record).await?);
    }
    for delivery in deliveries {
        let delivered = delivery.await?;
        writeln!(
            out,
            "stored in partition {} at offset {}: {}",
            delivered.partition, delivered.offset, delivered.level
        )?;
    }
    producer.close().await;

    let mut consumer = Consumer::new(&client, ConsumerConfig::default());
    let partitions = client.topic(topic).await?.partitions.clone();
    let assignments = partitions.iter().map(|partition| Assignment {
        topic: topic.to_owned(),
        partition: partition.id.partition,
        start: StartAt::Earliest,
    });
    consumer.assign(assignments.collect()).await?;
    let ends = consumer.end_offsets().await?;
    let at_end = |consumer: &Consumer| {
        ends.iter()
            .all(|(topic, partition, end)| consumer.position(topic, *partition) >= Some(*end))
    };
    while !at_end(&consumer) {
        let Some(batch) = consumer.poll(Duration::from_secs(5)).await? else {
            continue;
        };
        for record in batch.records() {
            let record = record?;
            let value = String::from_utf8_lossy(record.value.unwrap_or_default());
            writeln!(
                out,
                "read from partition {} at offset {}: {value}",
                batch.partition(),
                record.offset
            )?;
        }
    }
    Ok(())
}
