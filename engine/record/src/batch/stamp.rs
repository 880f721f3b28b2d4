//! What a leader writes into a batch.

use zerocopy::FromBytes;

use super::error::BatchError;
use super::header::{Attributes, BatchHeader};
use crate::ids::{LeaderEpoch, TimestampMs};
use crate::limits::{BATCH_CRC_START, BATCH_HEADER_BYTES};
use crate::offset::Offset;
use crate::producer::ProducerStamp;

/// Writes base offset and leader epoch into the batch at the front of `batch`. Both lie outside the CRC.
///
/// # Errors
///
/// [`BatchError::Truncated`] when there is no whole header.
pub fn stamp(batch: &mut [u8], base_offset: Offset, epoch: LeaderEpoch) -> Result<(), BatchError> {
    let header = header_mut(batch)?;
    header.base_offset.set(base_offset.get().cast_signed());
    header.partition_leader_epoch.set(epoch.get().cast_signed());
    Ok(())
}

/// Makes `batch`, which is one whole batch, one of append time: sets the attribute and the largest time stamp, and
/// computes the CRC anew.
///
/// # Errors
///
/// [`BatchError::Truncated`] when there is no whole header.
pub fn stamp_append_time(batch: &mut [u8], time: TimestampMs) -> Result<(), BatchError> {
    let header = header_mut(batch)?;
    header
        .attributes
        .set(header.attributes.get() | Attributes::APPEND_TIME);
    header.max_timestamp.set(time.get());
    write_crc(batch)
}

/// Writes who sends `batch`, which is one whole batch, and computes the CRC anew.
///
/// # Errors
///
/// [`BatchError::Truncated`] when there is no whole header.
pub fn stamp_producer(batch: &mut [u8], producer: ProducerStamp) -> Result<(), BatchError> {
    let header = header_mut(batch)?;
    header.producer_id.set(producer.id.get().cast_signed());
    let epoch = producer.epoch.get().cast_signed();
    header.producer_epoch.set(epoch);
    let sequence = producer.base_sequence.get().cast_signed();
    header.base_sequence.set(sequence);
    write_crc(batch)
}

/// Computes the CRC of `batch`, which is one whole batch, and stores it.
pub(super) fn write_crc(batch: &mut [u8]) -> Result<(), BatchError> {
    let available_bytes = batch.len();
    let covered = batch.get(BATCH_CRC_START..).ok_or(BatchError::Truncated {
        available_bytes,
        needed_bytes: BATCH_HEADER_BYTES,
    })?;
    let crc = crc32c::crc32c(covered);
    header_mut(batch)?.crc.set(crc);
    Ok(())
}

fn header_mut(batch: &mut [u8]) -> Result<&mut BatchHeader, BatchError> {
    let available_bytes = batch.len();
    match BatchHeader::mut_from_prefix(batch) {
        Ok((header, _)) => Ok(header),
        Err(_) => Err(BatchError::Truncated {
            available_bytes,
            needed_bytes: BATCH_HEADER_BYTES,
        }),
    }
}
