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
    let bytes = batch.builder.clone().build().unwrap();
    let view = BatchView::parse(&bytes).unwrap();
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
            filled: false,
            needs_service: true,
        }
    );
    let lingering = accumulator.take_ready(&1, start, Urgency::Linger);
    assert!(lingering.is_none());
    assert_eq!(accumulator.due(&1), Some(start + BATCHING.linger));
    let lingered = start + BATCHING.linger;
    let ready = accumulator.take_ready(&1, lingered, Urgency::Linger);
    assert_eq!(values(&ready.unwrap()), [b"a"]);
    assert_eq!(accumulator.due(&1), None);
}

#[test]
fn a_partition_is_served_by_one_until_nothing_is_left() {
    let now = Instant::now();
    let mut accumulator = Accumulator::new(BATCHING);
    let append = |accumulator: &mut Accumulator<u32, u32>, value: &[u8]| {
        accumulator
            .append(&1, &record(value), 0, now)
            .unwrap()
            .needs_service
    };
    assert!(append(&mut accumulator, b"a"));
    assert!(!append(&mut accumulator, b"b"));
    assert!(!accumulator.release(&1));
    let ready = accumulator.take_ready(&1, now, Urgency::Flush).unwrap();
    assert_eq!(values(&ready), [b"a", b"b"]);
    assert!(!append(&mut accumulator, b"c"), "somebody still serves it");
    assert!(accumulator.take_ready(&1, now, Urgency::Flush).is_some());
    assert!(accumulator.release(&1));
    assert!(append(&mut accumulator, b"d"));
    assert_eq!(accumulator.pending(), 4);
    accumulator.finished(3);
    assert_eq!(accumulator.pending(), 1);
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
    let ready = std::iter::from_fn(|| accumulator.take_ready(&1, now, Urgency::Flush));
    let sizes: Vec<_> = ready.map(|batch| batch.waiting.len()).collect();
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
    assert!(accumulator.take_ready(&1, now, Urgency::Linger).is_none());
    accumulator.close(&1);
    accumulator.close(&2);
    assert!(accumulator.take_ready(&1, now, Urgency::Linger).is_some());
    assert!(accumulator.take_ready(&2, now, Urgency::Linger).is_none());
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
            for partition in 0..3 {
                while let Some(batch) = accumulator.take_ready(&partition, now, urgency) {
                    accumulator.finished(batch.waiting.len());
                    out.entry(partition).or_default().extend(batch.waiting);
                }
            }
        }
        for partition in 0..3 {
            while let Some(batch) = accumulator.take_ready(&partition, now, Urgency::Flush) {
                accumulator.finished(batch.waiting.len());
                out.entry(partition).or_default().extend(batch.waiting);
            }
        }
        prop_assert_eq!(accumulator.pending(), 0);
        prop_assert_eq!(out, sent);
    }
}
