use std::path::PathBuf;
use std::time::Duration;

use ringlog_log::{
    BatchProblem, ChangeError, Damage, LogConfig, OpenError, ReadError, ReadRequest,
};
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{
    World, append_numbered, batch, check_numbered, open, read_all_batches, segment_file, try_open,
};

const EPOCH: LeaderEpoch = LeaderEpoch::new(1);

#[test]
fn an_epoch_that_began_above_what_came_back_is_still_known() {
    for seed in 0..60 {
        let world = World::new(seed);
        let begun = world.run(move |env| async move {
            let (log, _) = open(&env).await;
            log.begin_epoch(EPOCH).await.unwrap();
            append_numbered(&env, &log, 20, 3_000, 1).await;
            let beginning = log.clone();
            let task = env.reactor.spawn("begin", async move {
                beginning.begin_epoch(LeaderEpoch::new(7)).await.is_ok()
            });
            // Appends of the leader before go on until the new epoch has begun.
            loop {
                let value = crate::bench_world::numbered_value(log.log_end().get(), 3_000);
                if log.append(&batch(&[&value]), EPOCH).is_err() {
                    break;
                }
                env.reactor.sleep(Duration::from_micros(15)).await;
            }
            assert!(task.await);
            log.log_end()
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = open(&env).await;
            assert_eq!(
                report.latest_epoch,
                Some(LeaderEpoch::new(7)),
                "seed {seed}"
            );
            check_numbered(&log, 0, 3_000, 1 << 20).await;
            let end = log.epochs().end_of(EPOCH, log.log_end()).unwrap();
            assert_eq!((end.epoch, end.end), (EPOCH, log.log_end().min(begun)));
            log.begin_epoch(LeaderEpoch::new(8)).await.unwrap();
        });
    }
}

#[test]
fn an_append_during_a_checkpoint_is_flushed() {
    for seed in 0..40 {
        let world = World::new(seed);
        world.run(move |env| async move {
            let (log, _) = open(&env).await;
            log.begin_epoch(EPOCH).await.unwrap();
            log.append(&batch(&[b"a"]), EPOCH).unwrap();
            log.close().await.unwrap();
        });
        world.run(move |env| async move {
            let (log, _) = open(&env).await;
            let beginning = log.clone();
            env.reactor
                .spawn("begin", async move {
                    beginning.begin_epoch(LeaderEpoch::new(2)).await.unwrap();
                })
                .detach();
            env.reactor.sleep(Duration::from_micros(seed * 5)).await;
            let epoch = log.epochs().latest().unwrap();
            let end = log.append(&batch(&[b"b"]), epoch).unwrap().log_end;
            env.reactor.sleep(Duration::from_millis(50)).await;
            assert_eq!(log.durable_end(), end, "seed {seed}");
        });
    }
}

/// The epoch stands outside of the CRC: a tear may leave the old bytes of it, and a device may change it.
#[test]
fn a_batch_with_another_epoch_than_its_leader_had_is_a_bad_one() {
    for epoch in [0_u8, 2] {
        let world = World::new(1);
        let last = world.run(|env| async move {
            let (log, _) = open(&env).await;
            log.begin_epoch(LeaderEpoch::new(3)).await.unwrap();
            append_numbered(&env, &log, 10, 300, 3).await;
            log.flush().await.unwrap();
            read_all_batches(&log).await.pop().unwrap()
        });
        let position = last.position + 15;
        world.overwrite(&segment_file(0), position, &[epoch]);
        world.run(move |env| async move {
            let (log, report) = open(&env).await;
            assert_eq!(report.log_end, Offset::new(9));
            assert_eq!(report.torn_tail.unwrap().position, last.position);
            assert_eq!(report.latest_epoch, Some(LeaderEpoch::new(3)));
            check_numbered(&log, 0, 300, 1 << 20).await;
        });
    }
}

#[test]
fn a_reader_notices_another_epoch() {
    let world = World::new(1);
    let batches = world.run(|env| async move {
        let (log, _) = open(&env).await;
        log.begin_epoch(LeaderEpoch::new(3)).await.unwrap();
        append_numbered(&env, &log, 10, 300, 3).await;
        let batches = read_all_batches(&log).await;
        log.close().await.unwrap();
        batches
    });
    world.overwrite(&segment_file(0), batches[4].position + 15, &[9]);
    world.run(move |env| async move {
        let (log, report) = open(&env).await;
        assert_eq!(report.log_end, Offset::new(10));
        let read = |offset| {
            log.read(ReadRequest {
                offset: Offset::new(offset),
                max_bytes: 1,
                limit: Offset::MAX,
            })
        };
        read(3).await.unwrap();
        assert!(matches!(
            read(4).await,
            Err(ReadError::Corrupt { offset, problem: BatchProblem::Epoch { .. }, .. })
                if offset == Offset::new(4)
        ));
    });
}

#[test]
fn a_clean_checkpoint_is_not_believed_against_the_segment() {
    let world = closed_after_five();
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        append_numbered(&env, &log, 9, 300, 1).await;
        log.flush().await.unwrap();
    });
    // The newest slot goes bad; the one before it says that the log was closed at offset 5.
    let (path, newest) = newest_slot(&world);
    world.overwrite(&path, newest as u64, &[0; 64]);
    for _ in 0..2 {
        world.run(|env| async move {
            let (log, report) = open(&env).await;
            assert_eq!(report.log_end, Offset::new(9));
            assert!(!report.is_clean);
            check_numbered(&log, 0, 300, 1 << 20).await;
        });
    }
}

#[test]
fn records_of_an_epoch_whose_checkpoint_is_damaged_are_refused_and_not_cut_off() {
    refused_without_its_checkpoint(false);
}

#[test]
fn so_they_are_when_their_segment_is_sealed() {
    refused_without_its_checkpoint(true);
}

fn refused_without_its_checkpoint(is_sealed: bool) {
    let world = closed_after_five();
    world.run(move |env| async move {
        let (log, _) = open(&env).await;
        log.begin_epoch(LeaderEpoch::new(2)).await.unwrap();
        append_numbered(&env, &log, 9, 300, 2).await;
        log.flush().await.unwrap();
        if is_sealed {
            // Age rolls it, and writes no checkpoint.
            log.set_config(LogConfig {
                segment_ms: 1,
                ..LogConfig::default()
            });
            env.reactor.sleep(Duration::from_secs(1)).await;
            log.apply_retention().await.unwrap();
            env.reactor.sleep(Duration::from_secs(1)).await;
            assert_eq!(log.segment_count(), 2);
        }
    });
    let (path, newest) = newest_slot(&world);
    let sound = world.sim.read_file(world.node, &path).unwrap();
    world.overwrite(&path, newest as u64, &[0; 64]);
    for _ in 0..2 {
        world.run(|env| async move {
            match try_open(&env, LogConfig::default()).await {
                Err(OpenError::Corrupt(found)) => {
                    assert_eq!(found.offset, Offset::new(5));
                    assert!(matches!(found.damage, Damage::CheckpointLost { .. }));
                }
                _ => panic!("acknowledged batches are gone"),
            }
        });
    }
    world.overwrite(&path, newest as u64, &sound[newest..newest + 64]);
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        assert_eq!(log.log_end(), Offset::new(9));
        check_numbered(&log, 0, 300, 1 << 20).await;
    });
}

/// A log that was closed with five records of the first epoch.
fn closed_after_five() -> World {
    let world = World::new(1);
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        log.begin_epoch(EPOCH).await.unwrap();
        append_numbered(&env, &log, 5, 300, 1).await;
        log.close().await.unwrap();
    });
    world
}

/// The checkpoint file, and where in it the newest slot lies.
fn newest_slot(world: &World) -> (PathBuf, usize) {
    let path = PathBuf::from(format!("{}/checkpoint", crate::bench_world::DIRECTORY));
    let bytes = world.sim.read_file(world.node, &path).unwrap();
    let sequence =
        |slot: usize| u64::from_le_bytes(bytes[slot + 16..slot + 24].try_into().unwrap());
    let second = 128 << 10;
    let newest = if sequence(0) > sequence(second) {
        0
    } else {
        second
    };
    (path, newest)
}

#[test]
fn appends_go_on_in_an_epoch_that_came_back_shorter() {
    let mut came_back_shorter = 0;
    for seed in 0..60 {
        let world = World::new(seed);
        let begun = world.run(move |env| async move {
            let (log, _) = open(&env).await;
            log.begin_epoch(EPOCH).await.unwrap();
            let beginning = log.clone();
            let task = env.reactor.spawn("begin", async move {
                beginning.begin_epoch(LeaderEpoch::new(2)).await.unwrap();
            });
            loop {
                let value = crate::bench_world::numbered_value(log.log_end().get(), 3_000);
                if log.append(&batch(&[&value]), EPOCH).is_err() {
                    break;
                }
                env.reactor.sleep(Duration::from_micros(15)).await;
            }
            task.await;
            log.log_end()
        });
        world.lose_power();
        let end = world.run(move |env| async move {
            let (log, report) = open(&env).await;
            // As a follower of the same leader does.
            let end = report.log_end.get() + 5;
            append_numbered(&env, &log, end, 3_000, 2).await;
            log.flush().await.unwrap();
            assert!(report.log_end <= begun);
            (report.log_end < begun, end)
        });
        came_back_shorter += u64::from(end.0);
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = open(&env).await;
            assert_eq!(report.log_end, Offset::new(end.1), "seed {seed}");
            check_numbered(&log, 0, 3_000, 1 << 20).await;
        });
    }
    assert!(came_back_shorter > 10, "{came_back_shorter}");
}

#[test]
fn an_epoch_that_no_batch_can_hold_does_not_begin() {
    World::new(1).run(|env| async move {
        let (log, _) = open(&env).await;
        log.begin_epoch(LeaderEpoch::MAX).await.unwrap();
        let beyond = LeaderEpoch::new(LeaderEpoch::MAX.get() + 1);
        let refused = log.begin_epoch(beyond).await;
        assert!(matches!(
            refused,
            Err(ChangeError::EpochOutOfRange { epoch }) if epoch == beyond
        ));
        assert_eq!(LeaderEpoch::MAX.next(), LeaderEpoch::MAX);
    });
}
