//! PROTOCOL.md says all that the schema and the tables of codes say, and nothing that they do not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ringlog_record::limits::BATCH_RECORDS_MAX;
use ringlog_wire::limits::{
    BATCH_BYTES_MAX, BODY_BYTES_MAX, COMMIT_METADATA_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX,
    GROUP_ID_BYTES_MAX, GROUP_METADATA_BYTES_MAX, HELLO_BODY_BYTES_MAX, PAYLOAD_BYTES_MAX,
    REQUEST_PARTITIONS_MAX, RESPONSE_ERROR_MESSAGES_MAX, TOPIC_NAME_BYTES_MAX,
};
use ringlog_wire::{Api, ErrorCode, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN};

/// A field of a table or struct.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    name: String,
    kind: String,
    may_be_absent: bool,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn document() -> String {
    fs::read_to_string(folder("PROTOCOL.md")).unwrap()
}

/// Every table and struct of the schema with its fields, in their order.
fn schema() -> BTreeMap<String, Vec<Field>> {
    let mut tables = BTreeMap::new();
    for entry in fs::read_dir(folder("schema")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut open: Option<(String, Vec<Field>)> = None;
        for line in text.lines().map(str::trim) {
            let begins = (line.strip_prefix("table ")).or_else(|| line.strip_prefix("struct "));
            if let Some(name) = begins {
                let name = name.trim_end_matches('{').trim();
                open = Some((name.to_owned(), Vec::new()));
            } else if line == "}" {
                tables.extend(open.take());
            } else if let Some((_, fields)) = &mut open
                && !line.starts_with("//")
            {
                fields.extend(field(line));
            }
        }
    }
    tables
}

/// A line of a table: `name: type;`, `name: type (required);` or `name: type = null;`.
fn field(line: &str) -> Option<Field> {
    let (name, rest) = line.trim_end_matches(';').split_once(": ")?;
    let (kind, attributes) = rest.split_once(' ').unwrap_or((rest, ""));
    let scalar = kind.starts_with(|first: char| first.is_ascii_lowercase()) && kind != "string";
    // A state is there wherever the schema has one; a body without it would say that nothing is known.
    let always = scalar || kind == "PartitionState" || attributes == "(required)";
    Some(Field {
        name: name.to_owned(),
        kind: kind.to_owned(),
        may_be_absent: !always || attributes == "= null",
    })
}

/// The sections of the document with a heading of this level: what follows it, to the next heading of any.
fn sections(level: &str) -> BTreeMap<String, Vec<String>> {
    let mut sections = BTreeMap::new();
    let mut open: Option<(String, Vec<String>)> = None;
    for line in document().lines() {
        if line.starts_with('#') {
            sections.extend(open.take());
            let is_it = line.strip_prefix(level);
            open = is_it.map(|title| (title.to_owned(), Vec::new()));
        } else if let Some((_, lines)) = &mut open {
            lines.push(line.to_owned());
        }
    }
    sections.extend(open);
    sections
}

/// The cells of the rows of a table, without its head.
fn rows(lines: &[String]) -> Vec<Vec<String>> {
    let tables = lines.iter().filter(|line| line.starts_with("| "));
    let cells = tables.map(|line| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    });
    let is_head = |row: &Vec<String>| matches!(row[0].as_str(), "---" | "field" | "code" | "limit");
    cells.filter(|row| !is_head(row)).collect()
}

#[test]
fn every_field_of_the_schema_is_in_the_document() {
    let described: BTreeMap<String, Vec<Field>> = sections("#### ")
        .into_iter()
        .map(|(title, lines)| {
            let fields = rows(&lines).into_iter().map(|row| Field {
                name: row[0].trim_matches('`').to_owned(),
                kind: row[1].clone(),
                may_be_absent: row[2].starts_with("*optional*"),
            });
            (title, fields.collect())
        })
        .collect();
    let schema = schema();
    for (table, fields) in &schema {
        let found = described.get(table);
        assert_eq!(found, Some(fields), "PROTOCOL.md, section {table}");
    }
    let unknown: Vec<_> = (described.keys())
        .filter(|table| !schema.contains_key(*table))
        .collect();
    assert!(unknown.is_empty(), "the schema does not have {unknown:?}");
}

#[test]
fn every_kind_of_request_is_in_the_document() {
    let titles: Vec<String> = (document().lines())
        .filter_map(|line| line.strip_prefix("### ").map(str::to_owned))
        .collect();
    let kinds: Vec<String> = (Api::ALL.iter())
        .map(|api| format!("{api} ({})", api.to_wire()))
        .collect();
    assert_eq!(titles, kinds);
}

#[test]
fn every_error_is_in_the_document_with_what_to_do() {
    let described = rows(&sections("## ")["Errors"]);
    let codes = ErrorCode::ALL.iter().map(|code| {
        let again = if code.is_retriable() { "yes" } else { "no" };
        [
            code.to_wire().to_string(),
            format!("`{}`", code.name()),
            again.to_owned(),
        ]
    });
    let codes: Vec<_> = codes.collect();
    let found: Vec<_> = described.iter().map(|row| row[..3].to_vec()).collect();
    assert_eq!(found, codes);
    assert!(described.iter().all(|row| row[3].len() > 5));
}

#[test]
fn errors_that_a_message_is_said_to_give_exist() {
    let known = |name: &&str| ErrorCode::ALL.iter().any(|code| code.name() == *name);
    let mut lists = 0;
    for paragraph in document().split("\n\n") {
        let list = (paragraph.split_once("Errors: "))
            .or_else(|| paragraph.split_once("Errors of a partition: "));
        if let Some((_, list)) = list {
            let unknown: Vec<_> = list.split('`').skip(1).step_by(2).collect();
            let unknown: Vec<_> = unknown.iter().filter(|name| !known(name)).collect();
            assert!(unknown.is_empty(), "{paragraph}");
            lists += 1;
        }
    }
    assert!(lists > 8, "only {lists} lists of errors were found");
}

#[test]
fn limits_of_the_document_are_those_in_force() {
    let described: BTreeMap<String, String> = rows(&sections("## ")["Limits"])
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let limits = [
        ("longest body", BODY_BYTES_MAX),
        ("longest body of a hello", HELLO_BODY_BYTES_MAX),
        ("longest payload", PAYLOAD_BYTES_MAX),
        ("longest record batch", BATCH_BYTES_MAX),
        (
            "most records in a batch",
            usize::try_from(BATCH_RECORDS_MAX).unwrap(),
        ),
        ("partitions in a request", REQUEST_PARTITIONS_MAX),
        ("longest topic name", TOPIC_NAME_BYTES_MAX),
        ("longest name of a group", GROUP_ID_BYTES_MAX),
        ("longest `metadata` of an offset", COMMIT_METADATA_BYTES_MAX),
        ("metadata of a group", GROUP_METADATA_BYTES_MAX),
        ("longest `message`", ERROR_MESSAGE_BYTES_MAX),
        (
            "most texts of errors in a response",
            RESPONSE_ERROR_MESSAGES_MAX,
        ),
    ];
    for (name, limit) in limits {
        assert_eq!(described.get(name), Some(&limit.to_string()), "{name}");
    }
}

#[test]
fn the_document_is_of_the_version_that_is_spoken() {
    let title = format!("# The protocol of ringlog, version {PROTOCOL_VERSION_MAX}");
    assert!(document().starts_with(&title));
    assert_eq!(PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX);
}
