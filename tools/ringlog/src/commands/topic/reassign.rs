//! `ringlog topic reassign`.

use ringlog_client::{Admin, ReassignedPartition};
use ringlog_record::{BrokerId, PartitionIndex};
use serde_json::json;

use super::failed;
use crate::cli::Bootstrap;
use crate::commands::connect::connect;
use crate::error::CommandError;
use crate::output::{Format, outln, print_json};

/// Has a partition move to these brokers; with none, has it stay where it was.
pub(super) async fn run(
    name: &str,
    partition: u32,
    replicas: &[u32],
    bootstrap: &Bootstrap,
    form: Format,
) -> Result<(), CommandError> {
    let admin = Admin::new(&connect(bootstrap).await?);
    let index = PartitionIndex::new(partition);
    let wanted: Vec<BrokerId> = replicas.iter().copied().map(BrokerId::new).collect();
    let now = match wanted.is_empty() {
        true => admin.cancel_reassignment(name, index).await,
        false => admin.reassign_partition(name, index, wanted).await,
    };
    let now = now.map_err(failed("reassign", name))?;
    match form {
        Format::Table => tell(name, partition, &now),
        Format::Json => print_json(&json!({
            "name": name,
            "partition": partition,
            "replicas": ids(&now.replicas),
            "adding": ids(&now.adding),
            "removing": ids(&now.removing),
        })),
    }
    Ok(())
}

fn tell(name: &str, partition: u32, now: &ReassignedPartition) {
    if now.adding.is_empty() && now.removing.is_empty() {
        outln!(
            "partition {partition} of {name} is on {}",
            named(&now.replicas)
        );
        return;
    }
    outln!(
        "partition {partition} of {name} is being reassigned: {}",
        under_way(&now.adding, &now.removing)
    );
    let cancel = format!("`ringlog topic reassign {name} --partition {partition} --cancel`");
    if now.adding.is_empty() {
        eprintln!(
            "it goes on by itself once enough of the brokers that stay are in sync; {cancel} stops it"
        );
    } else {
        eprintln!(
            "records are not copied between brokers yet, so it stays under way, and the partition is served as before, until \
             {cancel}"
        );
    }
}

/// What a reassignment waits for, and what follows.
pub(super) fn under_way(adding: &[BrokerId], removing: &[BrokerId]) -> String {
    let waits = match adding {
        [] => "it waits until enough brokers are in sync".to_owned(),
        adding => format!("it waits until {} has all records", named(adding)),
    };
    match removing {
        [] => waits,
        removing => format!("{waits}, then leaves {}", named(removing)),
    }
}

fn named(brokers: &[BrokerId]) -> String {
    let numbers: Vec<String> = brokers.iter().map(BrokerId::to_string).collect();
    let s = if numbers.len() == 1 { "" } else { "s" };
    format!("broker{s} {}", numbers.join(", "))
}

pub(super) fn ids(brokers: &[BrokerId]) -> Vec<u32> {
    brokers.iter().map(|one| one.get()).collect()
}
