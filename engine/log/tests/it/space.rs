use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use ringlog_log::{AppendError, ChangeError, Log, LogConfig};
use ringlog_reactor::sim::FaultyOp;
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{
    DIRECTORY, World, append_numbered, batch, check_numbered, env_without_bulk, numbered_value,
    open, open_with, try_open,
};

const EPOCH: LeaderEpoch = LeaderEpoch::new(1);

fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 1 << 20,
        retention_ms: None,
        ..LogConfig::default()
    }
}

fn append(log: &Log) -> Result<(), AppendError> {
    let value = numbered_value(log.log_end().get(), 3_000);
    log.append(&batch(&[&value]), EPOCH).map(drop)
}

/// Appends until the log says that there is no space.
async fn append_until_full(env: &ringlog_log::LogEnv, log: &Log) {
    loop {
        match append(log) {
            Ok(()) => env.reactor.sleep(Duration::from_micros(200)).await,
            Err(AppendError::NoSpace) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_full_disk_refuses_appends_and_loses_none() {
    let world = World::new(1);
    let faults = world.faults();
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        log.begin_epoch(EPOCH).await.unwrap();
        append_numbered(&env, &log, 10, 3_000, 1).await;
        log.flush().await.unwrap();
        faults.fail_always(FaultyOp::Write, ".log", ErrorKind::StorageFull);
        append_until_full(&env, &log).await;
        let (end, durable) = (log.log_end(), log.durable_end());
        assert!(end > durable && durable == Offset::new(10));
        for _ in 0..20 {
            env.reactor.sleep(Duration::from_millis(170)).await;
            assert!(matches!(append(&log), Err(AppendError::NoSpace)));
        }
        check_numbered(&log, 0, 3_000, 1 << 20).await;
        assert_eq!(log.failure(), None);
        faults.clear();
        log.flush().await.unwrap();
        assert_eq!(log.durable_end(), end);
        append(&log).unwrap();
        log.flush().await.unwrap();
    });
    world.lose_power();
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        check_numbered(&log, 0, 3_000, 1 << 20).await;
    });
}

#[test]
fn a_roll_on_a_full_disk_waits_for_space() {
    let world = World::new(2);
    let faults = world.faults();
    world.run(|env| async move {
        let env = env_without_bulk(&env.reactor);
        let (log, _) = open_with(&env, small()).await;
        log.begin_epoch(EPOCH).await.unwrap();
        faults.fail_always(FaultyOp::Resize, ".log", ErrorKind::StorageFull);
        append_until_full(&env, &log).await;
        assert_eq!(log.segment_count(), 2, "the roll is what has no space");
        for _ in 0..200 {
            env.reactor.sleep(Duration::from_millis(7)).await;
            assert!(matches!(append(&log), Err(AppendError::NoSpace)));
        }
        check_numbered(&log, 0, 3_000, 1 << 20).await;
        faults.clear();
        log.flush().await.unwrap();
        append(&log).unwrap();
        log.flush().await.unwrap();
        check_numbered(&log, 0, 3_000, 1 << 20).await;
    });
}

#[test]
fn a_roll_whose_name_finds_no_space_waits_for_it() {
    let world = World::new(2);
    let faults = world.faults();
    world.run(|env| async move {
        let (log, _) = open_with(&env, small()).await;
        log.begin_epoch(EPOCH).await.unwrap();
        let next = format!("{DIRECTORY}/next");
        while env.reactor.stat(next.as_ref()).await.is_err() {
            append(&log).unwrap();
            env.reactor.sleep(Duration::from_micros(200)).await;
        }
        faults.fail_always(FaultyOp::Rename, "next", ErrorKind::StorageFull);
        append_until_full(&env, &log).await;
        assert_eq!(env.counters.rolls_prepared.get(), 1);
        env.reactor.sleep(Duration::from_secs(3)).await;
        assert_eq!(log.failure(), None);
        check_numbered(&log, 0, 3_000, 1 << 20).await;
        faults.clear();
        env.reactor.sleep(Duration::from_secs(1)).await;
        log.flush().await.unwrap();
        append(&log).unwrap();
        log.flush().await.unwrap();
        assert_eq!(log.segment_count(), 2);
        check_numbered(&log, 0, 3_000, 1 << 20).await;
    });
}

#[test]
fn a_log_without_space_does_not_hold_up_another() {
    let world = World::new(3);
    let faults = world.faults();
    world.run(|env| async move {
        let (full, _) = open(&env).await;
        let other = PathBuf::from("/data/topics/1/0");
        let (other, _) = Log::open(env.clone(), other, LogConfig::default())
            .await
            .unwrap();
        full.begin_epoch(EPOCH).await.unwrap();
        other.begin_epoch(EPOCH).await.unwrap();
        faults.fail_always(FaultyOp::Write, "topics/0/0/0", ErrorKind::StorageFull);
        append_until_full(&env, &full).await;
        for _ in 0..5 {
            append(&other).unwrap();
            let flushed = env
                .reactor
                .timeout(Duration::from_millis(100), other.flush());
            flushed.await.unwrap().unwrap();
        }
        assert_eq!(full.durable_end(), Offset::ZERO);
        faults.clear();
        full.flush().await.unwrap();
    });
}

#[test]
fn a_log_is_recovered_on_a_full_disk() {
    for seed in 0..30 {
        let world = World::new(seed);
        let faults = world.faults();
        let durable = world.run(move |env| async move {
            let env = env_without_bulk(&env.reactor);
            let (log, _) = open_with(&env, small()).await;
            log.begin_epoch(EPOCH).await.unwrap();
            // The new segment file is there, and its length is not durable yet.
            append_numbered(&env, &log, 130, 16_000, 1).await;
            env.reactor.sleep(Duration::from_micros(seed * 60)).await;
            log.durable_end()
        });
        world.lose_power();
        faults.fail_always(FaultyOp::Resize, ".log", ErrorKind::StorageFull);
        world.run(move |env| async move {
            let env = env_without_bulk(&env.reactor);
            let (log, report) = open_with(&env, small()).await;
            assert!(report.log_end >= durable, "seed {seed}");
            check_numbered(&log, 0, 16_000, 1 << 20).await;
            faults.clear();
            log.begin_epoch(LeaderEpoch::new(2)).await.unwrap();
            append_numbered(&env, &log, 200, 16_000, 2).await;
            log.flush().await.unwrap();
            check_numbered(&log, 0, 16_000, 1 << 20).await;
        });
    }
}

#[test]
fn a_log_start_that_is_not_durable_removes_nothing() {
    let world = World::new(4);
    let faults = world.faults();
    world.run(|env| async move {
        let (log, _) = open_with(&env, small()).await;
        append_numbered(&env, &log, 300, 16_000, 1).await;
        log.flush().await.unwrap();
        let segments = log.segment_count();
        assert!(segments > 2);
        faults.fail_always(FaultyOp::Write, "checkpoint", ErrorKind::StorageFull);
        for _ in 0..2 {
            let refused = log.delete_records(Offset::new(290)).await;
            assert!(matches!(refused, Err(ChangeError::NoSpace)), "{refused:?}");
            assert_eq!(log.segment_count(), segments);
        }
        faults.clear();
    });
    world.lose_power();
    world.run(|env| async move {
        let (log, report) = try_open(&env, small()).await.unwrap();
        assert_eq!(report.log_start, Offset::ZERO);
        check_numbered(&log, 0, 16_000, 1 << 20).await;
        log.delete_records(Offset::new(290)).await.unwrap();
        assert!(log.segment_count() <= 2);
    });
}

#[test]
fn two_at_once_remove_nothing_before_the_log_start_is_durable() {
    for seed in 0..40 {
        let world = World::new(seed);
        world.run(move |env| async move {
            let (log, _) = open_with(&env, small()).await;
            append_numbered(&env, &log, 300, 16_000, 1).await;
            log.flush().await.unwrap();
            let (one, two) = (log.clone(), log.clone());
            for log in [one, two] {
                env.reactor
                    .spawn("delete", async move {
                        log.delete_records(Offset::new(290)).await.unwrap();
                    })
                    .detach();
            }
            env.reactor.sleep(Duration::from_micros(seed * 10)).await;
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = try_open(&env, small()).await.unwrap();
            check_numbered(&log, report.log_start.get(), 16_000, 1 << 20).await;
        });
    }
}

#[test]
fn an_epoch_that_found_no_space_can_begin_later() {
    let world = World::new(5);
    let faults = world.faults();
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        log.begin_epoch(EPOCH).await.unwrap();
        faults.fail_always(FaultyOp::Write, "checkpoint", ErrorKind::StorageFull);
        let two = LeaderEpoch::new(2);
        assert!(matches!(
            log.begin_epoch(two).await,
            Err(ChangeError::NoSpace)
        ));
        faults.clear();
        log.begin_epoch(two).await.unwrap();
        assert!(matches!(
            log.begin_epoch(two).await,
            Err(ChangeError::StaleEpoch { .. })
        ));
    });
    world.lose_power();
    world.run(|env| async move {
        let (log, report) = open(&env).await;
        assert_eq!(report.latest_epoch, Some(LeaderEpoch::new(2)));
        drop(log);
    });
}

#[test]
fn a_log_that_is_closed_on_a_full_disk_ends() {
    for path in ["checkpoint", ".log"] {
        let world = World::new(6);
        let faults = world.faults();
        world.run(move |env| async move {
            let (log, _) = open(&env).await;
            log.begin_epoch(EPOCH).await.unwrap();
            append_numbered(&env, &log, 10, 3_000, 1).await;
            log.close().await.unwrap();
            let (log, _) = open(&env).await;
            faults.fail_always(FaultyOp::Write, path, ErrorKind::StorageFull);
            append(&log).unwrap();
            env.reactor.sleep(Duration::from_secs(2)).await;
            let closed = env.reactor.timeout(Duration::from_secs(5), log.close());
            let closed = closed.await.expect("closing does not wait for space");
            assert!(matches!(closed, Err(ChangeError::Failed(_))), "{closed:?}");
            faults.clear();
        });
        world.run(|env| async move {
            let (log, report) = open(&env).await;
            assert!(report.log_end >= Offset::new(10));
            check_numbered(&log, 0, 3_000, 1 << 20).await;
        });
    }
}
