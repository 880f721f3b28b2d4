//! Records in, the same records out.

use std::collections::{BTreeMap, BTreeSet};

use crate::process::{Start, directory};
use crate::records::text;

#[track_caller]
fn assert_same(left: &[u8], right: &[u8]) {
    // Printing megabytes helps nobody.
    let differ = left.iter().zip(right).position(|(a, b)| a != b);
    assert!(
        left == right,
        "{} bytes and {} bytes, first difference at {differ:?}",
        left.len(),
        right.len()
    );
}

#[test]
fn a_file_into_one_partition_comes_back_byte_for_byte() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let text = text();
    let file = directory.path().join("text");
    std::fs::write(&file, &text).unwrap();
    broker.ok(&["topic", "create", "lines"]);
    let produced = broker.run(&["produce", "lines", "--file", file.to_str().unwrap()], b"");
    let lines = text.iter().filter(|&&byte| byte == b'\n').count();
    assert!(
        produced.err.contains(&format!("{lines} ")),
        "{}",
        produced.err
    );
    assert!(produced.err.contains("p99"), "{}", produced.err);
    assert!(produced.ok().is_empty());
    let consumed = broker.ok(&["consume", "lines", "--until-end"]);
    assert_same(&text, &consumed);
    // From standard input, in larger batches, and the last line without its end.
    broker.ok(&["topic", "create", "again"]);
    let whole = broker.run(
        &["produce", "again", "--batch-bytes", "512KiB"],
        text.trim_ascii_end(),
    );
    whole.ok();
    let mut expected = text.trim_ascii_end().to_vec();
    expected.push(b'\n');
    assert_same(&expected, &broker.ok(&["consume", "again", "--until-end"]));
}

fn key_of(line: &[u8]) -> Option<&[u8]> {
    let at = line.iter().position(|&byte| byte == b'\t')?;
    Some(&line[..at])
}

#[test]
fn keys_keep_their_order_over_four_partitions_and_two_shards() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let text = text();
    let mut keyed = Vec::new();
    for (number, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if number % 10 != 0 {
            keyed.extend(format!("key {}\t", number * 7 % 101).as_bytes());
        }
        keyed.extend(line);
    }
    broker.ok(&["topic", "create", "keyed", "--partitions", "4"]);
    broker
        .run(&["produce", "keyed", "--key-separator", "\t"], &keyed)
        .ok();
    let consumed = broker.ok(&[
        "consume",
        "keyed",
        "--until-end",
        "--print",
        "key,value",
        "--key-separator",
        "\t",
    ]);
    let lines = |bytes: &'static [u8]| bytes.split_inclusive(|&byte| byte == b'\n');
    let (keyed, consumed): (&'static [u8], &'static [u8]) = (keyed.leak(), consumed.leak());
    let (mut sent, mut received): (Vec<_>, Vec<_>) =
        (lines(keyed).collect(), lines(consumed).collect());
    let by_key = |all: &[&'static [u8]]| {
        let mut by_key: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
        for line in all {
            if let Some(key) = key_of(line) {
                by_key.entry(key).or_default().push(line);
            }
        }
        by_key
    };
    assert!(
        by_key(&sent) == by_key(&received),
        "the order within a key has changed"
    );
    sent.sort_unstable();
    received.sort_unstable();
    assert!(
        sent == received,
        "{} lines sent, {} received",
        sent.len(),
        received.len()
    );

    let described = broker
        .run(&["topic", "describe", "keyed", "--output", "json"], b"")
        .json();
    let partitions = described["partitions"].as_array().unwrap();
    let shards: BTreeSet<_> = partitions.iter().map(|one| one["shard"].as_u64()).collect();
    assert_eq!((partitions.len(), shards.len()), (4, 2), "{described}");
    let in_all: u64 = partitions
        .iter()
        .filter_map(|one| one["high_watermark"].as_u64())
        .sum();
    assert_eq!(in_all, sent.len() as u64);
    assert!(
        partitions
            .iter()
            .all(|one| one["high_watermark"].as_u64() > Some(0)),
        "{described}"
    );
}

#[test]
fn consume_begins_and_ends_where_it_is_told() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "numbers"]);
    // A batch for each, so that time stamps can differ.
    let numbers: String = (0..100).map(|number| format!("{number}\n")).collect();
    broker
        .run(&["produce", "numbers"], &numbers.as_bytes()[..20])
        .ok();
    std::thread::sleep(std::time::Duration::from_millis(20));
    broker
        .run(&["produce", "numbers"], &numbers.as_bytes()[20..])
        .ok();
    let consume = |args: &[&str]| {
        let mut all = vec!["consume", "numbers"];
        all.extend(args);
        String::from_utf8(broker.ok(&all)).unwrap()
    };
    assert_eq!(consume(&["--until-end", "--from", "98"]), "98\n99\n");
    assert_eq!(consume(&["--until-end", "--from", "latest"]), "");
    assert_eq!(consume(&["--max", "2", "--from", "earliest"]), "0\n1\n");
    assert_eq!(
        consume(&["--until-end", "--from", "5", "--max", "1"]),
        "5\n"
    );
    let columns = consume(&[
        "--from",
        "10",
        "--max",
        "1",
        "--print",
        "timestamp,partition,offset,value",
        "--key-separator",
        "|",
    ]);
    let (time, rest) = columns.split_once('|').unwrap();
    assert_eq!(rest, "0|10|10\n");
    assert_eq!(
        consume(&["--until-end", "--from", &format!("@{time}")]),
        numbers[20..]
    );
    broker
        .run(
            &["consume", "numbers", "--until-end", "--from", "1000"],
            b"",
        )
        .refused(1, &["1000", "numbers"]);
}

#[test]
fn an_empty_topic_ends_at_once() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "empty", "--partitions", "3"]);
    assert!(broker.ok(&["consume", "empty", "--until-end"]).is_empty());
    broker.run(&["produce", "empty"], b"").ok();
    assert!(broker.ok(&["consume", "empty", "--until-end"]).is_empty());
}

#[test]
fn acks_none_and_explicit_partitions_are_stored_too() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t", "--partitions", "3"]);
    broker
        .run(
            &["produce", "t", "--partition", "2", "--acks", "leader"],
            b"a\nb\n",
        )
        .ok();
    let printed = [
        "consume",
        "t",
        "--until-end",
        "--print",
        "partition,offset,value",
    ];
    assert_eq!(broker.ok(&printed), b"2\t0\ta\n2\t1\tb\n");
    broker
        .run(
            &["produce", "t", "--partition", "1", "--acks", "none"],
            b"c\n",
        )
        .ok();
    // Nobody says when it is stored.
    let consumed = broker.ok(&[
        "consume",
        "t",
        "--partition",
        "1",
        "--from",
        "earliest",
        "--max",
        "1",
    ]);
    assert_eq!(consumed, b"c\n");
}

#[test]
fn a_receipt_tells_where_the_time_of_the_broker_went() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t"]);
    let told = broker.run(&["produce", "t", "--receipt"], b"a\nb\n");
    for stage in ["queued", "appended", "flushed", "replicated", "replied"] {
        let line = told.err.lines().find(|line| line.starts_with(stage));
        let columns = line.map(|line| line.split_whitespace().count());
        assert_eq!(columns, Some(4), "{}", told.err);
    }
    told.ok();
    let asked = ["produce", "t", "--receipt", "--output", "json"];
    let told = broker.run(&asked, b"c\n");
    let summary: serde_json::Value = serde_json::from_str(&told.err).unwrap();
    assert!(summary["stages_ns"]["flushed"]["p99"].as_u64().unwrap() > 1_000);
    told.ok();
    let told = broker.run(&["produce", "t"], b"d\n");
    assert!(!told.err.contains("flushed"), "{}", told.err);
    told.ok();
}
