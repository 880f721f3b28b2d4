use super::*;

/// A run whose requests took so many microseconds each.
fn run(requests_per_s: f64, micros: impl IntoIterator<Item = u64>) -> Figures {
    let mut latency = Histogram::new(3).unwrap();
    for micros in micros {
        latency.record(micros * 1000).unwrap();
    }
    Figures {
        requests_per_s,
        bytes_per_s: requests_per_s * 1000.0,
        latency,
    }
}

fn is_about(spread: Option<Spread>, micros: f64) -> bool {
    spread.is_some_and(|spread| (spread.median / micros - 1.0).abs() < 0.002)
}

#[test]
fn a_percentile_without_enough_samples_above_it_is_not_told() {
    let row = |count: u64| Row::new("x", 1, 1, &[run(1.0, 1..=count)], None).unwrap();
    let few = row(9_000);
    assert!(is_about(few.p50_us, 4_500.0), "{:?}", few.p50_us);
    assert_eq!(few.p99_us, None);
    let enough = row(30_000);
    assert!(is_about(enough.p99_us, 29_700.0), "{:?}", enough.p99_us);
    assert_eq!(enough.p999_us, None);
    let many = row(200_000);
    assert!(is_about(many.p999_us, 199_800.0), "{:?}", many.p999_us);
}

#[test]
fn one_run_with_too_few_samples_hides_the_percentile_of_all() {
    let runs = [run(1.0, 1..=30_000), run(1.0, 1..=200)];
    let row = Row::new("x", 1, 1, &runs, None).unwrap();
    assert_eq!(row.p99_us, None);
}

#[test]
fn the_ratio_is_of_runs_that_were_made_in_turn() {
    let raw = [run(100.0, []), run(200.0, []), run(400.0, [])];
    let ours = [run(50.0, []), run(180.0, []), run(80.0, [])];
    let row = Row::new("x", 1, 1, &ours, Some(&raw)).unwrap();
    let of_raw = row.of_raw.unwrap();
    // Not the ratio of the medians, which would be 0.4.
    assert_eq!((of_raw.min, of_raw.median, of_raw.max), (0.2, 0.5, 0.9));
    assert!((row.megabytes_per_s.median - 0.08).abs() < 1e-9);
    assert!(Row::new("x", 1, 1, &[], None).is_none());
}
