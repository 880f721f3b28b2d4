//! The records of a batch, decoded where they lie.

use std::str;

use super::header::TimestampType;
use super::varint;
use super::view::BatchView;
use crate::ids::TimestampMs;
use crate::limits::RECORD_HEADERS_MAX;
use crate::offset::Offset;

/// Why a record cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The records are compressed; decompress them first.
    #[error("the records are compressed with code {code}")]
    Compressed {
        /// The compression code of the batch.
        code: u8,
    },
    /// The bytes of a record are not those of a record.
    #[error("record {index} of the batch is malformed: {what}")]
    Malformed {
        /// Which record, from 0.
        index: u32,
        /// The field that is wrong.
        what: &'static str,
    },
    /// More bytes than the counted records take.
    #[error("{bytes} bytes follow the last record of the batch")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
}

/// A record, borrowed from its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Its offset.
    pub offset: Offset,
    /// When it was made, or appended, as the batch says.
    pub timestamp: TimestampMs,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers<'a>,
}

/// A header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderView<'a> {
    /// The name.
    pub key: &'a str,
    /// The value, if any.
    pub value: Option<&'a [u8]>,
}

/// The headers of a record, in order; they were checked when the record was decoded.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    rest: &'a [u8],
    count: usize,
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderView<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        take_header(&mut self.rest).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// Iterator of [`BatchView::records`]. After an error it ends.
#[derive(Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    index: u32,
    count: u32,
    base_offset: Offset,
    last_offset: Offset,
    base_timestamp: i64,
    append_time: Option<TimestampMs>,
    compression_code: u8,
    ended: bool,
}

impl<'a> Records<'a> {
    pub(super) fn new(view: &BatchView<'a>) -> Self {
        let code = view.header().attributes().compression_code();
        Self::within(view, view.body(), code)
    }

    pub(super) fn decompressed(view: &BatchView<'_>, records: &'a [u8]) -> Self {
        Self::within(view, records, 0)
    }

    fn within(view: &BatchView<'_>, rest: &'a [u8], compression_code: u8) -> Self {
        let header = view.header();
        let attributes = header.attributes();
        Self {
            rest,
            index: 0,
            count: u32::try_from(header.record_count.get()).unwrap_or(0),
            base_offset: view.base_offset(),
            last_offset: view.last_offset(),
            base_timestamp: header.base_timestamp.get(),
            append_time: (attributes.timestamp_type() == TimestampType::Append)
                .then(|| header.max_timestamp()),
            compression_code,
            ended: false,
        }
    }

    fn take_record(&mut self) -> Result<RecordView<'a>, &'static str> {
        let len_bytes = take_len(&mut self.rest)?.ok_or("length")?;
        let mut body = take_bytes(&mut self.rest, len_bytes).ok_or("length")?;
        take_bytes(&mut body, 1).ok_or("attributes")?;
        let timestamp_delta = varint::take(&mut body).ok_or("time stamp delta")?;
        let offset_delta = varint::take_i32(&mut body).and_then(|delta| u64::try_from(delta).ok());
        let offset = offset_delta
            .and_then(|delta| self.base_offset.checked_add(delta))
            .filter(|&offset| offset <= self.last_offset)
            .ok_or("offset delta")?;
        let key = take_nullable(&mut body).map_err(|_| "key")?;
        let value = take_nullable(&mut body).map_err(|_| "value")?;
        let count = varint::take_i32(&mut body)
            .and_then(|count| usize::try_from(count).ok())
            .filter(|&count| count <= RECORD_HEADERS_MAX)
            .ok_or("header count")?;
        let headers = Headers { rest: body, count };
        for _ in 0..count {
            take_header(&mut body)?;
        }
        if !body.is_empty() {
            return Err("length");
        }
        let created = TimestampMs::new(self.base_timestamp.wrapping_add(timestamp_delta));
        Ok(RecordView {
            offset,
            timestamp: self.append_time.unwrap_or(created),
            key,
            value,
            headers,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.compression_code != 0 {
            self.ended = true;
            return Some(Err(RecordError::Compressed {
                code: self.compression_code,
            }));
        }
        if self.index == self.count {
            self.ended = true;
            let bytes = self.rest.len();
            return (bytes > 0).then_some(Err(RecordError::TrailingBytes { bytes }));
        }
        let index = self.index;
        self.index += 1;
        let record = self
            .take_record()
            .map_err(|what| RecordError::Malformed { index, what });
        self.ended = record.is_err();
        Some(record)
    }
}

fn take_header<'a>(bytes: &mut &'a [u8]) -> Result<HeaderView<'a>, &'static str> {
    let key = take_nullable(bytes).ok().flatten().ok_or("header key")?;
    let key = str::from_utf8(key).map_err(|_| "header key")?;
    let value = take_nullable(bytes).map_err(|_| "header value")?;
    Ok(HeaderView { key, value })
}

fn take_nullable<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, &'static str> {
    match take_len(bytes)? {
        None => Ok(None),
        Some(len_bytes) => take_bytes(bytes, len_bytes).map(Some).ok_or("length"),
    }
}

/// A length, or `None` for -1.
fn take_len(bytes: &mut &[u8]) -> Result<Option<usize>, &'static str> {
    match varint::take_i32(bytes) {
        Some(-1) => Ok(None),
        Some(len_bytes) => usize::try_from(len_bytes).map(Some).map_err(|_| "length"),
        None => Err("length"),
    }
}

fn take_bytes<'a>(bytes: &mut &'a [u8], len_bytes: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(len_bytes)?;
    *bytes = rest;
    Some(taken)
}
