use super::*;
use crate::report::samples::{point, result};

const fn spread(min: f64, median: f64, max: f64) -> Spread {
    Spread { min, median, max }
}

fn with_rate(rate: Spread, p99: Option<Spread>) -> Point {
    let mut point = point("ringlog", 100.0, 1);
    point.summary.spread.requests_per_s = Some(rate);
    point.summary.spread.response_p99_ns = p99;
    point
}

fn compared(before: Point, after: Point) -> Comparison {
    compare(
        &result(vec![before], &["ringlog"]),
        &result(vec![after], &["ringlog"]),
    )
}

fn verdicts(comparison: &Comparison) -> Vec<(&'static str, Verdict)> {
    let changes = comparison.changes.iter();
    changes.map(|one| (one.figure, one.verdict)).collect()
}

#[test]
fn only_what_lies_beyond_both_spreads_is_faster_or_slower() {
    let before = with_rate(spread(90.0, 100.0, 110.0), Some(spread(5.0, 6.0, 7.0)));
    let faster = with_rate(spread(111.0, 120.0, 130.0), Some(spread(3.0, 4.0, 4.9)));
    let slower = with_rate(spread(70.0, 80.0, 89.0), Some(spread(7.1, 8.0, 9.0)));
    let touching = with_rate(spread(80.0, 85.0, 90.0), Some(spread(7.0, 8.0, 9.0)));
    for (after, verdict) in [
        (faster, Verdict::Faster),
        (slower, Verdict::Slower),
        (touching, Verdict::Within),
    ] {
        let comparison = compared(before.clone(), after);
        let wanted = [("requests/s", verdict), ("response p99 ns", verdict)];
        assert_eq!(verdicts(&comparison), wanted);
        assert!(comparison.differences.is_empty() && comparison.left_out.is_empty());
    }
}

#[test]
fn a_percentile_that_one_of_them_does_not_tell_is_not_compared() {
    let before = with_rate(spread(1.0, 1.0, 1.0), Some(spread(5.0, 6.0, 7.0)));
    let after = with_rate(spread(1.0, 1.0, 1.0), None);
    assert_eq!(
        verdicts(&compared(before, after)),
        [("requests/s", Verdict::Within)]
    );
}

#[test]
fn points_that_are_not_in_both_or_not_valid_are_named_and_left_out() {
    let mut bad = with_rate(spread(1.0, 1.0, 1.0), None);
    bad.summary.is_valid = false;
    let other = point("ringlog", 200.0, 1);
    let before = result(vec![bad.clone(), other], &["ringlog"]);
    let after = result(vec![bad, point("kafka", 100.0, 1)], &["ringlog"]);
    let comparison = compare(&before, &after);
    assert!(comparison.changes.is_empty());
    let left_out = comparison.left_out.join("\n");
    for reason in [
        "not valid in the first",
        "not valid in the second",
        "only in the first",
        "kafka",
    ] {
        assert!(left_out.contains(reason), "{reason} is not in {left_out}");
    }
}

#[test]
fn settings_and_environment_that_differ_are_named_but_for_the_revision() {
    let before = result(Vec::new(), &[]);
    let mut after = before.clone();
    after.scenario = "produce".to_owned();
    after
        .settings
        .insert("duration".to_owned(), "1s".to_owned());
    after
        .environment
        .insert("kernel".to_owned(), "Linux 7".to_owned());
    after
        .environment
        .insert("revision".to_owned(), "abc".to_owned());
    let differences = compare(&before, &after).differences;
    assert_eq!(differences.len(), 3, "{differences:?}");
    assert!(differences.iter().any(|one| one.contains("Linux 7")));
}

#[test]
fn a_result_is_read_back_as_it_was_written_and_nothing_else_is_taken_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let written = result(vec![point("ringlog", 100.0, 1)], &["ringlog"]);
    crate::write_result(dir.path(), &written).unwrap();
    let read = read_result(dir.path()).unwrap();
    assert_eq!(read.points[0].settings, written.points[0].settings);
    let spread = written.points[0].summary.response_ns.clone();
    assert_eq!(read.points[0].summary.response_ns, spread);
    let file = dir.path().join("result.json");
    for (text, reason) in [
        ("{\"format\": 99}", "format 99"),
        ("[]", "no result"),
        ("nonsense", "no result"),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = read_result(&file).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    assert!(read_result(&dir.path().join("nothing")).is_err());
}
