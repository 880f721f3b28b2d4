//! The load generator against a real broker: what it counts must be so, how fast it was is nobody's business here.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::process::{Broker, PATIENCE, PAUSE, Start, directory, free_address, run, spawn};

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
        // Each that was due was answered, if only after the measured time.
        let repetitions = point["repetitions"].as_array().unwrap();
        let due = repetitions.iter().map(|one| one["due"].as_u64().unwrap());
        assert_eq!(point["response_ns"]["count"], due.sum::<u64>());
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
        let ratio = &points[1]["ratios"][0];
        assert_eq!(ratio["to"], "raw");
        assert!(number(&ratio["requests_per_s"], "median") > 0.0);
        let load = result["settings"]["load"].as_str().unwrap();
        assert!(load.contains("closed loop"), "{load}");
    }
}

#[test]
fn requests_made_beforehand_are_stored_and_counted() {
    let directory = directory();
    let admin = free_address();
    let broker = Start::with_admin(directory.path(), &admin).broker();
    let before = topics(&broker);
    let target = format!("raw,wire@{}", broker.address);
    let mut args = vec!["bench", "produce", "--compare", &target];
    args.extend(["--durability", "memory", "--connections", "3"]);
    args.extend(["--partitions", "2", "--in-flight", "4"]);
    args.extend(["--admin", &admin]);
    args.extend(SHORT);
    let result = run(&args, b"").json();
    assert_eq!(
        lanes(&result),
        [lane("raw", "", &[]), lane("wire", "", &["raw"])]
    );
    let point = &result["points"][1];
    for repetition in point["repetitions"].as_array().unwrap() {
        let requests = number(repetition, "requests");
        assert!(requests > 0.0);
        // The broker has counted all of them, and those before and after the measured time.
        let counted = |when: &str| -> f64 {
            let counters = repetition[when].as_object().unwrap().iter();
            let produces = counters.filter(|(name, _)| {
                name.starts_with("ringlog_requests_total") && name.contains("produce")
            });
            produces.map(|(_, count)| count.as_f64().unwrap()).sum()
        };
        assert!(counted("counters_after") - counted("counters_before") >= requests);
    }
    assert_eq!(topics(&broker), before, "what was made is removed");
    // What it cannot do is said before anything is sent.
    for more in [&["--rate", "10"][..], &["--keys", "3"], &["--receipts"]] {
        let alone = format!("wire@{}", broker.address);
        let mut args = vec!["bench", "produce", "--compare", &alone];
        args.extend(more);
        args.extend(SHORT);
        run(&args, b"").refused(1, &["use ringlog"]);
    }
    assert_eq!(topics(&broker), before, "what was made is removed");
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

/// Each point of a result as target, what it did, and what it stands beside.
fn lanes(result: &Value) -> Vec<(String, String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let points = result["points"].as_array().unwrap().iter();
    let lanes = points.map(|point| {
        let ratios = point["ratios"].as_array().unwrap().iter();
        let beside = ratios.map(|ratio| text(&ratio["to"])).collect();
        (text(&point["target"]), text(&point["phase"]), beside)
    });
    lanes.collect()
}

fn lane(target: &str, phase: &str, beside: &[&str]) -> (String, String, Vec<String>) {
    let beside = beside.iter().map(|&one| one.to_owned()).collect();
    (target.to_owned(), phase.to_owned(), beside)
}

#[test]
fn a_cold_reader_stands_beside_its_absence_and_beside_raw_reads() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let target = format!("raw,mine=ringlog@{}", broker.address);
    let dir = directory.path().to_str().unwrap();
    let mut args = vec!["bench", "cold-reader", "--compare", &target, "--dir", dir];
    args.extend(["--fill", "4MiB", "--rate", "200", "--late-limit", "1"]);
    args.extend(SHORT);
    let result = run(&args, b"").json();
    let cold = lane("mine", "with a cold reader", &["mine, quiet", "raw, read"]);
    let wanted = [lane("raw", "read", &[]), lane("mine", "quiet", &[]), cold];
    assert_eq!(lanes(&result), wanted);
    let cold = &result["points"][2];
    let reader = &cold["ratios"][1]["background_bytes_per_s"];
    assert!(number(reader, "median") > 0.0, "{cold}");
}

#[test]
fn values_of_a_setting_take_turns_and_are_compared() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let vary = ["produce", "--vary", "durability=sync,async", "--receipts"];
    let result = measured(&broker, &vary);
    let wanted = [
        lane("ringlog", "durability=sync", &[]),
        lane("ringlog", "durability=async", &["ringlog, durability=sync"]),
    ];
    assert_eq!(lanes(&result), wanted);
    // Where the time went is told of every request, whatever the durability.
    for point in result["points"].as_array().unwrap() {
        let bands = point["stages"].as_array().unwrap().iter();
        let requests: u64 = bands
            .clone()
            .map(|band| band["requests"].as_u64().unwrap())
            .sum();
        assert_eq!(point["response_ns"]["count"], requests);
        for band in bands {
            let stages = band["stages_mean_ns"].as_array().unwrap();
            let names: Vec<&str> = stages.iter().map(|one| one[0].as_str().unwrap()).collect();
            assert_eq!(names[..3], ["queued", "appended", "flushed"]);
        }
    }
}

#[test]
fn delivery_stands_beside_a_raw_round_trip_and_reads_beside_raw_reads() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let target = format!("raw,mine=ringlog@{}", broker.address);
    let dir = directory.path().to_str().unwrap();
    let common = ["--compare", &target, "--dir", dir, "--durability", "sync"];
    let beside = |scenario: &[&str]| {
        let mut args = vec!["bench"];
        args.extend(scenario);
        args.extend(common);
        args.extend(SHORT);
        let result = run(&args, b"").json();
        assert_eq!(
            lanes(&result),
            [lane("raw", "", &[]), lane("mine", "", &["raw"])]
        );
        result
    };
    let delivered = beside(&["end-to-end"]);
    for point in delivered["points"].as_array().unwrap() {
        let times = &point["end_to_end_ns"];
        assert!(times["count"].as_u64().unwrap() > 0, "{point}");
    }
    let read = beside(&[
        "consume",
        "--from",
        "device",
        "--pass-through",
        "--fill",
        "4MiB",
    ]);
    assert!(number(&read["points"][1]["ratios"][0]["bytes_per_s"], "median") > 0.0);
}

#[test]
fn the_engine_alone_stands_beside_raw_writes_and_many_logs_share_rounds() {
    let directory = directory();
    let dir = directory.path().to_str().unwrap();
    let mut args = vec!["bench", "append", "--dir", dir, "--counts", "1,20"];
    args.extend(SHORT);
    let result = run(&args, b"").json();
    let wanted = [
        lane("raw", "", &[]),
        lane("engine", "", &["raw"]),
        lane("engine", "", &[]),
    ];
    assert_eq!(lanes(&result), wanted);
    let counters = &result["points"][2]["repetitions"][0]["counters_after"];
    assert!(number(counters, "flush_groups") > number(counters, "flush_rounds"));
}

#[test]
fn a_broker_that_is_killed_and_started_again_is_waited_for() {
    let directory = directory();
    let dir = directory.path().to_str().unwrap();
    let mut args = vec!["bench", "restart", "--dir", dir, "--counts", "3"];
    args.extend(["--fill", "4MiB"]);
    args.extend(SHORT);
    args.extend(["--", "--cores", "none", "--memory", "256MiB"]);
    let result = run(&args, b"").json();
    let repetitions = result["points"][0]["repetitions"].as_array().unwrap();
    assert_eq!(repetitions.len(), 2);
    for repetition in repetitions {
        let restart = &repetition["restart"];
        assert!(number(restart, "all_partitions_s") >= number(restart, "answers_s"));
        assert!(number(restart, "log_bytes") >= f64::from(4 << 20));
    }
    assert_eq!(
        std::fs::read_dir(dir).unwrap().count(),
        0,
        "nothing is left"
    );
    let mut wrong = vec!["bench", "restart", "--dir", dir, "--", "--shards", "0"];
    wrong.extend(["--log", "info"]);
    run(&wrong, b"").refused(1, &["the broker ended", "at least one shard"]);
}

#[test]
fn streams_in_memory_are_bounded_untold() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let result = measured(&broker, &["produce", "--durability", "memory"]);
    assert!(number(&result, "requests_per_s") > 0.0);
    let bounded = ["--config", "retention_bytes=1MiB"];
    let mut args = vec!["produce", "--durability", "memory"];
    args.extend(bounded);
    assert!(number(&measured(&broker, &args), "requests_per_s") > 0.0);
}

#[test]
fn a_generator_that_is_late_fails_the_run() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let mut args = vec!["bench", "produce", "--rate", "200"];
    args.extend(["--late-after", "0ns", "--late-limit", "0"]);
    args.extend(SHORT);
    let finished = broker.run(&args, b"");
    let result: Value = serde_json::from_slice(&finished.out).unwrap();
    let reason = &result["points"][0]["repetitions"][0]["invalid"][0];
    assert!(reason.as_str().unwrap().contains("late"), "{reason}");
    finished.refused(1, &["1 of 1 points are not valid"]);
}

#[test]
fn what_was_measured_until_a_soak_was_told_to_end_is_kept() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let (address, out) = (broker.address.to_string(), directory.path().join("result"));
    let mut args = vec!["bench", "soak", "--duration", "1h", "--warm-up", "0s"];
    args.extend(["--warm-memory", "0", "--bootstrap", &address]);
    args.extend(["--out", out.to_str().unwrap()]);
    let mut soak = spawn(&args, Stdio::null());
    let began = Instant::now();
    let topic = loop {
        assert!(began.elapsed() < PATIENCE, "the soak makes no topic");
        std::thread::sleep(PAUSE);
        let topics = topics(&broker);
        if let Some(topic) = topics.as_array().and_then(|topics| topics.first()) {
            break topic["name"].as_str().unwrap().to_owned();
        }
    };
    // Its records come within the measured time, since there is no warm-up.
    broker.ok(&["consume", &topic, "--from", "earliest", "--max", "20"]);
    soak.signal("TERM");
    assert_eq!(soak.wait("the soak"), Some(1));
    let result = std::fs::read_to_string(out.join("result.json")).unwrap();
    let result: Value = serde_json::from_str(&result).unwrap();
    assert!(result["ended_early"].as_str().unwrap().contains("stop"));
    let repetition = &result["points"][0]["repetitions"][0];
    assert!(number(repetition, "requests") >= 20.0);
    assert!(number(repetition, "elapsed_s") < 3600.0);
    assert!(out.join("report.html").is_file());
    assert_eq!(
        topics(&broker).as_array().unwrap().len(),
        0,
        "what was made is removed"
    );
}

#[test]
fn searches_partitions_and_connections_give_a_point_for_each() {
    let directory = directory();
    let broker = Start::new(directory.path()).broker();
    let phases = |args: &[&str]| -> Vec<String> {
        let result = measured(&broker, args);
        lanes(&result).into_iter().map(|lane| lane.1).collect()
    };
    // The rates are parts of what there is, and there may be little.
    let ladder = ["rate-ladder", "--late-limit", "1"];
    assert_eq!(phases(&ladder).len(), 7);
    let search = [
        "slo-search",
        "--p99",
        "1m",
        "--steps",
        "2",
        "--late-limit",
        "1",
    ];
    let found = phases(&search);
    assert_eq!(found[1..3], ["search", "search"]);
    assert_eq!(phases(&["partitions", "--counts", "1,7"]).len(), 2);
    assert_eq!(phases(&["connections", "--connections", "1,30"]).len(), 2);
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
    refused(
        &["produce", "--vary", "segment_bytes=1MiB"],
        &["--vary", "two"],
    );
    refused(&["cold-reader", "--compare", "raw"], &["another target"]);
    refused(&["append", "--counts", "0"], &["--counts 0"]);
    refused(&["produce", "--connections", "0"], &["connections"]);
    refused(&["produce", "--compare", "ringlog,ringlog"], &["labels"]);
    refused(
        &["compare-results", "/nonexistent", "/nonexistent"],
        &["/nonexistent"],
    );
    let nobody = ["bench", "produce", "--bootstrap", "127.0.0.1:1"];
    run(&nobody, b"").refused(1, &["ringlog", "127.0.0.1:1"]);
}
