//! What differs from run to run, as it stands in the documents.

use std::net::SocketAddr;

use regex::{Captures, Regex};

/// Puts placeholders into what a command says.
pub(super) struct Placeholders<'a> {
    /// Where the broker of the session is reached.
    pub(super) address: Option<SocketAddr>,
    pub(super) command: &'a str,
}

/// Patterns, and what stands for what they find.
const PATTERNS: &[(&str, &str)] = &[
    // Ids of topics and clusters.
    (r"\b[0-9a-f]{32}\b", "<id>"),
    (r"\b0x[0-9a-f]{8}\b", "<crc>"),
    // The limit of open files is the machine's.
    (r"\bpartitions_max=\d+", "partitions_max=<n>"),
    // How long it took, and how much a second.
    (
        r"in \d+\.\d+ s: \d+ records/s, [\d.]+ [KMG]?i?B/s, p99 of acknowledgement \d+\.\d+ ms",
        "in <seconds> s: <rate> records/s, <rate>/s, p99 of acknowledgement <time> ms",
    ),
    (r"in \d+\.\d+ s\b", "in <seconds> s"),
    (r#""seconds":[\d.e-]+"#, r#""seconds":<seconds>"#),
    (
        r#""records_per_second":\d+"#,
        r#""records_per_second":<rate>"#,
    ),
    (r#""ack_p99_us":\d+"#, r#""ack_p99_us":<time>"#),
    // `produce --receipt`.
    (
        r"(?m)^((?:queued|appended|flushed|replicated|replied) *) {5}[ \d]{4}\d\.\d {5}[ \d]{4}\d\.\d {5}[ \d]{4}\d\.\d$",
        "$1      <time>      <time>      <time>",
    ),
];

/// Moments; but not those that messages give as examples.
const MOMENTS: &str = r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\b1[78]\d{11}\b";
const EXAMPLES: [&str; 2] = ["2026-01-31T12:00:00Z", "1769860800000"];

fn replace(text: &str, pattern: &str, placeholder: &str) -> String {
    let pattern = Regex::new(pattern).unwrap();
    pattern.replace_all(text, placeholder).into_owned()
}

impl Placeholders<'_> {
    pub(super) fn put_into(&self, said: &str) -> String {
        let mut text = said.to_owned();
        if let Some(address) = self.address {
            text = text.replace(&address.to_string(), "127.0.0.1:9400");
        }
        for (pattern, placeholder) in PATTERNS {
            text = replace(&text, pattern, placeholder);
        }
        let moments = Regex::new(MOMENTS).unwrap();
        let moment = |found: &Captures<'_>| {
            let is_example = EXAMPLES.contains(&&found[0]);
            if is_example { &found[0] } else { "<time>" }.to_owned()
        };
        text = moments.replace_all(&text, moment).into_owned();
        match self.command.split(' ').nth(1) {
            Some("broker") => logged(&text),
            Some("doctor") => findings(&text),
            Some("bench") => figures(&text),
            _ => text,
        }
    }
}

/// Warnings depend on the machine, and at its usual address a broker does not name it again.
fn logged(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    let lines = lines.filter(|line| !line.contains(" WARN "));
    lines
        .collect::<String>()
        .replace(" --bootstrap 127.0.0.1:9400", "")
}

/// What `doctor` finds depends on the machine.
fn findings(text: &str) -> String {
    let text = replace(
        text,
        r"(?m)^(?:ok|warn) +(\w+ +)\S.*$",
        "<ok or warn>  $1<finding>",
    );
    replace(&text, r#""(finding|verdict)": "[^"]*""#, r#""$1": "<$1>""#)
}

/// What `bench` measures, and on which machine: settings are lines with a colon, figures the lines of a table.
fn figures(text: &str) -> String {
    let text = replace(text, r"(?m)^([a-z -]+): .*$", "$1: <value>");
    let text = replace(&text, r"(?m)  +", "  ");
    let mut lines: Vec<String> = Vec::new();
    let mut is_table = false;
    for line in text.lines() {
        is_table = line.starts_with("TARGET") || (is_table && !line.is_empty());
        let is_row = is_table && !line.starts_with("TARGET");
        lines.push(match is_row {
            true => replace(
                line,
                r"(^|  )(–|[\d.]+( \([\d.–]+\))?( (ns|µs|ms|s|%|MiB))?)",
                "$1<n>",
            ),
            false => line.to_owned(),
        });
    }
    lines.push(String::new());
    lines.join("\n")
}
