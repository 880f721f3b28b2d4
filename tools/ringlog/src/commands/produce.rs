//! `ringlog produce`: records from a file or from standard input.
//!
//! The first record that is not stored ends it: what follows would be out of order, and whoever pipes a file in wants
//! to know where to go on. A signal ends it too, with what was read by then.

mod acknowledgements;
mod receipts;
mod summary;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use ringlog_client::{
    Acks, Admin, Client, Compression, Partitioner, Producer, ProducerConfig, ProducerRecord,
};
use ringlog_record::PartitionIndex;

use self::acknowledgements::{Acknowledgements, Stopped};
use self::summary::Summary;
use super::connect::connect;
use super::formats::{InputRecord, Place, input_format};
use super::input::{self, Input, Item};
use super::interrupt::Interrupt;
use crate::cli::{AcksArgument, CompressionArgument, PartitionerArgument, ProduceArguments};
use crate::error::CommandError;

/// Records that may be read ahead.
const RECORDS_AHEAD_MAX: usize = 1024;

/// How long a record may take: long enough for a broker that restarts, short enough for somebody who waits.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) async fn run(arguments: ProduceArguments) -> Result<(), CommandError> {
    let format = input_format(arguments.format, arguments.key_separator.as_deref())
        .map_err(CommandError::Usage)?;
    let client = connect(&arguments.bootstrap).await?;
    let config = config(&client, &arguments).await?;
    let acks = config.acks;
    let mut interrupt = Interrupt::install()?;
    let mut input = input::read(arguments.file.as_deref(), format, RECORDS_AHEAD_MAX)?;
    let producer = Producer::new(&client, config);
    let acknowledgements = Acknowledgements::collect();
    let progress = progress_bar(input.len_bytes);
    let began = Instant::now();
    let mut sent = Sent::default();
    let sending = Sending {
        arguments: &arguments,
        producer: &producer,
        acknowledgements: &acknowledgements,
        progress: &progress,
    };
    let stopped = tokio::select! {
        stopped = sending.send_all(&mut input, &mut sent) => stopped,
        () = interrupt.next() => Err(CommandError::Failed(interrupted(&input, &sent))),
    };
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
    summary.print(arguments.output.form);
    // What was not stored is worse than what was not read.
    summary.verdict(&arguments.topic)?;
    stopped
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
        partitioner: match arguments.partitioner {
            PartitionerArgument::Key => Partitioner::Key,
            PartitionerArgument::Sticky => Partitioner::Sticky,
            PartitionerArgument::RoundRobin => Partitioner::RoundRobin,
        },
        compression: match arguments.compression {
            CompressionArgument::None => Compression::None,
            CompressionArgument::Gzip => Compression::Gzip,
            CompressionArgument::Snappy => Compression::Snappy,
            CompressionArgument::Lz4 => Compression::Lz4,
            CompressionArgument::Zstd => Compression::Zstd,
        },
        delivery_timeout: DELIVERY_TIMEOUT,
        ..defaults
    })
}

/// What was read and handed to the producer.
#[derive(Debug, Default)]
struct Sent {
    records: u64,
    /// Of keys and values.
    bytes: u64,
    /// Where the last of them begins.
    last: Option<Place>,
}

/// Where to go on after a signal.
fn interrupted(input: &Input, sent: &Sent) -> String {
    let name = &input.name;
    match sent.last {
        Some(place) => format!(
            "interrupted: the last record of {name} that was sent is the one at {place}; what is behind it was not"
        ),
        None => format!("interrupted before any record of {name} was sent"),
    }
}

/// What sending a record needs.
struct Sending<'a> {
    arguments: &'a ProduceArguments,
    producer: &'a Producer,
    acknowledgements: &'a Acknowledgements,
    progress: &'a ProgressBar,
}

impl Sending<'_> {
    /// Sends records until there are no more, or one cannot be read or sent, or one before was not stored.
    async fn send_all(&self, input: &mut Input, sent: &mut Sent) -> Result<(), CommandError> {
        loop {
            let item = tokio::select! {
                item = input.items.recv() => item,
                () = self.acknowledgements.failed() => return Ok(()),
            };
            let Some(item) = item.transpose()? else {
                return Ok(());
            };
            if let Err(Stopped) = self.send(&input.name, item, sent).await? {
                return Ok(());
            }
        }
    }

    async fn send(
        &self,
        name: &str,
        item: Item,
        sent: &mut Sent,
    ) -> Result<Result<(), Stopped>, CommandError> {
        self.progress.set_position(item.taken_bytes);
        let (record, bytes) = record(self.arguments, item.record);
        let delivery = self.producer.send(record).await.map_err(|error| {
            CommandError::failed(
                &format!("send the record at {} of {name}", item.place),
                error,
            )
        })?;
        sent.records += 1;
        sent.bytes += bytes;
        sent.last = Some(item.place);
        Ok(self.acknowledgements.expect(delivery).await)
    }
}

/// The record to be sent, and the bytes of its key and value.
fn record(arguments: &ProduceArguments, read: InputRecord) -> (ProducerRecord, u64) {
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len) as u64;
    let bytes = length(&read.key) + length(&read.value);
    let partition = arguments.partition.map(PartitionIndex::new);
    let mut headers = read.headers;
    let more = arguments.headers.iter();
    headers.extend(more.map(|(name, value)| (name.clone(), Some(value.clone().into()))));
    let record = ProducerRecord {
        topic: arguments.topic.clone(),
        partition: partition.or(read.partition),
        key: read.key,
        value: read.value,
        headers,
        timestamp: read.timestamp,
    };
    (record, bytes)
}

/// Progress by bytes where the length is known; nothing where standard error is no terminal, or where records are
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
