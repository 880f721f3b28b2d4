use ringlog_record::batch::{BatchBuilder, BatchError, RecordData, stamp};
use ringlog_record::{LeaderEpoch, Offset};

use super::{BatchState, Problem, Severity, verify_directory, walk_segment};
use crate::checkpoint::Checkpoint;
use crate::epochs::{EpochCache, EpochStart};
use crate::error::BatchProblem;
use crate::index::SparseIndex;
use crate::limits::CHECKPOINT_SLOT_BYTES;
use crate::segment::{Segment, SegmentFile};

const EPOCH: u32 = 3;

/// Batches of two records from `base` on, and where each begins; the last position is the end.
fn segment(base: u64, batches: u64) -> (Vec<u8>, Vec<u64>) {
    let (mut bytes, mut positions) = (Vec::new(), vec![0]);
    for index in 0..batches {
        let mut builder = BatchBuilder::new(1 << 20);
        for value in [&b"one"[..], &vec![7; usize::try_from(index).unwrap() + 1]] {
            let record = RecordData {
                value: Some(value),
                ..RecordData::default()
            };
            builder.append(&record).unwrap();
        }
        let mut batch = builder.build().unwrap().to_vec();
        stamp(
            &mut batch,
            Offset::new(base + 2 * index),
            LeaderEpoch::new(EPOCH),
        )
        .unwrap();
        bytes.extend(batch);
        positions.push(bytes.len() as u64);
    }
    bytes.resize(bytes.len().next_multiple_of(4096) + 4096, 0);
    (bytes, positions)
}

fn checkpoint(durable_end: u64, durable_position: u64, active_base: u64) -> Vec<u8> {
    let start = Offset::ZERO;
    let epoch = LeaderEpoch::new(EPOCH);
    let checkpoint = Checkpoint {
        is_clean: false,
        has_producers: false,
        is_memory: false,
        sequence: 8,
        durable_end: Offset::new(durable_end),
        durable_position,
        active_base: Offset::new(active_base),
        log_start: Offset::ZERO,
        high_watermark: Offset::ZERO,
        first_append: None,
        last_append: None,
        max_timestamp: ringlog_record::TimestampMs::NONE,
        epochs: EpochCache::from_entries(vec![EpochStart { epoch, start }]).unwrap(),
        index: SparseIndex::default(),
    };
    let mut bytes = checkpoint.encode();
    bytes.resize(2 * CHECKPOINT_SLOT_BYTES, 0);
    bytes
}

fn index(base: u64, end: u64, len_bytes: u64) -> Vec<u8> {
    let mut segment = Segment::new(Offset::new(base), len_bytes, SegmentFile::Closed);
    (segment.end, segment.len_bytes) = (Offset::new(end), len_bytes);
    crate::index_file::encode(&segment)
}

const FIRST: &str = "00000000000000000000.log";
const FIRST_INDEX: &str = "00000000000000000000.index";
const SECOND: &str = "00000000000000000010.log";

struct Files(Vec<(&'static str, Vec<u8>)>);

impl Files {
    /// Two segments; the checkpoint lies in the middle of the second.
    fn good() -> (Self, Vec<u64>, Vec<u64>) {
        let (first, in_first) = segment(0, 5);
        let (second, in_second) = segment(10, 6);
        let files = vec![
            ("checkpoint", checkpoint(14, in_second[2], 10)),
            (SECOND, second),
            (FIRST_INDEX, index(0, 10, in_first[5])),
            (FIRST, first),
        ];
        (Self(files), in_first, in_second)
    }

    fn file(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self
            .0
            .iter_mut()
            .find(|(found, _)| *found == name)
            .unwrap()
            .1
    }

    fn verify(&self) -> super::DirectoryReport {
        let files = self.0.iter();
        verify_directory(
            files
                .map(|(name, bytes)| (name.to_string(), &bytes[..]))
                .collect(),
        )
        .unwrap()
    }

    /// Severity, file, position and text of each finding.
    fn findings(&self) -> Vec<(Severity, String, u64, Problem)> {
        let found = self.verify().findings.into_iter();
        found
            .map(|one| (one.severity, one.file, one.position, one.problem))
            .collect()
    }
}

#[test]
fn a_segment_is_shown_batch_by_batch() {
    let (bytes, positions) = segment(40, 4);
    let mut shown = Vec::new();
    let report = walk_segment(&mut &bytes[..], None, |batch| shown.push(batch.clone())).unwrap();
    assert_eq!((report.base.get(), report.end.get()), (40, 48));
    assert_eq!((report.batches, report.records), (4, 8));
    assert_eq!(report.end_position, positions[4]);
    assert_eq!(report.nonzero_bytes_behind, 0);
    for (index, batch) in shown.iter().enumerate() {
        assert_eq!(batch.position, positions[index]);
        assert_eq!(batch.len_bytes, positions[index + 1] - positions[index]);
        assert_eq!(batch.base_offset.get(), 40 + 2 * index as u64);
        assert_eq!(
            (batch.records, batch.epoch),
            (2, Some(LeaderEpoch::new(EPOCH)))
        );
        assert_eq!(batch.state, BatchState::Valid);
    }
}

#[test]
fn a_walk_goes_on_behind_damage() {
    let (mut bytes, positions) = segment(0, 6);
    // One batch with a wrong CRC, and one whose length is gone.
    bytes[usize::try_from(positions[2] - 1).unwrap()] ^= 1;
    let length_at = usize::try_from(positions[3]).unwrap() + 8;
    bytes[length_at..length_at + 4].fill(0xff);
    let mut states = Vec::new();
    let report = walk_segment(&mut &bytes[..], Some(Offset::ZERO), |batch| {
        states.push(batch.state.clone());
    })
    .unwrap();
    assert_eq!((report.batches, report.end.get()), (5, 12));
    assert!(matches!(
        states[1],
        BatchState::Bad(BatchProblem::Batch(BatchError::Crc { .. }))
    ));
    assert_eq!(report.skipped.len(), 1);
    let skipped = &report.skipped[0];
    assert_eq!(skipped.position, positions[3]);
    assert_eq!(skipped.bytes, positions[4] - positions[3]);
    assert_eq!((skipped.expected.get(), skipped.later_offset.get()), (6, 8));
}

#[test]
fn nothing_is_found_in_a_good_directory() {
    let (files, _, in_second) = Files::good();
    let report = files.verify();
    assert_eq!(report.findings, []);
    assert_eq!(report.segments.len(), 2);
    assert_eq!(report.segments[1].1.end_position, in_second[6]);
    assert_eq!(report.checkpoint.unwrap().durable_end.get(), 14);
}

#[test]
fn damage_in_a_sealed_segment_is_told_with_its_position() {
    let (mut files, in_first, _) = Files::good();
    files.file(FIRST)[usize::try_from(in_first[3] - 1).unwrap()] ^= 0x80;
    let [(severity, file, position, problem)] = &files.findings()[..] else {
        panic!("{:?}", files.findings());
    };
    assert_eq!(
        (*severity, &file[..], *position),
        (Severity::Damage, FIRST, in_first[2])
    );
    assert!(matches!(problem, Problem::Batch { expected, .. } if expected.get() == 4));
}

#[test]
fn a_torn_tail_is_no_damage_and_what_had_been_durable_is() {
    for (batch, wanted) in [(1, Severity::Damage), (4, Severity::Note)] {
        let (mut files, _, in_second) = Files::good();
        files.file(SECOND)[usize::try_from(in_second[batch + 1] - 1).unwrap()] ^= 1;
        let findings = files.findings();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].0, findings[0].2), (wanted, in_second[batch]));
    }
    let (mut files, _, in_second) = Files::good();
    let at = usize::try_from(in_second[6] - 1).unwrap();
    files.file(SECOND)[at] ^= 1;
    assert!(!files.verify().is_damaged());
    assert!(matches!(
        files.findings()[..],
        [(_, _, _, Problem::TornTail { .. })]
    ));
    files.file(SECOND)[usize::try_from(in_second[1]).unwrap()..].fill(0);
    assert!(matches!(
        files.findings()[..],
        [(Severity::Damage, _, position, Problem::EndsTooEarly { .. })] if position == in_second[1]
    ));
}

#[test]
fn what_is_missing_or_wrong_is_told() {
    let (mut files, in_first, _) = Files::good();
    files.0.retain(|(name, _)| *name != FIRST);
    let problems: Vec<_> = files.findings().into_iter().map(|found| found.3).collect();
    assert!(matches!(
        problems[..],
        [Problem::IndexWithoutSegment, Problem::NoFirstSegment { .. }]
    ));

    let (mut files, ..) = Files::good();
    files.file(FIRST_INDEX)[20] ^= 1;
    files.file("checkpoint")[40] ^= 1;
    files.0.push(("next.tmp", Vec::new()));
    files.0.push(("core", Vec::new()));
    let problems: Vec<_> = files.findings().into_iter().map(|found| found.3).collect();
    assert!(problems.contains(&Problem::IndexDamaged));
    assert!(problems.contains(&Problem::CheckpointSlot { slot: 0 }));
    assert!(problems.contains(&Problem::NoCheckpoint));
    assert!(problems.contains(&Problem::Leftover) && problems.contains(&Problem::UnknownFile));

    let (mut files, ..) = Files::good();
    *files.file(FIRST_INDEX) = index(0, 8, in_first[4]);
    let end = Offset::new(10);
    let index_end = Offset::new(8);
    assert_eq!(files.findings()[0].3, Problem::IndexEnd { index_end, end });

    let (mut files, in_first, _) = Files::good();
    // The epoch is outside of the CRC.
    files.file(FIRST)[usize::try_from(in_first[1]).unwrap() + 15] = 2;
    let [(Severity::Damage, _, position, Problem::Epoch { .. })] = files.findings()[..] else {
        panic!("{:?}", files.findings());
    };
    assert_eq!(position, in_first[1]);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        changes in proptest::collection::vec((0..4_usize, 0..400_usize, proptest::prelude::any::<u8>()), 1..40),
        cut in 0..9_000_usize,
    ) {
        let (mut files, ..) = Files::good();
        for (file, position, byte) in changes {
            let bytes = &mut files.0[file].1;
            let position = position % bytes.len();
            bytes[position] = byte;
        }
        let bytes = files.file(SECOND);
        bytes.truncate(cut.max(1));
        files.verify();
    }

    #[test]
    fn random_bytes_are_no_checkpoint_and_no_index(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        proptest::prop_assert!(Checkpoint::decode(&bytes).is_none());
        proptest::prop_assert!(crate::index_file::decode(&bytes, Offset::ZERO).is_none());
        walk_segment(&mut &bytes[..], None, |_| {}).unwrap();
    }
}
