//! The producers of a checkpoint: two regions behind the slots, each with the sequence number of the slot that it
//! belongs to. A slot that says it has producers counts only with its region, so that both are there or neither.
//! A slot that says nothing has none: logs from before there were any, and those that nobody idempotent writes to,
//! have no region. All numbers are little-endian.
//!
//! ```text
//! byte  0   magic             8 bytes   "RLOGPID1"
//!       8   CRC-32C           u32       of byte 12 to the end
//!      12   producers         u32       count
//!      16   sequence          u64       of the slot
//!      24   producers, each:
//!           producer id       u64
//!           last append       i64       ms, by the broker's clock
//!           batches           u8        count, 1 to 5
//!           batches, each 18 bytes: base offset u64, base sequence u32, records u32, producer epoch u16
//! ```

use std::collections::VecDeque;

use ringlog_record::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::limits::{
    BLOCK_BYTES, CHECKPOINT_SLOT_BYTES, PRODUCER_BATCHES_MAX, PRODUCER_REGION_BYTES, PRODUCERS_MAX,
};
use crate::producers::{Producer, Producers, StoredBatch};

const MAGIC: [u8; 8] = *b"RLOGPID1";
const CRC_START: usize = 12;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    crc: U32,
    producers: U32,
    sequence: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ProducerRecord {
    id: U64,
    last_append: I64,
    batches: u8,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct BatchRecord {
    base_offset: U64,
    base_sequence: U32,
    records: U32,
    epoch: U16,
}

const _: () = assert!(size_of::<Header>() == 24);
const _: () = assert!(size_of::<ProducerRecord>() == 17);
const _: () = assert!(size_of::<BatchRecord>() == 18);
const _: () = assert!(
    24 + PRODUCERS_MAX
        * (size_of::<ProducerRecord>() + PRODUCER_BATCHES_MAX * size_of::<BatchRecord>())
        <= PRODUCER_REGION_BYTES
);
const _: () = assert!((PRODUCER_REGION_BYTES as u64).is_multiple_of(BLOCK_BYTES));
const _: () = assert!(PRODUCER_BATCHES_MAX <= u8::MAX as usize);

/// Where the regions end, and with them the file.
pub(super) const REGIONS_END: u64 = 2 * (CHECKPOINT_SLOT_BYTES + PRODUCER_REGION_BYTES) as u64;

/// Where the region of the checkpoint with this sequence number lies.
pub(super) fn position(sequence: u64) -> u64 {
    2 * CHECKPOINT_SLOT_BYTES as u64 + (sequence % 2) * PRODUCER_REGION_BYTES as u64
}

/// The bytes of the region.
pub(super) fn encode(producers: &Producers, sequence: u64) -> Vec<u8> {
    let header = Header {
        magic: MAGIC,
        crc: 0.into(),
        producers: u32::try_from(producers.len()).unwrap_or(u32::MAX).into(),
        sequence: sequence.into(),
    };
    let mut bytes = header.as_bytes().to_vec();
    for (id, producer) in producers.iter() {
        let record = ProducerRecord {
            id: id.get().into(),
            last_append: producer.last_append.get().into(),
            batches: u8::try_from(producer.batches.len()).unwrap_or(u8::MAX),
        };
        bytes.extend_from_slice(record.as_bytes());
        for batch in &producer.batches {
            let record = BatchRecord {
                base_offset: batch.base_offset.get().into(),
                base_sequence: batch.base_sequence.get().into(),
                records: batch.records.into(),
                epoch: batch.epoch.get().into(),
            };
            bytes.extend_from_slice(record.as_bytes());
        }
    }
    let crc = U32::new(crc32c::crc32c(&bytes[CRC_START..]));
    bytes[CRC_START - size_of::<U32>()..CRC_START].copy_from_slice(crc.as_bytes());
    bytes
}

/// The producers at the front of a region, if they are whole and belong to the checkpoint of this sequence number and
/// durable end.
pub(super) fn decode(region: &[u8], sequence: u64, durable_end: Offset) -> Option<Producers> {
    let (header, body) = Header::ref_from_prefix(region).ok()?;
    let count = usize::try_from(header.producers.get()).ok()?;
    if header.magic != MAGIC || header.sequence.get() != sequence || count > PRODUCERS_MAX {
        return None;
    }
    let (mut rest, mut entries) = (body, Vec::with_capacity(count));
    for _ in 0..count {
        let (record, behind) = ProducerRecord::ref_from_prefix(rest).ok()?;
        let batches = usize::from(record.batches);
        let (batches, behind) =
            <[BatchRecord]>::ref_from_prefix_with_elems(behind, batches).ok()?;
        let stored = |batch: &BatchRecord| StoredBatch {
            epoch: ProducerEpoch::new(batch.epoch.get()),
            base_sequence: Sequence::new(batch.base_sequence.get()),
            records: batch.records.get(),
            base_offset: Offset::new(batch.base_offset.get()),
        };
        let producer = Producer {
            last_append: TimestampMs::new(record.last_append.get()),
            batches: batches.iter().map(stored).collect::<VecDeque<_>>(),
        };
        if producer.batches.iter().any(|one| one.end() > durable_end) {
            return None;
        }
        entries.push((ProducerId::new(record.id.get()), producer));
        rest = behind;
    }
    let covered = &region[CRC_START..region.len() - rest.len()];
    if crc32c::crc32c(covered) != header.crc.get() {
        return None;
    }
    Producers::from_entries(entries)
}

#[cfg(test)]
mod tests;
