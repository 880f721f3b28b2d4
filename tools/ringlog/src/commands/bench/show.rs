//! What was measured, as a table or as JSON.

use ringlog_bench::result::{Percentiles, Point};
use ringlog_bench::{RunResult, Spread};
use serde_json::Value;

use crate::output::{self, Format, numbers, outln, print_json, print_rows, words};

pub(super) fn show(result: &RunResult, output: Format) {
    match output {
        Format::Json => print_json(&json(result)),
        Format::Table => {
            for (name, value) in result.environment.iter().chain(&result.settings) {
                outln!("{name}: {value}");
            }
            for target in &result.targets {
                let said = target.said.iter();
                let said: Vec<String> = said
                    .map(|(name, value)| format!("{name} {value}"))
                    .collect();
                if !said.is_empty() {
                    outln!("{}: {}", target.name, said.join(", "));
                }
            }
            outln!();
            table(&result.points);
            outln!(
                "\nRates are the median of the runs, with the smallest and the largest in brackets; percentiles are those \
                 of all runs' requests together, told from 100 samples above them on."
            );
            super::tell(result);
        }
    }
}

/// The whole result, with the figures of the first point beside it for whoever measures just one.
fn json(result: &RunResult) -> Value {
    let mut whole = serde_json::to_value(result).unwrap_or_default();
    let first = result.points.first().map(|point| &point.summary);
    let first = first.and_then(|summary| serde_json::to_value(summary).ok());
    if let (Some(whole), Some(Value::Object(first))) = (whole.as_object_mut(), first) {
        whole.extend(first);
    }
    whole
}

/// A column: its heading, and what it says of a point.
type Column = (output::Column, fn(&Point) -> String);

const COLUMNS: &[Column] = &[
    (words("target"), |point| point.target.clone()),
    (words("what"), |point| point.settings.phase.clone()),
    (numbers("bytes"), |point| {
        point.settings.record_bytes.to_string()
    }),
    (numbers("records"), |point| {
        point.settings.batch_records.to_string()
    }),
    (numbers("connections"), |point| {
        point.settings.connections.to_string()
    }),
    (numbers("partitions"), |point| {
        point.settings.partitions.to_string()
    }),
    (words("load"), |point| {
        match (point.settings.rate, point.settings.in_flight) {
            (Some(rate), _) => format!("{rate:.0}/s"),
            (None, Some(in_flight)) => format!("{in_flight} in flight"),
            (None, None) => String::new(),
        }
    }),
    (numbers("requests/s"), |point| {
        spread(point.summary.spread.requests_per_s.as_ref(), 1.0, 0)
    }),
    (numbers("MB/s"), |point| {
        spread(point.summary.spread.bytes_per_s.as_ref(), 1e-6, 1)
    }),
    (numbers("p50 us"), |point| {
        micros(&point.summary.response_ns, |of| of.p50)
    }),
    (numbers("p99 us"), |point| {
        micros(&point.summary.response_ns, |of| of.p99)
    }),
    (numbers("p99.9 us"), |point| {
        micros(&point.summary.response_ns, |of| of.p999)
    }),
    (numbers("max us"), |point| {
        micros(&point.summary.response_ns, |of| of.max)
    }),
    (numbers("end to end p50 us"), |point| {
        end_to_end(point, |of| of.p50)
    }),
    (numbers("p99"), |point| end_to_end(point, |of| of.p99)),
    (numbers("late %"), |point| match point.settings.rate {
        Some(_) => format!("{:.2}", point.summary.late_share * 100.0),
        None => String::new(),
    }),
    (numbers("server us/request"), |point| {
        let cpu = point.summary.spread.server_cpu_us_per_request.as_ref();
        cpu.map_or(String::new(), |cpu| format!("{:.1}", cpu.median))
    }),
    (numbers("beside MB/s"), |point| {
        let beside = point.repetitions.iter();
        let beside = Spread::of(beside.filter_map(|one| one.background_bytes_per_s));
        beside.map_or(String::new(), |beside| {
            format!("{:.0}", beside.median / 1e6)
        })
    }),
    (numbers("of the first"), |point| {
        let ratio = point.ratio.as_ref();
        ratio.map_or(String::new(), |ratio| {
            spread(ratio.requests_per_s.as_ref(), 1.0, 2)
        })
    }),
    (numbers("p99 of the first"), |point| {
        let ratio = point.ratio.as_ref();
        ratio.map_or(String::new(), |ratio| {
            spread(ratio.response_p99.as_ref(), 1.0, 2)
        })
    }),
    (words(""), |point| {
        if point.summary.is_valid {
            ""
        } else {
            "NOT VALID"
        }
        .to_owned()
    }),
];

/// The columns that say something.
fn table(points: &[Point]) {
    let says = |column: &&Column| points.iter().any(|point| !(column.1)(point).is_empty());
    let columns: Vec<&Column> = COLUMNS.iter().filter(says).collect();
    let heading: Vec<_> = columns.iter().map(|column| column.0).collect();
    let rows = points.iter().map(|point| {
        let cells = columns.iter().map(|column| (column.1)(point));
        cells.collect()
    });
    print_rows(&heading, rows.collect());
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a latency in microseconds is shown with no digits behind the point"
)]
fn micros(percentiles: &Percentiles, of: fn(&Percentiles) -> Option<u64>) -> String {
    of(percentiles).map_or("-".to_owned(), |ns| format!("{:.0}", ns as f64 / 1e3))
}

fn end_to_end(point: &Point, of: fn(&Percentiles) -> Option<u64>) -> String {
    let percentiles = point.summary.end_to_end_ns.as_ref();
    percentiles.map_or(String::new(), |percentiles| micros(percentiles, of))
}

fn spread(spread: Option<&Spread>, factor: f64, digits: usize) -> String {
    let Some(Spread { min, median, max }) = spread else {
        return "-".to_owned();
    };
    let (min, median, max) = (min * factor, median * factor, max * factor);
    format!("{median:.digits$} ({min:.digits$}-{max:.digits$})")
}
