//! `ringlog consume`: prints the records of a topic.

mod commits;
mod summary;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use ringlog_client::{
    Admin, Assignment, Client, ClientError, ConsumeError, Consumer, ConsumerConfig, FetchedBatch,
    OffsetReset, StartAt, TopicInfo,
};
use ringlog_record::{Offset, PartitionIndex};

use self::commits::Commits;
use self::summary::{End, Summary};
use super::connect::connect;
use super::formats::{OutputFormat, output_format};
use super::interrupt::Interrupt;
use super::place::chosen;
use crate::cli::ConsumeArguments;
use crate::error::CommandError;

/// How long one poll waits; what was printed is passed on before each wait.
const POLL: Duration = Duration::from_millis(500);

/// Bytes of output collected before they are passed on.
const OUTPUT_BYTES: usize = 256 << 10;

pub(crate) async fn run(arguments: ConsumeArguments) -> Result<(), CommandError> {
    let format = output_format(
        arguments.format,
        &arguments.print,
        arguments.key_separator.as_deref(),
    );
    let format = format.map_err(CommandError::Usage)?;
    let start = arguments.from.unwrap_or(if arguments.until_end {
        StartAt::Earliest
    } else {
        StartAt::Latest
    });
    let client = connect(&arguments.bootstrap).await?;
    let mut interrupt = Interrupt::install()?;
    let what = format!("consume {:?}", arguments.topic);
    let failed = |error: ClientError| CommandError::failed(&what, error);
    let topic = client.topic(&arguments.topic).await.map_err(failed)?;
    let partitions = chosen(&topic, arguments.partition.as_slice()).map_err(failed)?;
    let mut ends = BTreeMap::new();
    if arguments.until_end {
        ends = ends_of(&client, &topic, &partitions)
            .await
            .map_err(failed)?;
    }
    let commits = match &arguments.group {
        Some(group) => {
            let found = Commits::find(&client, group, Arc::clone(&topic), &partitions).await;
            Some(found.map_err(failed)?)
        }
        None => None,
    };
    let starts = partitions.iter().map(|&partition| {
        let committed = commits.as_ref().and_then(|commits| commits.get(partition));
        (partition, committed.map_or(start, StartAt::Offset))
    });
    let starts: Vec<(PartitionIndex, StartAt)> = starts.collect();
    check_starts(&starts, &ends).map_err(|reason| CommandError::failed(&what, reason))?;
    let config = ConsumerConfig {
        offset_reset: match start {
            // What retention removes between the question and the read is not asked for.
            StartAt::Earliest => OffsetReset::Earliest,
            _ => OffsetReset::Error,
        },
        ..ConsumerConfig::default()
    };
    let mut consumer = Consumer::new(&client, config);
    let assignments = starts.iter().map(|&(partition, start)| Assignment {
        topic: topic.name.clone(),
        partition,
        start,
    });
    let assigned = consumer.assign(assignments.collect()).await;
    assigned.map_err(|error| CommandError::failed(&what, error))?;
    let mut printing = Printing {
        what,
        format,
        ends,
        left: arguments.max.unwrap_or(u64::MAX),
        is_until_end: arguments.until_end,
        summary: Summary::new(consumer.positions()),
        commits,
        out: BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock()),
    };
    // Where a group begins is where it goes on, also when nothing comes meanwhile.
    printing.commit().await?;
    let end = printing.print(&mut consumer, &mut interrupt).await;
    let flushed = printing.out.flush();
    let is_read = !matches!(end, Ok(End::OutputClosed));
    if is_read && flushed.is_ok() {
        printing.commit().await?;
    }
    if let (Ok(end), Ok(())) = (&end, &flushed) {
        printing.summary.print(*end, arguments.output.form);
    }
    match (end?, flushed) {
        (_, Err(error)) => CommandError::output(&error),
        (End::Interrupted, Ok(())) if arguments.until_end || arguments.max.is_some() => {
            let message = "interrupted before the end that was asked for";
            Err(CommandError::Failed(message.to_owned()))
        }
        (_, Ok(())) => Ok(()),
    }
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
fn check_starts(
    starts: &[(PartitionIndex, StartAt)],
    ends: &BTreeMap<PartitionIndex, Offset>,
) -> Result<(), String> {
    for (partition, start) in starts {
        let (StartAt::Offset(offset), Some(&end)) = (*start, ends.get(partition)) else {
            continue;
        };
        if offset > end {
            return Err(format!(
                "offset {offset} is behind the end of partition {partition}, which is {end}"
            ));
        }
    }
    Ok(())
}

/// Prints records until an end.
struct Printing<W: Write> {
    what: String,
    format: OutputFormat,
    /// Where each partition ended when it began; nothing when the log is followed.
    ends: BTreeMap<PartitionIndex, Offset>,
    left: u64,
    is_until_end: bool,
    summary: Summary,
    /// Of the group that reads, if any.
    commits: Option<Commits>,
    out: BufWriter<W>,
}

impl<W: Write> Printing<W> {
    /// When nobody reads the output any more, that is an end too.
    async fn print(
        &mut self,
        consumer: &mut Consumer,
        interrupt: &mut Interrupt,
    ) -> Result<End, CommandError> {
        loop {
            if self.left == 0 {
                return Ok(End::Max);
            }
            if self.is_at_end(consumer) {
                return Ok(End::All);
            }
            if self.commits.as_ref().is_some_and(Commits::is_due) {
                if let Err(error) = self.out.flush() {
                    return CommandError::output(&error).map(|()| End::OutputClosed);
                }
                self.commit().await?;
            }
            let polled = tokio::select! {
                polled = self.poll(consumer) => polled?,
                () = interrupt.next() => return Ok(End::Interrupted),
            };
            let written = match polled {
                ControlFlow::Continue(None) => continue,
                ControlFlow::Continue(Some(batch)) => self.write(&batch)?,
                ControlFlow::Break(error) => Err(error),
            };
            match written {
                Ok(()) => {}
                Err(error) => return CommandError::output(&error).map(|()| End::OutputClosed),
            }
        }
    }

    /// Commits what was printed and passed on.
    async fn commit(&mut self) -> Result<(), CommandError> {
        let Some(commits) = &mut self.commits else {
            return Ok(());
        };
        let committed = commits.commit(self.summary.next()).await;
        committed.map_err(|error| {
            let advice = "what was printed since the last commit is printed again the next time";
            CommandError::failed(
                "commit where the group stopped",
                format!("{error}; {advice}"),
            )
        })
    }

    /// The next batch. What was printed is passed on before it waits for one.
    async fn poll(
        &mut self,
        consumer: &mut Consumer,
    ) -> Result<ControlFlow<io::Error, Option<FetchedBatch>>, CommandError> {
        let failed = |error: ConsumeError| CommandError::failed(&self.what, error);
        if let Some(batch) = consumer.poll(Duration::ZERO).await.map_err(failed)? {
            return Ok(ControlFlow::Continue(Some(batch)));
        }
        if let Err(error) = self.out.flush() {
            return Ok(ControlFlow::Break(error));
        }
        let batch = consumer.poll(POLL).await.map_err(failed)?;
        Ok(ControlFlow::Continue(batch))
    }

    /// Writes what is asked for of a batch; the inner error is the output's.
    fn write(&mut self, batch: &FetchedBatch) -> Result<io::Result<()>, CommandError> {
        let partition = batch.partition();
        let end = self.ends.get(&partition);
        for record in batch.records() {
            let record = record.map_err(|error| CommandError::failed(&self.what, error))?;
            if self.left == 0 || end.is_some_and(|&end| record.offset >= end) {
                break;
            }
            self.left -= 1;
            if let Err(error) = self.format.write(&mut self.out, partition, &record) {
                return Ok(Err(error));
            }
            self.summary.note(partition, &record);
        }
        Ok(Ok(()))
    }

    fn is_at_end(&self, consumer: &Consumer) -> bool {
        let mut positions = consumer.positions();
        let is_there = |&end: &Offset, offset| offset >= end;
        self.is_until_end
            && positions.all(|(_, partition, offset)| {
                let end = self.ends.get(&partition);
                end.is_none_or(|end| is_there(end, offset))
            })
    }
}
