//! What a gateway of another protocol does: passes whole batches in and out, several partitions at a time, and decodes
//! no record. `cargo run -p ringlog-client --example pass_through -- 127.0.0.1:9400 TOPIC`.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use ringlog_client::core::compression::compress;
use ringlog_client::{
    Acks, Admin, Client, ClientConfig, Compression, RawAppend, RawClient, RawFetch, RawFetchLimits,
};
use ringlog_record::batch::{BatchBuilder, RecordData, batches};
use ringlog_record::{Offset, PartitionIndex};

const PARTITIONS: u32 = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bootstrap), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: pass_through HOST:PORT TOPIC".into());
    };
    run(&bootstrap, &topic, &mut std::io::stdout()).await
}

/// A batch such as a client of the gateway may have sent: of Kafka's format, compressed over there.
fn batch_of_a_client(partition: u32) -> Result<Bytes, Box<dyn Error>> {
    let mut builder = BatchBuilder::new(1 << 20);
    for number in 0..=partition {
        let value = format!("record {number} of partition {partition}");
        builder.append(&RecordData {
            value: Some(value.as_bytes()),
            ..RecordData::default()
        })?;
    }
    let compressed = compress(Compression::Lz4, builder.records())?;
    Ok(builder.build_compressed(Compression::Lz4, &compressed)?)
}

/// Makes the topic if it is not there, passes a batch to each partition, and waits for them with one long poll.
pub(crate) async fn run(
    bootstrap: &str,
    topic: &str,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(&[bootstrap.to_owned()], ClientConfig::default()).await?;
    if client.topic(topic).await.is_err() {
        Admin::new(&client)
            .create_topic(topic, PARTITIONS, Vec::new())
            .await?;
    }
    let raw = RawClient::new(&client);
    let mut appends = Vec::new();
    for partition in 0..PARTITIONS {
        appends.push(RawAppend {
            topic: topic.to_owned(),
            partition: PartitionIndex::new(partition),
            batches: batch_of_a_client(partition)?,
            expected_offset: None,
        });
    }
    let appended = raw
        .append(appends, Acks::All, Duration::from_secs(30))
        .await;
    let mut fetches = Vec::new();
    for (partition, appended) in (0..).map(PartitionIndex::new).zip(appended) {
        let stored = appended.outcome?;
        writeln!(
            out,
            "partition {partition}: stored at {} ({}), high watermark {}, leader epoch {}",
            stored.base_offset,
            stored.level,
            appended.state.high_watermark,
            appended.state.leader_epoch
        )?;
        fetches.push(RawFetch {
            topic: topic.to_owned(),
            partition,
            offset: Offset::ZERO,
            max_bytes: 1 << 20,
            last_epoch: None,
        });
    }
    let limits = RawFetchLimits {
        max_wait: Duration::from_secs(5),
        min_bytes: 1,
        max_bytes: 8 << 20,
    };
    for (fetch, fetched) in fetches.iter().zip(raw.fetch(&fetches, limits).await) {
        let bytes = fetched.outcome?;
        for batch in batches(&bytes) {
            let header = batch?.header();
            writeln!(
                out,
                "partition {}: a batch of {} records, {} bytes as they lie in the log, {:?}",
                fetch.partition,
                header.record_count,
                bytes.len(),
                header.attributes().compression()
            )?;
        }
    }
    Ok(())
}
