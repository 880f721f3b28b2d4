//! How records lie in files and pipes: `--format` of `produce` and `consume`.
//!
//! A format reads and writes records one by one. What it writes it reads back to the same record, as far as the format
//! can hold it: `lines` cannot hold line breaks, `length-prefixed` holds values only.

mod json;
mod length_prefixed;
mod lines;

use std::io::{self, BufRead, Read, Write};

use bytes::Bytes;
use ringlog_record::batch::RecordView;
use ringlog_record::limits::BATCH_BYTES_MAX;
use ringlog_record::{PartitionIndex, TimestampMs};

use crate::cli::{Column, RecordFormat};

/// A record that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct InputRecord {
    pub(super) partition: Option<PartitionIndex>,
    pub(super) key: Option<Bytes>,
    /// None is a tombstone.
    pub(super) value: Option<Bytes>,
    pub(super) headers: Vec<(String, Option<Bytes>)>,
    pub(super) timestamp: Option<TimestampMs>,
}

/// Why no record was read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FormatError {
    /// The input cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What was read is no record.
    #[error("{place}: {reason}")]
    Malformed {
        /// Where it begins.
        place: Place,
        reason: String,
    },
}

/// Where a record lies in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The number of a line, from 1.
    Line(u64),
    /// The number of bytes before it.
    Byte(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Byte(number) => write!(f, "byte {number}"),
        }
    }
}

impl Place {
    fn malformed(self, reason: impl Into<String>) -> FormatError {
        FormatError::Malformed {
            place: self,
            reason: reason.into(),
        }
    }
}

/// Reads records.
pub(super) struct Reader<R> {
    source: R,
    format: InputFormat,
    /// Lines that were begun.
    lines: u64,
    /// Bytes that were taken.
    bytes: u64,
}

/// A format, with what it needs for reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum InputFormat {
    Lines { key_separator: Option<Bytes> },
    Json,
    LengthPrefixed,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(source: R, format: InputFormat) -> Self {
        Self {
            source,
            format,
            lines: 0,
            bytes: 0,
        }
    }

    /// Bytes of the input that were taken until now.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next record and where it lies; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Place, InputRecord)>, FormatError> {
        match &self.format {
            InputFormat::Lines { key_separator } => {
                let key_separator = key_separator.clone();
                let Some(line) = self.line(BATCH_BYTES_MAX)? else {
                    return Ok(None);
                };
                let record = lines::record(line, key_separator.as_deref());
                Ok(Some((Place::Line(self.lines), record)))
            }
            InputFormat::Json => loop {
                let Some(line) = self.line(json::LINE_BYTES_MAX)? else {
                    return Ok(None);
                };
                let place = Place::Line(self.lines);
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let record = json::record(&line).map_err(|reason| place.malformed(reason))?;
                return Ok(Some((place, record)));
            },
            InputFormat::LengthPrefixed => {
                let place = Place::Byte(self.bytes);
                let read = length_prefixed::value(&mut self.source);
                let read = read.map_err(|error| match error.kind() {
                    io::ErrorKind::InvalidData => place.malformed(error.to_string()),
                    _ => error.into(),
                })?;
                let Some((value, taken)) = read else {
                    return Ok(None);
                };
                self.bytes += taken;
                let record = InputRecord {
                    value,
                    ..InputRecord::default()
                };
                Ok(Some((place, record)))
            }
        }
    }

    /// The next line without its \n; the last one may have none.
    fn line(&mut self, line_bytes_max: usize) -> Result<Option<Bytes>, FormatError> {
        self.lines += 1;
        let mut line = Vec::new();
        let most = u64::try_from(line_bytes_max).unwrap_or(u64::MAX);
        let mut source = self.source.by_ref().take(most + 1);
        let read = source.read_until(b'\n', &mut line)?;
        self.bytes += read as u64;
        if read == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > line_bytes_max {
            let reason = format!(
                "it is longer than {line_bytes_max} bytes, the most that a record may have"
            );
            return Err(Place::Line(self.lines).malformed(reason));
        }
        Ok(Some(line.into()))
    }
}

/// A format, with what it needs for writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OutputFormat {
    Lines {
        columns: Vec<Column>,
        separator: Vec<u8>,
    },
    Json,
    LengthPrefixed,
}

impl OutputFormat {
    /// Writes a record.
    pub(super) fn write(
        &self,
        out: &mut impl Write,
        partition: PartitionIndex,
        record: &RecordView<'_>,
    ) -> io::Result<()> {
        match self {
            Self::Lines { columns, separator } => {
                lines::write(out, columns, separator, partition, record)
            }
            Self::Json => json::write(out, partition, record),
            Self::LengthPrefixed => length_prefixed::write(out, record.value),
        }
    }
}

/// The format for reading; what other formats need must not be given.
pub(super) fn input_format(
    format: RecordFormat,
    key_separator: Option<&str>,
) -> Result<InputFormat, String> {
    match (format, key_separator) {
        (RecordFormat::Lines, separator) => Ok(InputFormat::Lines {
            key_separator: separator.map(|separator| Bytes::copy_from_slice(separator.as_bytes())),
        }),
        (RecordFormat::Json, None) => Ok(InputFormat::Json),
        (RecordFormat::LengthPrefixed, None) => Ok(InputFormat::LengthPrefixed),
        (RecordFormat::Json, Some(_)) => {
            Err("--key-separator is for --format lines; in JSON the field key holds the key".into())
        }
        (RecordFormat::LengthPrefixed, Some(_)) => Err(
            "--key-separator is for --format lines; length-prefixed input has no keys, --format json has"
                .into(),
        ),
    }
}

/// The format for writing; what other formats need must not be given.
pub(super) fn output_format(
    format: RecordFormat,
    columns: &[Column],
    separator: Option<&str>,
) -> Result<OutputFormat, String> {
    let is_plain = columns == [Column::Value] && separator.is_none();
    match format {
        RecordFormat::Lines => Ok(OutputFormat::Lines {
            columns: columns.to_vec(),
            separator: separator.unwrap_or("\t").as_bytes().to_vec(),
        }),
        _ if !is_plain => Err(
            "--print and --key-separator are for --format lines; --format json prints all there is of a record".into(),
        ),
        RecordFormat::Json => Ok(OutputFormat::Json),
        RecordFormat::LengthPrefixed => Ok(OutputFormat::LengthPrefixed),
    }
}

#[cfg(test)]
mod tests;
