use ringlog_record::{Offset, TimestampMs};

use super::{IndexEntry, SparseIndex};

fn entry(offset: u64, kib: u64, time: i64) -> IndexEntry {
    IndexEntry {
        offset: Offset::new(offset),
        position: kib << 10,
        max_timestamp_before: TimestampMs::new(time),
    }
}

#[test]
fn a_batch_is_noted_every_64_kib() {
    let mut index = SparseIndex::default();
    for batch in [
        entry(0, 0, -1),
        entry(1, 63, 5),
        entry(2, 64, 6),
        entry(3, 100, 7),
        entry(4, 200, 7),
    ] {
        index.note(batch);
    }
    assert_eq!(index.entries(), [entry(2, 64, 6), entry(4, 200, 7)]);
    assert_eq!(index.at_or_before(Offset::new(1)), None);
    assert_eq!(index.at_or_before(Offset::new(3)), Some(&entry(2, 64, 6)));
    assert_eq!(index.at_or_before(Offset::new(9)), Some(&entry(4, 200, 7)));
    assert_eq!(index.before_time(TimestampMs::new(6)), None);
    assert_eq!(
        index.before_time(TimestampMs::new(7)),
        Some(&entry(2, 64, 6))
    );
    assert_eq!(
        index.before_time(TimestampMs::new(8)),
        Some(&entry(4, 200, 7))
    );
}
