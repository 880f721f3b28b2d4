use proptest::prelude::*;
use ringlog_record::batch::BatchView;

use super::*;

const BATCHING: Batching = Batching {
    linger: Duration::from_millis(5),
    batch_bytes: 400,
    batch_bytes_max: 1_000,
};

fn record(value: &[u8]) -> RecordData<'_> {
    RecordData {
        value: Some(value),
        ..RecordData::default()
    }
}

fn values(batch: &ReadyBatch<u32>) -> Vec<Vec<u8>> {
    let view = BatchView::parse(&batch.bytes).unwrap();
    assert!(view.crc_is_valid());
    let records = view
        .records()
        .map(|record| record.unwrap().value.unwrap().to_vec());
    records.collect()
}

#[test]
fn a_batch_goes_when_it_has_lingered_and_not_before() {
    let start = Instant::now();
    let mut accumulator = Accumulator::new(BATCHING);
    let appended = accumulator.append(&1, &record(b"a"), 0, start).unwrap();
    assert_eq!(
        appended,
        Appended {
            opened: true,
            filled: false
        }
    );
    assert!(accumulator.take_ready(start, Urgency::Linger).is_empty());
    assert_eq!(accumulator.next_due(), Some(start + BATCHING.linger));
    let ready = accumulator.take_ready(start + BATCHING.linger, Urgency::Linger);
    assert_eq!(ready.len(), 1);
    assert_eq!(values(&ready[0].1[0]), [b"a"]);
}

#[test]
fn one_request_of_a_partition_is_under_way_at_a_time() {
    let now = Instant::now();
    let mut accumulator = Accumulator::new(BATCHING);
    accumulator.append(&1, &record(b"a"), 0, now).unwrap();
    accumulator.append(&2, &record(b"x"), 1, now).unwrap();
    assert_eq!(accumulator.take_ready(now, Urgency::Flush).len(), 2);
    accumulator.append(&1, &record(b"b"), 2, now).unwrap();
    assert!(accumulator.take_ready(now, Urgency::Flush).is_empty());
    assert_eq!(accumulator.next_due(), None);
    accumulator.finished(&1, 1);
    let ready = accumulator.take_ready(now, Urgency::Flush);
    assert_eq!(ready.len(), 1);
    assert_eq!(values(&ready[0].1[0]), [b"b"]);
    assert_eq!(accumulator.pending(), 2);
}

#[test]
fn a_record_larger_than_a_batch_is_refused_and_harms_nobody() {
    let now = Instant::now();
    let mut accumulator = Accumulator::new(BATCHING);
    accumulator.append(&1, &record(b"small"), 0, now).unwrap();
    let large = vec![0; 2_000];
    let (_, waiting) = accumulator.append(&1, &record(&large), 7, now).unwrap_err();
    assert_eq!(waiting, 7);
    let between = vec![0; 700];
    assert!(
        accumulator
            .append(&1, &record(&between), 1, now)
            .unwrap()
            .filled
    );
    let ready = accumulator.take_ready(now, Urgency::Flush);
    let sizes: Vec<_> = ready[0].1.iter().map(|batch| batch.waiting.len()).collect();
    assert_eq!(sizes, [1, 1]);
}

#[test]
fn a_batch_that_is_closed_goes_without_lingering() {
    let now = Instant::now();
    let mut accumulator = Accumulator::new(BATCHING);
    let large = vec![0; 250];
    assert!(accumulator.fits(&1, &record(&large)), "nothing is open");
    accumulator.append(&1, &record(&large), 0, now).unwrap();
    assert!(!accumulator.fits(&1, &record(&large)));
    assert!(accumulator.fits(&1, &record(b"small")));
    assert!(accumulator.take_ready(now, Urgency::Linger).is_empty());
    accumulator.close(&1);
    accumulator.close(&2);
    let ready = accumulator.take_ready(now, Urgency::Linger);
    assert_eq!(ready.len(), 1);
    assert_eq!(ready[0].0, 1);
}

proptest! {
    #[test]
    fn records_of_a_partition_keep_their_order_and_none_is_lost(
        sends in proptest::collection::vec((0_u8..3, 0_usize..300, 0_u8..4), 1..200),
    ) {
        let mut now = Instant::now();
        let mut accumulator = Accumulator::new(BATCHING);
        let mut sent: BTreeMap<u8, Vec<u32>> = BTreeMap::new();
        let mut out: BTreeMap<u8, Vec<u32>> = BTreeMap::new();
        for (number, (partition, len, millis)) in (0..).zip(sends) {
            now += Duration::from_millis(millis.into());
            accumulator.append(&partition, &record(&vec![1; len]), number, now).unwrap();
            sent.entry(partition).or_default().push(number);
            let urgency = if millis == 3 { Urgency::Flush } else { Urgency::Linger };
            for (partition, batches) in accumulator.take_ready(now, urgency) {
                let records: Vec<u32> = batches.into_iter().flat_map(|batch| batch.waiting).collect();
                accumulator.finished(&partition, records.len());
                out.entry(partition).or_default().extend(records);
            }
        }
        while accumulator.pending() > 0 {
            for (partition, batches) in accumulator.take_ready(now, Urgency::Flush) {
                let records: Vec<u32> = batches.into_iter().flat_map(|batch| batch.waiting).collect();
                accumulator.finished(&partition, records.len());
                out.entry(partition).or_default().extend(records);
            }
        }
        prop_assert_eq!(out, sent);
    }
}
