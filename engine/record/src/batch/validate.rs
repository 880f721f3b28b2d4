//! What a broker checks of a batch before it takes it: once, at the boundary, without decoding records.

use super::error::BatchError;
use super::header::Compression;
use super::view::BatchView;
use crate::ids::TimestampMs;
use crate::limits::{BATCH_BYTES_MAX, BATCH_CRC_START, BATCH_RECORDS_MAX};
use crate::producer::ProducerStamp;

/// What a topic takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Most bytes of a batch, header included.
    pub batch_bytes_max: usize,
    /// Most records of a batch.
    pub records_max: u32,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            batch_bytes_max: BATCH_BYTES_MAX,
            records_max: BATCH_RECORDS_MAX,
        }
    }
}

/// What was learnt of a batch while it was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// Bytes of the batch, header included.
    pub len_bytes: usize,
    /// Records, at least one; their offsets are dense.
    pub record_count: u32,
    /// Largest time stamp that the producer gave.
    pub max_timestamp: TimestampMs,
    /// How the records are compressed.
    pub compression: Compression,
    /// The idempotent producer that sent it, if one did.
    pub producer: Option<ProducerStamp>,
}

/// Checks everything but the CRC of the produced batch at the front of `bytes`. Follow with [`copy_validated`], or
/// use [`validate_produce`].
///
/// # Errors
///
/// Whatever of [`BatchError`] is wrong with it.
pub fn check_produce(bytes: &[u8], limits: &BatchLimits) -> Result<BatchInfo, BatchError> {
    let view = BatchView::parse(bytes)?;
    let header = view.header();
    let len_bytes = view.len_bytes();
    if len_bytes > limits.batch_bytes_max {
        return Err(BatchError::TooLarge {
            len_bytes,
            batch_bytes_max: limits.batch_bytes_max,
        });
    }
    if header.base_offset.get() != 0 {
        return Err(BatchError::BaseOffset {
            base_offset: header.base_offset.get(),
        });
    }
    let attributes = header.attributes();
    if !attributes.may_be_produced() {
        return Err(BatchError::Attributes {
            attributes: attributes.0,
        });
    }
    let compression = attributes
        .compression()
        .ok_or_else(|| BatchError::Compression {
            code: attributes.compression_code(),
        })?;
    let record_count = view
        .dense_records()
        .filter(|&records| records <= limits.records_max)
        .ok_or(BatchError::RecordCount {
            record_count: header.record_count.get(),
            last_offset_delta: header.last_offset_delta.get(),
        })?;
    Ok(BatchInfo {
        len_bytes,
        record_count,
        max_timestamp: header.max_timestamp(),
        compression,
        producer: header.producer()?,
    })
}

/// Checks the produced batch at the front of `bytes`, its CRC included.
///
/// # Errors
///
/// Whatever of [`BatchError`] is wrong with it.
pub fn validate_produce(bytes: &[u8], limits: &BatchLimits) -> Result<BatchInfo, BatchError> {
    let info = check_produce(bytes, limits)?;
    BatchView::parse(bytes)?.check_crc()?;
    Ok(info)
}

/// Bytes that are copied before their CRC is taken, while they are still in the nearest cache.
const COPY_CHUNK_BYTES: usize = 8 << 10;

/// Copies `batch`, which is one whole batch, to the front of `destination`, checking its CRC on the way.
///
/// # Errors
///
/// [`BatchError::Crc`] when it does not match: the destination then holds bytes that must not be used.
/// [`BatchError::Truncated`] when `batch` has no header or the destination no room.
pub fn copy_validated(batch: &[u8], destination: &mut [u8]) -> Result<(), BatchError> {
    let view = BatchView::parse(batch)?;
    let (batch, available_bytes) = (view.bytes(), destination.len());
    let Some(destination) = destination.get_mut(..batch.len()) else {
        return Err(BatchError::Truncated {
            available_bytes,
            needed_bytes: batch.len(),
        });
    };
    let (front, covered) = batch.split_at(BATCH_CRC_START);
    let (front_out, covered_out) = destination.split_at_mut(BATCH_CRC_START);
    front_out.copy_from_slice(front);
    let mut computed = 0;
    for (from, to) in covered
        .chunks(COPY_CHUNK_BYTES)
        .zip(covered_out.chunks_mut(COPY_CHUNK_BYTES))
    {
        to.copy_from_slice(from);
        computed = crc32c::crc32c_append(computed, to);
    }
    let stored = view.header().crc.get();
    if stored == computed {
        Ok(())
    } else {
        Err(BatchError::Crc { stored, computed })
    }
}
