use std::time::Duration;

use super::*;
use crate::recorder::{Answered, Belongs, Window};

fn seen(requests: u32, took: Duration) -> Seen {
    let window = Window::new(Duration::ZERO, Duration::from_secs(2));
    let mut recorder = Recorder::new(window, Belongs::Due, Duration::from_millis(1)).unwrap();
    for number in 0..requests {
        let at = Duration::from_secs(1) / requests * number;
        recorder.sent(at, at);
        let request = Answered {
            intended: at,
            sent: at,
            answered: at + took,
            records: 3,
            bytes: 300,
        };
        recorder.answered(request, None);
    }
    Seen {
        recorder,
        generator_cpu_share: 0.5,
        server: None,
        server_steps: Vec::new(),
        missing: 0,
    }
}

const LIMITS: Limits = Limits {
    late_share_max: 0.01,
};

fn measured(requests: u32, took_ms: u64) -> Measured {
    repetition(seen(requests, Duration::from_millis(took_ms)), LIMITS)
}

#[test]
fn rates_are_of_the_measured_time() {
    let one = measured(1000, 1).figures;
    assert!((one.requests_per_s - 500.0).abs() < 1e-9);
    assert!((one.records_per_s - 1500.0).abs() < 1e-9);
    assert!((one.bytes_per_s - 150_000.0).abs() < 1e-6);
    assert!(one.invalid.is_empty(), "{:?}", one.invalid);
    let requests: u64 = one.intervals.iter().map(|interval| interval.requests).sum();
    assert_eq!(requests, 1000);
    let length: f64 = one.intervals.iter().map(|interval| interval.length_s).sum();
    assert!((length - 2.0).abs() < 1e-9);
}

#[test]
fn late_sends_errors_losses_and_silence_make_a_run_invalid_with_a_reason_each() {
    let mut late = seen(100, Duration::from_millis(1));
    late.recorder.sent(Duration::ZERO, Duration::from_millis(5));
    late.recorder.sent(Duration::ZERO, Duration::from_millis(5));
    late.recorder.failed(7, "refused");
    late.missing = 3;
    let one = repetition(late, LIMITS).figures;
    assert_eq!((one.late, one.due, one.errors), (2, 102, 7));
    let reasons = one.invalid.join("\n");
    for reason in ["late", "7 requests failed: refused", "3 acknowledged"] {
        assert!(reasons.contains(reason), "{reason} is not in {reasons}");
    }
    let nothing = repetition(seen(0, Duration::ZERO), LIMITS).figures;
    assert_eq!(nothing.invalid.len(), 1, "{:?}", nothing.invalid);
    assert!(nothing.response_ns.max.is_none());
}

#[test]
fn percentiles_of_repetitions_come_from_all_their_requests() {
    let all = [measured(1000, 1), measured(1000, 1), measured(1000, 100)];
    let summary = summary(&all).unwrap();
    assert_eq!(summary.response_ns.count, 3000);
    let near = |ns: Option<u64>, ms: f64| {
        let told = as_f64(ns.unwrap()) / 1e6;
        (told - ms).abs() / ms < 0.002
    };
    // Two thirds took 1 ms; an average of three medians would be 34 ms.
    assert!(near(summary.response_ns.p50, 1.0));
    assert_eq!(summary.response_ns.max, Some(100_000_000));
    assert!(summary.is_valid);
    let spread = summary.spread.requests_per_s.unwrap();
    assert!(spread.min <= spread.median && spread.median <= spread.max);
}

#[test]
fn ratios_are_taken_pair_by_pair() {
    let first = [measured(1000, 1), measured(2000, 1)];
    let other = [measured(500, 1), measured(4000, 1)];
    let ratio = ratio("first", &first, &other);
    let requests = ratio.requests_per_s.unwrap();
    assert!((requests.min - 0.5).abs() < 1e-9 && (requests.max - 2.0).abs() < 1e-9);
    assert_eq!(ratio.to, "first");
    assert_eq!(ratio.response_p99, None, "too few samples");
}
