//! What commands print: tables for people, JSON for programs.

use std::fmt;
use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// Prints a line to standard output.
macro_rules! outln {
    () => { $crate::output::write_line(format_args!("")) };
    ($($text:tt)*) => { $crate::output::write_line(format_args!($($text)*)) };
}
pub(crate) use outln;

/// Prints a line. A reader that has gone has what it wanted: the program ends then, and all is well.
pub(crate) fn write_line(line: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout().lock(), "{line}") {
        let is_enough = error.kind() == io::ErrorKind::BrokenPipe;
        if !is_enough {
            eprintln!("error: cannot write to standard output: {error}");
        }
        std::process::exit(i32::from(!is_enough));
    }
}

/// The form of what is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// Prints rows below a heading.
pub(crate) fn print_table<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) {
    let heading = heading.map(str::to_uppercase);
    print_rows(heading.into(), rows.into_iter().map(Vec::from).collect());
}

/// Prints rows below a heading of any number of columns.
pub(crate) fn print_rows(heading: Vec<String>, rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heading);
    for row in rows {
        table.add_row(row);
    }
    for line in table.to_string().lines() {
        outln!("{}", line.trim_end());
    }
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &Value) {
    outln!("{value:#}");
}

/// Prints a value as JSON to standard error, where the summary of a command that prints records goes.
pub(crate) fn print_error_json(value: &Value) {
    eprintln!("{value}");
}

/// A number of bytes as people read it.
pub(crate) fn bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
