//! The text is read as a scraper reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringlog_log::LogCounters;
use ringlog_reactor::{LoopCounts, StallCount};
use ringlog_record::ShardId;
use ringlog_wire::{Api, ErrorCode, ProduceReceipt};

use super::render;
use crate::metrics::{Gauges, Metrics, ShardMetrics};

/// What a scraper has understood.
#[derive(Debug, Default)]
struct Scraped {
    /// The type of each family.
    kinds: BTreeMap<String, String>,
    /// The value of each series: the name and its labels in their order.
    series: BTreeMap<(String, Vec<(String, String)>), f64>,
}

impl Scraped {
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter();
        let labels = labels.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let key = (name.to_owned(), labels.collect());
        *self.series.get(&key).unwrap_or_else(|| panic!("{key:?}"))
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn labels_of(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').map(|pair| {
        let (key, value) = pair.split_once('=').expect("a label has a value");
        assert!(is_name(key), "{key:?}");
        let value = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let value = value.expect("the value of a label is quoted");
        assert!(!value.contains(['"', '\\', '\n']), "{value:?}");
        (key.to_owned(), value.to_owned())
    });
    pairs.collect()
}

/// The family that a series belongs to.
fn family<'a>(name: &'a str, current: &str, kind: &str) -> &'a str {
    if !["summary", "histogram"].contains(&kind) || name == current {
        return name;
    }
    let suffixes = ["_sum", "_count", "_bucket"];
    let found = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
    found.unwrap_or(name)
}

/// Reads the format strictly: help, type and then all series of a family, each once.
fn scrape(text: &str) -> Scraped {
    let mut scraped = Scraped::default();
    let (mut current, mut kind) = (String::new(), String::new());
    let mut helped = BTreeSet::new();
    assert!(text.is_empty() || text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help has a text");
            assert!(!help.is_empty() && !help.contains('\\'));
            assert!(helped.insert(name.to_owned()), "{name} is explained twice");
            name.clone_into(&mut current);
            kind.clear();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').expect("a type is named");
            assert_eq!(name, current, "the type follows the help");
            assert!(
                ["counter", "gauge", "summary", "histogram"].contains(&of),
                "{of}"
            );
            assert_eq!(of == "counter", name.ends_with("_total"), "{name}");
            of.clone_into(&mut kind);
            scraped.kinds.insert(name.to_owned(), of.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series has a value");
            let (name, labels) = series.split_once('{').expect("a series has labels");
            let labels = labels.strip_suffix('}').expect("the labels end");
            assert!(is_name(name) && name.starts_with("ringlog_"), "{name}");
            assert!(!kind.is_empty(), "{name} comes before its type");
            assert_eq!(family(name, &current, &kind), current);
            let value: f64 = value.parse().expect("a value is a number");
            assert!(value.is_finite() && value >= 0.0, "{line}");
            let key = (name.to_owned(), labels_of(labels));
            let before = scraped.series.insert(key, value);
            assert_eq!(before, None, "{line} comes twice");
        }
    }
    scraped
}

fn counted() -> Vec<ShardMetrics> {
    let log = LogCounters::default();
    log.rolls_unprepared.add(3);
    let gauges = Gauges {
        partitions: 7,
        commands_waiting: 2,
        ..Gauges::default()
    };
    let shards = (0..2).map(|index| {
        let metrics = Metrics::default();
        metrics.received_bytes.add(1 << 40);
        for millis in 1..=100 {
            let took = Duration::from_millis(millis);
            metrics.answered(Api::Produce, took, ErrorCode::None);
        }
        metrics.answered(Api::Fetch, Duration::from_secs(3600), ErrorCode::Throttled);
        for micros in 1..=100 {
            metrics.produced(&ProduceReceipt {
                flushed_ns: micros * 1_000 * (1 + 9 * u64::from(index)),
                ..ProduceReceipt::default()
            });
        }
        let loops = LoopCounts {
            polls: 11,
            busy: Duration::from_millis(1_500),
            stalls: vec![StallCount {
                task: "fetch",
                count: 4,
                longest: Duration::from_millis(20),
            }],
            ..LoopCounts::default()
        };
        metrics.snapshot(ShardId::new(index), gauges, &log, loops)
    });
    shards.collect()
}

#[test]
fn a_scraper_understands_what_is_rendered() {
    let scraped = scrape(&render(&counted()));
    for shard in ["0", "1"] {
        let of_shard = [("shard", shard)];
        let value = |name: &str| scraped.value(name, &of_shard);
        assert_eq!(value("ringlog_received_bytes_total"), 1_099_511_627_776.0);
        assert_eq!(value("ringlog_partitions"), 7.0);
        assert_eq!(value("ringlog_commands_waiting"), 2.0);
        assert_eq!(value("ringlog_rolls_unprepared_total"), 3.0);
        let produce = [("shard", shard), ("api", "produce")];
        assert_eq!(scraped.value("ringlog_requests_total", &produce), 100.0);
        assert_eq!(scraped.value("ringlog_request_errors_total", &produce), 0.0);
        let fetch = [("shard", shard), ("api", "fetch")];
        assert_eq!(scraped.value("ringlog_request_errors_total", &fetch), 1.0);
    }
    assert_eq!(scraped.kinds["ringlog_request_seconds"], "summary");
}

#[test]
fn latencies_are_in_seconds_and_quantiles_grow() {
    let scraped = scrape(&render(&counted()));
    let produce = [("shard", "0"), ("api", "produce")];
    let count = scraped.value("ringlog_request_seconds_count", &produce);
    let sum = scraped.value("ringlog_request_seconds_sum", &produce);
    assert_eq!(count, 100.0);
    // 1 + 2 + ... + 100 ms, to the two digits of the histogram.
    assert!((5.0..5.1).contains(&sum), "{sum}");
    let quantile = |quantile: &str| {
        let labels = [produce[0], produce[1], ("quantile", quantile)];
        scraped.value("ringlog_request_seconds", &labels)
    };
    let all = ["0.5", "0.9", "0.99", "0.999"].map(quantile);
    assert!(all.is_sorted(), "{all:?}");
    assert!((0.050..0.051).contains(&all[0]), "{all:?}");
    assert!((0.099..0.101).contains(&all[2]), "{all:?}");
}

#[test]
fn a_broker_without_requests_has_its_counters_and_no_latencies() {
    let log = LogCounters::default();
    let idle = Metrics::default().snapshot(
        ShardId::new(0),
        Gauges::default(),
        &log,
        LoopCounts::default(),
    );
    let scraped = scrape(&render(&[idle]));
    assert_eq!(
        scraped.value("ringlog_log_failures_total", &[("shard", "0")]),
        0.0
    );
    let latencies = scraped.series.keys();
    assert!(
        latencies
            .into_iter()
            .all(|(name, _)| !name.starts_with("ringlog_request_seconds"))
    );
    scrape(&render(&[]));
}

#[test]
fn stages_are_histograms_by_shard_and_a_summary_of_all() {
    let scraped = scrape(&render(&counted()));
    let name = "ringlog_produce_stage_seconds";
    assert_eq!(scraped.kinds[name], "histogram");
    let bucket = |shard: &str, le: &str| {
        let labels = [("shard", shard), ("stage", "flushed"), ("le", le)];
        scraped.value("ringlog_produce_stage_seconds_bucket", &labels)
    };
    let of_first = ["0.000001", "0.00001", "0.00005", "0.0001", "+Inf"].map(|le| bucket("0", le));
    assert_eq!(of_first, [1.0, 10.0, 50.0, 100.0, 100.0]);
    assert_eq!(bucket("1", "0.0001"), 10.0);
    let stages: BTreeSet<_> = ProduceReceipt::STAGES.into();
    let rendered = scraped
        .series
        .keys()
        .filter(|(of, _)| of == &format!("{name}_count"));
    let rendered: Vec<_> = rendered.map(|(_, labels)| labels[1].1.as_str()).collect();
    assert_eq!(rendered.len(), 2 * stages.len());
    assert_eq!(rendered.into_iter().collect::<BTreeSet<_>>(), stages);

    let all = |quantile: &str| {
        let labels = [("stage", "flushed"), ("quantile", quantile)];
        scraped.value("ringlog_produce_stage_quantile_seconds", &labels)
    };
    // 100 values up to 100 us and 100 up to 1 ms: the upper half of the second lies above all of the first.
    assert!((0.000_09..0.000_11).contains(&all("0.5")), "{}", all("0.5"));
    assert!(
        (0.000_97..0.001_01).contains(&all("0.99")),
        "{}",
        all("0.99")
    );
    let count = [("stage", "flushed")];
    let count = scraped.value("ringlog_produce_stage_quantile_seconds_count", &count);
    assert_eq!(count, 200.0);
}

#[test]
fn stalls_are_told_by_task() {
    let scraped = scrape(&render(&counted()));
    let task = [("shard", "1"), ("task", "fetch")];
    assert_eq!(scraped.value("ringlog_stalls_total", &task), 4.0);
    assert_eq!(scraped.value("ringlog_stall_longest_seconds", &task), 0.02);
    let shard = [("shard", "1")];
    assert_eq!(scraped.value("ringlog_loop_polls_total", &shard), 11.0);
    assert_eq!(
        scraped.value("ringlog_loop_busy_seconds_total", &shard),
        1.5
    );
}
