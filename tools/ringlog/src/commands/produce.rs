//! `ringlog produce`: each line is a record.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use ringlog_client::{
    Acks, Client, Delivery, DeliveryError, Producer, ProducerConfig, ProducerRecord, ProducerStats,
};
use ringlog_record::PartitionIndex;
use serde_json::json;
use tokio::sync::mpsc;

use super::connect::connect;
use super::lines::{self, Line};
use crate::cli::{AcksArgument, ProduceArguments};
use crate::error::CommandError;
use crate::output::{Format, bytes, print_error_json};

/// Lines that may be read ahead.
const LINES_AHEAD_MAX: usize = 1024;

pub(crate) async fn run(arguments: ProduceArguments) -> Result<(), CommandError> {
    if arguments.key_separator.as_deref() == Some("") {
        let message = "--key-separator must not be empty: every line would begin with it";
        return Err(CommandError::Usage(message.to_owned()));
    }
    let client = connect(&arguments.bootstrap).await?;
    check_topic(&client, &arguments).await?;
    let (lines, len_bytes) = lines::read(arguments.file.as_deref(), LINES_AHEAD_MAX)?;
    let producer = Producer::new(
        &client,
        ProducerConfig {
            acks: match arguments.acks {
                AcksArgument::None => Acks::None,
                AcksArgument::Leader => Acks::Leader,
                AcksArgument::All => Acks::All,
            },
            linger: Duration::from_millis(arguments.linger_ms),
            batch_bytes: arguments.batch_bytes,
            ..ProducerConfig::default()
        },
    );
    let progress = progress_bar(arguments.file.as_deref(), len_bytes);
    let began = Instant::now();
    let (read, failure) = produce(&arguments, &producer, lines, &progress).await;
    let stats = producer.close().await;
    progress.finish_and_clear();
    summarize(&stats, read, began.elapsed(), arguments.output);
    match failure {
        Some(failure) => Err(failure),
        None if stats.failed + stats.unknown > 0 => Err(CommandError::Silent),
        None => Ok(()),
    }
}

/// A missing topic is better found out before anything is read.
async fn check_topic(client: &Client, arguments: &ProduceArguments) -> Result<(), CommandError> {
    let what = format!("produce to {:?}", arguments.topic);
    let failed = |error| CommandError::failed(&what, error);
    let topic = client.topic(&arguments.topic).await.map_err(failed)?;
    if let Some(partition) = arguments.partition {
        topic
            .partition(PartitionIndex::new(partition))
            .map_err(failed)?;
    }
    Ok(())
}

/// Sends the lines; gives how many were read, and why it stopped early, if it did.
async fn produce(
    arguments: &ProduceArguments,
    producer: &Producer,
    mut lines: mpsc::Receiver<Result<Line, CommandError>>,
    progress: &ProgressBar,
) -> (u64, Option<CommandError>) {
    let (sender, outcomes) = mpsc::unbounded_channel();
    let watch = tokio::spawn(first_failures(outcomes));
    let mut read = 0;
    let mut failure = None;
    while let Some(line) = lines.recv().await {
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                failure = Some(error);
                break;
            }
        };
        progress.inc(line.len() as u64 + 1);
        read += 1;
        match producer.send(record(arguments, line)).await {
            Ok(delivery) => drop(sender.send((read, delivery))),
            Err(error) => {
                let what = format!("send line {read}");
                failure = Some(CommandError::failed(&what, error));
                break;
            }
        }
    }
    drop(sender);
    producer.flush().await;
    // Says what it has to say; it ends with the last outcome.
    watch.await.ok();
    (read, failure)
}

fn record(arguments: &ProduceArguments, line: Line) -> ProducerRecord {
    let separator = arguments.key_separator.as_deref().map(str::as_bytes);
    let split = separator.and_then(|separator| {
        let at = find(&line, separator)?;
        Some((line.slice(..at), line.slice(at + separator.len()..)))
    });
    let (key, value) = match split {
        Some((key, value)) => (Some(key), value),
        None => (None, line),
    };
    ProducerRecord {
        topic: arguments.topic.clone(),
        partition: arguments.partition.map(PartitionIndex::new),
        key,
        value: Some(value),
        ..ProducerRecord::default()
    }
}

fn find(line: &Bytes, separator: &[u8]) -> Option<usize> {
    line.windows(separator.len())
        .position(|window| window == separator)
}

/// Failures that are told one by one; the summary counts all.
const FAILURES_TOLD_MAX: usize = 5;

async fn first_failures(mut outcomes: mpsc::UnboundedReceiver<(u64, Delivery)>) {
    let mut told = 0;
    while let Some((line, delivery)) = outcomes.recv().await {
        let Err(error) = delivery.await else {
            continue;
        };
        told += 1;
        if told <= FAILURES_TOLD_MAX && !matches!(error, DeliveryError::Closed) {
            eprintln!("error: line {line}: {error}");
        }
    }
}

/// Progress by bytes where the length is known; nothing where standard error is no terminal.
fn progress_bar(file: Option<&Path>, len_bytes: Option<u64>) -> ProgressBar {
    let progress = match (file, len_bytes) {
        (Some(_), Some(len_bytes)) => ProgressBar::new(len_bytes),
        _ => return ProgressBar::hidden(),
    };
    let style = "{bar:30} {percent}%  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        progress.set_style(style);
    }
    progress
}

fn summarize(stats: &ProducerStats, read: u64, took: Duration, output: Format) {
    let p99_ms = micros_to_ms(stats.ack_us.value_at_quantile(0.99));
    let seconds = took.as_secs_f64().max(1e-9);
    let rate = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds;
    match output {
        Format::Table => {
            eprintln!(
                "{} of {read} records acknowledged in {} batches, {}, in {seconds:.2} s: {:.0} records/s; p99 of acknowledgement {p99_ms:.2} ms",
                stats.records,
                stats.batches,
                bytes(stats.bytes),
                rate(stats.records),
            );
            if stats.failed > 0 {
                eprintln!("{} records were not stored", stats.failed);
            }
            if stats.unknown > 0 {
                eprintln!(
                    "{} records may or may not be stored: read the topic before you send them again",
                    stats.unknown
                );
            }
        }
        Format::Json => print_error_json(&json!({
            "records_read": read,
            "records_acknowledged": stats.records,
            "records_failed": stats.failed,
            "records_unknown": stats.unknown,
            "batches": stats.batches,
            "bytes": stats.bytes,
            "seconds": seconds,
            "records_per_second": rate(stats.records),
            "ack_ms_p99": p99_ms,
        })),
    }
}

fn micros_to_ms(micros: u64) -> f64 {
    f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1e3
}
