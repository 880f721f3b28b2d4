//! Chooses partitions with a function of one's own: records of premium customers go to the first partition.
//! `cargo run -p ringlog-client --example custom_partitioner -- 127.0.0.1:9400 TOPIC`.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use ringlog_client::core::murmur2::partition_of_key;
use ringlog_client::{
    Admin, Client, ClientConfig, Partitioner, Producer, ProducerConfig, ProducerRecord,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bootstrap), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: custom_partitioner HOST:PORT TOPIC".into());
    };
    run(&bootstrap, &topic, &mut std::io::stdout()).await
}

/// The first partition is for premium customers; the others are shared by key as Kafka would do it.
fn premium_first(record: &ProducerRecord, partitions: u32) -> u32 {
    let key = record.key.as_deref().unwrap_or_default();
    if key.starts_with(b"premium-") || partitions < 2 {
        return 0;
    }
    1 + partition_of_key(key, partitions - 1)
}

/// Makes the topic if it is not there, and sends a record for each of some customers.
pub(crate) async fn run(
    bootstrap: &str,
    topic: &str,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(&[bootstrap.to_owned()], ClientConfig::default()).await?;
    if client.topic(topic).await.is_err() {
        Admin::new(&client)
            .create_topic(topic, 4, Vec::new())
            .await?;
    }
    let config = ProducerConfig {
        partitioner: Partitioner::Function(Arc::new(premium_first)),
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client, config);
    for customer in ["premium-ada", "bob", "premium-cyd", "dee", "eve"] {
        let record = ProducerRecord {
            key: Some(customer.into()),
            ..ProducerRecord::value(topic, "order")
        };
        let delivered = producer.send(record).await?.await?;
        writeln!(out, "{customer}: partition {}", delivered.partition)?;
    }
    producer.close().await;
    Ok(())
}
