//! A JSON object a line.
//!
//! Bytes that are UTF-8 stand as text in `key` and `value`, others in base64 (RFC 4648, padded) in `key_base64` and
//! `value_base64`; of each pair a line has one.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ringlog_record::batch::{HeaderView, RecordView};
use ringlog_record::limits::BATCH_BYTES_MAX;
use ringlog_record::{PartitionIndex, TimestampMs};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::InputRecord;

/// The longest line: each byte of a record may stand as an escape of six.
pub(super) const LINE_BYTES_MAX: usize = 8 * BATCH_BYTES_MAX;

/// A line as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    partition: Option<u32>,
    /// It is the broker that gives offsets.
    #[serde(rename = "offset")]
    _offset: Option<IgnoredAny>,
    timestamp: Option<i64>,
    #[serde(default, borrow, deserialize_with = "present")]
    key: Field<'a>,
    #[serde(default, borrow, deserialize_with = "present")]
    key_base64: Field<'a>,
    #[serde(default, borrow, deserialize_with = "present")]
    value: Field<'a>,
    #[serde(default, borrow, deserialize_with = "present")]
    value_base64: Field<'a>,
    #[serde(default, borrow)]
    headers: Vec<Header<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(default, borrow, deserialize_with = "present")]
    value: Field<'a>,
    #[serde(default, borrow, deserialize_with = "present")]
    value_base64: Field<'a>,
}

/// Absent, null, or a text.
type Field<'a> = Option<Option<Text<'a>>>;

/// Borrowed where there are no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<'de>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The record of a line, or what is wrong with it.
pub(super) fn record(line: &[u8]) -> Result<InputRecord, String> {
    let parsed: Line<'_> = serde_json::from_slice(line).map_err(|error| told(&error))?;
    let key = bytes("key", parsed.key, parsed.key_base64)?.flatten();
    let value = bytes("value", parsed.value, parsed.value_base64)?
        .ok_or("it has no value; `\"value\": null` is a tombstone")?;
    let headers = parsed.headers.into_iter().map(|header| {
        let value = bytes("value", header.value, header.value_base64);
        let value = value.map_err(|reason| format!("header {:?}: {reason}", header.key))?;
        Ok((header.key.into_owned(), value.flatten()))
    });
    Ok(InputRecord {
        partition: parsed.partition.map(PartitionIndex::new),
        key,
        value,
        headers: headers.collect::<Result<_, String>>()?,
        timestamp: parsed.timestamp.map(TimestampMs::new),
    })
}

/// What the parser says, with the column only: the line that it names is always the first.
fn told(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = said.strip_suffix(&place).unwrap_or(&said);
    format!("column {}: {reason}", error.column())
}

/// The bytes of a pair of fields: none where both are absent, null as none within.
fn bytes(name: &str, text: Field<'_>, base64: Field<'_>) -> Result<Option<Option<Bytes>>, String> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(format!("it has both {name} and {name}_base64")),
        (Some(text), None) => Ok(Some(text.map(|text| Bytes::from(text.0.into_owned())))),
        (None, Some(Some(text))) => {
            let decoded = STANDARD.decode(text.0.as_bytes());
            let decoded = decoded.map_err(|error| format!("{name}_base64: {error}"))?;
            Ok(Some(Some(decoded.into())))
        }
        (None, Some(None)) => Ok(Some(None)),
        (None, None) => Ok(None),
    }
}

/// A line as it is written.
#[derive(Serialize)]
struct Written<'a> {
    partition: u32,
    offset: u64,
    timestamp: i64,
    #[serde(flatten)]
    key: Key<'a>,
    #[serde(flatten)]
    value: Value<'a>,
    headers: Vec<WrittenHeader<'a>>,
}

#[derive(Serialize)]
struct WrittenHeader<'a> {
    key: &'a str,
    #[serde(flatten)]
    value: Value<'a>,
}

#[derive(Serialize)]
enum Key<'a> {
    #[serde(rename = "key")]
    Text(Option<&'a str>),
    #[serde(rename = "key_base64")]
    Base64(String),
}

#[derive(Serialize)]
enum Value<'a> {
    #[serde(rename = "value")]
    Text(Option<&'a str>),
    #[serde(rename = "value_base64")]
    Base64(String),
}

impl<'a> Key<'a> {
    fn of(bytes: Option<&'a [u8]>) -> Self {
        match bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes)) {
            None => Self::Text(None),
            Some(Ok(text)) => Self::Text(Some(text)),
            Some(Err(bytes)) => Self::Base64(STANDARD.encode(bytes)),
        }
    }
}

impl<'a> Value<'a> {
    fn of(bytes: Option<&'a [u8]>) -> Self {
        match Key::of(bytes) {
            Key::Text(text) => Self::Text(text),
            Key::Base64(text) => Self::Base64(text),
        }
    }
}

impl<'a> From<HeaderView<'a>> for WrittenHeader<'a> {
    fn from(header: HeaderView<'a>) -> Self {
        Self {
            key: header.key,
            value: Value::of(header.value),
        }
    }
}

/// Writes a record and a \n.
pub(super) fn write(
    out: &mut impl Write,
    partition: PartitionIndex,
    record: &RecordView<'_>,
) -> io::Result<()> {
    let line = Written {
        partition: partition.get(),
        offset: record.offset.get(),
        timestamp: record.timestamp.get(),
        key: Key::of(record.key),
        value: Value::of(record.value),
        headers: record.headers.clone().map(WrittenHeader::from).collect(),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}
