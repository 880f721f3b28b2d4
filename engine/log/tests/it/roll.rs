use std::time::Duration;

use ringlog_log::{LogConfig, delete_directory};
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{World, append_numbered, check_numbered, open_with};

const SMALL: fn() -> LogConfig = || LogConfig {
    segment_bytes: 1 << 20,
    ..LogConfig::default()
};

#[test]
fn a_log_rolls_into_prepared_files() {
    let world = World::new(1);
    world.run(|env| async move {
        let (log, _) = open_with(&env, SMALL()).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        let mut end = 0;
        while log.segment_count() < 6 {
            end += 10;
            append_numbered(&env, &log, end, 9_000, 1).await;
            log.flush().await.unwrap();
            env.reactor.sleep(Duration::from_millis(5)).await;
        }
        check_numbered(&log, 0, 9_000, 1 << 20).await;
        assert_eq!(env.counters.rolls_prepared.get(), 5);
        assert_eq!(env.counters.rolls_unprepared.get(), 0);
    });
    world.lose_power();
    world.run(|env| async move {
        let (log, report) = open_with(&env, SMALL()).await;
        assert_eq!(report.segments, 6);
        check_numbered(&log, 0, 9_000, 1 << 20).await;
    });
}

#[test]
fn a_log_that_is_closed_while_a_file_is_prepared_can_be_deleted() {
    for seed in 0..60 {
        World::new(seed).run(move |env| async move {
            let (log, _) = open_with(&env, SMALL()).await;
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            append_numbered(&env, &log, 60, 18_000, 1).await;
            env.reactor.sleep(Duration::from_micros(seed * 12)).await;
            log.close().await.unwrap();
            let directory = log.directory().to_owned();
            drop(log);
            delete_directory(&env.reactor, &directory).await.unwrap();
            env.reactor.sleep(Duration::from_millis(100)).await;
            let gone = env.reactor.stat(&directory).await.unwrap_err();
            assert_eq!(gone.kind(), std::io::ErrorKind::NotFound, "seed {seed}");
        });
    }
}

#[test]
fn a_crash_at_any_time_around_rolls_loses_nothing_durable() {
    for seed in 0..60 {
        let world = World::new(seed);
        let durable = world.run(move |env| async move {
            let (log, _) = open_with(&env, SMALL()).await;
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            append_numbered(&env, &log, 300 + 3 * seed, 9_000, 1).await;
            env.reactor.sleep(Duration::from_micros(seed * 150)).await;
            append_numbered(&env, &log, 600, 9_000, 1).await;
            env.reactor.sleep(Duration::from_micros(seed * 150)).await;
            log.durable_end()
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = open_with(&env, SMALL()).await;
            assert!(report.log_end >= durable, "seed {seed}");
            check_numbered(&log, 0, 9_000, 1 << 20).await;
            log.begin_epoch(LeaderEpoch::new(2)).await.unwrap();
            append_numbered(&env, &log, 800, 9_000, 2).await;
            log.flush().await.unwrap();
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = open_with(&env, SMALL()).await;
            assert_eq!(report.log_end, Offset::new(800), "seed {seed}");
            check_numbered(&log, 0, 9_000, 1 << 20).await;
        });
    }
}
