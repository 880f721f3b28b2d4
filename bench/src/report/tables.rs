//! The tables of the page: figures with their spread, and what a reader must know to believe them.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::axis::duration;
use super::page::escape;
use crate::result::{Point, PointSettings, RunResult};
use crate::spread::Spread;
use crate::summary::as_f64;

/// What is measured, and what to mind.
pub(super) fn head(result: &RunResult) -> String {
    let mut out = String::new();
    let title = escape(&format!("ringlog bench {}", result.scenario));
    let load = result.settings.get("load").map_or("", String::as_str);
    // Writing to a string does not fail, here and below.
    writeln!(out, "<h1>{title}</h1>").ok();
    writeln!(
        out,
        "<p class=\"lead\">{}, {:.0} s. {}</p>",
        escape(&result.started_at),
        result.took_s,
        escape(&capitalised(load))
    )
    .ok();
    for note in &result.notes {
        writeln!(out, "<p>{}</p>", escape(note)).ok();
    }
    out
}

/// Why runs are not valid, folded away: their points are marked.
fn reasons(result: &RunResult) -> String {
    let mut out = String::new();
    let (mut invalid, mut runs) = (0, 0);
    for point in &result.points {
        for (repetition, number) in point.repetitions.iter().zip(1..) {
            runs += 1;
            invalid += usize::from(!repetition.invalid.is_empty());
            for reason in &repetition.invalid {
                let name = point_name(&point.settings);
                let text = format!("{}, {name}, run {number}: {reason}", point.target);
                writeln!(out, "<li>{}</li>", escape(&text)).ok();
            }
        }
    }
    if invalid == 0 {
        return out;
    }
    format!(
        "<details class=\"invalid\"><summary>{invalid} of {runs} runs are not valid</summary>\n<ul>\n{out}</ul>\n\
         </details>\n"
    )
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

/// A point in words.
pub(crate) fn point_name(settings: &PointSettings) -> String {
    parts(settings).join(", ")
}

fn parts(settings: &PointSettings) -> Vec<String> {
    let mut parts = Vec::new();
    if !settings.phase.is_empty() {
        parts.push(settings.phase.clone());
    }
    parts.push(match settings.batch_records {
        1 => format!("{} B records", settings.record_bytes),
        records => format!("{records} records of {} B", settings.record_bytes),
    });
    parts.push(match settings.connections {
        1 => "1 connection".to_owned(),
        connections => format!("{connections} connections"),
    });
    parts.push(match settings.partitions {
        1 => "1 partition".to_owned(),
        partitions => format!("{partitions} partitions"),
    });
    match (settings.rate, settings.in_flight) {
        (Some(rate), _) => parts.push(format!("{rate:.0} requests/s")),
        (None, Some(in_flight)) => parts.push(format!("{in_flight} in flight")),
        (None, None) => {}
    }
    parts.push(format!("durability {}", settings.durability));
    parts
}

/// What all points have in common.
fn common(result: &RunResult) -> Vec<String> {
    let mut points = result.points.iter();
    let mut common = points
        .next()
        .map_or(Vec::new(), |point| parts(&point.settings));
    for point in points {
        let others = parts(&point.settings);
        common.retain(|part| others.contains(part));
    }
    common
}

/// A column: its heading, and what it says of a point.
type Column = (&'static str, fn(&Point) -> String);

const COLUMNS: &[Column] = &[
    ("requests/s", |point| {
        spread(point.summary.spread.requests_per_s, 1.0, 0)
    }),
    ("MB/s", |point| {
        spread(point.summary.spread.bytes_per_s, 1e-6, 1)
    }),
    ("p50", |point| time(point.summary.response_ns.p50)),
    ("p99", |point| time(point.summary.response_ns.p99)),
    ("p99.9", |point| time(point.summary.response_ns.p999)),
    ("slowest", |point| time(point.summary.response_ns.max)),
    ("service p99", |point| time(point.summary.service_ns.p99)),
    ("end to end p50", |point| {
        point
            .summary
            .end_to_end_ns
            .as_ref()
            .map_or(String::new(), |of| time(of.p50))
    }),
    ("end to end p99", |point| {
        point
            .summary
            .end_to_end_ns
            .as_ref()
            .map_or(String::new(), |of| time(of.p99))
    }),
    ("late", |point| match point.settings.rate {
        Some(_) => format!("{:.2} %", point.summary.late_share * 100.0),
        None => String::new(),
    }),
    ("errors", |point| match point.summary.errors {
        0 => String::new(),
        errors => errors.to_string(),
    }),
    ("server CPU a request", |point| {
        let cpu = point.summary.spread.server_cpu_us_per_request;
        cpu.map_or(String::new(), |cpu| format!("{:.1} µs", cpu.median))
    }),
    ("server memory", |point| {
        let servers = point.repetitions.iter().filter_map(|one| one.server);
        let bytes = servers.map(|server| server.memory_bytes).max().unwrap_or(0);
        if bytes == 0 {
            String::new()
        } else {
            format!("{} MiB", bytes >> 20)
        }
    }),
    ("generator CPU", |point| {
        let shares = Spread::of(point.repetitions.iter().map(|one| one.generator_cpu_share));
        shares.map_or(String::new(), |shares| {
            format!("{:.0} %", shares.median * 100.0)
        })
    }),
    ("rate, of the first target", |point| {
        point
            .ratio
            .as_ref()
            .map_or(String::new(), |ratio| spread(ratio.requests_per_s, 1.0, 2))
    }),
    ("p99, of the first target", |point| {
        point
            .ratio
            .as_ref()
            .map_or(String::new(), |ratio| spread(ratio.response_p99, 1.0, 2))
    }),
];

/// All points.
pub(super) fn points(result: &RunResult) -> String {
    let says = |column: &&Column| {
        result.points.iter().any(|point| {
            let said = (column.1)(point);
            !said.is_empty() && said != "–"
        })
    };
    let columns: Vec<&Column> = COLUMNS.iter().filter(says).collect();
    let common = common(result);
    let mut out = "<h2>Figures</h2>\n".to_owned();
    if !common.is_empty() {
        writeln!(out, "<p>All points: {}.</p>", escape(&common.join(", "))).ok();
    }
    out.push_str("<div class=\"scroll\"><table>\n<tr><th>target</th><th class=\"text\">point</th>");
    for (heading, _) in &columns {
        write!(out, "<th>{}</th>", escape(heading)).ok();
    }
    out.push_str("</tr>\n");
    for point in &result.points {
        let class = if point.summary.is_valid {
            ""
        } else {
            " class=\"invalid\""
        };
        let varies = parts(&point.settings)
            .into_iter()
            .filter(|part| !common.contains(part));
        let name = escape(&varies.collect::<Vec<_>>().join(", "));
        write!(
            out,
            "<tr{class}><td>{}</td><td class=\"text\">{name}</td>",
            escape(&point.target)
        )
        .ok();
        for (_, says) in &columns {
            write!(out, "<td>{}</td>", escape(&says(point))).ok();
        }
        out.push_str("</tr>\n");
    }
    out.push_str(
        "</table></div>\n<p class=\"lead\">Rates and ratios: the median of the repetitions, with the smallest and the largest \
         in brackets; ratios are taken pair by pair of runs that followed each other. Response times count from when a \
         request was due, service times from when it left; percentiles are those of all repetitions' requests together, \
         told from 100 samples above them on.</p>\n",
    );
    out.push_str(&reasons(result));
    out
}

/// Settings, environment, targets, and the command.
pub(super) fn foot(result: &RunResult) -> String {
    let mut out = String::new();
    out.push_str("<h2>Settings</h2>\n");
    out.push_str(&facts(&result.settings));
    out.push_str("<h2>Environment</h2>\n");
    out.push_str(&facts(&result.environment));
    out.push_str("<h2>Targets</h2>\n");
    let targets = result.targets.iter().map(|target| {
        let driver = target
            .driver
            .map_or("raw io_uring programs of this machine", |driver| {
                driver.name()
            });
        let said = target
            .said
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        let parts = [driver.to_owned(), target.bootstrap.clone()]
            .into_iter()
            .chain(said);
        let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
        (target.name.clone(), parts.join(", "))
    });
    out.push_str(&facts(&targets.collect()));
    out.push_str("<h2>Run it again</h2>\n");
    let words = result.command.iter().map(|word| quoted(word));
    let command: Vec<String> = words.collect();
    writeln!(out, "<p><code>{}</code></p>", escape(&command.join(" "))).ok();
    out
}

fn facts(facts: &BTreeMap<String, String>) -> String {
    let mut out = "<table class=\"facts\">\n".to_owned();
    for (name, value) in facts {
        writeln!(
            out,
            "<tr><td class=\"faint\">{}</td><td>{}</td></tr>",
            escape(name),
            escape(value)
        )
        .ok();
    }
    out.push_str("</table>\n");
    out
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/@+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn time(ns: Option<u64>) -> String {
    ns.map_or("–".to_owned(), |ns| duration(as_f64(ns)))
}

fn spread(spread: Option<Spread>, factor: f64, digits: usize) -> String {
    spread.map_or("–".to_owned(), |Spread { min, median, max }| {
        let (min, median, max) = (min * factor, median * factor, max * factor);
        format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
    })
}
