//! Consume: large fetches from one partition, not decoded, beside a raw program that sends as much from memory and
//! one that reads as much from the device.

use std::path::PathBuf;
use std::time::Duration;

use ringlog_client::{Acks, Client, PartitionClient};
use ringlog_device::Shape;
use ringlog_record::batch::batches;
use ringlog_record::{Offset, PartitionIndex};
use tokio::time::Instant;

use crate::closed_loop::{merge, run_connection};
use crate::device::{conditions, run_raw};
use crate::error::BenchError;
use crate::limits::{CONSUME_BATCH_BYTES, CONSUME_FILL_BYTES};
use crate::pin::pin_generator;
use crate::produce::batch_of;
use crate::report::{Figures, Report, Row};
use crate::{Progress, Timing};

/// How a broker is loaded with fetches.
#[derive(Clone, Debug)]
pub struct ConsumeBench {
    /// A topic that is there; its first partition is filled and read.
    pub topic: String,
    /// Bytes of a fetch.
    pub fetch_bytes: u32,
    /// Where the raw program makes its file: on the device of the broker's data.
    pub dir: PathBuf,
    /// How often, and for how long.
    pub timing: Timing,
}

/// Loads a broker with fetches, in turns with the raw programs.
///
/// # Errors
///
/// [`BenchError`].
pub async fn consume(
    client: &Client,
    bench: &ConsumeBench,
    progress: Progress<'_>,
) -> Result<Report, BenchError> {
    let partition = PartitionIndex::new(0);
    let writer = PartitionClient::connect(client, &bench.topic, partition).await?;
    let fetch_bytes = usize::try_from(bench.fetch_bytes).unwrap_or(usize::MAX);
    progress("filling the partition");
    fill(&writer).await?;
    let (mut ours, mut sent, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for repetition in 1..=bench.timing.repetitions {
        let of = format!("run {repetition} of {}", bench.timing.repetitions);
        for (shape, runs) in [(Shape::TcpOut, &mut sent), (Shape::Read, &mut read)] {
            progress(&format!("raw {shape}, {of}"));
            runs.push(run_raw(shape, fetch_bytes, 1, &bench.dir, bench.timing)?);
        }
        progress(&format!("ringlog, {of}"));
        ours.push(run_once(client, bench, partition).await?);
    }
    let mut rows = Vec::new();
    rows.extend(Row::new(Shape::TcpOut.name(), fetch_bytes, 1, &sent, None));
    rows.extend(Row::new(Shape::Read.name(), fetch_bytes, 1, &read, None));
    // The raw program that sends is the bound of a fetch that the broker answers from memory.
    let by_bytes = by_bytes(&ours, &sent);
    rows.extend(
        Row::new("ringlog", fetch_bytes, 1, &ours, None).map(|row| Row {
            of_raw: by_bytes,
            ..row
        }),
    );
    Ok(Report {
        conditions: conditions(bench.timing),
        rows,
    })
}

/// Bytes a second as a part of the raw program's: the broker's answers are whole batches, not exactly as large.
fn by_bytes(ours: &[Figures], raw: &[Figures]) -> Option<crate::Spread> {
    let pairs = ours.iter().zip(raw);
    crate::Spread::of(pairs.map(|(ours, raw)| ours.bytes_per_s / raw.bytes_per_s))
}

/// Writes until the partition has enough to read.
async fn fill(writer: &PartitionClient) -> Result<(), BenchError> {
    let batch = batch_of(CONSUME_BATCH_BYTES)?;
    let mut bytes = 0;
    while bytes < CONSUME_FILL_BYTES {
        writer.produce(batch.clone(), Acks::All).await?;
        bytes += batch.len() as u64;
    }
    Ok(())
}

async fn run_once(
    client: &Client,
    bench: &ConsumeBench,
    partition: PartitionIndex,
) -> Result<Figures, BenchError> {
    pin_generator();
    let reader = PartitionClient::connect(client, &bench.topic, partition).await?;
    let fetch_bytes = bench.fetch_bytes;
    let mut offset = Offset::ZERO;
    let request = async || {
        let read = reader.fetch(offset, fetch_bytes, Duration::ZERO).await?;
        // The next offset comes from the last header alone: the load is the fetch, not the decoding.
        offset = match batches(&read.bytes).last() {
            Some(Ok(last)) if last.last_offset().next() < read.high_watermark => {
                last.last_offset().next()
            }
            _ => read.log_start,
        };
        Ok(read.bytes.len())
    };
    let measured = run_connection(bench.timing, Instant::now(), request).await?;
    merge(vec![measured], bench.timing.duration)
}
