//! `ringlog group`: how far groups have read.

use std::collections::BTreeMap;

use ringlog_client::{Admin, Client, ClientError, ErrorCode, GroupOffset, GroupOffsets, StartAt};
use ringlog_record::{Offset, PartitionIndex, TopicId, TopicPartition};
use serde_json::json;

use super::connect::connect;
use super::place::{chosen, find, needs_one_partition};
use crate::cli::{Bootstrap, GroupCommand};
use crate::error::CommandError;
use crate::output::{Format, counted, numbers, outln, print_json, print_table, words};

pub(crate) async fn run(command: GroupCommand) -> Result<(), CommandError> {
    match command {
        GroupCommand::Describe {
            group,
            bootstrap,
            output,
        } => describe(&group, &bootstrap, output.form).await,
        GroupCommand::Reset {
            group,
            topic,
            to,
            partition,
            bootstrap,
            output,
        } => {
            let reset = Reset {
                group: &group,
                topic: &topic,
                to,
                partitions: &partition,
            };
            reset.run(&bootstrap, output.form).await
        }
    }
}

/// How far a group has read a partition.
struct Progress {
    /// None when the topic is gone.
    topic: Option<String>,
    id: TopicPartition,
    committed: Offset,
    /// The high watermark, if the partition is there.
    end: Option<Offset>,
}

impl Progress {
    fn lag(&self) -> Option<u64> {
        let end = self.end?;
        Some(end.get().saturating_sub(self.committed.get()))
    }
}

async fn describe(group: &str, bootstrap: &Bootstrap, form: Format) -> Result<(), CommandError> {
    let client = connect(bootstrap).await?;
    let progress = progress(&client, group).await;
    let progress = progress
        .map_err(|error| CommandError::failed(&format!("describe group {group:?}"), error))?;
    let lag: u64 = progress.iter().filter_map(Progress::lag).sum();
    match form {
        Format::Table if progress.is_empty() => outln!("group {group} has committed nothing"),
        Format::Table => {
            outln!(
                "group {group}: {}, lag {}\n",
                counted(progress.len() as u64, "partition"),
                counted(lag, "record")
            );
            let number = |number: Option<u64>| number.map_or("-".to_owned(), |n| n.to_string());
            print_table(
                [
                    words("topic"),
                    numbers("partition"),
                    numbers("committed"),
                    numbers("end"),
                    numbers("lag"),
                ],
                progress.iter().map(|one| {
                    let topic = one.topic.clone();
                    [
                        topic.unwrap_or_else(|| format!("{} (deleted)", one.id.topic)),
                        one.id.partition.to_string(),
                        one.committed.to_string(),
                        number(one.end.map(Offset::get)),
                        number(one.lag()),
                    ]
                }),
            );
        }
        Format::Json => {
            let partitions = progress.iter().map(|one| {
                json!({
                    "topic": one.topic,
                    "topic_id": one.id.topic.to_string(),
                    "partition": one.id.partition.get(),
                    "committed": one.committed.get(),
                    "end": one.end.map(Offset::get),
                    "lag": one.lag(),
                })
            });
            print_json(&json!({
                "group": group,
                "lag": lag,
                "partitions": partitions.collect::<Vec<_>>(),
            }));
        }
    }
    Ok(())
}

/// What a group has committed, by name of the topic.
async fn progress(client: &Client, group: &str) -> Result<Vec<Progress>, ClientError> {
    let admin = Admin::new(client);
    let committed = GroupOffsets::new(client, group).all().await?;
    let topics = admin.list_topics().await?;
    let names: BTreeMap<TopicId, String> = topics
        .into_iter()
        .map(|topic| (topic.id, topic.name))
        .collect();
    let mut ends: BTreeMap<TopicPartition, Offset> = BTreeMap::new();
    let mut asked: Vec<TopicId> = committed.iter().map(|one| one.id.topic).collect();
    asked.sort();
    asked.dedup();
    for topic in asked {
        let Some(name) = names.get(&topic) else {
            continue;
        };
        let described = admin.describe_topic(name).await?;
        // Of one that nobody can be asked about there is no end.
        let told = described.partitions.iter();
        let told = told.filter(|one| one.error == ErrorCode::None);
        ends.extend(told.map(|one| {
            let id = TopicPartition {
                topic,
                partition: one.partition,
            };
            (id, one.state.high_watermark)
        }));
    }
    let mut all: Vec<Progress> = committed
        .into_iter()
        .map(|one| Progress {
            topic: names.get(&one.id.topic).cloned(),
            id: one.id,
            committed: one.offset,
            end: ends.get(&one.id).copied(),
        })
        .collect();
    all.sort_by(|a, b| (&a.topic, a.id).cmp(&(&b.topic, b.id)));
    Ok(all)
}

/// Where a group is to go on.
struct Reset<'a> {
    group: &'a str,
    topic: &'a str,
    to: StartAt,
    partitions: &'a [u32],
}

impl Reset<'_> {
    async fn run(&self, bootstrap: &Bootstrap, form: Format) -> Result<(), CommandError> {
        needs_one_partition(self.to, self.partitions)?;
        let client = connect(bootstrap).await?;
        let what = format!("reset group {:?} in topic {:?}", self.group, self.topic);
        let failed = |error: ClientError| CommandError::failed(&what, error);
        let topic = client.topic(self.topic).await.map_err(failed)?;
        let partitions = chosen(&topic, self.partitions).map_err(failed)?;
        let found = find(&client, &topic, &partitions, self.to).await;
        let found = found.map_err(|error| CommandError::failed(&what, error))?;
        let offsets: Vec<GroupOffset> = found
            .iter()
            .map(|one| {
                let id = TopicPartition {
                    topic: topic.id,
                    partition: one.partition,
                };
                GroupOffset::new(id, one.offset)
            })
            .collect();
        let group = GroupOffsets::new(&client, self.group);
        group.commit(&offsets).await.map_err(failed)?;
        let set = found.iter().map(|one| (one.partition, one.offset));
        self.tell(&set.collect::<Vec<_>>(), form);
        Ok(())
    }

    fn tell(&self, set: &[(PartitionIndex, Offset)], form: Format) {
        match form {
            Format::Table => print_table(
                [words("topic"), numbers("partition"), numbers("committed")],
                set.iter().map(|(partition, offset)| {
                    [
                        self.topic.to_owned(),
                        partition.to_string(),
                        offset.to_string(),
                    ]
                }),
            ),
            Format::Json => {
                let partitions = set.iter().map(|(partition, offset)| {
                    json!({ "partition": partition.get(), "committed": offset.get() })
                });
                print_json(&json!({
                    "group": self.group,
                    "topic": self.topic,
                    "partitions": partitions.collect::<Vec<_>>(),
                }));
            }
        }
    }
}
