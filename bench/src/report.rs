//! `report.html`: a result for people, in one file that needs no network and no script.

mod axis;
mod page;
mod plot;
#[cfg(test)]
pub(crate) mod samples;
pub mod tables;

use std::fmt::Write;

use self::axis::{Axis, duration, plain_count};
use self::plot::{Dash, Plot, Series};
pub(crate) use self::tables::point_name;
use crate::result::{Interval, Point, PointSettings, RunResult};
use crate::summary::as_f64;

/// Points whose plots are open from the beginning.
const OPEN_POINTS: usize = 4;

/// The whole page.
pub(crate) fn html(result: &RunResult) -> String {
    let mut body = tables::head(result);
    body.push_str(&tables::points(result));
    for plot in against(result) {
        body.push_str(&plot.html());
    }
    let mut groups: Vec<Vec<&Point>> = Vec::new();
    for point in &result.points {
        match groups.last_mut() {
            Some(group) if take_turns(group[0], point) => group.push(point),
            _ => groups.push(vec![point]),
        }
    }
    body.push_str("<h2>Each point</h2>\n");
    for (number, group) in groups.iter().enumerate() {
        let open = if number < OPEN_POINTS { " open" } else { "" };
        let title = page::escape(&group_name(group));
        // Writing to a string does not fail.
        writeln!(body, "<details{open}><summary>{title}</summary>").ok();
        let plots = [
            percentiles(group),
            latency_over_time(group),
            throughput_over_time(group),
            memory_over_time(group),
        ];
        for plot in plots.into_iter().flatten() {
            body.push_str(&plot.html());
        }
        body.push_str("</details>\n");
    }
    body.push_str(&tables::foot(result));
    page::page(&format!("ringlog bench {}", result.scenario), &body)
}

/// Whether two points that follow each other are of the same conditions, whatever is done.
fn take_turns(one: &Point, other: &Point) -> bool {
    let settings = PointSettings {
        phase: one.settings.phase.clone(),
        ..other.settings.clone()
    };
    one.settings == settings
}

/// Whether the points of a group do different things.
fn has_phases(group: &[&Point]) -> bool {
    let first = &group[0].settings.phase;
    group.iter().any(|point| point.settings.phase != *first)
}

fn group_name(group: &[&Point]) -> String {
    let mut settings = group[0].settings.clone();
    if has_phases(group) {
        settings.phase.clear();
    }
    point_name(&settings)
}

/// What a point is called among those of its group.
fn name_of(point: &Point, group: &[&Point]) -> String {
    if has_phases(group) {
        format!("{}, {}", point.target, point.settings.phase)
    } else {
        point.target.clone()
    }
}

/// Response times of all repetitions together by percentile.
fn percentiles(group: &[&Point]) -> Option<Plot> {
    let series: Vec<Series> = group
        .iter()
        .enumerate()
        .map(|(colour, point)| {
            let curve = &point.summary.response_ns.curve;
            let points = curve
                .iter()
                .map(|&(percentile, ns)| (percentile, as_f64(ns)));
            Series::new(&name_of(point, group), points).coloured(colour)
        })
        .filter(|series| !series.is_empty())
        .collect();
    Plot::new(
        "Response time by percentile",
        Axis::percentile("percentile of the requests", &series),
        Axis::logarithmic(
            "response time",
            duration,
            series.iter().flat_map(Series::ys),
        ),
        series,
    )
}

/// A line: what it is called, how it is drawn, and its values in nanoseconds.
type Line<T> = (&'static str, Dash, fn(&T) -> Option<u64>);

fn latency_over_time(group: &[&Point]) -> Option<Plot> {
    let mut series = Vec::new();
    for (colour, point) in group.iter().enumerate() {
        let lines: [Line<Interval>; 4] = [
            ("p99.9", Dash::Mixed, |one| one.response_p999_ns),
            ("p99", Dash::Solid, |one| one.response_p99_ns),
            ("p50", Dash::Dashed, |one| one.response_p50_ns),
            ("slowest", Dash::Dotted, |one| one.response_max_ns),
        ];
        for (what, dash, of) in lines {
            let Some(repetition) = point.repetitions.first() else {
                continue;
            };
            let points = repetition.intervals.iter().filter_map(|interval| {
                Some((
                    interval.at_s + interval.length_s / 2.0,
                    as_f64(of(interval)?),
                ))
            });
            let name = format!("{} {what}", name_of(point, group));
            series.push(Series::new(&name, points).coloured(colour).dashed(dash));
        }
    }
    series.retain(|series| series.len() > 1);
    Plot::new(
        "Response time over time (first repetition)",
        Axis::time("time of the measurement", &series),
        Axis::logarithmic(
            "response time",
            duration,
            series.iter().flat_map(Series::ys),
        ),
        series,
    )
}

fn throughput_over_time(group: &[&Point]) -> Option<Plot> {
    let series: Vec<Series> = group
        .iter()
        .enumerate()
        .filter_map(|(colour, point)| {
            let repetition = point.repetitions.first()?;
            let points = repetition.intervals.iter().map(|interval| {
                let at = interval.at_s + interval.length_s / 2.0;
                (at, as_f64(interval.requests) / interval.length_s.max(1e-9))
            });
            Some(Series::new(&name_of(point, group), points).coloured(colour))
        })
        .filter(|series| series.len() > 1)
        .collect();
    Plot::new(
        "Throughput over time (first repetition)",
        Axis::time("time of the measurement", &series),
        Axis::from_zero(
            "requests answered a second",
            plain_count,
            series.iter().flat_map(Series::ys),
        ),
        series,
    )
}

fn memory_over_time(group: &[&Point]) -> Option<Plot> {
    let series: Vec<Series> = group
        .iter()
        .enumerate()
        .filter_map(|(colour, point)| {
            let repetition = point.repetitions.first()?;
            let points = repetition.intervals.iter().filter_map(|interval| {
                let bytes = interval.server_memory_bytes?;
                Some((interval.at_s + interval.length_s, as_f64(bytes >> 20)))
            });
            Some(Series::new(&name_of(point, group), points).coloured(colour))
        })
        .filter(|series| series.len() > 1)
        .collect();
    Plot::new(
        "Memory of the server over time (first repetition)",
        Axis::time("time of the measurement", &series),
        Axis::from_zero(
            "resident memory, MiB",
            plain_count,
            series.iter().flat_map(Series::ys),
        ),
        series,
    )
}

/// What varies over the points of a target, as a number.
type Dimension = (&'static str, &'static str, fn(&Point) -> Option<f64>);

const DIMENSIONS: [Dimension; 3] = [
    (
        "Response time against rate",
        "requests due a second",
        |point| point.settings.rate,
    ),
    (
        "Response time against connections",
        "connections",
        |point| {
            u32::try_from(point.settings.connections)
                .ok()
                .map(f64::from)
        },
    ),
    ("Response time against partitions", "partitions", |point| {
        Some(f64::from(point.settings.partitions))
    }),
];

/// Plots of the response time against whatever takes three values or more.
fn against(result: &RunResult) -> Vec<Plot> {
    let plots = DIMENSIONS.iter().filter_map(|(title, label, of)| {
        let mut values: Vec<f64> = result.points.iter().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        if values.len() < 3 {
            return None;
        }
        let mut series = Vec::new();
        for (colour, target) in result.targets.iter().enumerate() {
            let lines: [Line<Point>; 3] = [
                ("p50", Dash::Dashed, |point| point.summary.response_ns.p50),
                ("p99", Dash::Solid, |point| point.summary.response_ns.p99),
                ("p99.9", Dash::Dotted, |point| {
                    point.summary.response_ns.p999
                }),
            ];
            for (what, dash, percentile) in lines {
                let points = result
                    .points
                    .iter()
                    .filter(|point| point.target == target.name)
                    .filter_map(|point| Some((of(point)?, as_f64(percentile(point)?))));
                let mut points: Vec<(f64, f64)> = points.collect();
                points.sort_by(|a, b| a.0.total_cmp(&b.0));
                let name = format!("{} {what}", target.name);
                let line = Series::new(&name, points).coloured(colour);
                series.push(line.dashed(dash).marked());
            }
        }
        series.retain(|series| !series.is_empty());
        let xs = series.iter().flat_map(Series::xs);
        Plot::new(
            title,
            Axis::logarithmic(label, plain_count, xs),
            Axis::logarithmic(
                "response time",
                duration,
                series.iter().flat_map(Series::ys),
            ),
            series,
        )
    });
    plots.collect()
}

#[cfg(test)]
mod tests;
