//! `ringlog consume`: prints one record a line.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use ringlog_client::{
    Admin, Assignment, Client, ClientError, Consumer, ConsumerConfig, OffsetReset, StartAt,
    TopicInfo,
};
use ringlog_record::batch::RecordView;
use ringlog_record::{Offset, PartitionIndex, TimestampMs};

use super::connect::connect;
use crate::cli::{Column, ConsumeArguments};
use crate::error::CommandError;

/// How long one poll waits; what was printed is passed on before each wait.
const POLL: Duration = Duration::from_millis(500);

/// Bytes of output collected before they are passed on.
const OUTPUT_BYTES: usize = 256 << 10;

pub(crate) async fn run(arguments: ConsumeArguments) -> Result<(), CommandError> {
    let start = start_of(&arguments)?;
    let client = connect(&arguments.bootstrap).await?;
    let what = format!("consume {:?}", arguments.topic);
    let failed = |error: ClientError| CommandError::failed(&what, error);
    let topic = client.topic(&arguments.topic).await.map_err(failed)?;
    let partitions: Vec<PartitionIndex> = match arguments.partition {
        Some(partition) => {
            let info = topic.partition(PartitionIndex::new(partition));
            vec![info.map_err(failed)?.id.partition]
        }
        None => topic
            .partitions
            .iter()
            .map(|one| one.id.partition)
            .collect(),
    };
    let mut ends = BTreeMap::new();
    if arguments.until_end {
        ends = ends_of(&client, &topic, &partitions)
            .await
            .map_err(failed)?;
    }
    check_start(start, &ends).map_err(|reason| CommandError::failed(&what, reason))?;
    let config = ConsumerConfig {
        offset_reset: match start {
            // What retention removes between the question and the read is not asked for.
            StartAt::Earliest => OffsetReset::Earliest,
            _ => OffsetReset::Error,
        },
        ..ConsumerConfig::default()
    };
    let mut consumer = Consumer::new(&client, config);
    let assignments = partitions.iter().map(|&partition| Assignment {
        topic: topic.name.clone(),
        partition,
        start,
    });
    let assigned = consumer.assign(assignments.collect()).await;
    assigned.map_err(|error| CommandError::failed(&what, error))?;
    print(&arguments, &mut consumer, &ends).await
}

/// Where each partition ends now.
async fn ends_of(
    client: &Client,
    topic: &TopicInfo,
    partitions: &[PartitionIndex],
) -> Result<BTreeMap<PartitionIndex, Offset>, ClientError> {
    let admin = Admin::new(client);
    let mut ends = BTreeMap::new();
    for &partition in partitions {
        let end = admin.end_offset(topic, partition).await?;
        ends.insert(partition, end);
    }
    Ok(ends)
}

/// An offset behind the end is refused, as it is when the log is followed.
fn check_start(start: StartAt, ends: &BTreeMap<PartitionIndex, Offset>) -> Result<(), String> {
    let StartAt::Offset(offset) = start else {
        return Ok(());
    };
    match ends.iter().find(|&(_, &end)| offset > end) {
        None => Ok(()),
        Some((partition, end)) => Err(format!(
            "offset {offset} is behind the end of partition {partition}, which is {end}"
        )),
    }
}

fn start_of(arguments: &ConsumeArguments) -> Result<StartAt, CommandError> {
    let Some(from) = arguments.from.as_deref() else {
        return Ok(if arguments.until_end {
            StartAt::Earliest
        } else {
            StartAt::Latest
        });
    };
    let usage = |reason: String| {
        CommandError::Usage(format!(
            "--from {from}: {reason}; it is earliest, latest, an offset, or @ with a time such as @2026-01-31T12:00:00Z or @1769860800000"
        ))
    };
    match from {
        "earliest" => Ok(StartAt::Earliest),
        "latest" => Ok(StartAt::Latest),
        _ => match from.strip_prefix('@') {
            Some(time) => parse_time(time).map(StartAt::Timestamp).map_err(usage),
            None => match from.parse() {
                Ok(offset) => Ok(StartAt::Offset(Offset::new(offset))),
                Err(_) => Err(usage("that is no offset".to_owned())),
            },
        },
    }
}

fn parse_time(text: &str) -> Result<TimestampMs, String> {
    if let Ok(millis) = text.parse() {
        return Ok(TimestampMs::new(millis));
    }
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|error: jiff::Error| error.to_string())?;
    Ok(TimestampMs::new(time.as_millisecond()))
}

/// Prints records until the end that was asked for; when nobody reads the output any more, that is the end too.
async fn print(
    arguments: &ConsumeArguments,
    consumer: &mut Consumer,
    ends: &BTreeMap<PartitionIndex, Offset>,
) -> Result<(), CommandError> {
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock());
    let mut left = arguments.max.unwrap_or(u64::MAX);
    let separator = arguments
        .key_separator
        .as_deref()
        .unwrap_or("\t")
        .as_bytes();
    while left > 0 && !is_at_end(arguments, consumer, ends) {
        let polled = match consumer.poll(Duration::ZERO).await {
            Ok(None) => {
                if let Err(error) = out.flush() {
                    return CommandError::output(&error);
                }
                consumer.poll(POLL).await
            }
            polled => polled,
        };
        let polled = polled.map_err(|error| {
            CommandError::failed(&format!("consume {:?}", arguments.topic), error)
        })?;
        let Some(batch) = polled else { continue };
        let end = ends.get(&batch.partition());
        for record in batch.records() {
            let record = record.map_err(|error| CommandError::failed("read", error))?;
            if left == 0 || end.is_some_and(|&end| record.offset >= end) {
                break;
            }
            left -= 1;
            let columns = Columns {
                columns: &arguments.print,
                separator,
                partition: batch.partition(),
            };
            if let Err(error) = columns.write(&mut out, &record) {
                return CommandError::output(&error);
            }
        }
    }
    match out.flush() {
        Ok(()) => Ok(()),
        Err(error) => CommandError::output(&error),
    }
}

fn is_at_end(
    arguments: &ConsumeArguments,
    consumer: &Consumer,
    ends: &BTreeMap<PartitionIndex, Offset>,
) -> bool {
    let mut positions = consumer.positions();
    arguments.until_end
        && positions
            .all(|(_, partition, offset)| ends.get(&partition).is_none_or(|&end| offset >= end))
}

/// How a record is printed.
struct Columns<'a> {
    columns: &'a [Column],
    separator: &'a [u8],
    partition: PartitionIndex,
}

impl Columns<'_> {
    fn write(&self, out: &mut impl Write, record: &RecordView<'_>) -> io::Result<()> {
        let mut is_first = true;
        for column in self.columns {
            // `produce` reads a line without the separator as one without a key.
            if *column == Column::Key && record.key.is_none() {
                continue;
            }
            if !is_first {
                out.write_all(self.separator)?;
            }
            is_first = false;
            match column {
                Column::Value => out.write_all(record.value.unwrap_or_default())?,
                Column::Key => out.write_all(record.key.unwrap_or_default())?,
                Column::Partition => write!(out, "{}", self.partition)?,
                Column::Offset => write!(out, "{}", record.offset)?,
                Column::Timestamp => write!(out, "{}", record.timestamp)?,
            }
        }
        out.write_all(b"\n")
    }
}
