//! The admin port.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::process::{Start, directory};

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
fn metrics_and_health_are_told() {
    let directory = directory();
    // Free until the broker takes it, most likely.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = free.local_addr().unwrap().to_string();
    drop(free);
    let start = Start {
        admin: &admin,
        ..Start::new(directory.path())
    };
    let broker = start.broker();
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
    ] {
        assert!(has(name), "{name} is not in: {metrics}");
    }
    assert!(get(&admin, "/nothing").starts_with("HTTP/1.1 404"));
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
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = free.local_addr().unwrap().to_string();
    drop(free);
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
