//! A record a line.

use std::io::{self, Write};

use bytes::Bytes;
use ringlog_record::PartitionIndex;
use ringlog_record::batch::RecordView;

use super::InputRecord;
use crate::cli::Column;

/// The record of a line: the key stands before the first separator; a line without it has no key.
pub(super) fn record(line: Bytes, key_separator: Option<&[u8]>) -> InputRecord {
    let split = key_separator.and_then(|separator| {
        let mut windows = line.windows(separator.len());
        let at = windows.position(|window| window == separator)?;
        Some((line.slice(..at), line.slice(at + separator.len()..)))
    });
    let (key, value) = match split {
        Some((key, value)) => (Some(key), value),
        None => (None, line),
    };
    InputRecord {
        key,
        value: Some(value),
        ..InputRecord::default()
    }
}

/// Writes columns of a record, and a \n.
pub(super) fn write(
    out: &mut impl Write,
    columns: &[Column],
    separator: &[u8],
    partition: PartitionIndex,
    record: &RecordView<'_>,
) -> io::Result<()> {
    let mut is_first = true;
    for column in columns {
        // A line without the separator is read as one without a key.
        if *column == Column::Key && record.key.is_none() {
            continue;
        }
        if !is_first {
            out.write_all(separator)?;
        }
        is_first = false;
        match column {
            Column::Value => out.write_all(record.value.unwrap_or_default())?,
            Column::Key => out.write_all(record.key.unwrap_or_default())?,
            Column::Partition => write!(out, "{partition}")?,
            Column::Offset => write!(out, "{}", record.offset)?,
            Column::Timestamp => write!(out, "{}", record.timestamp)?,
            Column::Headers => write_headers(out, record)?,
        }
    }
    out.write_all(b"\n")
}

fn write_headers(out: &mut impl Write, record: &RecordView<'_>) -> io::Result<()> {
    if record.headers.len() == 0 {
        return out.write_all(b"-");
    }
    let mut is_first = true;
    for header in record.headers.clone() {
        if !is_first {
            out.write_all(b",")?;
        }
        is_first = false;
        out.write_all(header.key.as_bytes())?;
        out.write_all(b"=")?;
        out.write_all(header.value.unwrap_or_default())?;
    }
    Ok(())
}
