//! `ringlog topic reassign`, on brokers that do not copy records yet.

use std::thread;
use std::time::Instant;

use serde_json::Value;

use super::{Cluster, PARTITIONS, PATIENCE, PAUSE};

impl Cluster {
    /// Partition 0 of the topic, as one broker tells.
    fn partition(&self, asked: u32) -> Value {
        let describe = ["topic", "describe", "events", "--output", "json"];
        let described = self.broker(asked).run(&describe, b"").json();
        described["partitions"][0].clone()
    }

    /// Waits until all brokers tell of partition 0 that these are being added.
    fn adding(&self, wanted: &[u64]) -> Value {
        let wanted = Value::from(wanted.to_vec());
        let began = Instant::now();
        loop {
            let seen: Vec<Value> = (1..=3).map(|id| self.partition(id)).collect();
            if seen.iter().all(|one| one["adding"] == wanted) {
                return seen[0].clone();
            }
            assert!(began.elapsed() < PATIENCE, "{seen:?}");
            thread::sleep(PAUSE);
        }
    }
}

#[test]
fn a_reassignment_stays_under_way_until_it_is_cancelled_and_leaves_the_partition_as_it_was() {
    let cluster = Cluster::start();
    let create = ["topic", "create", "events", "--partitions", "6"];
    cluster.broker(1).ok(&create);
    let before = cluster.adding(&[]);
    let from = before["leader"].as_u64().unwrap();
    let (to, last) = (from % 3 + 1, (from + 1) % 3 + 1);
    let reassign = |more: &[&str]| {
        let mut args = vec!["topic", "reassign", "events", "--partition", "0"];
        args.extend(more);
        // Any broker does; the controller is asked in its place.
        cluster.broker(3).run(&args, b"")
    };
    let begun = reassign(&["--replicas", &to.to_string()]);
    assert!(begun.err.contains("not copied"), "{}", begun.err);
    assert!(begun.err.contains("--cancel"), "{}", begun.err);
    assert_eq!(
        String::from_utf8(begun.ok()).unwrap(),
        format!(
            "partition 0 of events is being reassigned: it waits until broker {to} has all records, then leaves broker {from}\n"
        )
    );
    let now = cluster.adding(&[to]);
    assert_eq!(now["leader"], before["leader"], "it is served as before");
    assert_eq!(now["removing"], Value::from(vec![from]));
    cluster.produce(2, "meanwhile");
    assert_eq!(cluster.lines(1)["meanwhile"], PARTITIONS);
    let described = cluster.broker(1).ok(&["topic", "describe", "events"]);
    let described = String::from_utf8(described).unwrap();
    let shown = format!("\npartition 0 is being reassigned: it waits until broker {to} has");
    assert!(described.contains(&shown), "{described}");

    // Turned to another goal, and cancelled.
    let turned = reassign(&["--replicas", &format!("{from},{last}"), "--output", "json"]).json();
    assert_eq!(turned["replicas"], Value::from(vec![from, last]));
    cluster.adding(&[last]);
    let cancelled = reassign(&["--cancel"]).ok();
    assert_eq!(
        String::from_utf8(cancelled).unwrap(),
        format!("partition 0 of events is on broker {from}\n")
    );
    let after = cluster.adding(&[]);
    for key in ["replicas", "isr", "removing", "leader", "leader_epoch"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    reassign(&["--cancel"]).refused(1, &["no reassignment of partition 0 of topic events"]);
}

#[test]
fn replicas_that_cannot_be_are_refused_with_the_reason() {
    let cluster = Cluster::start();
    cluster.broker(1).ok(&["topic", "create", "events"]);
    let home = cluster.leaders(1)[0].unwrap();
    let drained = home % 3 + 1;
    cluster
        .broker(1)
        .ok(&["cluster", "drain", &drained.to_string()]);
    let drained = drained.to_string();
    let refused = |topic: &str, partition: &str, more: &[&str], code: i32, said: &[&str]| {
        let mut args = vec!["topic", "reassign", topic, "--partition", partition];
        args.extend(more);
        cluster.broker(2).run(&args, b"").refused(code, said);
    };
    let to = |broker| ["--replicas", broker];
    refused("none", "0", &to("1"), 1, &["there is no topic none"]);
    refused("events", "7", &to("1"), 1, &["none with number 7"]);
    refused("events", "0", &to("9"), 1, &["broker 9 is not running"]);
    refused("events", "0", &to("1,1"), 1, &["broker 1 is named twice"]);
    refused("events", "0", &to(&drained), 1, &[&drained, "is drained"]);
    refused("events", "0", &to(""), 2, &["--replicas"]);
    refused("events", "0", &[], 2, &["--replicas"]);
    refused(
        "events",
        "0",
        &["--replicas", "1", "--cancel"],
        2,
        &["--cancel"],
    );
}
