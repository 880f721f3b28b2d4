//! Results for tests.

use std::collections::BTreeMap;

use crate::driver::{Counters, DriverKind, Durability};
use crate::result::{
    Interval, Percentiles, Point, PointSettings, RESULT_FORMAT, Repetition, RunResult, Summary,
    SummarySpread, TargetInfo,
};

fn percentiles(scale: u64) -> Percentiles {
    Percentiles {
        p50: Some(100 * scale),
        p99: Some(900 * scale),
        max: Some(5000 * scale),
        count: 10_000,
        curve: vec![
            (0.0, 50 * scale),
            (50.0, 100 * scale),
            (99.0, 900 * scale),
            (100.0, 5000 * scale),
        ],
        ..Percentiles::default()
    }
}

fn repetition(scale: u64) -> Repetition {
    let interval = |number: u32| Interval {
        at_s: f64::from(number),
        length_s: 1.0,
        requests: 1000,
        bytes: 1_000_000,
        response_p50_ns: Some(100 * scale),
        response_p99_ns: None,
        response_p999_ns: None,
        response_max_ns: Some(4000 * scale),
        server_memory_bytes: Some(100 << 20),
        server_written_bytes: Some(1 << 20),
        server_cpu_share: Some(0.5),
    };
    Repetition {
        requests: 3000,
        records: 3000,
        bytes: 3_000_000,
        elapsed_s: 3.0,
        requests_per_s: 1000.0,
        records_per_s: 1000.0,
        bytes_per_s: 1e6,
        response_ns: percentiles(scale),
        service_ns: percentiles(scale),
        end_to_end_ns: None,
        due: 3000,
        late: 0,
        late_share: 0.0,
        late_max_ns: 0,
        errors: 0,
        error_kinds: Vec::new(),
        invalid: Vec::new(),
        generator_cpu_share: 0.3,
        server: None,
        counters_before: Counters::new(),
        counters_after: Counters::new(),
        intervals: (0..3).map(interval).collect(),
        idle_cpu_share: None,
        restart: None,
        background_bytes_per_s: None,
        hlog: None,
    }
}

/// A point of a target on a schedule.
pub(crate) fn point(target: &str, rate: f64, scale: u64) -> Point {
    Point {
        target: target.to_owned(),
        settings: PointSettings {
            phase: String::new(),
            record_bytes: 1024,
            batch_records: 1,
            connections: 1,
            partitions: 1,
            in_flight: None,
            rate: Some(rate),
            durability: Durability::Sync,
        },
        summary: Summary {
            requests_per_s: 1000.0,
            records_per_s: 1000.0,
            bytes_per_s: 1e6,
            response_ns: percentiles(scale),
            service_ns: percentiles(scale),
            end_to_end_ns: None,
            late_share: 0.0,
            errors: 0,
            is_valid: true,
            is_generator_bound: false,
            stages: Vec::new(),
            spread: SummarySpread::default(),
        },
        ratios: Vec::new(),
        repetitions: vec![repetition(scale)],
    }
}

/// A result of some points.
pub(crate) fn result(points: Vec<Point>, targets: &[&str]) -> RunResult {
    let target = |name: &&str| TargetInfo {
        name: (*name).to_owned(),
        driver: Some(DriverKind::Ringlog),
        bootstrap: "127.0.0.1:9400".to_owned(),
        said: BTreeMap::new(),
    };
    RunResult {
        format: RESULT_FORMAT,
        scenario: "rate-ladder".to_owned(),
        command: vec!["ringlog".to_owned(), "bench".to_owned(), "a b".to_owned()],
        started_at: "2026-11-24T00:00:00Z".to_owned(),
        took_s: 9.0,
        environment: BTreeMap::new(),
        settings: BTreeMap::from([("load".to_owned(), "on a schedule".to_owned())]),
        targets: targets.iter().map(target).collect(),
        points,
        notes: Vec::new(),
        ended_early: None,
    }
}
