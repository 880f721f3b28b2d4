//! Formats of records: what goes in comes out again, whatever it holds.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use crate::process::{Start, directory, spawn};

/// Records of every kind, one a line.
const RECORDS: &str = r#"{"partition":0,"timestamp":1700000000000,"key":"k","value":"text","headers":[{"key":"h","value":"w"},{"key":"h","value":null},{"key":"b","value_base64":"/wA="}]}
{"partition":2,"timestamp":1700000000001,"key":null,"value_base64":"AP/+Cg==","headers":[]}
{"partition":1,"timestamp":1700000000002,"key_base64":"/w==","value":"","headers":[]}
{"partition":1,"timestamp":1700000000003,"key":"","value":null,"headers":[]}
{"partition":0,"timestamp":1700000000004,"key":"k","value":"two\nlines","headers":[]}
"#;

#[test]
fn json_comes_back_as_it_went_in_and_can_be_read_again() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    for topic in ["one", "other"] {
        broker.ok(&["topic", "create", topic, "--partitions", "3"]);
    }
    let produce = |topic, input: &[u8]| {
        let asked = ["produce", topic, "--format", "json", "--output", "json"];
        let done = broker.run(&asked, input);
        let summary: serde_json::Value = serde_json::from_str(&done.err).unwrap();
        assert_eq!(summary["records"], 5);
        done.ok();
    };
    let consume = |topic| {
        let all = broker.ok(&["consume", topic, "--until-end", "--format", "json"]);
        let mut lines: Vec<serde_json::Value> = all
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        lines.sort_by_key(|line| line["timestamp"].as_i64());
        (all, lines)
    };
    produce("one", RECORDS.as_bytes());
    let (printed, first) = consume("one");
    let mut expected: Vec<serde_json::Value> = RECORDS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let offsets = [0, 0, 0, 1, 1];
    for (line, offset) in expected.iter_mut().zip(offsets) {
        line["offset"] = offset.into();
    }
    assert_eq!(first, expected);
    produce("other", &printed);
    assert_eq!(consume("other").1, expected);
}

#[test]
fn length_prefixed_values_come_back_byte_for_byte() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t"]);
    let mut input = Vec::new();
    for value in [
        &b""[..],
        b"\n\n",
        b"\xff\x00",
        "Größe".as_bytes(),
        &[7; 70_000],
    ] {
        input.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        input.extend(value);
    }
    input.extend([0xff; 4]);
    let format = ["--format", "length-prefixed"];
    broker
        .run(&[&["produce", "t"][..], &format].concat(), &input)
        .ok();
    let consumed = broker.ok(&[&["consume", "t", "--until-end"][..], &format].concat());
    assert!(consumed == input, "{} and {}", consumed.len(), input.len());
    // The last is a tombstone, and no empty value.
    let last = broker.ok(&[
        "consume", "t", "--from", "5", "--max", "1", "--format", "json",
    ]);
    let last: serde_json::Value = serde_json::from_slice(&last).unwrap();
    assert_eq!(last["value"], serde_json::Value::Null);
}

#[test]
fn compressed_records_come_back_and_take_less_room() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let text = "the same words again and again\n".repeat(2_000);
    let size = |topic| {
        let described = broker.run(&["topic", "describe", topic, "--output", "json"], b"");
        described.json()["partitions"][0]["size_bytes"]
            .as_u64()
            .unwrap()
    };
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        broker.ok(&["topic", "create", codec]);
        broker
            .run(&["produce", codec, "--compression", codec], text.as_bytes())
            .ok();
        let consumed = broker.ok(&["consume", codec, "--until-end"]);
        assert!(consumed == text.as_bytes(), "{codec}");
        assert!(codec == "none" || size(codec) < size("none") / 4, "{codec}");
    }
}

#[test]
fn partitions_are_chosen_as_the_partitioner_says() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t", "--partitions", "3"]);
    let produce = |how| {
        let asked = ["produce", "t", "--key-separator", ":", "--partitioner", how];
        broker.run(&asked, "k:v\n".repeat(30).as_bytes()).ok();
    };
    let ends = || -> Vec<u64> {
        let told = broker
            .run(&["topic", "offsets", "t", "--output", "json"], b"")
            .json();
        let partitions = told["partitions"].as_array().unwrap();
        partitions
            .iter()
            .map(|one| one["offset"].as_u64().unwrap())
            .collect()
    };
    produce("round-robin");
    assert_eq!(ends(), [10, 10, 10]);
    produce("key");
    let mut all = ends();
    all.sort_unstable();
    assert_eq!(all, [10, 10, 40]);
    let both = [
        "produce",
        "t",
        "--partition",
        "1",
        "--partitioner",
        "sticky",
    ];
    broker.run(&both, b"").refused(2, &["--partitioner"]);
}

#[test]
fn headers_are_added_and_printed() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t"]);
    let headers = ["--headers", "source=web", "--headers", "note=a=b"];
    broker
        .run(&[&["produce", "t"][..], &headers].concat(), b"v\n")
        .ok();
    broker.run(&["produce", "t"], b"w\n").ok();
    let printed = broker.ok(&["consume", "t", "--until-end", "--print", "headers,value"]);
    assert_eq!(printed, b"source=web,note=a=b\tv\n-\tw\n");
}

#[test]
fn what_comes_before_bad_input_is_stored_and_the_place_is_told() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t"]);
    let json = b"{\"value\":\"one\"}\n{\"value\":\"two\"}\n{\"value\":3}\n{\"value\":\"four\"}\n";
    let refused = broker.run(&["produce", "t", "--format", "json"], json);
    refused.refused(1, &["2 records acknowledged", "standard input", "line 3"]);
    let file = directory.path().join("values");
    fs::write(&file, b"\0\0\0\x05three\0\0\0\x09cut").unwrap();
    let file = file.to_str().unwrap();
    let prefixed = [
        "produce",
        "t",
        "--format",
        "length-prefixed",
        "--file",
        file,
    ];
    broker
        .run(&prefixed, b"")
        .refused(1, &[file, "byte 9", "3 of 9 bytes"]);
    let all = broker.ok(&["consume", "t", "--until-end"]);
    assert_eq!(all, b"one\ntwo\nthree\n");
    broker
        .run(
            &["produce", "t", "--format", "json", "--key-separator", ":"],
            b"",
        )
        .refused(2, &["--key-separator", "--format lines"]);
    broker
        .run(&["consume", "t", "--format", "json", "--print", "key"], b"")
        .refused(2, &["--print", "--format lines"]);
    broker
        .run(&["produce", "t", "--file", "nowhere/at/all"], b"")
        .refused(1, &["read nowhere/at/all", "No such file"]);
}

#[test]
fn a_signal_ends_consume_in_order_and_a_summary_says_where_to_go_on() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t"]);
    broker.run(&["produce", "t"], b"a\nb\nc\n").ok();
    let address = broker.address.to_string();
    let args = [
        "consume",
        "t",
        "--from",
        "1",
        "--output",
        "json",
        "--bootstrap",
        &address,
    ];
    let mut consume = spawn(&args, Stdio::null());
    let mut out = BufReader::new(consume.stdout());
    let mut line = String::new();
    for expected in ["b\n", "c\n"] {
        line.clear();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, expected);
    }
    consume.signal("INT");
    assert_eq!(consume.wait("consume"), Some(0));
    let mut said = String::new();
    consume.stderr().read_to_string(&mut said).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(summary["ended_by"], "interrupt");
    assert_eq!(summary["records"], 2);
    assert_eq!(summary["partitions"][0]["next_offset"], 3);
    // Less than what was asked for is a failure.
    let mut consume = spawn(&[&args[..], &["--max", "9"]].concat(), Stdio::null());
    let mut out = BufReader::new(consume.stdout());
    out.read_line(&mut line).unwrap();
    consume.signal("TERM");
    assert_eq!(consume.wait("consume"), Some(1));
}

#[test]
fn a_signal_ends_produce_with_what_was_read() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    broker.ok(&["topic", "create", "t"]);
    let address = broker.address.to_string();
    let mut produce = spawn(&["produce", "t", "--bootstrap", &address], Stdio::piped());
    let mut input = produce.stdin();
    input.write_all(b"one\ntwo\n").unwrap();
    let read = broker.ok(&["consume", "t", "--from", "earliest", "--max", "2"]);
    assert_eq!(read, b"one\ntwo\n");
    produce.signal("INT");
    assert_eq!(produce.wait("produce"), Some(1));
    let mut said = String::new();
    produce.stderr().read_to_string(&mut said).unwrap();
    for part in ["2 records acknowledged", "interrupted", "line 2"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(broker.ok(&["consume", "t", "--until-end"]), b"one\ntwo\n");
}
