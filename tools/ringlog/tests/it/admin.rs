//! The admin port.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::process::{PAUSE, Start, directory, free_address};

/// The answer to a GET.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_broker_that_waits_for_zookeeper_says_that_it_is_starting() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let zookeeper = format!("{}/ringlog", silent.local_addr().unwrap());
    let (directory, admin) = (directory(), free_address());
    let start = Start {
        args: &["--zookeeper", &zookeeper, "--broker-id", "1"],
        ..Start::with_admin(directory.path(), &admin)
    };
    let (mut broker, log) = start.launch();
    while TcpStream::connect(&admin).is_err() {
        assert!(
            !broker.has_ended(),
            "{}",
            std::fs::read_to_string(&log).unwrap()
        );
        std::thread::sleep(PAUSE);
    }
    let health = get(&admin, "/healthz");
    assert!(health.starts_with("HTTP/1.1 503"), "{health}");
    assert!(health.contains("\"status\":\"starting\""), "{health}");
    let metrics = get(&admin, "/metrics");
    assert!(metrics.contains("ringlog_maintenance_running"), "{metrics}");
    broker.signal("TERM");
    assert_eq!(broker.wait("the broker"), Some(1));
}

#[test]
fn metrics_and_health_are_told() {
    let directory = directory();
    let admin = free_address();
    let broker = Start::with_admin(directory.path(), &admin).broker();
    broker.ok(&["topic", "create", "t", "--partitions", "2"]);
    broker.run(&["produce", "t"], b"a\nb\n").ok();

    let health = get(&admin, "/healthz");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    assert!(
        health.contains("\"status\":\"ok\"") && health.contains("\"partitions\":2"),
        "{health}"
    );

    let metrics = get(&admin, "/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    let has = |name: &str| metrics.lines().any(|line| line.starts_with(name));
    for name in [
        "ringlog_requests_total{shard=\"",
        "ringlog_request_seconds{shard=\"",
        "ringlog_received_bytes_total{shard=\"0\"}",
        "ringlog_received_bytes_total{shard=\"1\"}",
        "ringlog_flush_groups_total",
        "ringlog_rolls_unprepared_total",
        "ringlog_produces_waiting",
        "ringlog_maintenance_running",
        "ringlog_produce_stage_seconds_bucket{shard=\"",
        "ringlog_produce_stage_quantile_seconds{stage=\"flushed\",quantile=\"0.99\"}",
        "ringlog_loop_turns_total{shard=\"1\"}",
        "ringlog_ring_submissions_total{shard=\"0\"}",
    ] {
        assert!(has(name), "{name} is not in: {metrics}");
    }
    assert!(get(&admin, "/nothing").starts_with("HTTP/1.1 404"));
}

#[test]
fn slow_requests_are_told_with_their_stages() {
    let directory = directory();
    let admin = free_address();
    let broker = Start::with_admin(directory.path(), &admin).broker();
    broker.ok(&["topic", "create", "t", "--partitions", "2"]);
    broker
        .run(&["produce", "t", "--partition", "1"], b"a\nb\n")
        .ok();

    let text = get(&admin, "/debug/slow");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let is_produce = |line: &&str| line.contains(" produce ") && line.ends_with("  t-1");
    assert_eq!(text.lines().filter(is_produce).count(), 1, "{text}");

    let answer = get(&admin, "/debug/slow?format=json");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let shards: serde_json::Value = serde_json::from_str(body).unwrap();
    let shards = shards.as_array().unwrap();
    assert_eq!(shards.len(), 2);
    let requests = shards
        .iter()
        .flat_map(|shard| shard["requests"].as_array().unwrap());
    let produces: Vec<_> = requests.filter(|one| one["api"] == "produce").collect();
    let [produce] = produces[..] else {
        panic!("{produces:?}");
    };
    assert_eq!(produce["topic"], "t");
    assert_eq!(produce["partition"], 1);
    assert_eq!(produce["error"], "none");
    let stages = produce["stages_ns"].as_object().unwrap();
    let stages: u64 = stages.values().map(|ns| ns.as_u64().unwrap()).sum();
    let took = produce["took_ns"].as_u64().unwrap();
    assert!(0 < stages && stages <= took, "{produce}");
    assert!(produce["answered_unix_ms"].as_i64().unwrap() > 1_700_000_000_000);

    let refused = get(&admin, "/debug/slow?format=pdf");
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
}

#[test]
fn a_damaged_partition_is_offline_with_its_reason_and_the_others_are_served() {
    let directory = directory();
    let mut start = Start::new(directory.path());
    let broker = start.broker();
    let created = broker
        .run(
            &[
                "topic",
                "create",
                "t",
                "--partitions",
                "2",
                "--output",
                "json",
            ],
            b"",
        )
        .json();
    broker
        .run(&["produce", "t", "--partition", "0"], b"zero\n")
        .ok();
    broker
        .run(&["produce", "t", "--partition", "1"], b"one\n")
        .ok();
    broker.kill();
    let topic = created["topic_id"].as_str().unwrap();
    let checkpoint = crate::process::data_of(directory.path())
        .join("topics")
        .join(topic)
        .join("0")
        .join("checkpoint");
    // A partition whose checkpoint is a directory cannot be opened.
    std::fs::remove_file(&checkpoint).unwrap();
    std::fs::create_dir(&checkpoint).unwrap();
    let admin = free_address();
    start.admin = &admin;
    let broker = start.broker();
    let health = get(&admin, "/healthz");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    assert!(
        health.contains("\"status\":\"degraded\"") && health.contains("\"partition\":0"),
        "{health}"
    );
    let consumed = broker.ok(&["consume", "t", "--until-end", "--partition", "1"]);
    assert_eq!(consumed, b"one\n");
    broker
        .run(&["produce", "t", "--partition", "0"], b"refused\n")
        .refused(1, &["0 of 1"]);
}
