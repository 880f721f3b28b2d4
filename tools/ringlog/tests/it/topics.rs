//! The life of a topic, restarts included.

use crate::process::{Start, data_of, directory};

fn restarted(start: &mut Start<'_>, broker: crate::process::Broker) -> crate::process::Broker {
    start.port = broker.address.port();
    let (code, log) = broker.terminate();
    assert_eq!(code, Some(0), "{log}");
    start.broker()
}

#[test]
fn topics_settings_and_records_survive_restarts() {
    let directory = directory();
    let mut start = Start::new(directory.path());
    let broker = start.broker();
    broker.ok(&[
        "topic",
        "create",
        "events",
        "--partitions",
        "3",
        "--config",
        "retention_ms=2d",
        "--config",
        "segment_bytes=16MiB",
    ]);
    broker
        .run(&["produce", "events", "--partition", "1"], b"one\ntwo\n")
        .ok();
    broker
        .run(&["topic", "create", "events"], b"")
        .refused(1, &["events", "already"]);
    let describe = ["topic", "describe", "events", "--output", "json"];
    let before = broker.run(&describe, b"").json();
    assert_eq!(before["config"]["retention_ms"], "172800000", "{before}");
    assert_eq!(before["config"]["segment_bytes"], "16777216");

    let broker = restarted(&mut start, broker);
    let after = broker.run(&describe, b"").json();
    assert_eq!(after["topic_id"], before["topic_id"]);
    assert_eq!(after["config"], before["config"]);
    assert_eq!(after["partitions"][1]["high_watermark"], 2);
    let epoch = |described: &serde_json::Value| described["partitions"][1]["leader_epoch"].as_u64();
    assert!(epoch(&after) > epoch(&before), "{before} {after}");
    assert_eq!(
        broker.ok(&["consume", "events", "--until-end"]),
        b"one\ntwo\n"
    );

    broker.ok(&["topic", "alter", "events", "--config", "retention_ms=3d"]);
    let broker = restarted(&mut start, broker);
    let altered = broker.run(&describe, b"").json();
    assert_eq!(altered["config"]["retention_ms"], "259200000");
    assert_eq!(altered["config"]["segment_bytes"], "16777216");

    broker.ok(&["topic", "delete", "events"]);
    let topics = data_of(directory.path()).join("topics");
    assert_eq!(std::fs::read_dir(&topics).unwrap().count(), 0);
    let broker = restarted(&mut start, broker);
    assert_eq!(
        broker
            .run(&["topic", "list", "--output", "json"], b"")
            .json()
            .as_array()
            .unwrap()
            .len(),
        0
    );
    broker.ok(&["topic", "create", "events"]);
    let anew = broker.run(&describe, b"").json();
    assert_ne!(anew["topic_id"], before["topic_id"]);
    assert!(broker.ok(&["consume", "events", "--until-end"]).is_empty());
}

#[test]
fn a_topic_that_is_not_there_is_told_with_what_to_do() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let create = "ringlog topic create nowhere";
    broker
        .run(&["produce", "nowhere"], b"a\n")
        .refused(1, &["nowhere", create]);
    broker
        .run(&["consume", "nowhere", "--until-end"], b"")
        .refused(1, &["nowhere", create]);
    broker
        .run(&["topic", "describe", "nowhere"], b"")
        .refused(1, &["nowhere"]);
    broker
        .run(&["topic", "delete", "nowhere"], b"")
        .refused(1, &["nowhere"]);
    broker.ok(&["topic", "create", "small"]);
    broker
        .run(&["produce", "small", "--partition", "4"], b"a\n")
        .refused(1, &["small", "no partition 4"]);
}

#[test]
fn settings_that_are_wrong_are_refused_with_what_is_allowed() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let create = |setting: &str| broker.run(&["topic", "create", "t", "--config", setting], b"");
    create("retention=7d").refused(1, &["retention", "retention_ms"]);
    create("retention_ms=7w").refused(1, &["7w", "d"]);
    create("durability=maybe").refused(1, &["sync", "async"]);
    create("durability=memory").refused(1, &["memory", "retention_bytes=64MiB"]);
    broker
        .run(&["topic", "create", "no spaces"], b"")
        .refused(1, &["no spaces"]);
    broker
        .run(&["topic", "create", "t", "--partitions", "0"], b"")
        .refused(1, &["partition"]);
    broker
        .run(&["topic", "create", "t", "--partitions", "99999"], b"")
        .refused(1, &["99999"]);
}
