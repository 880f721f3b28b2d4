//! What commands print: tables for people, JSON for programs.

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

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
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heading.map(str::to_uppercase));
    for row in rows {
        table.add_row(row);
    }
    for line in table.to_string().lines() {
        println!("{}", line.trim_end());
    }
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &Value) {
    println!("{value:#}");
}

/// Prints a value as JSON to standard error, where the summary of a command that prints records goes.
pub(crate) fn print_error_json(value: &Value) {
    eprintln!("{value}");
}

/// A number of bytes as people read it.
pub(crate) fn bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
