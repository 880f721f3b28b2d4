//! Logs that are in memory only.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use ringlog_log::{AppendError, Durability, Log, LogConfig, LogEnv, ReadError, ReadRequest};
use ringlog_reactor::sim::{CrashKind, FaultyOp};
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{
    DIRECTORY, World, append_numbered, batch, check_numbered, env_without_bulk, numbered_value,
    open, open_with, read_values,
};

const EPOCH: LeaderEpoch = LeaderEpoch::new(1);

fn in_memory() -> LogConfig {
    LogConfig {
        durability: Durability::Memory,
        retention_bytes: Some(2 << 20),
        ..LogConfig::default()
    }
}

async fn open_in_memory(env: &LogEnv) -> Log {
    let (log, _) = open_with(env, in_memory()).await;
    log.begin_epoch(next_epoch(&log)).await.unwrap();
    log
}

fn next_epoch(log: &Log) -> LeaderEpoch {
    let latest = log.epochs().latest().map_or(0, LeaderEpoch::get);
    LeaderEpoch::new(latest + 1)
}

async fn files(env: &LogEnv) -> Vec<String> {
    let listed = env.reactor.list_dir(Path::new(DIRECTORY)).await.unwrap();
    let mut names: Vec<String> = listed.into_iter().map(|entry| entry.name).collect();
    names.sort();
    names
}

#[test]
fn nothing_of_a_log_in_memory_is_written() {
    World::new(1).run(|env| async move {
        let log = open_in_memory(&env).await;
        let before = env.counters.metadata_bytes.get();
        append_numbered(&env, &log, 3_000, 1_000, 1).await;
        assert_eq!(log.durability(), Durability::Memory);
        assert_eq!(log.stable_end(), Offset::new(3_000), "stable at once");
        assert_eq!(log.durable_end(), Offset::ZERO);
        log.flush().await.unwrap();
        check_numbered(&log, log.log_start().get(), 1_000, 1 << 20).await;
        env.reactor.sleep(Duration::from_secs(5)).await;
        assert_eq!(env.counters.written_bytes.get(), 0);
        assert_eq!(env.counters.prepared_bytes.get(), 0);
        assert_eq!(env.counters.metadata_bytes.get(), before);
        assert_eq!(files(&env).await, ["checkpoint"]);
    });
}

#[test]
fn a_log_in_memory_holds_no_more_than_its_bound_and_loses_the_oldest() {
    World::new(2).run(|env| async move {
        let log = open_in_memory(&env).await;
        let bound_bytes = in_memory().memory_bytes();
        let mut log_start = Offset::ZERO;
        for end in (0..20_000).step_by(100) {
            append_numbered(&env, &log, end, 1_000, 1).await;
            assert!(log.memory_bytes() <= bound_bytes, "{}", log.memory_bytes());
            assert!(env.reactor.pool().allocated_bytes() as u64 <= 2 * bound_bytes);
            assert!(
                log.log_start() >= log_start,
                "the log start does not go back"
            );
            log_start = log.log_start();
        }
        assert!(log_start > Offset::ZERO);
        assert!(
            log.size_bytes() >= bound_bytes * 3 / 4,
            "what may be kept is kept, nearly: {}",
            log.size_bytes()
        );
        check_numbered(&log, log_start.get(), 1_000, 1 << 20).await;
        let gone = ReadRequest {
            offset: Offset::ZERO,
            max_bytes: 1,
            limit: Offset::MAX,
        };
        assert!(matches!(
            log.read(gone).await,
            Err(ReadError::OffsetOutOfRange { log_start: start, .. }) if start == log_start
        ));
        assert!(env.counters.memory_dropped_bytes.get() > 0);
    });
}

#[test]
fn readers_of_the_end_cost_a_log_in_memory_little_of_its_bound() {
    World::new(3).run(|env| async move {
        let log = open_in_memory(&env).await;
        for end in 1..2_000 {
            append_numbered(&env, &log, end, 200, 1).await;
            let read = read_values(&log, end - 1, 1 << 20).await;
            assert_eq!(read, [numbered_value(end - 1, 200)]);
        }
        assert_eq!(log.log_start(), Offset::ZERO, "{}", log.size_bytes());
        check_numbered(&log, 0, 200, 1 << 20).await;
    });
}

#[test]
fn an_append_above_the_bound_is_refused_and_others_are_taken() {
    World::new(4).run(|env| async move {
        let config = LogConfig {
            retention_bytes: Some(1),
            max_batch_bytes: 64 << 10,
            ..in_memory()
        };
        let (log, _) = open_with(&env, config).await;
        log.begin_epoch(EPOCH).await.unwrap();
        let large = [batch(&[&[7; 60_000]]), batch(&[&[7; 60_000]]), batch(&[&[7; 60_000]])];
        let refused = log.append(&large.concat(), EPOCH);
        assert!(
            matches!(refused, Err(AppendError::TooLarge { bytes_max, .. }) if bytes_max == config.memory_bytes()),
            "{refused:?}"
        );
        for _ in 0..10 {
            log.append(&large[0], EPOCH).unwrap();
            let last = read_values(&log, log.log_end().get() - 1, 1).await;
            assert_eq!(last, [vec![7; 60_000]], "the newest is always there");
            assert!(log.memory_bytes() <= config.memory_bytes());
        }
    });
}

#[test]
fn no_offset_is_given_out_twice_over_crashes_and_closes() {
    let world = World::new(5);
    let mut ends: Vec<u64> = vec![0];
    for life in 0..12_u64 {
        let last = *ends.last().unwrap();
        let end = world.run(move |env| async move {
            let (log, report) = open_with(&env, in_memory()).await;
            let start = log.log_start();
            assert_eq!((report.log_start, report.log_end), (start, start));
            assert!(
                start.get() >= last,
                "life {life} begins at {start}, {last} was given out"
            );
            assert_eq!(log.lost_below(), start);
            let epoch = next_epoch(&log);
            assert_eq!(u64::from(epoch.get()), life + 1, "the epoch is durable");
            log.begin_epoch(epoch).await.unwrap();
            assert_eq!(log.end_of_epoch(LeaderEpoch::new(epoch.get() - 1)), start);
            append_numbered(&env, &log, start.get() + 1_000, 300, epoch.get()).await;
            if life % 3 == 0 {
                log.close().await.unwrap();
            }
            log.log_end().get()
        });
        if life % 2 == 0 {
            world.lose_power();
        }
        ends.push(end);
    }
    world.run(move |env| async move {
        let (log, report) = open_with(&env, in_memory()).await;
        assert!(!report.is_clean && log.log_start().get() > *ends.last().unwrap());
    });
}

#[test]
fn a_log_in_memory_that_was_closed_goes_on_where_it_ended() {
    let world = World::new(6);
    world.run(|env| async move {
        let log = open_in_memory(&env).await;
        append_numbered(&env, &log, 10, 300, 1).await;
        log.close().await.unwrap();
    });
    world.run(|env| async move {
        let (log, report) = open_with(&env, in_memory()).await;
        assert!(report.is_clean);
        assert_eq!(
            (log.log_start(), log.log_end()),
            (Offset::new(10), Offset::new(10))
        );
    });
}

#[test]
fn offsets_are_reserved_before_they_are_given_out() {
    let world = World::new(7);
    let faults = world.faults();
    let end = world.run(move |env| async move {
        let log = open_in_memory(&env).await;
        // Batches of many records, against a device that is slow.
        faults.delay_always(FaultyOp::Write, "checkpoint", Duration::from_millis(50));
        let values: Vec<&[u8]> = vec![b""; 100_000];
        let (many, mut throttled) = (batch(&values), 0);
        let mut given = 0;
        while given < 200 {
            match log.append(&many, EPOCH) {
                Ok(_) => given += 1,
                Err(AppendError::Throttled) => {
                    throttled += 1;
                    env.reactor.sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(
            throttled > 0,
            "appends are faster than the reservation here"
        );
        log.log_end().get()
    });
    world.lose_power();
    world.run(move |env| async move {
        let (log, _) = open_with(&env, in_memory()).await;
        assert!(log.log_start().get() >= end);
    });
}

#[test]
fn an_append_of_more_records_than_are_reserved_as_a_rule_is_taken() {
    World::new(7).run(|env| async move {
        let log = open_in_memory(&env).await;
        // Compressed batches say how many records they hold, and are not decoded.
        let mut crowded = batch(&[b"one"]).to_vec();
        let records = 1_u32 << 20;
        crowded[21..23].copy_from_slice(&4_u16.to_be_bytes());
        crowded[23..27].copy_from_slice(&(records - 1).to_be_bytes());
        crowded[57..61].copy_from_slice(&records.to_be_bytes());
        let crc = crc32c::crc32c(&crowded[21..]);
        crowded[17..21].copy_from_slice(&crc.to_be_bytes());
        let many = crowded.repeat(9);
        while let Err(error) = log.append(&many, EPOCH) {
            assert!(matches!(error, AppendError::Throttled), "{error}");
            assert!(env.reactor.now().as_nanos() < 60_000_000_000, "never taken");
            env.reactor.sleep(Duration::from_millis(5)).await;
        }
        assert!(log.log_end() >= Offset::new(9 * u64::from(records)));
    });
}

#[test]
fn a_device_that_fails_takes_a_log_in_memory_offline_before_an_offset_is_given_out_twice() {
    let world = World::new(8);
    let faults = world.faults();
    world.run(move |env| async move {
        let log = open_in_memory(&env).await;
        faults.fail_always(FaultyOp::Sync, "checkpoint", ErrorKind::Other);
        let values: Vec<&[u8]> = vec![b""; 100_000];
        let many = batch(&values);
        let failed = loop {
            match log.append(&many, EPOCH) {
                Ok(_) | Err(AppendError::Throttled) => {
                    env.reactor.sleep(Duration::from_millis(1)).await;
                }
                Err(error) => break error,
            }
        };
        assert!(matches!(failed, AppendError::Failed(_)), "{failed}");
    });
}

#[test]
fn records_of_a_log_in_memory_leave_by_age_and_when_deleted() {
    World::new(9).run(|env| async move {
        let config = LogConfig {
            retention_ms: Some(1_000),
            ..in_memory()
        };
        let (log, _) = open_with(&env, config).await;
        log.begin_epoch(EPOCH).await.unwrap();
        append_numbered(&env, &log, 50, 300, 1).await;
        assert_eq!(
            log.delete_records(Offset::new(20)).await.unwrap(),
            Offset::new(20)
        );
        check_numbered(&log, 20, 300, 1 << 20).await;
        env.reactor.sleep(Duration::from_millis(700)).await;
        log.apply_retention().await.unwrap();
        assert_eq!(log.log_start(), Offset::new(20));
        env.reactor.sleep(Duration::from_millis(700)).await;
        log.apply_retention().await.unwrap();
        assert_eq!(log.log_start(), Offset::new(50));
        assert_eq!((log.size_bytes(), log.memory_bytes()), (0, 0));
        append_numbered(&env, &log, 60, 300, 1).await;
        check_numbered(&log, 50, 300, 1 << 20).await;
        assert!(log.delete_records(Offset::new(61)).await.is_err());
        assert_eq!(
            log.delete_records(Offset::new(60)).await.unwrap(),
            Offset::new(60)
        );
        assert_eq!(log.memory_bytes(), 0);
    });
}

#[test]
fn a_log_with_records_on_the_device_moves_to_memory_when_it_is_empty() {
    let world = World::new(10);
    let end = world.run(|env| async move {
        let (log, _) = open(&env).await;
        log.begin_epoch(EPOCH).await.unwrap();
        append_numbered(&env, &log, 3_000, 1_000, 1).await;
        log.set_config(in_memory());
        assert!(!log.settle_medium().await.unwrap());
        assert_eq!(
            log.durability(),
            Durability::Sync,
            "it promises what it does"
        );
        append_numbered(&env, &log, 3_010, 1_000, 1).await;
        assert!(log.stable_end() < Offset::new(3_010));
        log.flush().await.unwrap();
        log.delete_records(Offset::new(3_010)).await.unwrap();
        assert_eq!(log.durability(), Durability::Memory);
        assert_eq!(files(&env).await, ["checkpoint"]);
        append_numbered(&env, &log, 3_020, 1_000, 1).await;
        assert_eq!(log.stable_end(), Offset::new(3_020));
        check_numbered(&log, 3_010, 1_000, 1 << 20).await;
        log.log_end().get()
    });
    world.lose_power();
    world.run(move |env| async move {
        let (log, _) = open_with(&env, in_memory()).await;
        assert!(log.log_start().get() >= end);
        assert_eq!(files(&env).await, ["checkpoint"]);
    });
}

#[test]
fn a_log_that_was_to_be_in_memory_and_was_not_empty_comes_back_with_its_records() {
    let world = World::new(11);
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        log.begin_epoch(EPOCH).await.unwrap();
        append_numbered(&env, &log, 100, 1_000, 1).await;
        log.flush().await.unwrap();
        log.set_config(in_memory());
        log.settle_medium().await.unwrap();
    });
    world.run(|env| async move {
        let (log, _) = open_with(&env, in_memory()).await;
        assert_eq!(log.durability(), Durability::Sync);
        check_numbered(&log, 0, 1_000, 1 << 20).await;
    });
}

#[test]
fn a_log_in_memory_moves_to_the_device_when_it_is_empty_or_opened_anew() {
    let world = World::new(12);
    world.run(|env| async move {
        let log = open_in_memory(&env).await;
        append_numbered(&env, &log, 100, 1_000, 1).await;
        log.set_config(LogConfig::default());
        assert!(!log.settle_medium().await.unwrap());
        assert_eq!(log.durability(), Durability::Memory);
        log.delete_records(Offset::new(100)).await.unwrap();
        assert_eq!(log.durability(), Durability::Sync);
        append_numbered(&env, &log, 200, 1_000, 1).await;
        assert_eq!(log.stable_end(), Offset::new(100));
        log.flush().await.unwrap();
        check_numbered(&log, 100, 1_000, 1 << 20).await;
    });
    world.lose_power();
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        assert_eq!(
            (log.log_start(), log.log_end()),
            (Offset::new(100), Offset::new(200))
        );
        check_numbered(&log, 100, 1_000, 1 << 20).await;
        log.delete_records(Offset::new(200)).await.unwrap();
        log.set_config(in_memory());
        assert!(log.settle_medium().await.unwrap());
        append_numbered(&env, &log, 300, 1_000, 2).await;
    });
    world.lose_power();
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        let start = log.log_start();
        assert!(start >= Offset::new(300));
        log.begin_epoch(next_epoch(&log)).await.unwrap();
        append_numbered(&env, &log, start.get() + 10, 1_000, 9).await;
        log.flush().await.unwrap();
        check_numbered(&log, start.get(), 1_000, 1 << 20).await;
    });
}

#[test]
fn a_crash_at_any_time_of_a_move_loses_nothing_that_was_promised() {
    for seed in 0..150 {
        let world = World::new(seed);
        world.run(move |env| async move {
            let (log, _) = open(&env).await;
            log.begin_epoch(EPOCH).await.unwrap();
            append_numbered(&env, &log, 40, 1_000, 1).await;
            log.flush().await.unwrap();
            log.set_config(in_memory());
            let moving = log.clone();
            let reactor = env.reactor.clone();
            let moves = reactor.spawn("move", async move {
                moving.delete_records(Offset::new(40)).await.unwrap();
                append_numbered_until(&moving, 50).await;
                moving.set_config(LogConfig::default());
                moving.delete_records(Offset::new(50)).await.unwrap();
            });
            env.reactor.sleep(Duration::from_micros(seed * 20)).await;
            drop(moves);
        });
        world.sim.crash(world.node, CrashKind::Power);
        world.run(move |env| async move {
            let (log, _) = open_with(&env, in_memory()).await;
            let (start, end) = (log.log_start().get(), log.log_end().get());
            match log.durability() {
                Durability::Memory => assert!(start == end && start >= 40, "seed {seed}: {start}"),
                _ => {
                    assert!(start == 0 && end == 40, "seed {seed}: {start} to {end}");
                    check_numbered(&log, start, 1_000, 1 << 20).await;
                }
            }
            let epoch = next_epoch(&log);
            log.begin_epoch(epoch).await.unwrap();
            append_numbered(&env, &log, end + 5, 1_000, epoch.get()).await;
            check_numbered(&log, start, 1_000, 1 << 20).await;
        });
    }
}

/// Segments of 1 MiB, on the device or in memory.
fn small_segments(durability: Durability) -> LogConfig {
    LogConfig {
        durability,
        segment_bytes: 1 << 20,
        retention_bytes: (durability == Durability::Memory).then_some(2 << 20),
        ..LogConfig::default()
    }
}

/// Appends until so many segments are there, and all of it is durable.
async fn fill_segments(env: &LogEnv, log: &Log, segments: usize) {
    while log.segment_count() < segments {
        let end = log.log_end().get() + 50;
        append_numbered(env, log, end, 9_000, 1).await;
        log.flush().await.unwrap();
    }
    env.reactor.sleep(Duration::from_millis(50)).await;
}

/// A file that is taken for the next one of a log that is about to have none would be written to after its removal.
#[test]
fn a_file_is_not_recycled_while_its_log_goes_to_memory() {
    for step in 0..100_u64 {
        let world = World::new(step);
        let faults = world.faults();
        let durable = world.run(move |shared| async move {
            // Files that leave are wanted, since none are made.
            let env = env_without_bulk(&shared.reactor);
            let aging = LogConfig {
                segment_ms: 1_000,
                ..small_segments(Durability::Sync)
            };
            let (log, _) = open_with(&env, aging).await;
            log.begin_epoch(EPOCH).await.unwrap();
            append_numbered(&env, &log, 20, 1_000, 1).await;
            log.flush().await.unwrap();
            env.reactor.sleep(Duration::from_secs(2)).await;
            log.apply_retention().await.unwrap();
            // Of the two segments that leave, the first is too short to be used again.
            log.set_config(small_segments(Durability::Sync));
            fill_segments(&env, &log, 3).await;
            faults.delay_always(FaultyOp::Rename, DIRECTORY, Duration::from_millis(1));
            log.set_config(small_segments(Durability::Memory));
            let (leaving, end) = (log.clone(), log.log_end());
            let deleting = env.reactor.spawn("delete", async move {
                leaving.delete_records(end).await.unwrap();
            });
            env.reactor.sleep(Duration::from_micros(step * 100)).await;
            log.apply_retention().await.unwrap();
            deleting.await;
            env.reactor.sleep(Duration::from_millis(50)).await;
            assert_eq!(log.durability(), Durability::Memory, "step {step}");
            faults.clear();

            log.set_config(small_segments(Durability::Sync));
            assert!(log.settle_medium().await.unwrap());
            fill_segments(&env, &log, 3).await;
            log.flush().await.unwrap();
            assert_eq!(log.failure(), None, "step {step}");
            log.durable_end()
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = open_with(&env, small_segments(Durability::Sync)).await;
            assert!(report.log_end >= durable, "step {step}");
            let log_start = log.log_start().get();
            check_numbered(&log, log_start, 9_000, 1 << 20).await;
        });
    }
}

async fn append_numbered_until(log: &Log, end: u64) {
    while log.log_end().get() < end {
        let value = numbered_value(log.log_end().get(), 1_000);
        log.append(&batch(&[&value]), EPOCH).unwrap();
    }
}
