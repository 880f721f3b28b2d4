//! `/debug/slow`: the slowest requests of each shard in the last minutes, as text for people or as JSON.

use std::fmt::Write;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ringlog_client::ProduceReceipt;
use ringlog_server::ShardSlow;
use ringlog_server::slow::SlowRequest;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Admin, answer};

/// The query of the address.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Text,
    Json,
}

pub(super) async fn slow(State(admin): State<Admin>, Query(asked): Query<Asked>) -> Response {
    let Some(shards) = admin.slow().await else {
        let status = json!({"status": "the broker is starting or stopping; ask again"});
        return answer(StatusCode::SERVICE_UNAVAILABLE, &status);
    };
    match asked.format {
        Format::Json => answer(StatusCode::OK, &to_json(&shards)),
        Format::Text => {
            let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            (kind, to_text(&shards)).into_response()
        }
    }
}

fn to_json(shards: &[ShardSlow]) -> Value {
    let request = |(topic, one): &(Option<String>, SlowRequest)| {
        let stages = one.stages.as_ref().map(|stages| {
            let named = ProduceReceipt::STAGES.into_iter().zip(stages.stages_ns());
            let named = named.map(|(name, ns)| (name.to_owned(), Value::from(ns)));
            named.collect::<Map<_, _>>()
        });
        json!({
            "api": one.api.to_string(),
            "topic": topic,
            "topic_id": one.partition.map(|id| id.topic.to_string()),
            "partition": one.partition.map(|id| id.partition.get()),
            "bytes": one.bytes,
            "error": one.error.name(),
            "took_ns": u64::try_from(one.took.as_nanos()).unwrap_or(u64::MAX),
            "stages_ns": stages,
            "answered_unix_ms": one.answered_unix_ms,
        })
    };
    let shards = shards.iter().map(|shard| {
        json!({
            "shard": shard.shard.get(),
            "requests": shard.requests.iter().map(request).collect::<Vec<_>>(),
        })
    });
    shards.collect()
}

fn to_text(shards: &[ShardSlow]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    write_text(&mut text, shards).ok();
    text
}

fn write_text(text: &mut String, shards: &[ShardSlow]) -> std::fmt::Result {
    writeln!(
        text,
        "The slowest requests of the last minutes, in microseconds; ?format=json for programs.\n"
    )?;
    write!(
        text,
        "{:>5} {:>10} {:<16} {:>9} {:<16}",
        "shard", "took", "api", "bytes", "error"
    )?;
    for stage in ProduceReceipt::STAGES {
        write!(text, " {stage:>10}")?;
    }
    writeln!(text, "  {:<24}  partition", "answered")?;
    for shard in shards {
        for (topic, one) in &shard.requests {
            write_row(text, shard, topic.as_deref(), one)?;
        }
    }
    Ok(())
}

fn write_row(
    text: &mut String,
    shard: &ShardSlow,
    topic: Option<&str>,
    one: &SlowRequest,
) -> std::fmt::Result {
    write!(
        text,
        "{:>5} {:>10} {:<16} {:>9} {:<16}",
        shard.shard,
        one.took.as_micros(),
        one.api.to_string(),
        one.bytes,
        one.error.name(),
    )?;
    for index in 0..ProduceReceipt::STAGES.len() {
        let ns = one.stages.map(|stages| stages.stages_ns()[index]);
        let micros = ns.map_or_else(|| "-".to_owned(), |ns| (ns / 1_000).to_string());
        write!(text, " {micros:>10}")?;
    }
    let answered = jiff::Timestamp::from_millisecond(one.answered_unix_ms);
    let answered = answered.map_or_else(|_| "-".to_owned(), |at| format!("{at:.3}"));
    let partition = match (one.partition, topic) {
        (None, _) => "-".to_owned(),
        (Some(id), Some(topic)) => format!("{topic}-{}", id.partition),
        (Some(id), None) => id.to_string(),
    };
    writeln!(text, "  {answered:<24}  {partition}")
}
