//! Groups go on where they stopped, whatever stopped them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::process::{Broker, Start, directory, spawn};

fn lag(broker: &Broker) -> u64 {
    let told = broker.run(&["group", "describe", "g", "--output", "json"], b"");
    told.json()["lag"].as_u64().unwrap()
}

#[test]
fn a_group_goes_on_where_it_stopped_after_restarts_too() {
    let directory = directory();
    let mut start = Start::new(directory.path());
    let broker = start.broker();
    broker.ok(&["topic", "create", "t", "--partitions", "2"]);
    broker
        .run(&["produce", "t", "--partition", "0"], b"a\nb\nc\n")
        .ok();
    let group = ["consume", "t", "--group", "g"];
    let consume = |broker: &Broker, more: &[&str]| broker.ok(&[&group[..], more].concat());
    let first = consume(&broker, &["--from", "earliest", "--max", "2"]);
    assert_eq!(first, b"a\nb\n");
    assert_eq!(lag(&broker), 1);

    start.port = broker.address.port();
    broker.kill();
    let broker = start.broker();
    // What --from says counts the first time only.
    let rest = consume(&broker, &["--from", "earliest", "--until-end"]);
    assert_eq!(rest, b"c\n");
    assert_eq!(consume(&broker, &["--until-end"]), b"");
    broker
        .run(&["produce", "t", "--partition", "1"], b"d\n")
        .ok();
    assert_eq!(consume(&broker, &["--partition", "0", "--until-end"]), b"");
    assert_eq!(lag(&broker), 1);
    assert_eq!(consume(&broker, &["--until-end"]), b"d\n");
    assert_eq!(lag(&broker), 0);

    // Where it is kept is shown to who asks for it only.
    let listed = |more: &[&str]| {
        let asked = [&["topic", "list", "--output", "json"][..], more].concat();
        broker.run(&asked, b"").json().as_array().unwrap().len()
    };
    assert_eq!((listed(&[]), listed(&["--internal"])), (1, 2));

    let reset = ["group", "reset", "g", "--topic", "t", "--to", "1"];
    broker.run(&reset, b"").refused(2, &["--partition"]);
    broker.ok(&[&reset[..], &["--partition", "0"]].concat());
    assert_eq!(consume(&broker, &["--until-end"]), b"b\nc\n");
}

#[test]
fn a_group_that_begins_at_the_end_misses_nothing_behind_it() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t"]);
    broker.run(&["produce", "t"], b"before\n").ok();
    let first = [
        "consume",
        "t",
        "--group",
        "g",
        "--from",
        "latest",
        "--until-end",
    ];
    assert_eq!(broker.ok(&first), b"");
    broker.run(&["produce", "t"], b"behind\n").ok();
    let next = ["consume", "t", "--group", "g", "--until-end"];
    assert_eq!(broker.ok(&next), b"behind\n");
}

#[test]
fn a_consumer_that_is_stopped_or_killed_loses_nothing() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t"]);
    let lines: String = (0..5_000).map(|number| format!("{number}\n")).collect();
    broker.run(&["produce", "t"], lines.as_bytes()).ok();
    let address = broker.address.to_string();
    let args = [
        "consume",
        "t",
        "--group",
        "g",
        "--from",
        "earliest",
        "--bootstrap",
        &address,
    ];
    let mut seen = BTreeSet::new();
    // It has printed all there is, and waits; only what was committed is known to the broker.
    let mut consume = spawn(&args, Stdio::null());
    let mut out = BufReader::new(consume.stdout()).lines();
    while seen.len() < 5_000 {
        seen.insert(out.next().unwrap().unwrap());
    }
    consume.signal("TERM");
    assert_eq!(consume.wait("consume"), Some(0));
    assert_eq!(lag(&broker), 0);

    // In one batch.
    let together = ["produce", "t", "--linger-ms", "1000"];
    broker.run(&together, b"5000\n5001\n").ok();
    let mut consume = spawn(&args, Stdio::null());
    let mut out = BufReader::new(consume.stdout()).lines();
    assert_eq!(out.next().unwrap().unwrap(), "5000");
    consume.signal("KILL");
    assert_eq!(consume.wait("consume"), None);
    // Both again, or neither when the commit was faster; never less than what is missing.
    let rest: Vec<String> = out.map(Result::unwrap).collect();
    let again = broker.ok(&["consume", "t", "--group", "g", "--until-end"]);
    let again = String::from_utf8(again).unwrap();
    assert!(
        again == "5000\n5001\n" || (again.is_empty() && rest == ["5001"]),
        "{again:?} after {rest:?}"
    );
}

#[test]
fn what_a_group_does_not_know_is_told() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let told = broker.ok(&["group", "describe", "nobody"]);
    assert_eq!(told, b"group nobody has committed nothing\n");
    broker.ok(&["topic", "create", "t"]);
    broker
        .run(&["consume", "t", "--group", "", "--until-end"], b"")
        .refused(1, &["group"]);
    broker.run(&["produce", "t"], b"a\n").ok();
    broker.ok(&["consume", "t", "--group", "g", "--until-end"]);
    broker.ok(&["topic", "delete", "t"]);
    let gone = broker
        .run(&["group", "describe", "g", "--output", "json"], b"")
        .json();
    for one in gone["partitions"].as_array().unwrap() {
        assert!(one["topic"].is_null(), "{gone}");
    }
}
