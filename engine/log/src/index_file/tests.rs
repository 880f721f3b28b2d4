use ringlog_record::{Offset, TimestampMs};

use super::{decode, encode};
use crate::index::{IndexEntry, SparseIndex};
use crate::segment::{Segment, SegmentFile};

fn sample() -> Segment {
    let entry = IndexEntry {
        offset: Offset::new(9),
        position: 70_000,
        max_timestamp_before: TimestampMs::new(3),
    };
    Segment {
        end: Offset::new(12),
        len_bytes: 90_000,
        index: SparseIndex::from_entries(vec![entry]).unwrap(),
        max_timestamp: TimestampMs::new(4),
        first_append: Some(TimestampMs::new(1)),
        last_append: Some(TimestampMs::new(2)),
        ..Segment::new(Offset::new(7), 1 << 20, SegmentFile::Closed)
    }
}

#[test]
fn an_index_file_comes_back() {
    let bytes = encode(&sample());
    assert_eq!(bytes.len(), 64 + 24);
    let found = decode(&bytes, Offset::new(7)).unwrap();
    assert_eq!(
        (found.base, found.end, found.len_bytes),
        (Offset::new(7), Offset::new(12), 90_000)
    );
    assert_eq!(found.index, sample().index);
    assert_eq!(
        (found.first_append, found.last_append),
        (sample().first_append, sample().last_append)
    );
    assert_eq!(found.max_timestamp, TimestampMs::new(4));
}

#[test]
fn an_index_file_has_these_very_bytes() {
    let bytes = encode(&sample());
    assert_eq!(&bytes[..8], b"RLOGIDX1");
    assert_eq!(bytes[8..12], crc32c::crc32c(&bytes[12..]).to_le_bytes());
    assert_eq!(bytes[12..16], [1, 0, 0, 0]);
    assert_eq!(bytes[16..24], 7_u64.to_le_bytes());
    assert_eq!(bytes[24..32], 12_u64.to_le_bytes());
    assert_eq!(bytes[32..40], 90_000_u64.to_le_bytes());
    assert_eq!(bytes[64..72], 9_u64.to_le_bytes());
    assert_eq!(bytes[72..80], 70_000_u64.to_le_bytes());
    assert_eq!(bytes[80..88], 3_i64.to_le_bytes());
}

#[test]
fn the_index_of_another_segment_or_a_changed_one_is_refused() {
    let bytes = encode(&sample());
    assert!(decode(&bytes, Offset::new(8)).is_none());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(decode(&changed, Offset::new(7)).is_none(), "byte {at}");
        assert!(decode(&bytes[..at], Offset::new(7)).is_none(), "{at} bytes");
    }
}
