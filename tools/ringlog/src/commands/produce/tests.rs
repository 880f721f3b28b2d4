use clap::Parser;

use super::record;
use crate::cli::{Cli, Command};

#[track_caller]
fn check(separator: &str, line: &'static str, key: Option<&str>, value: &str) {
    let cli = Cli::parse_from(["ringlog", "produce", "t", "--key-separator", separator]);
    let Command::Produce(arguments) = cli.command else {
        panic!("{cli:?}");
    };
    let (record, _) = record(&arguments, line.as_bytes().into());
    assert_eq!(record.key.as_deref(), key.map(str::as_bytes));
    assert_eq!(record.value.as_deref(), Some(value.as_bytes()));
}

#[test]
fn key_stands_before_the_first_separator() {
    check("\t", "k\tv\tw", Some("k"), "v\tw");
    check("::", "k::v", Some("k"), "v");
    check("::", "::v", Some(""), "v");
    check("::", "k::", Some("k"), "");
}

#[test]
fn a_line_without_the_separator_has_no_key() {
    check("::", ":k", None, ":k");
    check("::", "", None, "");
}
