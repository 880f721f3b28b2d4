//! Idempotent producers over stops of every kind: what is in the log is known to be, and what is not is not.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ringlog_log::{AppendError, Appended, Log, LogConfig, ProducerError};
use ringlog_record::batch::{BatchBuilder, RecordData, stamp_producer};
use ringlog_record::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, ProducerStamp, Sequence};

use crate::bench_world::{World, open_with};

/// Records of a batch; of different sizes, so that many segments begin.
fn records_of(n: u32) -> u32 {
    1 + n % 3
}

fn sequence_of(n: u32) -> u32 {
    (0..n).map(records_of).sum()
}

/// The batch number `n` of a producer.
fn batch(producer: u64, epoch: u16, n: u32) -> Vec<u8> {
    let mut builder = BatchBuilder::new(1 << 20);
    let value = vec![u8::try_from(n % 251).unwrap(); 300 + (n as usize * 7919) % 40_000];
    for _ in 0..records_of(n) {
        let record = RecordData {
            value: Some(&value),
            ..RecordData::default()
        };
        builder.append(&record).unwrap();
    }
    let mut bytes = builder.build().unwrap().to_vec();
    let stamp = ProducerStamp {
        id: ProducerId::new(producer),
        epoch: ProducerEpoch::new(epoch),
        base_sequence: Sequence::new(sequence_of(n)),
    };
    stamp_producer(&mut bytes, stamp).unwrap();
    bytes
}

fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 1 << 20,
        retention_ms: None,
        ..LogConfig::default()
    }
}

fn send(log: &Log, producer: u64, n: u32) -> Result<Appended, AppendError> {
    let epoch = log.epochs().latest().unwrap_or(LeaderEpoch::new(1));
    log.append(&batch(producer, 0, n), epoch)
}

/// Where the batches of each of three producers are, as far as they were appended.
type Known = [Vec<Offset>; 3];

/// Asserts that the log knows exactly those batches that lie below its end, and forgets the others.
fn check(log: &Log, known: &mut Known, seed: u64) {
    for (producer, offsets) in (0..).zip(known) {
        let log_end = log.log_end();
        offsets.retain(|&offset| offset < log_end);
        let count = u32::try_from(offsets.len()).unwrap();
        for n in count.saturating_sub(5)..count {
            let again = send(log, producer, n).unwrap_or_else(|error| {
                panic!("seed {seed}: batch {n} of {count} of producer {producer}: {error}")
            });
            assert!(again.is_duplicate, "seed {seed}");
            assert_eq!(again.base_offset, offsets[n as usize], "seed {seed}");
            let end = again.base_offset.get() + u64::from(records_of(n));
            assert_eq!(again.log_end, Offset::new(end), "seed {seed}");
        }
        let gap = send(log, producer, count + 1);
        let is_gap = matches!(
            gap,
            Err(AppendError::Producer(ProducerError::OutOfOrder { .. }))
        );
        assert!(is_gap, "seed {seed}: {gap:?}");
        assert_eq!(log.log_end(), log_end, "seed {seed}: nothing was appended");
    }
}

#[test]
fn an_append_on_condition_goes_where_the_log_ends_or_nowhere() {
    World::new(5).run(|env| async move {
        let (log, _) = open_with(&env, small()).await;
        let epoch = LeaderEpoch::new(1);
        log.begin_epoch(epoch).await.unwrap();
        let at = |expected: u64, batch: &[u8]| log.append_at(Offset::new(expected), batch, epoch);
        let appended = at(0, &batch(1, 0, 0)).unwrap();
        assert_eq!(appended.log_end, Offset::new(1));
        for elsewhere in [0, 2, u64::MAX] {
            let refused = at(elsewhere, &batch(2, 0, 0));
            let log_end = Offset::new(1);
            assert!(
                matches!(refused, Err(AppendError::UnexpectedOffset { log_end: end, .. }) if end == log_end),
                "{refused:?}"
            );
            assert_eq!(log.log_end(), log_end);
        }
        // A refused append has used no sequence.
        assert_eq!(at(1, &batch(2, 0, 0)).unwrap().base_offset, Offset::new(1));
        // What is sent again is stored, wherever the log ends by now; a gap is a gap wherever it is to go.
        let again = at(0, &batch(1, 0, 0)).unwrap();
        assert!(again.is_duplicate && again.base_offset == Offset::ZERO);
        let gap = at(2, &batch(1, 0, 2));
        assert!(matches!(gap, Err(AppendError::Producer(_))), "{gap:?}");
    });
}

#[test]
fn what_a_crash_left_in_the_log_is_known_and_nothing_else() {
    let mut durable_and_not = 0;
    for seed in 0..16_u64 {
        let world = World::new(seed);
        let known: Rc<RefCell<Known>> = Rc::default();
        for life in 1..5_u32 {
            let known = Rc::clone(&known);
            let lost = world.run(move |env| async move {
                let (log, _) = open_with(&env, small()).await;
                let before: usize = known.borrow().iter().map(Vec::len).sum();
                check(&log, &mut known.borrow_mut(), seed);
                let after: usize = known.borrow().iter().map(Vec::len).sum();
                log.begin_epoch(LeaderEpoch::new(life)).await.unwrap();
                let appends = async {
                    for step in 0.. {
                        let producer = (step + seed + u64::from(life)) * 7 % 3;
                        let index = usize::try_from(producer).unwrap();
                        let n = u32::try_from(known.borrow()[index].len()).unwrap();
                        match send(&log, producer, n) {
                            Ok(appended) => {
                                assert!(!appended.is_duplicate);
                                known.borrow_mut()[index].push(appended.base_offset);
                            }
                            Err(AppendError::Throttled) => {}
                            Err(error) => panic!("seed {seed}: {error}"),
                        }
                        env.reactor.sleep(Duration::from_micros(40)).await;
                    }
                };
                let lifetime = Duration::from_micros(2_000 + seed * 977 % 30_000);
                env.reactor.timeout(lifetime, appends).await.ok();
                before - after
            });
            durable_and_not += lost;
            world.lose_power();
        }
    }
    assert!(
        durable_and_not > 0,
        "no crash took anything: nothing was tested"
    );
}

#[test]
fn a_clean_close_and_a_log_without_its_checkpoint_know_the_same() {
    for removes_checkpoint in [false, true] {
        let world = World::new(5);
        let mut known = world.run(|env| async move {
            let (log, _) = open_with(&env, small()).await;
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            let mut known = Known::default();
            for n in 0..40 {
                for (producer, offsets) in (0..).zip(&mut known) {
                    offsets.push(send(&log, producer, n).unwrap().base_offset);
                }
                log.flush().await.unwrap();
            }
            log.close().await.unwrap();
            known
        });
        if removes_checkpoint {
            let path = std::path::PathBuf::from(crate::bench_world::DIRECTORY).join("checkpoint");
            world.overwrite(&path, 0, &[0; 4096]);
            world.overwrite(&path, 128 << 10, &[0; 4096]);
        }
        world.run(move |env| async move {
            let (log, report) = open_with(&env, small()).await;
            assert_eq!(report.is_clean, !removes_checkpoint);
            check(&log, &mut known, 0);
        });
    }
}

#[test]
fn producers_outlive_their_records() {
    let world = World::new(6);
    let mut known = world.run(|env| async move {
        let (log, _) = open_with(&env, small()).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        let mut known = Known::default();
        for n in 0..60 {
            for (producer, offsets) in (0..).zip(&mut known) {
                offsets.push(send(&log, producer, n).unwrap().base_offset);
            }
            log.flush().await.unwrap();
        }
        log.delete_records(log.log_end()).await.unwrap();
        known
    });
    world.lose_power();
    world.run(move |env| async move {
        let (log, report) = open_with(&env, small()).await;
        assert_eq!(report.log_start, report.log_end);
        check(&log, &mut known, 0);
    });
}

#[test]
fn a_producer_that_comes_back_in_a_new_epoch_fences_the_old_one_for_good() {
    let world = World::new(7);
    world.run(|env| async move {
        let (log, _) = open_with(&env, small()).await;
        let epoch = LeaderEpoch::new(1);
        log.begin_epoch(epoch).await.unwrap();
        log.append(&batch(1, 0, 0), epoch).unwrap();
        log.append(&batch(1, 1, 0), epoch).unwrap();
        log.flush().await.unwrap();
    });
    world.lose_power();
    world.run(|env| async move {
        let (log, _) = open_with(&env, small()).await;
        let epoch = LeaderEpoch::new(1);
        let old = log.append(&batch(1, 0, 1), epoch);
        let is_fenced = matches!(
            old,
            Err(AppendError::Producer(ProducerError::Fenced { .. }))
        );
        assert!(is_fenced, "{old:?}");
        let mut two = batch(1, 1, 1);
        two.extend(batch(1, 1, 2));
        let refused = log.append(&two, epoch);
        assert!(matches!(
            refused,
            Err(AppendError::Producer(ProducerError::NotAlone {
                batches: 2
            }))
        ));
        assert!(!log.append(&batch(1, 1, 1), epoch).unwrap().is_duplicate);
    });
}
