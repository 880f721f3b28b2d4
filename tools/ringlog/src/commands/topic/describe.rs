//! `ringlog topic describe`.

use ringlog_client::{DescribedPartition, DescribedTopic, ErrorCode};
use serde_json::json;

use super::reassign::{ids, under_way};
use super::{config_json, print_settings};
use crate::output::{
    Format, Mood, bytes, coloured, counted, numbers, outln, print_json, print_table, words,
};

pub(super) fn print(topic: &DescribedTopic, form: Format) {
    match form {
        Format::Table => table(topic),
        Format::Json => json(topic),
    }
}

fn setting<'a>(topic: &'a DescribedTopic, key: &str) -> &'a str {
    let mut settings = topic.settings.iter();
    let found = settings.find(|setting| setting.key == key);
    found.map_or("", |setting| &setting.value)
}

fn json(topic: &DescribedTopic) {
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
            "durability": one.durability,
            "own_durability": one.own_durability,
            "replicas": ids(&one.replicas),
            "isr": ids(&one.isr),
            "adding": ids(&one.adding),
            "removing": ids(&one.removing),
            "error": (one.error != ErrorCode::None).then(|| one.error.name()),
            "message": one.message,
        })
    });
    print_json(&json!({
        "name": topic.name,
        "topic_id": topic.topic.to_string(),
        "durability": setting(topic, "durability"),
        "partitions": partitions.collect::<Vec<_>>(),
        "config": config_json(&topic.settings),
    }));
}

fn table(topic: &DescribedTopic) {
    let partitions = &topic.partitions;
    let size_bytes = partitions.iter().map(|one| one.size_bytes).sum();
    let offline = partitions
        .iter()
        .filter(|one| one.error != ErrorCode::None)
        .count();
    let offline = match offline {
        0 => String::new(),
        offline => format!(", {}", coloured(Mood::Bad, &format!("{offline} offline"))),
    };
    outln!(
        "topic {} ({}): {}, durability {}, {}{offline}\n",
        topic.name,
        topic.topic,
        counted(partitions.len() as u64, "partition"),
        setting(topic, "durability"),
        bytes(size_bytes)
    );
    print_table(
        [
            numbers("partition"),
            numbers("leader"),
            numbers("epoch"),
            numbers("shard"),
            numbers("log start"),
            numbers("high watermark"),
            numbers("log end"),
            numbers("size"),
            numbers("segments"),
            words("durability"),
            words("state"),
        ],
        partitions.iter().map(|one| {
            let leader = one.leader.map(|leader| leader.to_string());
            [
                one.partition.to_string(),
                leader.unwrap_or_else(|| "-".to_owned()),
                one.state.leader_epoch.to_string(),
                one.shard.to_string(),
                one.state.log_start.to_string(),
                one.state.high_watermark.to_string(),
                one.log_end.to_string(),
                bytes(one.size_bytes),
                one.segments.to_string(),
                durability(one),
                state(one.error, one.message.as_deref()),
            ]
        }),
    );
    for one in partitions {
        if !one.adding.is_empty() || !one.removing.is_empty() {
            let under_way = under_way(&one.adding, &one.removing);
            outln!(
                "\npartition {} is being reassigned: {under_way}",
                one.partition
            );
        }
    }
    outln!();
    print_settings(&topic.settings);
}

/// The durability in force, and whether it is the partition's own.
fn durability(partition: &DescribedPartition) -> String {
    let in_force = partition.durability.as_deref().unwrap_or("-");
    match partition.own_durability.as_deref() {
        None => in_force.to_owned(),
        Some(own) if own == in_force => format!("{own} (own)"),
        Some(own) => format!("{in_force} (own: {own}, once it is empty)"),
    }
}

fn state(error: ErrorCode, message: Option<&str>) -> String {
    match (error, message) {
        (ErrorCode::None, _) => coloured(Mood::Good, "online"),
        (error, None) => coloured(Mood::Bad, error.sentence()),
        (_, Some(message)) => coloured(Mood::Bad, message),
    }
}
