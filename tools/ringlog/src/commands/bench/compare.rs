//! `ringlog bench compare-results`.

use std::path::Path;

use ringlog_bench::{BenchError, Change, Spread, Verdict, compare, read_result};

use crate::error::CommandError;
use crate::output::{Format, Mood, coloured, numbers, outln, print_json, print_table, words};

pub(super) fn run(before: &Path, after: &Path, output: Format) -> Result<(), CommandError> {
    let read = |path| {
        read_result(path).map_err(|error: BenchError| CommandError::Usage(error.to_string()))
    };
    let comparison = compare(&read(before)?, &read(after)?);
    if output == Format::Json {
        print_json(&serde_json::to_value(&comparison).unwrap_or_default());
        return Ok(());
    }
    for difference in &comparison.differences {
        outln!("WARNING, not the same conditions: {difference}");
    }
    for left_out in &comparison.left_out {
        outln!("left out: {left_out}");
    }
    print_table(
        [
            words("target"),
            words("point"),
            words("figure"),
            numbers("before"),
            numbers("after"),
            numbers("ratio"),
            words(""),
        ],
        comparison.changes.iter().map(|change: &Change| {
            [
                change.target.clone(),
                change.point.clone(),
                change.figure.to_owned(),
                shown(change.before),
                shown(change.after),
                format!("{:.2}", change.ratio),
                match change.verdict {
                    Verdict::Faster => coloured(Mood::Good, "FASTER"),
                    Verdict::Slower => coloured(Mood::Bad, "SLOWER"),
                    Verdict::Within => String::new(),
                },
            ]
        }),
    );
    outln!(
        "\nFaster and slower are said only where the smallest and the largest of the repetitions do not touch."
    );
    Ok(())
}

fn shown(Spread { min, median, max }: Spread) -> String {
    let digits = if median < 100.0 { 1 } else { 0 };
    format!("{median:.digits$} ({min:.digits$}-{max:.digits$})")
}
