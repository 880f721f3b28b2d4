//! What commands print: tables for people, JSON for programs.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
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

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<'a> {
    name: &'a str,
    alignment: CellAlignment,
}

/// A column of words.
pub(crate) const fn words(name: &str) -> Column<'_> {
    Column {
        name,
        alignment: CellAlignment::Left,
    }
}

/// A column of numbers, which stand below each other by their last digit.
pub(crate) const fn numbers(name: &str) -> Column<'_> {
    Column {
        name,
        alignment: CellAlignment::Right,
    }
}

/// Prints rows below a heading. Lines are as long as what is in them: cut names could not be copied.
pub(crate) fn print_table<const N: usize>(
    columns: [Column<'_>; N],
    rows: impl IntoIterator<Item = [String; N]>,
) {
    print_rows(&columns, rows.into_iter().map(Vec::from).collect());
}

/// Prints rows below a heading of any number of columns.
pub(crate) fn print_rows(columns: &[Column<'_>], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.name.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for (column, place) in columns.iter().zip(0..) {
        if let Some(shown) = table.column_mut(place) {
            shown.set_cell_alignment(column.alignment);
        }
    }
    for line in table.to_string().lines() {
        // The table pads each cell on both sides.
        outln!("{}", line.strip_prefix(' ').unwrap_or(line).trim_end());
    }
}

/// What a word says of the state of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Doubtful,
    Bad,
}

/// Colours a word on a terminal, unless the user wants none (`NO_COLOR`). In a table it must be in the last column: the
/// marks around it count as characters.
pub(crate) fn coloured(mood: Mood, word: &str) -> String {
    let colour = match mood {
        Mood::Good => AnsiColor::Green,
        Mood::Doubtful => AnsiColor::Yellow,
        Mood::Bad => AnsiColor::Red,
    };
    if anstream::AutoStream::choice(&io::stdout()) == ColorChoice::Never {
        return word.to_owned();
    }
    let style = Style::new().fg_color(Some(colour.into()));
    format!("{style}{word}{style:#}")
}

/// Whether what is logged to standard error may have colours.
pub(crate) fn is_log_coloured() -> bool {
    let stderr = io::stderr();
    stderr.is_terminal() && anstream::AutoStream::choice(&stderr) != ColorChoice::Never
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &Value) {
    outln!("{value:#}");
}

/// Prints a value as JSON to standard error, where the summary of a command that reads or prints records goes.
pub(crate) fn print_error_json(value: &Value) {
    eprintln!("{value}");
}

/// So many of something, such as "1 record" or "2 records".
pub(crate) fn counted(count: u64, one: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {one}{s}")
}

/// A number of bytes as people read it.
pub(crate) fn bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
