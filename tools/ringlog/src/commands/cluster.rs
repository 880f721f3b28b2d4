//! `ringlog cluster`: the brokers of a cluster.

use ringlog_client::Admin;
use serde_json::json;

use super::connect::connect;
use crate::cli::ClusterCommand;
use crate::error::CommandError;
use crate::output::{Format, counted, numbers, outln, print_json, print_table, words};

pub(crate) async fn run(command: ClusterCommand) -> Result<(), CommandError> {
    let ClusterCommand::Status { bootstrap, output } = command;
    let admin = Admin::new(&connect(&bootstrap).await?);
    let cluster = admin.describe_cluster().await;
    let cluster = cluster.map_err(|error| CommandError::failed("describe the cluster", error))?;
    let controller = cluster.controller.map(|controller| controller.get());
    if output.form == Format::Json {
        let brokers = cluster.brokers.iter().map(|one| {
            json!({
                "broker": one.broker.get(),
                "address": one.address,
                "rack": one.rack,
                "broker_epoch": one.broker_epoch,
                "shards": one.shard_count,
                "leaders": one.leaders,
                "software": one.software,
            })
        });
        print_json(&json!({
            "cluster_id": cluster.cluster_id,
            "controller": controller,
            "topics": cluster.topics,
            "partitions": cluster.partitions,
            "brokers": brokers.collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    let controller = controller.map_or_else(
        || "no controller".to_owned(),
        |controller| format!("controller {controller}"),
    );
    outln!(
        "cluster {}: {controller}, {}, {}\n",
        cluster.cluster_id,
        counted(cluster.topics.into(), "topic"),
        counted(cluster.partitions.into(), "partition")
    );
    print_table(
        [
            numbers("broker"),
            words("address"),
            numbers("epoch"),
            numbers("shards"),
            numbers("leaders"),
            words("software"),
        ],
        cluster.brokers.iter().map(|one| {
            [
                one.broker.to_string(),
                one.address.clone(),
                one.broker_epoch.to_string(),
                one.shard_count.to_string(),
                one.leaders.to_string(),
                one.software.clone(),
            ]
        }),
    );
    Ok(())
}
