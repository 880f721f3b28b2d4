//! `ringlog topic offsets` and `ringlog topic delete-records`: places in the partitions of a topic.

use ringlog_client::{Admin, Client, StartAt};
use serde_json::json;

use crate::cli::Bootstrap;
use crate::commands::connect::connect;
use crate::commands::place::{Found, chosen, find, needs_one_partition};
use crate::error::CommandError;
use crate::output::{Format, numbers, print_json, print_table, words};

/// A place in partitions of a topic; in all of them when none is named.
pub(super) struct Places<'a> {
    pub(super) topic: &'a str,
    pub(super) partitions: &'a [u32],
    pub(super) place: StartAt,
}

impl Places<'_> {
    async fn find(&self, client: &Client, what: &str) -> Result<Vec<Found>, CommandError> {
        let topic = client.topic(self.topic).await;
        let topic = topic.map_err(|error| CommandError::failed(what, error))?;
        let partitions = chosen(&topic, self.partitions);
        let partitions = partitions.map_err(|error| CommandError::failed(what, error))?;
        let found = find(client, &topic, &partitions, self.place).await;
        found.map_err(|error| CommandError::failed(what, error))
    }
}

pub(super) async fn list(
    places: &Places<'_>,
    bootstrap: &Bootstrap,
    form: Format,
) -> Result<(), CommandError> {
    let name = places.topic;
    let client = connect(bootstrap).await?;
    let what = format!("find offsets of topic {name:?}");
    let found = places.find(&client, &what).await?;
    match form {
        Format::Table => print_table(
            [numbers("partition"), numbers("offset"), words("timestamp")],
            found.iter().map(|one| {
                let timestamp = one.timestamp.map(|timestamp| timestamp.to_string());
                [
                    one.partition.to_string(),
                    one.offset.to_string(),
                    timestamp.unwrap_or_else(|| "-".to_owned()),
                ]
            }),
        ),
        Format::Json => {
            let found = found.iter().map(|one| {
                json!({
                    "partition": one.partition.get(),
                    "offset": one.offset.get(),
                    "timestamp": one.timestamp.map(|timestamp| timestamp.get()),
                })
            });
            print_json(&json!({ "name": name, "partitions": found.collect::<Vec<_>>() }));
        }
    }
    Ok(())
}

pub(super) async fn delete_before(
    places: &Places<'_>,
    bootstrap: &Bootstrap,
    form: Format,
) -> Result<(), CommandError> {
    needs_one_partition(places.place, places.partitions)?;
    let name = places.topic;
    let client = connect(bootstrap).await?;
    let what = format!("delete records of topic {name:?}");
    let found = places.find(&client, &what).await?;
    let admin = Admin::new(&client);
    let topic = client.topic(name).await;
    let topic = topic.map_err(|error| CommandError::failed(&what, error))?;
    let mut starts = Vec::new();
    for one in found {
        let start = admin
            .delete_records(&topic, one.partition, one.offset)
            .await;
        let start = start.map_err(|error| {
            CommandError::failed(&format!("{what}, partition {}", one.partition), error)
        })?;
        starts.push((one.partition, start));
    }
    match form {
        Format::Table => print_table(
            [numbers("partition"), numbers("log start")],
            starts
                .iter()
                .map(|(partition, start)| [partition.to_string(), start.to_string()]),
        ),
        Format::Json => {
            let starts = starts.iter().map(|(partition, start)| {
                json!({ "partition": partition.get(), "log_start": start.get() })
            });
            print_json(&json!({ "name": name, "partitions": starts.collect::<Vec<_>>() }));
        }
    }
    Ok(())
}
