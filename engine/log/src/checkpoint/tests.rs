use ringlog_record::{LeaderEpoch, Offset, TimestampMs};

use super::Checkpoint;
use crate::epochs::{EpochCache, EpochStart};
use crate::index::{IndexEntry, SparseIndex};

fn sample() -> Checkpoint {
    let epoch = |epoch, start| EpochStart {
        epoch: LeaderEpoch::new(epoch),
        start: Offset::new(start),
    };
    let entry = |offset, position, time| IndexEntry {
        offset: Offset::new(offset),
        position,
        max_timestamp_before: TimestampMs::new(time),
    };
    Checkpoint {
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
        epochs: EpochCache::from_entries(vec![epoch(1, 50), epoch(2, 250)]).unwrap(),
        index: SparseIndex::from_entries(vec![entry(150, 65_536, -1), entry(200, 140_000, 9)])
            .unwrap(),
    }
}

#[test]
fn a_checkpoint_comes_back() {
    let bytes = sample().encode();
    assert_eq!(bytes.len(), 96 + 2 * 16 + 2 * 24);
    assert_eq!(Checkpoint::decode(&bytes), Some(sample()));
}

#[test]
fn a_checkpoint_has_these_very_bytes() {
    let bytes = sample().encode();
    assert_eq!(&bytes[..8], b"RLOGCKP1");
    assert_eq!(bytes[8..12], crc32c::crc32c(&bytes[12..]).to_le_bytes());
    assert_eq!(bytes[12..16], [1, 0, 1, 0]);
    assert_eq!(bytes[16..24], 7_u64.to_le_bytes());
    assert_eq!(bytes[24..32], 300_u64.to_le_bytes());
    assert_eq!(bytes[32..40], 200_000_u64.to_le_bytes());
    assert_eq!(bytes[40..48], 100_u64.to_le_bytes());
    assert_eq!(bytes[48..56], 50_u64.to_le_bytes());
    assert_eq!(bytes[56..64], 299_u64.to_le_bytes());
    assert_eq!(bytes[64..72], 1_000_i64.to_le_bytes());
    assert_eq!(bytes[72..80], (-1_i64).to_le_bytes());
    assert_eq!(bytes[80..88], (-5_i64).to_le_bytes());
    assert_eq!(bytes[88..96], [2, 0, 0, 0, 2, 0, 0, 0]);
    assert_eq!(
        bytes[96..112],
        [1, 0, 0, 0, 0, 0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(bytes[128..136], 150_u64.to_le_bytes());
    assert_eq!(bytes[136..144], 65_536_u64.to_le_bytes());
    assert_eq!(bytes[144..152], (-1_i64).to_le_bytes());
}

#[test]
fn a_changed_or_missing_byte_is_noticed() {
    let bytes = sample().encode();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert_eq!(Checkpoint::decode(&changed), None, "byte {at}");
        assert_eq!(Checkpoint::decode(&bytes[..at]), None, "{at} bytes");
    }
    assert_eq!(Checkpoint::decode(&[0; 4096]), None);
}
