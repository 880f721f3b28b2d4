//! What happens at the ends of a pipe.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use crate::process::{Start, directory, spawn};

#[test]
fn a_reader_that_has_enough_ends_consume_with_zero() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t"]);
    let lines: String = (0..200_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    broker.run(&["produce", "t"], lines.as_bytes()).ok();
    let address = broker.address.to_string();
    let args = [
        "consume",
        "t",
        "--from",
        "earliest",
        "--bootstrap",
        &address,
    ];
    let mut consume = spawn(&args, Stdio::null());
    let mut out = BufReader::new(consume.stdout());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    assert_eq!(first, "line 0\n");
    drop(out);
    assert_eq!(consume.wait("consume"), Some(0));
}

#[test]
fn consume_follows_the_log_and_produce_sends_what_is_typed() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t", "--partitions", "2"]);
    let address = broker.address.to_string();
    let follow = [
        "consume",
        "t",
        "--from",
        "earliest",
        "--bootstrap",
        &address,
    ];
    let mut consume = spawn(&follow, Stdio::null());
    let mut out = BufReader::new(consume.stdout());
    let mut produce = spawn(&["produce", "t", "--bootstrap", &address], Stdio::piped());
    let mut input = produce.stdin();
    for number in 0..3 {
        // Each line comes out before the next one goes in.
        writeln!(input, "typed {number}").unwrap();
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, format!("typed {number}\n"));
    }
    drop(input);
    assert_eq!(produce.wait("produce"), Some(0));
}

#[test]
fn produce_says_what_became_of_its_records_when_the_broker_dies() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t"]);
    let address = broker.address.to_string();
    let args = ["produce", "t", "--output", "json", "--bootstrap", &address];
    let mut produce = spawn(&args, Stdio::piped());
    let mut input = produce.stdin();
    let mut err = produce.stderr();
    let feed = std::thread::spawn(move || {
        // Until produce has failed and does not read any more.
        while input
            .write_all(&b"a record of some length\n".repeat(100))
            .is_ok()
        {}
    });
    // Some are there, and more are under way.
    broker.ok(&["consume", "t", "--from", "earliest", "--max", "2000"]);
    broker.kill();
    assert_eq!(produce.wait("produce"), Some(1));
    feed.join().unwrap();
    let mut said = String::new();
    err.read_to_string(&mut said).unwrap();
    let summary: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert!(count("records") > 0, "{said}");
    assert!(count("unknown") + count("failed") > 0, "{said}");
    assert!(
        said.contains("nobody can say") || said.contains("refused"),
        "{said}"
    );
}
