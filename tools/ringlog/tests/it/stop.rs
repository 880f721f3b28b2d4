//! How a broker stops.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use crate::process::{Start, directory, run, spawn};

#[test]
fn sigterm_ends_with_zero_and_the_next_start_scans_nothing() {
    let directory = directory();
    let mut start = Start::new(directory.path());
    let broker = start.broker();
    broker.ok(&["topic", "create", "t", "--partitions", "4"]);
    let lines: String = (0..10_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    broker.run(&["produce", "t"], lines.as_bytes()).ok();
    start.port = broker.address.port();
    let (code, log) = broker.terminate();
    assert_eq!(code, Some(0), "{log}");

    start.args = &["--shards", "2", "--log", "debug"];
    let broker = start.broker();
    let log = broker.log();
    let opened: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("a log is open"))
        .collect();
    assert_eq!(opened.len(), 4, "{log}");
    for line in opened {
        assert!(
            line.contains("scanned_bytes=0") && line.contains("is_clean=true"),
            "{line}"
        );
    }
    let consumed = broker.ok(&["consume", "t", "--until-end"]);
    assert_eq!(consumed.len(), lines.len());
}

#[test]
fn ctrl_c_stops_in_order_too_and_another_number_of_shards_serves_the_same() {
    let directory = directory();
    let mut start = Start::new(directory.path());
    let broker = start.broker();
    broker.ok(&["topic", "create", "t", "--partitions", "3"]);
    broker
        .run(
            &["produce", "t", "--key-separator", "="],
            b"a=1\nb=2\nc=3\n",
        )
        .ok();
    start.port = broker.address.port();
    broker.signal("INT");
    let (code, log) = broker.terminate_after_signal();
    assert_eq!(code, Some(0), "{log}");
    start.args = &["--shards", "1"];
    let broker = start.broker();
    let mut lines: Vec<_> = String::from_utf8(broker.ok(&[
        "consume",
        "t",
        "--until-end",
        "--print",
        "key,value",
        "--key-separator",
        "=",
    ]))
    .unwrap()
    .lines()
    .map(str::to_owned)
    .collect();
    lines.sort();
    assert_eq!(lines, ["a=1", "b=2", "c=3"]);
}

#[test]
fn log_verify_and_dump_read_what_a_broker_has_left() {
    let directory = directory();
    let start = Start::new(directory.path());
    let broker = start.broker();
    let created = broker
        .run(&["topic", "create", "t", "--output", "json"], b"")
        .json();
    broker.run(&["produce", "t"], b"a\nb\n").ok();
    let mut args = vec!["topic", "create", "m", "--output", "json"];
    args.extend([
        "--config",
        "durability=memory",
        "--config",
        "retention_bytes=1MiB",
    ]);
    let in_memory = broker.run(&args, b"").json();
    let (code, log) = broker.terminate();
    assert_eq!(code, Some(0), "{log}");
    let partition_of = |created: &serde_json::Value| {
        let topics = crate::process::data_of(directory.path()).join("topics");
        topics.join(created["topic_id"].as_str().unwrap()).join("0")
    };
    let checkpoint = partition_of(&in_memory).join("checkpoint");
    let dumped = run(&["log", "dump", checkpoint.to_str().unwrap()], b"").ok();
    assert!(
        String::from_utf8(dumped)
            .unwrap()
            .contains("in memory only")
    );
    let partition = partition_of(&created);
    let path = partition.to_str().unwrap();
    let verified = run(&["log", "verify", path, "--output", "json"], b"").json();
    assert_eq!(
        verified[0]["findings"].as_array().unwrap().len(),
        0,
        "{verified}"
    );
    let dumped = String::from_utf8(run(&["log", "dump", path], b"").ok()).unwrap();
    assert!(dumped.contains("offsets 0..=1"), "{dumped}");
    assert!(dumped.contains("checkpoint"), "{dumped}");
    assert!(!dumped.contains("in memory only"), "{dumped}");

    let data = crate::process::data_of(directory.path());
    let all = String::from_utf8(run(&["log", "verify", data.to_str().unwrap()], b"").ok()).unwrap();
    assert!(
        all.lines().count() == 2 && all.lines().all(|line| line.contains("0 findings")),
        "{all}"
    );
    run(
        &[
            "log",
            "verify",
            directory.path().join("none").to_str().unwrap(),
        ],
        b"",
    )
    .refused(1, &["none"]);

    // One byte of a record is another: verify says where, and the broker does not serve it as if nothing were.
    let segment = partition.join(format!("{:020}.log", 0));
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[65] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let damaged = run(&["log", "verify", path], b"");
    assert_eq!(damaged.code, Some(1), "{damaged:?}");
    assert!(
        String::from_utf8_lossy(&damaged.out).contains("damage"),
        "{damaged:?}"
    );
}

#[test]
fn an_orderly_restart_under_load_loses_nothing_and_stores_nothing_twice() {
    let directory = directory();
    let mut start = Start::new(directory.path());
    let mut broker = start.broker();
    start.port = broker.address.port();
    broker.ok(&["topic", "create", "t"]);
    let address = broker.address.to_string();
    let args = ["produce", "t", "--output", "json", "--bootstrap", &address];
    let mut produce = spawn(&args, Stdio::piped());
    let (mut input, mut err) = (produce.stdin(), produce.stderr());
    let lines: Vec<String> = (0..60_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    let text = lines.concat();
    let feed = std::thread::spawn(move || {
        for chunk in lines.chunks(200) {
            // Behind a produce that has failed nobody reads.
            if input.write_all(chunk.concat().as_bytes()).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    broker.ok(&["consume", "t", "--from", "earliest", "--max", "5000"]);
    let (code, log) = broker.terminate();
    assert_eq!(code, Some(0), "{log}");
    broker = start.broker();
    // It goes on: what was on its way when the connection was closed is sent again under its number.
    let code = produce.wait("produce");
    feed.join().unwrap();
    let mut said = String::new();
    err.read_to_string(&mut said).unwrap();
    let summary: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    let count = |name: &str| summary[name].as_u64().unwrap();
    let consumed = broker.ok(&["consume", "t", "--until-end"]);
    assert!(
        text.as_bytes().starts_with(&consumed),
        "the lines are not those sent: {said}"
    );
    let stored = consumed.iter().filter(|&&byte| byte == b'\n').count() as u64;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!((stored, count("records")), (60_000, 60_000), "{said}");
}

#[test]
fn a_second_signal_does_not_wait() {
    let directory = directory();
    let start = Start::new(directory.path());
    let broker = start.broker();
    broker.ok(&["topic", "create", "t"]);
    // Its connection is slow to end: the drain waits for it.
    let address = broker.address.to_string();
    let mut held = std::net::TcpStream::connect(&address).unwrap();
    held.write_all(b"R").unwrap();
    broker.signal("TERM");
    std::thread::sleep(Duration::from_millis(300));
    let (code, log) = broker.terminate();
    // Either it was quick enough to stop in order, or it stopped at once.
    assert!(code == Some(0) || code == Some(130), "{code:?} {log}");
    drop(held);
    start.broker().ok(&["topic", "describe", "t"]);
}
