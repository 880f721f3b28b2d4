use proptest::prelude::*;

use super::*;

const NOW: TimestampMs = TimestampMs::new(1_000_000);

fn stamp(id: u64, epoch: u16, sequence: u32) -> ProducerStamp {
    ProducerStamp {
        id: ProducerId::new(id),
        epoch: ProducerEpoch::new(epoch),
        base_sequence: Sequence::new(sequence),
    }
}

fn stored(stamp: ProducerStamp, records: u32, base_offset: u64) -> StoredBatch {
    StoredBatch {
        epoch: stamp.epoch,
        base_sequence: stamp.base_sequence,
        records,
        base_offset: Offset::new(base_offset),
    }
}

/// Checks a batch and notes it at `base_offset` if it is to be appended.
fn send(
    producers: &mut Producers,
    stamp: ProducerStamp,
    records: u32,
    base_offset: u64,
    durable_end: u64,
) -> Result<Verdict, ProducerError> {
    let verdict = producers.check(stamp, records, NOW)?;
    if verdict == Verdict::Append {
        let batch = stored(stamp, records, base_offset);
        producers.note(stamp.id, batch, NOW, Offset::new(durable_end));
    }
    Ok(verdict)
}

#[test]
fn batches_in_order_are_appended_and_the_last_five_are_known_again() {
    let mut producers = Producers::default();
    for n in 0..7 {
        let sent = send(
            &mut producers,
            stamp(1, 0, n * 10),
            10,
            u64::from(n) * 10,
            1_000,
        );
        assert_eq!(sent, Ok(Verdict::Append));
    }
    for n in 2..7 {
        let again = stamp(1, 0, n * 10);
        let expected = stored(again, 10, u64::from(n) * 10);
        assert_eq!(
            producers.check(again, 10, NOW),
            Ok(Verdict::Stored(expected))
        );
    }
    for n in 0..2 {
        let again = producers.check(stamp(1, 0, n * 10), 10, NOW);
        assert!(
            matches!(again, Err(ProducerError::Duplicate { .. })),
            "{again:?}"
        );
    }
    // The same sequence with another number of records is another batch.
    let other = producers.check(stamp(1, 0, 60), 9, NOW);
    assert!(
        matches!(other, Err(ProducerError::Duplicate { .. })),
        "{other:?}"
    );
}

#[test]
fn a_gap_is_refused_and_so_is_an_older_epoch() {
    let mut producers = Producers::default();
    let unknown = producers.check(stamp(1, 0, 3), 1, NOW);
    assert!(
        matches!(unknown, Err(ProducerError::OutOfOrder { expected, .. }) if expected == Sequence::ZERO)
    );
    send(&mut producers, stamp(1, 1, 0), 3, 0, 0).unwrap();
    let gap = producers.check(stamp(1, 1, 4), 1, NOW);
    assert!(
        matches!(gap, Err(ProducerError::OutOfOrder { expected, .. }) if expected == Sequence::new(3))
    );
    let fenced = producers.check(stamp(1, 0, 3), 1, NOW);
    assert!(
        matches!(fenced, Err(ProducerError::Fenced { latest, .. }) if latest == ProducerEpoch::new(1))
    );
    let not_from_zero = producers.check(stamp(1, 2, 3), 1, NOW);
    assert!(matches!(
        not_from_zero,
        Err(ProducerError::OutOfOrder { .. })
    ));
    assert_eq!(
        send(&mut producers, stamp(1, 2, 0), 1, 3, 3),
        Ok(Verdict::Append)
    );
}

#[test]
fn a_snapshot_has_what_is_durable_however_much_is_not() {
    let mut producers = Producers::default();
    for n in 0..3 {
        send(&mut producers, stamp(1, 0, n), 1, n.into(), n.into()).unwrap();
    }
    for n in 3..40 {
        send(&mut producers, stamp(1, 0, n), 1, n.into(), 3).unwrap();
    }
    let durable = producers.below(Offset::new(3));
    let next = durable.check(stamp(1, 0, 3), 1, NOW);
    assert_eq!(
        next,
        Ok(Verdict::Append),
        "what is behind was lost with the crash"
    );
    for n in 0..3 {
        let again = durable.check(stamp(1, 0, n), 1, NOW);
        assert!(matches!(again, Ok(Verdict::Stored(_))));
    }
    assert!(producers.below(Offset::ZERO).is_empty());
}

#[test]
fn the_longest_idle_make_room_and_those_of_late_do_not() {
    let mut producers = Producers::default();
    for n in 0..PRODUCERS_MAX as u64 {
        let at = TimestampMs::new(NOW.get() + i64::try_from(n).unwrap());
        producers.note(
            ProducerId::new(n),
            stored(stamp(n, 0, 0), 1, n),
            at,
            Offset::MAX,
        );
    }
    let newcomer = stamp(1 << 40, 0, 0);
    let refused = producers.check(newcomer, 1, NOW);
    assert!(matches!(refused, Err(ProducerError::TooMany { .. })));
    let later = TimestampMs::new(NOW.get() + PRODUCER_KEPT_MS);
    assert_eq!(producers.check(newcomer, 1, later), Ok(Verdict::Append));
    producers.note(
        newcomer.id,
        stored(newcomer, 1, 1 << 20),
        later,
        Offset::MAX,
    );
    assert_eq!(producers.len(), PRODUCERS_MAX);
    let gone = producers.check(stamp(0, 0, 1), 1, later);
    assert!(matches!(
        gone,
        Err(ProducerError::TooMany { .. } | ProducerError::OutOfOrder { .. })
    ));

    producers.expire(TimestampMs::new(NOW.get() + PRODUCER_EXPIRY_MS + 1));
    assert_eq!(
        producers.len(),
        PRODUCERS_MAX - 1,
        "two were idle for a day, and one of them had made room"
    );
    producers.expire(TimestampMs::new(later.get() + PRODUCER_EXPIRY_MS));
    assert!(producers.is_empty());
}

proptest! {
    /// Whatever is sent, in any order and however often: each batch is appended once at most, in the order of the
    /// sequences, and a duplicate has the offset of the first.
    #[test]
    fn no_batch_is_appended_twice(sends in prop::collection::vec(0_u32..30, 1..400), lag in 0_u64..40) {
        let mut producers = Producers::default();
        let (mut log, mut offsets): (Vec<u32>, BTreeMap<u32, u64>) = Default::default();
        for n in sends {
            let end = log.len() as u64;
            match send(&mut producers, stamp(9, 0, n), 1, end, end.saturating_sub(lag)) {
                Ok(Verdict::Append) => {
                    prop_assert_eq!(offsets.insert(n, end), None);
                    log.push(n);
                }
                Ok(Verdict::Stored(batch)) => {
                    prop_assert_eq!(offsets.get(&n), Some(&batch.base_offset.get()));
                }
                Err(ProducerError::OutOfOrder { .. }) => prop_assert!(u64::from(n) > end),
                Err(ProducerError::Duplicate { .. }) => prop_assert!(u64::from(n) + 5 < end),
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
        prop_assert!(log.iter().copied().eq(0..u32::try_from(log.len()).unwrap()));
    }
}

/// A checkpoint is not taken for sound with producers that contradict themselves, and what was appended behind the one
/// before would be lost with it.
#[test]
fn what_recovery_finds_leaves_state_that_a_checkpoint_can_hold() {
    let mut producers = Producers::default();
    let found = [
        stored(stamp(1, 4, 0), 3, 10),
        stored(stamp(1, 3, 3), 1, 13),
        stored(stamp(1, 4, 3), 1, 12),
        stored(stamp(1, 4, 3), 2, 20),
    ];
    for batch in found {
        producers.note_found(ProducerId::new(1), batch, NOW);
    }
    let entries: Vec<_> = (producers.iter())
        .map(|(&id, producer)| (id, producer.clone()))
        .collect();
    assert_eq!(Producers::from_entries(entries), Some(producers.clone()));
    assert_eq!(
        producers.iter().next().unwrap().1.batches,
        [found[0], found[3]]
    );
}
