//! Making a batch, record by record.

use bytes::Bytes;
use zerocopy::IntoBytes;

use super::error::BatchError;
use super::header::{Attributes, BatchHeader, Compression, MAGIC};
use super::{stamp, varint};
use crate::ids::TimestampMs;
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_HEADER_BYTES, BATCH_LENGTH_PREFIX_BYTES, BATCH_RECORDS_MAX,
};

/// A record to be appended to a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordData<'a> {
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a [HeaderData<'a>],
    /// When it was made.
    pub timestamp: TimestampMs,
}

/// A header of a record to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderData<'a> {
    /// The name.
    pub key: &'a str,
    /// The value, if any.
    pub value: Option<&'a [u8]>,
}

/// Makes a batch: base offset 0, no leader epoch, no producer id.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    /// Room for the header, then the records so far.
    bytes: Vec<u8>,
    records: u32,
    base_timestamp: TimestampMs,
    max_timestamp: TimestampMs,
    batch_bytes_max: usize,
}

impl BatchBuilder {
    /// A builder of batches of at most `batch_bytes_max`, which is cut to [`BATCH_BYTES_MAX`].
    pub fn new(batch_bytes_max: usize) -> Self {
        Self {
            bytes: vec![0; BATCH_HEADER_BYTES],
            records: 0,
            base_timestamp: TimestampMs::NONE,
            max_timestamp: TimestampMs::NONE,
            batch_bytes_max: batch_bytes_max.min(BATCH_BYTES_MAX),
        }
    }

    /// Appends a record.
    ///
    /// # Errors
    ///
    /// [`BatchError`] `TooLarge` or `RecordCount` when it does not fit any more; the batch is as before.
    pub fn append(&mut self, record: &RecordData<'_>) -> Result<(), BatchError> {
        let len_bytes = self.encoded_len_with(record);
        if len_bytes > self.batch_bytes_max {
            return Err(BatchError::TooLarge {
                len_bytes,
                batch_bytes_max: self.batch_bytes_max,
            });
        }
        if self.records == BATCH_RECORDS_MAX {
            let count = self.records.cast_signed();
            return Err(BatchError::RecordCount {
                record_count: count,
                last_offset_delta: count,
            });
        }
        if self.records == 0 {
            self.base_timestamp = record.timestamp;
            self.max_timestamp = record.timestamp;
        }
        let body = RecordBody::new(record, self.timestamp_delta(record), self.records);
        varint::put(&mut self.bytes, as_i64(body.len_bytes()));
        body.put(&mut self.bytes);
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.records += 1;
        Ok(())
    }

    /// Records so far.
    pub fn record_count(&self) -> u32 {
        self.records
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes of the batch as it is, header included.
    pub fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that the batch would have with `record`.
    pub fn encoded_len_with(&self, record: &RecordData<'_>) -> usize {
        let body = RecordBody::new(record, self.timestamp_delta(record), self.records).len_bytes();
        self.bytes.len() + varint::len_bytes(as_i64(body)) + body
    }

    /// The records so far, as they will lie behind the header.
    pub fn records(&self) -> &[u8] {
        &self.bytes[BATCH_HEADER_BYTES..]
    }

    /// The batch, with its length, count and CRC.
    ///
    /// # Errors
    ///
    /// [`BatchError::RecordCount`] when there is no record: a batch has at least one.
    pub fn build(self) -> Result<Bytes, BatchError> {
        self.finish(Compression::None)
    }

    /// The batch, with `compressed` in the place of [`BatchBuilder::records`]: the same, compressed in this way.
    ///
    /// # Errors
    ///
    /// As for [`BatchBuilder::build`].
    pub fn build_compressed(
        mut self,
        compression: Compression,
        compressed: &[u8],
    ) -> Result<Bytes, BatchError> {
        self.bytes.truncate(BATCH_HEADER_BYTES);
        self.bytes.extend_from_slice(compressed);
        self.finish(compression)
    }

    fn finish(mut self, compression: Compression) -> Result<Bytes, BatchError> {
        let (count, last) = (self.records.cast_signed(), self.records.cast_signed() - 1);
        if count == 0 {
            return Err(BatchError::RecordCount {
                record_count: count,
                last_offset_delta: last,
            });
        }
        let len_bytes = self.bytes.len();
        let length = i32::try_from(len_bytes - BATCH_LENGTH_PREFIX_BYTES).map_err(|_| {
            BatchError::TooLarge {
                len_bytes,
                batch_bytes_max: self.batch_bytes_max,
            }
        })?;
        let header = BatchHeader {
            base_offset: 0.into(),
            length: length.into(),
            partition_leader_epoch: (-1).into(),
            magic: MAGIC,
            crc: 0.into(),
            attributes: Attributes::compressed(compression).0.into(),
            last_offset_delta: last.into(),
            base_timestamp: self.base_timestamp.get().into(),
            max_timestamp: self.max_timestamp.get().into(),
            producer_id: (-1).into(),
            producer_epoch: (-1).into(),
            base_sequence: (-1).into(),
            record_count: count.into(),
        };
        self.bytes[..BATCH_HEADER_BYTES].copy_from_slice(header.as_bytes());
        stamp::write_crc(&mut self.bytes)?;
        Ok(Bytes::from(self.bytes))
    }

    fn timestamp_delta(&self, record: &RecordData<'_>) -> i64 {
        if self.records == 0 {
            0
        } else {
            record
                .timestamp
                .get()
                .wrapping_sub(self.base_timestamp.get())
        }
    }
}

/// A record as it is written after its length.
struct RecordBody<'a> {
    record: &'a RecordData<'a>,
    timestamp_delta: i64,
    offset_delta: i64,
}

impl<'a> RecordBody<'a> {
    fn new(record: &'a RecordData<'a>, timestamp_delta: i64, offset_delta: u32) -> Self {
        Self {
            record,
            timestamp_delta,
            offset_delta: i64::from(offset_delta),
        }
    }

    fn len_bytes(&self) -> usize {
        let headers: usize = self
            .record
            .headers
            .iter()
            .map(|header| {
                nullable_len_bytes(Some(header.key.as_bytes())) + nullable_len_bytes(header.value)
            })
            .sum();
        1 + varint::len_bytes(self.timestamp_delta)
            + varint::len_bytes(self.offset_delta)
            + nullable_len_bytes(self.record.key)
            + nullable_len_bytes(self.record.value)
            + varint::len_bytes(as_i64(self.record.headers.len()))
            + headers
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(0);
        varint::put(out, self.timestamp_delta);
        varint::put(out, self.offset_delta);
        put_nullable(out, self.record.key);
        put_nullable(out, self.record.value);
        varint::put(out, as_i64(self.record.headers.len()));
        for header in self.record.headers {
            put_nullable(out, Some(header.key.as_bytes()));
            put_nullable(out, header.value);
        }
    }
}

fn nullable_len_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| {
        varint::len_bytes(as_i64(bytes.len())) + bytes.len()
    })
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put(out, -1),
        Some(bytes) => {
            varint::put(out, as_i64(bytes.len()));
            out.extend_from_slice(bytes);
        }
    }
}

/// The length of a slice, which never exceeds `isize::MAX`.
fn as_i64(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
