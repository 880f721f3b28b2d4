//! The load generator against a real broker: what it counts must be so, how fast it was is nobody's business here.

use std::path::Path;

use serde_json::Value;

use crate::process::{Broker, Start, directory, run};

/// Short runs that are valid however busy the machine is.
const SHORT: [&str; 10] = [
    "--duration",
    "600ms",
    "--warm-up",
    "100ms",
    "--repetitions",
    "2",
    "--warm-memory",
    "0",
    "--output",
    "json",
];

fn measured(broker: &Broker, args: &[&str]) -> Value {
    let mut all = vec!["bench"];
    all.extend(args);
    all.extend(SHORT);
    broker.run(&all, b"").json()
}

fn number(value: &Value, name: &str) -> f64 {
    value[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name} is no number in {value}"))
}

fn topics(broker: &Broker) -> Value {
    broker
        .run(&["topic", "list", "--output", "json"], b"")
        .json()
}

#[test]
fn requests_on_a_schedule_are_all_counted_and_the_result_is_kept() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let out = directory.path().join("result");
    let out = out.to_str().unwrap();
    let before = topics(&broker);
    let result = measured(
        &broker,
        &[
            "produce",
            "--rate",
            "500",
            "--arrivals",
            "fixed",
            "--late-limit",
            "1",
            "--partitions",
            "3",
            "--keys",
            "10",
            "--durability",
            "sync",
            "--connections",
            "2",
            "--out",
            out,
        ],
    );
    assert_eq!(topics(&broker), before, "what was made is removed");
    for name in [
        "requests_per_s",
        "records_per_s",
        "bytes_per_s",
        "late_share",
    ] {
        assert!(number(&result, name) >= 0.0);
    }
    assert!(number(&result, "requests_per_s") > 0.0);
    assert_eq!(result["errors"], 0);
    for kind in ["response_ns", "service_ns"] {
        let times = &result[kind];
        assert!(times["max"].as_u64().unwrap() > 0, "{times}");
        assert!(times["p50"].as_u64() <= times["max"].as_u64());
        // 300 requests a run: fewer than 100 lie above the 99th percentile.
        assert_eq!(times["p99"], Value::Null);
        assert_eq!(times["count"], 600);
    }
    let repetitions = result["points"][0]["repetitions"].as_array().unwrap();
    assert_eq!(repetitions.len(), 2);
    for repetition in repetitions {
        assert_eq!(repetition["due"], 300);
        let log = Path::new(out).join(repetition["hlog"].as_str().unwrap());
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("Tag=service"), "{log}");
    }
    let report = std::fs::read_to_string(Path::new(out).join("report.html")).unwrap();
    assert!(report.contains("ringlog bench produce --rate 500"));

    let compared = run(
        &["bench", "compare-results", out, out, "--output", "json"],
        b"",
    )
    .json();
    let changes = compared["changes"].as_array().unwrap();
    assert!(!changes.is_empty());
    assert!(
        changes.iter().all(|change| change["verdict"] == "within"),
        "{compared}"
    );
    assert_eq!(compared["differences"].as_array().unwrap().len(), 0);
}

#[test]
fn a_producer_is_measured_alone_and_among_a_hostile_crowd() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let args = [
        "hostile",
        "--idle",
        "50",
        "--vanishing",
        "200",
        "--rate",
        "500",
    ];
    let result = measured(&broker, &[&args[..], &["--late-limit", "1"]].concat());
    let points = result["points"].as_array().unwrap();
    let phases: Vec<_> = points.iter().map(|point| point["phase"].clone()).collect();
    assert_eq!(phases, ["quiet", "among the crowd"]);
    for point in points {
        assert_eq!(point["errors"], 0);
        assert_eq!(
            point["repetitions"][0]["due"],
            point["repetitions"][0]["requests"]
        );
    }
    let notes = result["notes"].to_string();
    assert!(notes.contains("50 connections that say nothing"), "{notes}");
    assert!(notes.contains("requests served"), "{notes}");
}

#[test]
fn every_record_reaches_the_consumers_and_is_timed() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let result = measured(
        &broker,
        &[
            "end-to-end",
            "--rate",
            "400",
            "--batch-records",
            "3",
            "--partitions",
            "2",
            "--late-limit",
            "1",
        ],
    );
    let repetitions = result["points"][0]["repetitions"].as_array().unwrap();
    for repetition in repetitions {
        let due = repetition["due"].as_u64().unwrap();
        assert_eq!(
            repetition["end_to_end_ns"]["count"].as_u64().unwrap(),
            due * 3
        );
    }
}

#[test]
fn a_closed_loop_stands_beside_the_raw_programs() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let target = format!("raw,mine=ringlog@{}", broker.address);
    let dir = directory.path().to_str().unwrap();
    for scenario in ["produce", "consume"] {
        let mut args = vec!["bench", scenario, "--compare", &target, "--dir", dir];
        args.extend(["--durability", "sync", "--fill", "4MiB"]);
        args.extend(SHORT);
        let result = run(&args, b"").json();
        let points = result["points"].as_array().unwrap();
        let targets: Vec<&str> = points
            .iter()
            .map(|one| one["target"].as_str().unwrap())
            .collect();
        assert_eq!(targets, ["raw", "mine"]);
        assert!(number(&points[1]["ratio"]["requests_per_s"], "median") > 0.0);
        let load = result["settings"]["load"].as_str().unwrap();
        assert!(load.contains("closed loop"), "{load}");
    }
}

#[test]
fn the_machine_alone_is_measured_without_a_broker() {
    let directory = directory();
    let dir = directory.path().to_str().unwrap();
    let mut args = vec![
        "bench",
        "device",
        "--dir",
        dir,
        "--shape",
        "write-sync,tcp-echo",
    ];
    args.extend(["--connections", "2", "--in-flight", "2"]);
    args.extend(SHORT);
    let result = run(&args, b"").json();
    let points = result["points"].as_array().unwrap();
    let phases: Vec<&str> = points
        .iter()
        .map(|one| one["phase"].as_str().unwrap())
        .collect();
    assert_eq!(phases, ["write-sync", "tcp-echo"]);
}

#[test]
fn what_cannot_be_measured_is_refused_with_what_can() {
    let refused = |args: &[&str], said: &[&str]| {
        let mut all = vec!["bench"];
        all.extend(args);
        run(&all, b"").refused(2, said);
    };
    refused(&["produce", "--compare", "rabbit"], &["rabbit", "kafka"]);
    refused(
        &["produce", "--compare", "raw", "--rate", "10"],
        &["raw", "--rate"],
    );
    refused(
        &[
            "produce",
            "--record-bytes",
            "1KiB",
            "--batch-records",
            "100000",
        ],
        &["4194304"],
    );
    refused(&["end-to-end", "--record-bytes", "4"], &["16 bytes"]);
    refused(&["produce", "--rate=-5"], &["--rate"]);
    refused(&["produce", "--connections", "0"], &["connections"]);
    refused(&["produce", "--compare", "ringlog,ringlog"], &["labels"]);
    refused(
        &["compare-results", "/nonexistent", "/nonexistent"],
        &["/nonexistent"],
    );
    let nobody = ["bench", "produce", "--bootstrap", "127.0.0.1:1"];
    run(&nobody, b"").refused(1, &["ringlog", "127.0.0.1:1"]);
}
