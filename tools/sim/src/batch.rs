//! Batches of the simulated clients: built from ids, and decoded back to them.

use bytes::Bytes;
use ringlog_record::TimestampMs;
use ringlog_record::batch::{BatchBuilder, RecordData, batches};

use crate::history::ReadRecord;
use crate::value::{RecordId, id_of, value_of};
use crate::violation::{Violation, not_served};

/// Bytes of a batch at most.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// Bytes that a batch of one record without a key has beside its value, for values from 64 bytes to 8 KiB.
const OVERHEAD_BYTES: usize = 61 + 9;

/// The length of the value with which a batch of one record has `batch_bytes`.
pub const fn value_bytes_for(batch_bytes: usize) -> usize {
    batch_bytes - OVERHEAD_BYTES
}

/// A batch of these records, each with the length of its value.
///
/// # Errors
///
/// When they do not fit one batch.
pub fn build(
    partition: u32,
    records: &[(RecordId, usize)],
    now_ms: i64,
) -> Result<Bytes, Violation> {
    let mut builder = BatchBuilder::new(BATCH_BYTES_MAX);
    for &(id, len) in records {
        let value = value_of(id, len);
        let record = RecordData {
            key: None,
            value: Some(&value),
            headers: &[],
            timestamp: TimestampMs::new(now_ms),
        };
        builder
            .append(&record)
            .map_err(|error| not_served(partition, &error))?;
    }
    builder
        .build()
        .map_err(|error| not_served(partition, &error))
}

/// The records of whole batches, each batch checked against its own CRC.
///
/// # Errors
///
/// When a batch is damaged.
pub fn decode(partition: u32, slices: &[Bytes]) -> Result<Vec<ReadRecord>, Violation> {
    let mut records = Vec::new();
    for slice in slices {
        for batch in batches(slice) {
            let batch = batch.map_err(|error| not_served(partition, &error))?;
            let changed = Violation::ContentChanged {
                partition,
                offset: batch.base_offset().get(),
            };
            if !batch.crc_is_valid() {
                return Err(changed);
            }
            let epoch = batch.header().leader_epoch();
            for record in batch.records() {
                let record = record.map_err(|_| changed.clone())?;
                records.push(ReadRecord {
                    offset: record.offset.get(),
                    epoch: epoch.map_or(u32::MAX, |epoch| epoch.get()),
                    id: record.value.and_then(id_of),
                });
            }
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests;
