//! What must hold of any bytes in the place of a checkpoint slot or an index file. For the fuzz targets, which reach
//! what is private here by the feature `fuzz`; no broker is built with it.

use ringlog_record::{LeaderEpoch, Offset, TimestampMs};

use crate::checkpoint::Checkpoint;
use crate::epochs::{EpochCache, EpochStart};
use crate::index::{IndexEntry, SparseIndex};
use crate::index_file;
use crate::limits::{CHECKPOINT_SLOT_BYTES, EPOCHS_MAX, INDEX_ENTRIES_MAX, SEGMENT_BYTES_MAX};
use crate::segment::{Segment, SegmentFile};

/// Decodes a checkpoint slot, and asserts of one that is accepted what recovery relies on. Says whether it is.
pub fn checkpoint(slot: &[u8]) -> bool {
    let Some(found) = Checkpoint::decode(slot) else {
        return false;
    };
    let bytes = found.encode();
    assert!(bytes.len() <= CHECKPOINT_SLOT_BYTES);
    assert_eq!(Checkpoint::decode(&bytes).as_ref(), Some(&found));
    assert!(found.epochs.entries().len() <= EPOCHS_MAX);
    assert!(found.index.entries().len() <= INDEX_ENTRIES_MAX);
    assert!(found.active_base <= found.durable_end && found.durable_end <= Offset::MAX);
    assert!(found.log_start <= found.durable_end);
    assert!(found.epochs.latest() <= Some(LeaderEpoch::MAX));
    assert!(found.durable_position <= SEGMENT_BYTES_MAX);
    for entry in found.index.entries() {
        assert!(entry.offset >= found.active_base && entry.offset < found.durable_end);
        assert!(entry.position < found.durable_position);
    }
    true
}

/// Decodes an index file as that of the segment that it names, and asserts of one that is accepted what readers rely
/// on. Says whether it is.
pub fn index(bytes: &[u8]) -> bool {
    const BASE_AT: usize = 16;
    let base = bytes
        .get(BASE_AT..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |base| u64::from_le_bytes(*base));
    let Some(segment) = index_file::decode(bytes, Offset::new(base)) else {
        return false;
    };
    let again = index_file::decode(&index_file::encode(&segment), segment.base);
    let again = again.map(|again| (again.end, again.len_bytes, again.index));
    let expected = (segment.end, segment.len_bytes, segment.index.clone());
    assert_eq!(again, Some(expected));
    assert!(segment.base <= segment.end && segment.end <= Offset::MAX);
    assert!(segment.len_bytes <= SEGMENT_BYTES_MAX);
    for entry in segment.index.entries() {
        for offset in [entry.offset.get(), entry.offset.get().saturating_sub(1)] {
            let (at, position) = segment.position_at_or_before(Offset::new(offset));
            assert!(at >= segment.base && at < segment.end && position < segment.len_bytes);
        }
    }
    true
}

/// A checkpoint with epochs and index entries, and one without.
pub fn checkpoint_samples() -> Vec<Vec<u8>> {
    let epoch = |epoch, start| EpochStart {
        epoch: LeaderEpoch::new(epoch),
        start: Offset::new(start),
    };
    let full = Checkpoint {
        is_clean: true,
        has_producers: false,
        is_memory: false,
        sequence: 7,
        durable_end: Offset::new(300),
        durable_position: 200_000,
        active_base: Offset::new(100),
        log_start: Offset::new(50),
        high_watermark: Offset::new(299),
        first_append: Some(TimestampMs::new(1_000)),
        last_append: None,
        max_timestamp: TimestampMs::new(-5),
        epochs: EpochCache::from_entries(vec![epoch(1, 50), epoch(2, 250)]).unwrap_or_default(),
        index: entries(),
    };
    let empty = Checkpoint {
        is_clean: false,
        has_producers: false,
        is_memory: false,
        sequence: 8,
        durable_end: Offset::ZERO,
        durable_position: 0,
        active_base: Offset::ZERO,
        log_start: Offset::ZERO,
        high_watermark: Offset::ZERO,
        epochs: EpochCache::default(),
        index: SparseIndex::default(),
        ..full
    };
    vec![full.encode(), empty.encode(), checkpoint_in_memory(70)]
}

/// The first slot of the checkpoint of a log in memory that goes on at `start`.
pub fn checkpoint_in_memory(start: u64) -> Vec<u8> {
    let start = Offset::new(start);
    let epochs = EpochCache::from_entries(vec![EpochStart {
        epoch: LeaderEpoch::new(3),
        start,
    }]);
    let checkpoint = Checkpoint {
        is_clean: false,
        has_producers: false,
        is_memory: true,
        sequence: 2,
        durable_end: start,
        durable_position: 0,
        active_base: start,
        log_start: start,
        high_watermark: start,
        first_append: None,
        last_append: None,
        max_timestamp: TimestampMs::NONE,
        epochs: epochs.unwrap_or_default(),
        index: SparseIndex::default(),
    };
    checkpoint.encode()
}

/// The index file of a segment with entries.
pub fn index_samples() -> Vec<Vec<u8>> {
    let segment = Segment {
        end: Offset::new(300),
        len_bytes: 200_000,
        index: entries(),
        max_timestamp: TimestampMs::new(4),
        ..Segment::new(Offset::new(100), 1 << 20, SegmentFile::Closed)
    };
    vec![index_file::encode(&segment)]
}

/// The first slot of the checkpoint of a log whose active segment begins at `active`, with leader epoch 3 from 0 on.
pub fn checkpoint_of(is_clean: bool, active: u64, end: u64, position: usize) -> Vec<u8> {
    let epoch = EpochStart {
        epoch: LeaderEpoch::new(3),
        start: Offset::ZERO,
    };
    let checkpoint = Checkpoint {
        has_producers: false,
        is_memory: false,
        is_clean,
        sequence: 2,
        durable_end: Offset::new(end),
        durable_position: position as u64,
        active_base: Offset::new(active),
        log_start: Offset::ZERO,
        high_watermark: Offset::new(end),
        first_append: None,
        last_append: None,
        max_timestamp: TimestampMs::NONE,
        epochs: EpochCache::from_entries(vec![epoch]).unwrap_or_default(),
        index: SparseIndex::default(),
    };
    checkpoint.encode()
}

/// The index file, without entries, of a segment with these ends.
pub fn index_of(base: u64, end: u64, len_bytes: usize) -> Vec<u8> {
    let segment = Segment {
        end: Offset::new(end),
        len_bytes: len_bytes as u64,
        ..Segment::new(Offset::new(base), 1 << 20, SegmentFile::Closed)
    };
    index_file::encode(&segment)
}

fn entries() -> SparseIndex {
    let entry = |offset, position, time| IndexEntry {
        offset: Offset::new(offset),
        position,
        max_timestamp_before: TimestampMs::new(time),
    };
    let entries = vec![entry(150, 65_536, -1), entry(200, 140_000, 9)];
    SparseIndex::from_entries(entries).unwrap_or_default()
}

/// Computes the CRC of a checkpoint slot or an index file anew, for as many entries as it counts.
pub fn seal(bytes: &mut [u8]) {
    const CRC_START: usize = 12;
    let number = |at: usize| {
        let count = bytes.get(at..).and_then(|rest| rest.first_chunk());
        count.map_or(0, |count| u32::from_le_bytes(*count) as usize)
    };
    let is_index = bytes.starts_with(b"RLOGIDX1");
    let end = match is_index {
        true => 64_usize.saturating_add(number(12).saturating_mul(24)),
        false => 96_usize
            .saturating_add(number(88).saturating_mul(16))
            .saturating_add(number(92).saturating_mul(24)),
    };
    let Some(covered) = bytes.get(CRC_START..end) else {
        return;
    };
    let crc = crc32c::crc32c(covered);
    bytes[CRC_START - 4..CRC_START].copy_from_slice(&crc.to_le_bytes());
}
