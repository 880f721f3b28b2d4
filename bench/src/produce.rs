//! Produce: one batch of one record in each request, beside a raw program that receives, writes, syncs and answers.

use std::path::PathBuf;

use bytes::Bytes;
use rand::RngExt;
use ringlog_client::{Acks, Client, PartitionClient};
use ringlog_device::Shape;
use ringlog_record::PartitionIndex;
use ringlog_record::batch::{BatchBuilder, RecordData};
use ringlog_record::limits::BATCH_BYTES_MAX;
use tokio::time::Instant;

use crate::closed_loop::{merge, run_connection};
use crate::device::{conditions, run_raw};
use crate::error::BenchError;
use crate::limits::CONNECTIONS_MAX;
use crate::pin::pin_generator;
use crate::report::{Figures, Report, Row};
use crate::{Progress, Timing};

/// How a broker is loaded with produces.
#[derive(Clone, Debug)]
pub struct ProduceBench {
    /// A topic that is there; all goes to its first partition.
    pub topic: String,
    /// Sizes of a record's value.
    pub record_bytes: Vec<usize>,
    /// Numbers of connections.
    pub connections: Vec<usize>,
    /// Where the raw program makes its file: on the device of the broker's data.
    pub dir: PathBuf,
    /// How often, and for how long.
    pub timing: Timing,
}

/// Loads a broker with produces, in turns with the raw program.
///
/// # Errors
///
/// [`BenchError`].
pub async fn produce(
    client: &Client,
    bench: &ProduceBench,
    progress: Progress<'_>,
) -> Result<Report, BenchError> {
    let mut rows = Vec::new();
    for &record_bytes in &bench.record_bytes {
        let batch = batch_of(record_bytes)?;
        for &connections in &bench.connections {
            if !(1..=CONNECTIONS_MAX).contains(&connections) {
                let message =
                    format!("{connections} connections: 1 to {CONNECTIONS_MAX} are allowed");
                return Err(BenchError::Settings(message));
            }
            let (mut ours, mut raw) = (Vec::new(), Vec::new());
            for repetition in 1..=bench.timing.repetitions {
                let of = format!(
                    "{record_bytes} bytes, {connections} connection(s), run {repetition} of {}",
                    bench.timing.repetitions
                );
                progress(&format!("raw, {of}"));
                let shape = Shape::TcpDurable;
                raw.push(run_raw(
                    shape,
                    record_bytes,
                    connections,
                    &bench.dir,
                    bench.timing,
                )?);
                progress(&format!("ringlog, {of}"));
                ours.push(run_once(client, bench, &batch, record_bytes, connections).await?);
            }
            let raw_name = Shape::TcpDurable.name();
            rows.extend(Row::new(raw_name, record_bytes, connections, &raw, None));
            rows.extend(Row::new(
                "ringlog",
                record_bytes,
                connections,
                &ours,
                Some(&raw),
            ));
        }
    }
    Ok(Report {
        conditions: conditions(bench.timing),
        rows,
    })
}

/// A batch of one record whose value is random: no device or network makes it smaller.
pub(crate) fn batch_of(record_bytes: usize) -> Result<Bytes, BenchError> {
    let mut value = vec![0; record_bytes];
    rand::rng().fill(&mut value[..]);
    let mut builder = BatchBuilder::new(BATCH_BYTES_MAX);
    builder.append(&RecordData {
        value: Some(&value),
        ..RecordData::default()
    })?;
    Ok(builder.build()?)
}

async fn run_once(
    client: &Client,
    bench: &ProduceBench,
    batch: &Bytes,
    record_bytes: usize,
    connections: usize,
) -> Result<Figures, BenchError> {
    pin_generator();
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections {
        let partition = PartitionIndex::new(0);
        opened.push(PartitionClient::connect(client, &bench.topic, partition).await?);
    }
    let begin = Instant::now();
    let timing = bench.timing;
    let running: Vec<_> = opened
        .into_iter()
        .map(|connection| {
            let batch = batch.clone();
            tokio::spawn(run_connection(timing, begin, async move || {
                connection.produce(batch.clone(), Acks::All).await?;
                Ok(record_bytes)
            }))
        })
        .collect();
    let mut measured = Vec::with_capacity(connections);
    for one in running {
        let joined = one.await;
        measured.push(joined.map_err(|error| BenchError::Settings(error.to_string()))??);
    }
    merge(measured, timing.duration)
}
