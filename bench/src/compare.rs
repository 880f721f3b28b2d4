//! Two results beside each other: what got faster or slower beyond the spread.

use std::path::Path;

use serde::Serialize;

use crate::error::BenchError;
use crate::result::{Point, RESULT_FORMAT, RunResult};
use crate::spread::Spread;

/// How a figure moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Better, and the spreads do not touch.
    Faster,
    /// Worse, and the spreads do not touch.
    Slower,
    /// The spreads touch: nothing can be said.
    Within,
}

/// A figure of a point in both results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Name of the target.
    pub target: String,
    /// The point, in words.
    pub point: String,
    /// Name of the figure with its unit.
    pub figure: &'static str,
    /// In the first result.
    pub before: Spread,
    /// In the second one.
    pub after: Spread,
    /// Median of the second by that of the first.
    pub ratio: f64,
    /// What can be said of it.
    pub verdict: Verdict,
}

/// All that two results say of each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Figures that both have.
    pub changes: Vec<Change>,
    /// What differs in settings and environment, in sentences: with it the figures may say nothing about the programs.
    pub differences: Vec<String>,
    /// Points that only one of them has, and those that are not valid.
    pub left_out: Vec<String>,
}

/// A figure: its name, whether more is better, and its spread in a point.
type Figure = (&'static str, bool, fn(&Point) -> Option<Spread>);

const FIGURES: [Figure; 6] = [
    ("requests/s", true, |point| {
        point.summary.spread.requests_per_s
    }),
    ("bytes/s", true, |point| point.summary.spread.bytes_per_s),
    ("response p50 ns", false, |point| {
        point.summary.spread.response_p50_ns
    }),
    ("response p99 ns", false, |point| {
        point.summary.spread.response_p99_ns
    }),
    ("response p99.9 ns", false, |point| {
        point.summary.spread.response_p999_ns
    }),
    ("server CPU us/request", false, |point| {
        point.summary.spread.server_cpu_us_per_request
    }),
];

/// What may differ without a word: it is what a comparison is made for, or says nothing about the machine.
const MAY_DIFFER: [&str; 1] = ["revision"];

/// Compares two results, point by point and target by target.
#[must_use]
pub fn compare(before: &RunResult, after: &RunResult) -> Comparison {
    let mut comparison = Comparison {
        differences: differences(before, after),
        ..Comparison::default()
    };
    for first in &before.points {
        let name = crate::report::point_name(&first.settings);
        let is_same =
            |point: &&Point| point.target == first.target && point.settings == first.settings;
        let Some(second) = after.points.iter().find(is_same) else {
            let target = &first.target;
            comparison
                .left_out
                .push(format!("{target}, {name}: only in the first result"));
            continue;
        };
        for (point, which) in [(first, "first"), (second, "second")] {
            if !point.summary.is_valid {
                let target = &point.target;
                comparison
                    .left_out
                    .push(format!("{target}, {name}: not valid in the {which} result"));
            }
        }
        if !(first.summary.is_valid && second.summary.is_valid) {
            continue;
        }
        comparison
            .changes
            .extend(FIGURES.iter().filter_map(|figure| {
                let (before, after) = (figure.2(first)?, figure.2(second)?);
                Some(Change {
                    target: first.target.clone(),
                    point: name.clone(),
                    figure: figure.0,
                    before,
                    after,
                    ratio: after.median / before.median,
                    verdict: verdict(before, after, figure.1),
                })
            }));
    }
    for second in &after.points {
        let is_same =
            |point: &Point| point.target == second.target && point.settings == second.settings;
        if !before.points.iter().any(is_same) {
            let (target, name) = (&second.target, crate::report::point_name(&second.settings));
            comparison
                .left_out
                .push(format!("{target}, {name}: only in the second result"));
        }
    }
    comparison
}

fn verdict(before: Spread, after: Spread, more_is_better: bool) -> Verdict {
    let (is_more, is_less) = (after.min > before.max, after.max < before.min);
    match (is_more, is_less) {
        (false, false) => Verdict::Within,
        (is_more, _) if is_more == more_is_better => Verdict::Faster,
        _ => Verdict::Slower,
    }
}

fn differences(before: &RunResult, after: &RunResult) -> Vec<String> {
    let mut differences = Vec::new();
    if before.scenario != after.scenario {
        differences.push(format!(
            "the scenarios are {} and {}",
            before.scenario, after.scenario
        ));
    }
    let pairs = [
        (&before.settings, &after.settings),
        (&before.environment, &after.environment),
    ];
    for (before, after) in pairs {
        let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            let (first, second) = (before.get(name), after.get(name));
            if first != second && !MAY_DIFFER.contains(&name.as_str()) {
                let told = |value: Option<&String>| {
                    value.map_or("not told".to_owned(), |value| format!("{value:?}"))
                };
                let (first, second) = (told(first), told(second));
                differences.push(format!("{name}: {first} and {second}"));
            }
        }
    }
    differences
}

/// Reads a result: its folder, or the file `result.json` in it.
///
/// # Errors
///
/// [`BenchError::Settings`] when there is none, or one of another format.
pub fn read_result(path: &Path) -> Result<RunResult, BenchError> {
    let file = if path.is_dir() {
        path.join("result.json")
    } else {
        path.to_owned()
    };
    let shown = file.display();
    let wrong = |reason: String| BenchError::Settings(format!("{shown}: {reason}"));
    let text = std::fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
    let value: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| wrong(format!("is no result of ringlog bench: {error}")))?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(u64::from(RESULT_FORMAT)) {
        let reason = match format {
            Some(format) => format!("has format {format}, this program reads {RESULT_FORMAT}"),
            None => "is no result of ringlog bench".to_owned(),
        };
        return Err(wrong(reason));
    }
    serde_json::from_value(value)
        .map_err(|error| wrong(format!("is no result of ringlog bench: {error}")))
}

#[cfg(test)]
mod tests;
