//! A segment file, as `ringlog log verify` walks over it.

use ringlog_log::inspect::{BatchState, walk_segment};
use ringlog_record::Offset;
use ringlog_record::batch::BatchView;

use super::batch::{build, seal};
use crate::{INPUT_BYTES_MAX, Target};

/// See the module.
pub const TARGET: Target = Target {
    name: "segment",
    run: segment,
    samples,
    seal,
    memory_bytes_max: 16 * INPUT_BYTES_MAX,
    rounds: 200_000,
};

/// What a walk shows lies in the file, in order, and a batch that it calls valid is one.
pub fn segment(data: &[u8]) -> bool {
    let named = walk(data, Some(Offset::ZERO));
    walk(data, None) || named
}

/// Whether there is a valid batch.
fn walk(data: &[u8], base: Option<Offset>) -> bool {
    let len = data.len() as u64;
    let (mut end, mut batches, mut records) = (0, 0, 0);
    let mut last: Option<Offset> = None;
    let walked = walk_segment(&mut { data }, base, |batch| {
        assert!(batch.position >= end, "batches overlap");
        end = batch.position + batch.len_bytes;
        assert!(end <= len, "a batch ends behind the file");
        assert!(last.is_none_or(|last| last < batch.base_offset));
        last = Some(batch.last_offset);
        batches += 1;
        if batch.state == BatchState::Valid {
            records += batch.records;
            let at = usize::try_from(batch.position).unwrap_or(usize::MAX);
            let found = BatchView::parse(&data[at..]).ok();
            assert!(found.is_some_and(|found| found.crc_is_valid()));
        }
    });
    let Ok(report) = walked else {
        panic!("bytes in memory cannot fail to be read");
    };
    assert_eq!((report.batches, report.records), (batches, records));
    assert_eq!(report.file_bytes, len);
    assert!(report.end_position >= end && report.end_position <= len);
    assert!(report.nonzero_bytes_behind <= len - report.end_position);
    assert!(last.is_none_or(|last| report.end > last));
    for skipped in &report.skipped {
        assert!(skipped.bytes > 0 && skipped.position + skipped.bytes <= len);
        assert!(skipped.later_offset >= skipped.expected);
    }
    records > 0
}

/// Batches from 0 on, then zeros.
pub(super) fn sample() -> Vec<u8> {
    let mut file = [
        build(&[b"one"], 0),
        build(&[b"two", b"three"], 1),
        build(&[&[7; 600]], 3),
        build(&[b"", b"five"], 4),
    ]
    .concat();
    file.resize(file.len().next_multiple_of(4_096), 0);
    file
}

fn samples() -> Vec<Vec<u8>> {
    let mut torn = sample();
    torn[300..700].fill(0);
    vec![sample(), torn, vec![0; 4_096]]
}
