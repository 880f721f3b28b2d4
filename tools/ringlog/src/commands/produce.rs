//! `ringlog produce`: each line is a record.
//!
//! The first record that is not stored ends it: what follows would be out of order, and whoever pipes a file in wants
//! to know where to go on.

mod acknowledgements;
mod receipts;
mod summary;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use ringlog_client::{Acks, Admin, Client, Producer, ProducerConfig, ProducerRecord};
use ringlog_record::PartitionIndex;
use tokio::sync::mpsc;

use self::acknowledgements::{Acknowledgements, Stopped};
use self::summary::Summary;
use super::connect::connect;
use super::lines::{self, Line};
use crate::cli::{AcksArgument, ProduceArguments};
use crate::error::CommandError;

/// Lines that may be read ahead.
const LINES_AHEAD_MAX: usize = 1024;

pub(crate) async fn run(arguments: ProduceArguments) -> Result<(), CommandError> {
    if arguments.key_separator.as_deref() == Some("") {
        let message = "--key-separator must not be empty: every line would begin with it";
        return Err(CommandError::Usage(message.to_owned()));
    }
    let client = connect(&arguments.bootstrap).await?;
    let config = config(&client, &arguments).await?;
    let acks = config.acks;
    let (lines, len_bytes) = lines::read(arguments.file.as_deref(), LINES_AHEAD_MAX)?;
    let producer = Producer::new(&client, config);
    let acknowledgements = Acknowledgements::collect();
    let progress = progress_bar(len_bytes);
    let began = Instant::now();
    let mut sent = Sent::default();
    let sending = Sending {
        arguments: &arguments,
        producer: &producer,
        acknowledgements: &acknowledgements,
        progress: &progress,
    };
    let stopped = sending.send_all(lines, &mut sent).await;
    let (outcome, stats) = acknowledgements.settle(producer).await;
    progress.finish_and_clear();
    let summary = Summary {
        sent,
        outcome,
        stats,
        took: began.elapsed(),
        acks,
        wants_receipts: arguments.receipt,
    };
    summary.print(arguments.output);
    stopped?;
    summary.verdict(&arguments.topic)
}

/// The producer's settings; asks the broker for what the topic allows, and so finds out whether it is there before
/// anything is read.
async fn config(
    client: &Client,
    arguments: &ProduceArguments,
) -> Result<ProducerConfig, CommandError> {
    let what = format!("produce to {:?}", arguments.topic);
    let failed = |error| CommandError::failed(&what, error);
    let topic = client.topic(&arguments.topic).await.map_err(failed)?;
    if let Some(partition) = arguments.partition {
        topic
            .partition(PartitionIndex::new(partition))
            .map_err(failed)?;
    }
    let described = Admin::new(client).describe_topic(&arguments.topic).await;
    let described = described.map_err(failed)?;
    let mut settings = described.settings.iter();
    let max_batch_bytes = settings
        .find(|setting| setting.key == "max_batch_bytes")
        .and_then(|setting| setting.value.parse().ok());
    let defaults = ProducerConfig::default();
    Ok(ProducerConfig {
        acks: match arguments.acks {
            AcksArgument::None => Acks::None,
            AcksArgument::Leader => Acks::Leader,
            AcksArgument::All => Acks::All,
        },
        linger: Duration::from_millis(arguments.linger_ms),
        batch_bytes: arguments.batch_bytes,
        batch_bytes_max: max_batch_bytes.unwrap_or(defaults.batch_bytes_max),
        wants_receipts: arguments.receipt,
        ..defaults
    })
}

/// What was read and handed to the producer.
#[derive(Debug, Default)]
struct Sent {
    records: u64,
    /// Of keys and values.
    bytes: u64,
}

/// What sending a line needs.
struct Sending<'a> {
    arguments: &'a ProduceArguments,
    producer: &'a Producer,
    acknowledgements: &'a Acknowledgements,
    progress: &'a ProgressBar,
}

impl Sending<'_> {
    /// Sends lines until there are no more, or one cannot be read or sent, or one before was not stored.
    async fn send_all(
        &self,
        mut lines: mpsc::Receiver<Result<Line, CommandError>>,
        sent: &mut Sent,
    ) -> Result<(), CommandError> {
        loop {
            let line = tokio::select! {
                line = lines.recv() => line,
                () = self.acknowledgements.failed() => return Ok(()),
            };
            let Some(line) = line.transpose()? else {
                return Ok(());
            };
            if let Err(Stopped) = self.send(line, sent).await? {
                return Ok(());
            }
        }
    }

    async fn send(&self, line: Line, sent: &mut Sent) -> Result<Result<(), Stopped>, CommandError> {
        self.progress.inc(line.len() as u64 + 1);
        let (record, bytes) = record(self.arguments, line);
        let delivery = self.producer.send(record).await.map_err(|error| {
            CommandError::failed(&format!("send line {}", sent.records + 1), error)
        })?;
        sent.records += 1;
        sent.bytes += bytes;
        Ok(self.acknowledgements.expect(delivery).await)
    }
}

/// The record of a line, and the bytes of its key and value.
fn record(arguments: &ProduceArguments, line: Line) -> (ProducerRecord, u64) {
    let separator = arguments.key_separator.as_deref().map(str::as_bytes);
    let split = separator.and_then(|separator| {
        let at = find(&line, separator)?;
        Some((line.slice(..at), line.slice(at + separator.len()..)))
    });
    let (key, value) = match split {
        Some((key, value)) => (Some(key), value),
        None => (None, line),
    };
    let bytes = key.as_ref().map_or(0, Bytes::len) + value.len();
    let record = ProducerRecord {
        topic: arguments.topic.clone(),
        partition: arguments.partition.map(PartitionIndex::new),
        key,
        value: Some(value),
        ..ProducerRecord::default()
    };
    (record, bytes as u64)
}

fn find(line: &Bytes, separator: &[u8]) -> Option<usize> {
    line.windows(separator.len())
        .position(|window| window == separator)
}

/// Progress by bytes where the length is known; nothing where standard error is no terminal, or where lines are
/// typed.
fn progress_bar(len_bytes: Option<u64>) -> ProgressBar {
    let (progress, style) = match len_bytes {
        Some(len_bytes) => (
            ProgressBar::new(len_bytes),
            "{bar:30} {percent}%  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left",
        ),
        None if io::stdin().is_terminal() => return ProgressBar::hidden(),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {binary_bytes}  {binary_bytes_per_sec}",
        ),
    };
    if let Ok(style) = ProgressStyle::with_template(style) {
        progress.set_style(style);
    }
    progress
}

#[cfg(test)]
mod tests;
