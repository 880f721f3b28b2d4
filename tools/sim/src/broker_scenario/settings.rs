//! The settings of topics: what is known of them, and an administrator that changes them.

use std::collections::BTreeMap;

use ringlog_record::PartitionIndex;
use ringlog_wire::{
    AlterTopicRequest, AlterTopicResponse, DescribeTopicRequest, DescribeTopicResponse, Setting,
};

use super::client::Client;
use super::knowledge::TopicKind;
use super::wire::{Connection, Stop, wrong};
use crate::history::Retention;

/// Ages at which records leave, in milliseconds; the last is the default.
const RETENTION_MS: [&str; 3] = ["4", "12", "604800000"];
/// Sizes of a partition from which on records leave, in bytes; the last is the default.
const RETENTION_BYTES: [&str; 3] = ["1", "65536", "-1"];

/// The values that each setting may have: one, and those of changes whose outcome is unknown.
pub(crate) struct Settings(BTreeMap<&'static str, Vec<String>>);

impl Settings {
    /// Those of a new topic.
    pub(crate) fn new(kind: TopicKind) -> Self {
        let known = [
            ("durability", kind.durability()),
            ("retention_ms", RETENTION_MS[2]),
            ("retention_bytes", kind.retention_bytes()),
        ];
        let known = known.map(|(key, value)| (key, vec![value.to_owned()]));
        Self(known.into())
    }

    fn asked(&mut self, key: &'static str, value: &str) {
        self.0.entry(key).or_default().push(value.to_owned());
    }

    fn answered(&mut self, key: &'static str, value: &str) {
        self.0.insert(key, vec![value.to_owned()]);
    }

    /// What the broker shows is something that was asked for.
    fn check(&self, shown: &[Setting]) -> Result<(), Stop> {
        for (key, values) in &self.0 {
            let value = shown.iter().find(|one| one.key == *key);
            let value = value.map_or("missing", |one| one.value.as_str());
            if !values.iter().any(|one| one == value) {
                let what = format!("{key} is {value}, and it was to be one of {values:?}");
                return Err(wrong(0, what));
            }
        }
        Ok(())
    }

    /// From now on it is what the broker shows.
    fn settle(&mut self, shown: &[Setting]) {
        for (key, values) in &mut self.0 {
            if let Some(one) = shown.iter().find(|one| one.key == *key) {
                *values = vec![one.value.clone()];
            }
        }
    }
}

/// Changes a setting of a topic that is to have its settings changed.
pub(crate) async fn alter(client: &Client, connection: &mut Connection) -> Result<(), Stop> {
    let (key, value) = match client.random_below(3) {
        0 => ("durability", pick(client, &["sync", "async"])),
        1 => ("retention_bytes", pick(client, &RETENTION_BYTES)),
        _ => ("retention_ms", pick(client, &RETENTION_MS)),
    };
    let random = client.reactor.random_u64();
    let (name, partition) = {
        let knowledge = &mut *client.knowledge.borrow_mut();
        let Some((name, index)) = knowledge.any_partition(random) else {
            return Ok(());
        };
        let topic = knowledge.topics.get_mut(&name);
        let Some(topic) = topic.filter(|topic| topic.is_altered) else {
            return Ok(());
        };
        // One of its partitions can have another durability.
        let partition = (key == "durability" && random & 1 == 1).then_some(index);
        if partition.is_none() {
            topic.settings.asked(key, value);
        }
        let allowed = Retention {
            by_size: key == "retention_bytes",
            ms: (key == "retention_ms").then(|| value.parse().unwrap_or(0)),
        };
        for partition in &mut topic.partitions {
            partition.history.retention_asked(allowed);
        }
        (name, partition)
    };
    let request = AlterTopicRequest {
        name: name.clone(),
        set: vec![Setting::new(key, value)],
        unset: Vec::new(),
        partition: partition.map(PartitionIndex::new),
    };
    let answer = connection.call(&request).await?;
    if client.is_refused(&answer)? {
        return Ok(());
    }
    let response =
        AlterTopicResponse::decode(answer.body()?).map_err(|error| wrong(0, error.to_string()))?;
    let knowledge = &mut *client.knowledge.borrow_mut();
    if let Some(topic) = knowledge.topics.get_mut(&name) {
        if partition.is_none() {
            topic.settings.answered(key, value);
        }
        topic.settings.check(&response.settings)?;
        knowledge.met.topics_altered += 1;
    }
    Ok(())
}

/// Compares the settings of a topic after a start.
pub(crate) async fn compare(
    client: &Client,
    connection: &mut Connection,
    name: &str,
) -> Result<(), Stop> {
    let request = DescribeTopicRequest {
        name: name.to_owned(),
    };
    let answer = connection.call(&request).await?;
    if client.is_refused(&answer)? {
        return Err(wrong(0, format!("{name} was not described")));
    }
    let response = DescribeTopicResponse::decode(answer.body()?)
        .map_err(|error| wrong(0, error.to_string()))?;
    let knowledge = &mut *client.knowledge.borrow_mut();
    if let Some(topic) = knowledge.topics.get_mut(name) {
        topic.settings.check(&response.settings)?;
        topic.settings.settle(&response.settings);
    }
    Ok(())
}

fn pick(client: &Client, values: &'static [&'static str]) -> &'static str {
    let index = client.random_below(values.len() as u64);
    usize::try_from(index).map_or(values[0], |index| values[index])
}
