//! What was measured, as a table or as JSON.

use ringlog_bench::RunResult;
use ringlog_bench::tables::{self, Table};
use serde_json::Value;

use crate::output::{Format, numbers, outln, print_json, print_rows, words};

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
            let figures = tables::figures(result);
            outln!("\n{}", figures.common);
            print(&figures);
            outln!(
                "\nRates are the median of the runs, with the smallest and the largest in brackets; percentiles are those \
                 of all runs' requests together, told from 100 samples above them on."
            );
            let further = [
                ("Ratios, run by run:", tables::ratios(result)),
                ("Where the time went, on average:", tables::stages(result)),
            ];
            for (title, table) in further {
                if !table.rows.is_empty() {
                    outln!("\n{title}");
                    print(&table);
                }
            }
            super::tell(result);
        }
    }
}

/// Words to the left, figures to the right.
fn print(table: &Table) {
    let headings = table.heading.iter().map(String::as_str);
    let columns = headings.map(|name| match name {
        "target" | "point" | "beside" | "" => words(name),
        _ => numbers(name),
    });
    print_rows(&columns.collect::<Vec<_>>(), table.rows.clone());
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
