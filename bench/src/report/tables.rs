//! The tables of the page: figures with their spread, and what a reader must know to believe them.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::axis::duration;
use super::page::escape;
use crate::result::{Point, PointSettings, Ratio, Repetition, RunResult};
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
    if let Some(reason) = &result.ended_early {
        let reason = escape(reason);
        writeln!(
            out,
            "<p class=\"invalid\">Not all was measured: {reason}.</p>"
        )
        .ok();
    }
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

/// A column: its heading, and what it says of a point; nothing where it does not apply.
type Column<T> = (&'static str, fn(&T) -> String);

const FIGURES: &[Column<Point>] = &[
    ("requests/s", |point| {
        loaded(point, spread(point.summary.spread.requests_per_s, 1.0, 0))
    }),
    ("MB/s", |point| {
        loaded(point, spread(point.summary.spread.bytes_per_s, 1e-6, 1))
    }),
    ("p50", |point| {
        loaded(point, time(point.summary.response_ns.p50))
    }),
    ("p99", |point| {
        loaded(point, time(point.summary.response_ns.p99))
    }),
    ("p99.9", |point| {
        loaded(point, time(point.summary.response_ns.p999))
    }),
    ("slowest", |point| {
        loaded(point, time(point.summary.response_ns.max))
    }),
    ("service p99", |point| match point.settings.rate {
        Some(_) => time(point.summary.service_ns.p99),
        None => String::new(),
    }),
    ("end to end p50", |point| {
        let times = point.summary.end_to_end_ns.as_ref();
        times.map_or(String::new(), |of| time(of.p50))
    }),
    ("end to end p99", |point| {
        let times = point.summary.end_to_end_ns.as_ref();
        times.map_or(String::new(), |of| time(of.p99))
    }),
    ("late", |point| match point.settings.rate {
        Some(_) => format!("{:.2} %", point.summary.late_share * 100.0),
        None => String::new(),
    }),
    ("errors", |point| match point.summary.errors {
        0 => String::new(),
        errors => errors.to_string(),
    }),
    ("server CPU/request", |point| {
        let cpu = point.summary.spread.server_cpu_us_per_request;
        let cpu = cpu.map_or(String::new(), |cpu| format!("{:.1} µs", cpu.median));
        loaded(point, cpu)
    }),
    ("server memory", |point| {
        let server = point.repetitions.iter().filter_map(|one| one.server);
        let steps = point.repetitions.iter().flat_map(|one| &one.intervals);
        let steps = steps.filter_map(|step| step.server_memory_bytes);
        let most = server.map(|server| server.memory_bytes).chain(steps).max();
        match most.unwrap_or(0) {
            0 => String::new(),
            bytes => format!("{} MiB", bytes >> 20),
        }
    }),
    ("written/sent", |point| written_by_sent(point)),
    ("idle CPU", |point| {
        let shares = point
            .repetitions
            .iter()
            .filter_map(|one| one.idle_cpu_share);
        Spread::of(shares).map_or(String::new(), |shares| {
            format!("{} %", spread(Some(shares), 100.0, 2))
        })
    }),
    ("reader MB/s", |point| {
        let beside = point.repetitions.iter();
        let beside = Spread::of(beside.filter_map(|one| one.background_bytes_per_s));
        beside.map_or(String::new(), |beside| spread(Some(beside), 1e-6, 0))
    }),
    ("s until it answers", |point| {
        let restarts = point.repetitions.iter().filter_map(|one| one.restart);
        let answers = Spread::of(restarts.map(|restart| restart.answers_s));
        answers.map_or(String::new(), |answers| spread(Some(answers), 1.0, 2))
    }),
    ("s until all partitions take records", |point| {
        let restarts = point.repetitions.iter().filter_map(|one| one.restart);
        let all = Spread::of(restarts.map(|restart| restart.all_partitions_s));
        all.map_or(String::new(), |all| spread(Some(all), 1.0, 2))
    }),
    ("GiB in the log", |point| {
        let restarts = point.repetitions.iter().filter_map(|one| one.restart);
        let bytes = restarts.map(|restart| restart.log_bytes).max();
        bytes.map_or(String::new(), |bytes| {
            format!("{:.1}", as_f64(bytes >> 20) / 1024.0)
        })
    }),
    ("generator CPU", |point| {
        let shares = Spread::of(point.repetitions.iter().map(|one| one.generator_cpu_share));
        let shares = shares.filter(|shares| shares.max > 0.0);
        shares.map_or(String::new(), |shares| {
            format!("{:.0} %", shares.median * 100.0)
        })
    }),
    ("", |point| {
        let summary = &point.summary;
        match (summary.is_valid, summary.is_generator_bound) {
            (false, _) => "NOT VALID",
            (true, true) => "generator-bound",
            (true, false) => "",
        }
        .to_owned()
    }),
];

/// A figure of a load; nothing where there was none.
fn loaded(point: &Point, figure: String) -> String {
    if point.repetitions.iter().all(|one| one.restart.is_some()) {
        return String::new();
    }
    figure
}

/// Bytes that the server had written to the device by the bytes of the values that it was sent.
fn written_by_sent(point: &Point) -> String {
    let shares = point.repetitions.iter().filter_map(|one| {
        let written = one.server?.written_bytes;
        (written > 0 && one.bytes > 0).then(|| as_f64(written) / as_f64(one.bytes))
    });
    Spread::of(shares).map_or(String::new(), |shares| spread(Some(shares), 1.0, 2))
}

const RATIOS: &[Column<Ratio>] = &[
    ("beside", |ratio| ratio.to.clone()),
    ("requests/s", |ratio| compared(ratio.requests_per_s, 1.0, 2)),
    ("MB/s", |ratio| compared(ratio.bytes_per_s, 1.0, 2)),
    ("p50", |ratio| compared(ratio.response_p50, 1.0, 2)),
    ("p99", |ratio| compared(ratio.response_p99, 1.0, 2)),
    ("p99.9", |ratio| compared(ratio.response_p999, 1.0, 2)),
    ("end to end p50", |ratio| {
        compared(ratio.end_to_end_p50, 1.0, 2)
    }),
    ("end to end p99", |ratio| {
        compared(ratio.end_to_end_p99, 1.0, 2)
    }),
    ("reader MB/s", |ratio| {
        compared(ratio.background_bytes_per_s, 1.0, 2)
    }),
    ("p50 longer by, µs", |ratio| {
        compared(ratio.response_p50_more_ns, 1e-3, 1)
    }),
    ("server CPU/request more by, µs", |ratio| {
        compared(ratio.server_cpu_more_us, 1.0, 2)
    }),
];

/// A ratio; nothing where there is none.
fn compared(ratio: Option<Spread>, factor: f64, digits: usize) -> String {
    ratio.map_or(String::new(), |ratio| spread(Some(ratio), factor, digits))
}

/// Heading of what tells points apart, which is longer than a figure.
const POINT: &str = "point";

/// A figure for which there are not enough samples.
const NOTHING: &str = "–";

/// A table, as it is printed and as it stands in the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What the rows have in common, in a sentence; empty when there is nothing to say.
    pub common: String,
    /// The headings of the columns: the target, the point if there are several, and figures.
    pub heading: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
    /// Of each row, whether its figures must not be used.
    pub invalid: Vec<bool>,
}

impl Table {
    /// Drops the columns in which nothing is said.
    fn without_empty_columns(mut self) -> Self {
        let says = |column: usize| {
            let mut cells = self.rows.iter().map(|row| &row[column]);
            column == 0 || cells.any(|cell| !cell.is_empty())
        };
        let says: Vec<bool> = (0..self.heading.len()).map(says).collect();
        let keep = |row: &mut Vec<String>| {
            let mut column = says.iter();
            row.retain(|_| column.next() == Some(&true));
        };
        keep(&mut self.heading);
        self.rows.iter_mut().for_each(keep);
        self
    }

    fn class(&self, column: usize) -> &'static str {
        if self.heading[column] == POINT {
            " class=\"text\""
        } else {
            ""
        }
    }

    fn html(&self, out: &mut String) {
        // Writing to a string does not fail, here and below.
        out.push_str("<div class=\"scroll\"><table>\n<tr>");
        for (column, heading) in self.heading.iter().enumerate() {
            let class = self.class(column);
            write!(out, "<th{class}>{}</th>", escape(heading)).ok();
        }
        out.push_str("</tr>\n");
        for (row, &is_invalid) in self.rows.iter().zip(&self.invalid) {
            let class = if is_invalid { " class=\"invalid\"" } else { "" };
            write!(out, "<tr{class}>").ok();
            for (column, cell) in row.iter().enumerate() {
                let class = self.class(column);
                write!(out, "<td{class}>{}</td>", escape(cell)).ok();
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</table></div>\n");
    }
}

/// What tells a point from the others.
fn varies(point: &Point, common: &[String]) -> String {
    let parts = parts(&point.settings).into_iter();
    let varies: Vec<String> = parts.filter(|part| !common.contains(part)).collect();
    varies.join(", ")
}

/// The figures of all points.
#[must_use]
pub fn figures(result: &RunResult) -> Table {
    let common = common(result);
    let mut table = Table {
        heading: ["target", POINT].map(str::to_owned).to_vec(),
        ..Table::default()
    };
    if !common.is_empty() {
        table.common = format!("All points: {}.", common.join(", "));
    }
    let headings = FIGURES.iter().map(|(heading, _)| (*heading).to_owned());
    table.heading.extend(headings);
    for point in &result.points {
        let mut row = vec![point.target.clone(), varies(point, &common)];
        row.extend(FIGURES.iter().map(|(_, says)| says(point)));
        table.rows.push(row);
        table.invalid.push(!point.summary.is_valid);
    }
    table.without_empty_columns()
}

/// The figures of points divided by those of others that took turns with them; no rows without any.
#[must_use]
pub fn ratios(result: &RunResult) -> Table {
    let common = common(result);
    let mut table = Table {
        heading: ["target", POINT].map(str::to_owned).to_vec(),
        ..Table::default()
    };
    let headings = RATIOS.iter().map(|(heading, _)| (*heading).to_owned());
    table.heading.extend(headings);
    for point in &result.points {
        for ratio in &point.ratios {
            let mut row = vec![point.target.clone(), varies(point, &common)];
            row.extend(RATIOS.iter().map(|(_, says)| says(ratio)));
            table.rows.push(row);
            table.invalid.push(!point.summary.is_valid);
        }
    }
    table.without_empty_columns()
}

/// Where the time of requests went, by how long they took; no rows without receipts.
#[must_use]
pub fn stages(result: &RunResult) -> Table {
    let common = common(result);
    let mut table = Table::default();
    for point in &result.points {
        for band in &point.summary.stages {
            if table.heading.is_empty() {
                let stages = band.stages_mean_ns.iter().map(|(name, _)| name.clone());
                let first = ["target", POINT, "percentiles", "requests", "mean time"];
                table.heading = first.map(str::to_owned).into_iter().chain(stages).collect();
            }
            let mut row = vec![
                point.target.clone(),
                varies(point, &common),
                format!("{} to {}", band.from_percentile, band.to_percentile),
                band.requests.to_string(),
                duration(as_f64(band.response_mean_ns)),
            ];
            let stages = band.stages_mean_ns.iter();
            row.extend(stages.map(|&(_, ns)| duration(as_f64(ns))));
            table.rows.push(row);
            table.invalid.push(!point.summary.is_valid);
        }
    }
    table.without_empty_columns()
}

/// All points.
pub(super) fn points(result: &RunResult) -> String {
    let figures = figures(result);
    let mut out = "<h2>Figures</h2>\n".to_owned();
    if !figures.common.is_empty() {
        writeln!(out, "<p>{}</p>", escape(&figures.common)).ok();
    }
    figures.html(&mut out);
    out.push_str(
        "<p class=\"lead\">Rates: the median of the repetitions, with the smallest and the largest in brackets. Response \
         times count from when a request was due, service times from when it left; percentiles are those of all \
         repetitions' requests together, told from 100 samples above them on.</p>\n",
    );
    out.push_str(&reasons(result));
    let ratios = ratios(result);
    if !ratios.rows.is_empty() {
        out.push_str("<h2>Ratios</h2>\n");
        ratios.html(&mut out);
        out.push_str(
            "<p class=\"lead\">Divided pair by pair of runs that followed each other: the median, with the smallest and the \
             largest. Of rates more is better, of times less.</p>\n",
        );
    }
    let stages = stages(result);
    if !stages.rows.is_empty() {
        out.push_str("<h2>Where the time went</h2>\n");
        stages.html(&mut out);
        out.push_str(
            "<p class=\"lead\">Means of the requests between two percentiles of the response time, from the receipts of the \
             server. Outside of the server are the network, the client, and the wait of a request that left late.</p>\n",
        );
    }
    out
}

/// What the servers counted of themselves in the first repetition of each point, folded away.
fn counters(result: &RunResult) -> String {
    let mut out = String::new();
    for point in &result.points {
        let Some(Repetition {
            counters_before: before,
            counters_after: after,
            ..
        }) = point.repetitions.first()
        else {
            continue;
        };
        if after.is_empty() {
            continue;
        }
        let title = format!("{}, {}", point.target, point_name(&point.settings));
        // Writing to a string does not fail.
        writeln!(
            out,
            "<details><summary>{}</summary>\n<table>\n<tr><th>counter</th><th>before</th><th>after</th></tr>",
            escape(&title)
        )
        .ok();
        for (name, last) in after {
            let first = before.get(name).copied().unwrap_or(0.0);
            if (first - last).abs() > 0.0 {
                writeln!(
                    out,
                    "<tr><td>{}</td><td>{first}</td><td>{last}</td></tr>",
                    escape(name)
                )
                .ok();
            }
        }
        out.push_str("</table></details>\n");
    }
    if out.is_empty() {
        return out;
    }
    format!("<h2>Counters of the servers that moved, first repetition</h2>\n{out}")
}

/// Settings, environment, targets, and the command.
pub(super) fn foot(result: &RunResult) -> String {
    let mut out = counters(result);
    out.push_str("<h2>Settings</h2>\n");
    out.push_str(&facts(&result.settings));
    out.push_str("<h2>Environment</h2>\n");
    out.push_str(&facts(&result.environment));
    out.push_str("<h2>Targets</h2>\n");
    let targets = result.targets.iter().map(|target| {
        let driver = target
            .driver
            .map_or("in the generator's process", |driver| driver.name());
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
    ns.map_or(NOTHING.to_owned(), |ns| duration(as_f64(ns)))
}

fn spread(spread: Option<Spread>, factor: f64, digits: usize) -> String {
    spread.map_or(NOTHING.to_owned(), |Spread { min, median, max }| {
        let (min, median, max) = (min * factor, median * factor, max * factor);
        format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
    })
}
