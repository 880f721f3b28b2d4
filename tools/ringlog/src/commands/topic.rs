//! `ringlog topic`: make, list, describe, change and delete topics.

use ringlog_client::{Admin, DescribedTopic, ErrorCode, TopicSetting};
use serde_json::json;

use super::connect::connect;
use crate::cli::TopicCommand;
use crate::error::CommandError;
use crate::output::{Format, bytes, outln, print_json, print_table};

pub(crate) async fn run(command: TopicCommand) -> Result<(), CommandError> {
    match command {
        TopicCommand::Create {
            name,
            partitions,
            config,
            bootstrap,
            output,
        } => {
            let settings = settings(&config)?;
            let admin = Admin::new(&connect(&bootstrap).await?);
            let created = admin.create_topic(&name, partitions, settings).await;
            let created = created
                .map_err(|error| CommandError::failed(&format!("create topic {name:?}"), error))?;
            match output {
                Format::Table => outln!(
                    "created topic {name} with {} partition(s)",
                    created.partitions
                ),
                Format::Json => print_json(&json!({
                    "name": name,
                    "topic_id": created.topic.to_string(),
                    "partitions": created.partitions,
                    "config": config_json(&created.settings),
                })),
            }
        }
        TopicCommand::List { bootstrap, output } => {
            let admin = Admin::new(&connect(&bootstrap).await?);
            let mut topics = admin
                .list_topics()
                .await
                .map_err(|error| CommandError::failed("list the topics", error))?;
            topics.sort_by(|a, b| a.name.cmp(&b.name));
            let rows = topics.iter();
            match output {
                Format::Table => print_table(
                    ["name", "partitions", "id"],
                    rows.map(|topic| {
                        [
                            topic.name.clone(),
                            topic.partitions.len().to_string(),
                            topic.id.to_string(),
                        ]
                    }),
                ),
                Format::Json => print_json(
                    &rows
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
        TopicCommand::Describe {
            name,
            bootstrap,
            output,
        } => {
            let admin = Admin::new(&connect(&bootstrap).await?);
            let topic = admin.describe_topic(&name).await;
            let topic = topic.map_err(|error| {
                CommandError::failed(&format!("describe topic {name:?}"), error)
            })?;
            describe(&topic, output);
        }
        TopicCommand::Alter {
            name,
            config,
            bootstrap,
            output,
        } => {
            let settings = settings(&config)?;
            let admin = Admin::new(&connect(&bootstrap).await?);
            let settings = admin.alter_topic(&name, settings, Vec::new()).await;
            let settings = settings
                .map_err(|error| CommandError::failed(&format!("alter topic {name:?}"), error))?;
            print_settings(&settings, output);
        }
        TopicCommand::Delete { name, bootstrap } => {
            let admin = Admin::new(&connect(&bootstrap).await?);
            let deleted = admin.delete_topic(&name).await;
            deleted
                .map_err(|error| CommandError::failed(&format!("delete topic {name:?}"), error))?;
            outln!("deleted topic {name}");
        }
    }
    Ok(())
}

/// `key=value` texts; the broker knows which keys there are and what they may be.
pub(crate) fn settings(texts: &[String]) -> Result<Vec<TopicSetting>, CommandError> {
    let pairs = texts.iter().map(|text| match text.split_once('=') {
        Some((key, value)) => Ok(TopicSetting::new(key.trim(), value.trim())),
        None => Err(CommandError::Usage(format!(
            "{text:?} is not KEY=VALUE, such as retention_ms=7d"
        ))),
    });
    pairs.collect()
}

fn config_json(settings: &[TopicSetting]) -> serde_json::Value {
    let pairs = settings
        .iter()
        .map(|setting| (setting.key.clone(), json!(setting.value)));
    serde_json::Value::Object(pairs.collect())
}

fn print_settings(settings: &[TopicSetting], output: Format) {
    match output {
        Format::Table => print_table(
            ["setting", "value", ""],
            settings.iter().map(|setting| {
                let origin = if setting.is_default { "default" } else { "" };
                [
                    setting.key.clone(),
                    setting.value.clone(),
                    origin.to_owned(),
                ]
            }),
        ),
        Format::Json => print_json(&config_json(settings)),
    }
}

fn describe(topic: &DescribedTopic, output: Format) {
    if output == Format::Json {
        let partitions = topic.partitions.iter().map(|one| {
            json!({
                "partition": one.partition.get(),
                "leader": one.leader.map(|leader| leader.get()),
                "leader_epoch": one.state.leader_epoch.get(),
                "shard": one.shard.get(),
                "log_start": one.state.log_start.get(),
                "high_watermark": one.state.high_watermark.get(),
                "log_end": one.log_end.get(),
                "size_bytes": one.size_bytes,
                "segments": one.segments,
                "error": (one.error != ErrorCode::None).then(|| one.message.clone()),
            })
        });
        print_json(&json!({
            "name": topic.name,
            "topic_id": topic.topic.to_string(),
            "partitions": partitions.collect::<Vec<_>>(),
            "config": config_json(&topic.settings),
        }));
        return;
    }
    outln!("topic {} ({})\n", topic.name, topic.topic);
    print_table(
        [
            "partition",
            "leader",
            "epoch",
            "shard",
            "log start",
            "high watermark",
            "log end",
            "size",
            "segments",
            "state",
        ],
        topic.partitions.iter().map(|one| {
            [
                one.partition.to_string(),
                one.leader
                    .map_or_else(|| "-".to_owned(), |leader| leader.to_string()),
                one.state.leader_epoch.to_string(),
                one.shard.to_string(),
                one.state.log_start.to_string(),
                one.state.high_watermark.to_string(),
                one.log_end.to_string(),
                bytes(one.size_bytes),
                one.segments.to_string(),
                one.message.clone().unwrap_or_else(|| "online".to_owned()),
            ]
        }),
    );
    outln!();
    print_settings(&topic.settings, output);
}
