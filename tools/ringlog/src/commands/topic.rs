//! `ringlog topic`: make, list, describe, change and delete topics.

mod describe;
mod offsets;
mod reassign;

use ringlog_client::{Admin, ClientError, ErrorCode, TopicInfo, TopicSetting};
use ringlog_record::PartitionIndex;
use serde_json::{Value, json};

use self::offsets::Places;
use super::connect::connect;
use super::place::chosen;
use crate::cli::TopicCommand;
use crate::error::CommandError;
use crate::output::{Format, counted, numbers, outln, print_json, print_table, words};

pub(crate) async fn run(command: TopicCommand) -> Result<(), CommandError> {
    match command {
        TopicCommand::Create {
            name,
            partitions,
            replication_factor,
            config,
            bootstrap,
            output,
        } => {
            let settings = settings(&config)?;
            let admin = Admin::new(&connect(&bootstrap).await?);
            let replicas = replication_factor.unwrap_or_default();
            let created = admin.create_replicated_topic(&name, partitions, replicas, settings);
            let created = created.await.map_err(failed("create", &name))?;
            match output.form {
                Format::Table => outln!(
                    "created topic {name} with {}",
                    counted(created.partitions.into(), "partition")
                ),
                Format::Json => print_json(&json!({
                    "name": name,
                    "topic_id": created.topic.to_string(),
                    "partitions": created.partitions,
                    "config": config_json(&created.settings),
                })),
            }
        }
        TopicCommand::List {
            internal,
            bootstrap,
            output,
        } => {
            let admin = Admin::new(&connect(&bootstrap).await?);
            let topics = match internal {
                true => admin.list_all_topics().await,
                false => admin.list_topics().await,
            };
            let mut topics =
                topics.map_err(|error| CommandError::failed("list the topics", error))?;
            topics.sort_by(|a, b| a.name.cmp(&b.name));
            list(&topics, output.form);
        }
        TopicCommand::Describe {
            name,
            partition,
            bootstrap,
            output,
        } => {
            let client = connect(&bootstrap).await?;
            let failed = failed("describe", &name);
            let topic = Admin::new(&client).describe_topic(&name).await;
            let mut topic = topic.map_err(&failed)?;
            if !partition.is_empty() {
                let info = client.topic(&name).await.map_err(&failed)?;
                let chosen = chosen(&info, &partition).map_err(&failed)?;
                topic
                    .partitions
                    .retain(|one| chosen.contains(&one.partition));
            }
            describe::print(&topic, output.form);
        }
        TopicCommand::Alter {
            name,
            partition,
            config,
            bootstrap,
            output,
        } => {
            let settings = settings(&config)?;
            let admin = Admin::new(&connect(&bootstrap).await?);
            let altered = match partition.map(PartitionIndex::new) {
                Some(one) => {
                    admin
                        .alter_partition(&name, one, settings, Vec::new())
                        .await
                }
                None => admin.alter_topic(&name, settings, Vec::new()).await,
            };
            let altered = altered.map_err(failed("alter", &name))?;
            let pending: Vec<u32> = altered.pending.iter().map(|one| one.get()).collect();
            match output.form {
                Format::Table => {
                    match partition {
                        // The topic's settings, in the answer as well, are as they were.
                        Some(partition) => {
                            outln!("partition {partition} of {name}: {}", config.join(", "));
                        }
                        None => print_settings(&altered.settings),
                    }
                    if !pending.is_empty() {
                        explain_pending(&name, &pending);
                    }
                }
                Format::Json => print_json(&json!({
                    "name": name,
                    "partition": partition,
                    "config": config_json(&altered.settings),
                    "pending": pending,
                })),
            }
        }
        TopicCommand::Reassign {
            name,
            partition,
            replicas,
            // Without replicas, which the command line sees to.
            cancel: _,
            bootstrap,
            output,
        } => reassign::run(&name, partition, &replicas, &bootstrap, output.form).await?,
        TopicCommand::Delete {
            name,
            bootstrap,
            output,
        } => {
            let admin = Admin::new(&connect(&bootstrap).await?);
            let deleted = admin.delete_topic(&name).await;
            deleted.map_err(failed("delete", &name))?;
            match output.form {
                Format::Table => outln!("deleted topic {name}"),
                Format::Json => print_json(&json!({ "name": name, "deleted": true })),
            }
        }
        TopicCommand::Offsets {
            name,
            at,
            partition,
            bootstrap,
            output,
        } => {
            let places = Places {
                topic: &name,
                partitions: &partition,
                place: at,
            };
            offsets::list(&places, &bootstrap, output.form).await?;
        }
        TopicCommand::DeleteRecords {
            name,
            before,
            partition,
            bootstrap,
            output,
        } => {
            let places = Places {
                topic: &name,
                partitions: &partition,
                place: before,
            };
            offsets::delete_before(&places, &bootstrap, output.form).await?;
        }
    }
    Ok(())
}

/// What was tried with a topic, what went wrong, and what to do.
fn failed(verb: &str, name: &str) -> impl Fn(ClientError) -> CommandError {
    let what = format!("{verb} topic {name:?}");
    let name = name.to_owned();
    move |error| {
        let advice = match error.code() {
            ErrorCode::TopicExists => format!("; `ringlog topic describe {name}` shows it"),
            ErrorCode::UnknownTopic => {
                "; `ringlog topic list` shows those that there are".to_owned()
            }
            _ => String::new(),
        };
        CommandError::failed(&what, format!("{error}{advice}"))
    }
}

/// `key=value` texts; the broker knows which keys there are and what they may be.
fn settings(texts: &[String]) -> Result<Vec<TopicSetting>, CommandError> {
    let pairs = texts.iter().map(|text| match text.split_once('=') {
        Some((key, value)) => Ok(TopicSetting::new(key.trim(), value.trim())),
        None => Err(CommandError::Usage(format!(
            "{text:?} is not KEY=VALUE, such as retention_ms=7d"
        ))),
    });
    pairs.collect()
}

fn list(topics: &[TopicInfo], form: Format) {
    match form {
        Format::Table => print_table(
            [words("name"), numbers("partitions"), words("id")],
            topics.iter().map(|topic| {
                [
                    topic.name.clone(),
                    topic.partitions.len().to_string(),
                    topic.id.to_string(),
                ]
            }),
        ),
        Format::Json => print_json(
            &topics
                .iter()
                .map(|topic| {
                    json!({
                        "name": topic.name,
                        "topic_id": topic.id.to_string(),
                        "partitions": topic.partitions.len(),
                    })
                })
                .collect(),
        ),
    }
}

fn config_json(settings: &[TopicSetting]) -> Value {
    let pairs = settings
        .iter()
        .map(|setting| (setting.key.clone(), json!(setting.value)));
    Value::Object(pairs.collect())
}

fn print_settings(settings: &[TopicSetting]) {
    print_table(
        [words("setting"), words("value"), words("")],
        settings.iter().map(|setting| {
            let origin = if setting.is_default { "default" } else { "" };
            [
                setting.key.clone(),
                setting.value.clone(),
                origin.to_owned(),
            ]
        }),
    );
}

/// Why some partitions do not have their new durability yet, and what can be done.
fn explain_pending(name: &str, pending: &[u32]) {
    let pending: Vec<_> = pending.iter().map(ToString::to_string).collect();
    eprintln!(
        "partition {} of {name}: the new durability is stored, and in force once the partition is empty, since records \
         do not move between memory and the device. Delete them (ringlog topic delete-records), or wait until retention \
         has; those in memory are gone when the broker starts anew",
        pending.join(", ")
    );
}
