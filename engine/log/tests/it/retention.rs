use std::time::Duration;

use ringlog_log::{ChangeError, Durability, LogConfig, ReadError, ReadRequest};
use ringlog_reactor::sim::SimConfig;
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{World, append_numbered, batch, check_numbered, open_with};

fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 1 << 20,
        retention_ms: None,
        ..LogConfig::default()
    }
}

#[test]
fn old_segments_leave_by_size_and_by_age() {
    let world = World::new(1);
    let log_start = world.run(|env| async move {
        let (log, _) = open_with(&env, small()).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        append_numbered(&env, &log, 1_000, 9_000, 1).await;
        log.flush().await.unwrap();
        assert_eq!(log.apply_retention().await.unwrap(), 0);
        let before = log.segment_count();
        assert!(before >= 4);
        log.set_config(LogConfig {
            retention_bytes: Some(2 << 20),
            ..small()
        });
        let removed = log.apply_retention().await.unwrap();
        assert_eq!(log.segment_count(), before - removed);
        assert!(log.size_bytes() >= 2 << 20 && log.size_bytes() < 3 << 20);
        let log_start = log.log_start();
        let request = ReadRequest {
            offset: Offset::ZERO,
            max_bytes: 1,
            limit: Offset::MAX,
        };
        assert!(matches!(
            log.read(request).await,
            Err(ReadError::OffsetOutOfRange { .. })
        ));
        check_numbered(&log, log_start.get(), 9_000, 1 << 20).await;
        log_start
    });
    world.lose_power();
    world.run(move |env| async move {
        let (log, report) = open_with(&env, small()).await;
        assert_eq!(report.log_start, log_start);
        check_numbered(&log, log_start.get(), 9_000, 1 << 20).await;
        log.set_config(LogConfig {
            retention_ms: Some(1_000),
            ..small()
        });
        assert_eq!(log.apply_retention().await.unwrap(), 0);
        env.reactor.sleep(Duration::from_secs(2)).await;
        assert!(log.apply_retention().await.unwrap() > 0);
        assert_eq!(log.log_start(), log.log_end());
        assert_eq!(log.segment_count(), 1);
        append_numbered(&env, &log, 1_010, 9_000, 1).await;
        log.flush().await.unwrap();
        check_numbered(&log, 1_000, 9_000, 1 << 20).await;
    });
}

#[test]
fn deleted_records_do_not_come_back() {
    let world = World::new(2);
    world.run(|env| async move {
        let (log, _) = open_with(&env, small()).await;
        append_numbered(&env, &log, 600, 9_000, 1).await;
        log.flush().await.unwrap();
        assert_eq!(
            log.delete_records(Offset::new(500)).await.unwrap(),
            Offset::new(500)
        );
        assert_eq!(
            log.delete_records(Offset::new(10)).await.unwrap(),
            Offset::new(500)
        );
        assert!(matches!(
            log.delete_records(Offset::new(601)).await,
            Err(ChangeError::OffsetOutOfRange { .. })
        ));
    });
    world.lose_power();
    world.run(|env| async move {
        let (log, report) = open_with(&env, small()).await;
        assert_eq!(report.log_start, Offset::new(500));
        check_numbered(&log, 500, 9_000, 1 << 20).await;
        assert_eq!(
            log.delete_records(Offset::new(600)).await.unwrap(),
            Offset::new(600)
        );
    });
    world.lose_power();
    world.run(|env| async move {
        let (log, report) = open_with(&env, small()).await;
        assert_eq!(
            (report.log_start, report.log_end),
            (Offset::new(600), Offset::new(600))
        );
        append_numbered(&env, &log, 610, 9_000, 1).await;
    });
}

/// What lies in the file that is still named `next` is only found behind the segment before it.
#[test]
fn a_segment_without_its_name_is_not_left_alone() {
    let mut config = SimConfig::default();
    config.disk.metadata_us = 5_000;
    for seed in 0..60 {
        let world = World::with(seed, config);
        let durable = world.run(move |env| async move {
            let (log, _) = open_with(&env, small()).await;
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            append_numbered(&env, &log, 50, 25_000, 1).await;
            log.flush().await.unwrap();
            env.reactor.sleep(Duration::from_millis(500)).await;
            let mut end = 50;
            while log.segment_count() == 1 {
                end += 1;
                append_numbered(&env, &log, end, 25_000, 1).await;
            }
            assert_eq!(env.counters.rolls_prepared.get(), 1);
            log.flush().await.unwrap();
            // All but what is in the prepared file is deleted.
            let (deleting, durable) = (log.clone(), log.durable_end());
            let delete = async move { deleting.delete_records(Offset::new(end - 1)).await };
            env.reactor.spawn("delete", delete).detach();
            env.reactor
                .sleep(Duration::from_micros(2_500 + seed * 50))
                .await;
            durable
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = open_with(&env, small()).await;
            assert_eq!(report.log_end, durable, "seed {seed}");
            check_numbered(&log, durable.get() - 1, 25_000, 1 << 20).await;
        });
    }
}

#[test]
fn a_clock_that_goes_back_removes_nothing_early() {
    let world = World::new(1);
    let clock = world.clock();
    world.run(move |env| async move {
        let config = LogConfig {
            retention_ms: Some(1_000),
            ..LogConfig::default()
        };
        let (log, _) = open_with(&env, config).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        clock.set_off(10_000);
        log.append(&batch(&[b"by a clock that is ahead"]), LeaderEpoch::new(1))
            .unwrap();
        clock.set_off(0);
        log.append(&batch(&[b"by the right one"]), LeaderEpoch::new(1))
            .unwrap();
        env.reactor.sleep(Duration::from_millis(1_500)).await;
        // The first one is as old as the clock said when it came.
        log.apply_retention().await.unwrap();
        assert_eq!(log.log_start(), Offset::ZERO);
        env.reactor.sleep(Duration::from_secs(10)).await;
        log.apply_retention().await.unwrap();
        log.apply_retention().await.unwrap();
        assert_eq!(log.log_start(), Offset::new(2));
    });
}

#[test]
fn a_clock_that_is_behind_at_a_restart_removes_nothing_early() {
    let config = LogConfig {
        retention_ms: Some(60_000),
        ..small()
    };
    let world = World::new(1);
    // No checkpoint tells when this was appended, and the process is killed.
    let end = world.run(move |env| async move {
        let (log, _) = open_with(&env, config).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        append_numbered(&env, &log, 1, 100, 1).await;
        log.flush().await.unwrap();
        log.log_end()
    });
    let clock = world.clock();
    world.run(move |env| async move {
        // As on a machine without a battery for its clock, until the time servers have answered.
        clock.set_off(-3_600_000);
        let (log, report) = open_with(&env, config).await;
        assert_eq!(report.log_end, end);
        assert!(report.scanned_bytes > 0);
        clock.set_off(0);
        log.apply_retention().await.unwrap();
        log.apply_retention().await.unwrap();
        assert_eq!(log.log_start(), Offset::ZERO);
        env.reactor.sleep(Duration::from_secs(61)).await;
        log.apply_retention().await.unwrap();
        log.apply_retention().await.unwrap();
        assert_eq!(log.log_start(), end);
    });
}

/// What is in memory only may be gone after a crash: it is no reason to remove what is on the device.
#[test]
fn retention_by_size_counts_what_is_durable() {
    let config = LogConfig {
        durability: Durability::Async,
        flush_ms: 3_600_000,
        retention_bytes: Some(512 << 10),
        ..small()
    };
    World::new(1).run(move |env| async move {
        let (log, _) = open_with(&env, config).await;
        let epoch = LeaderEpoch::new(1);
        log.begin_epoch(epoch).await.unwrap();
        let one = batch(&[&[7; 100_000]]);
        while log.segment_count() == 1 {
            log.append(&one, epoch).unwrap();
        }
        log.flush().await.unwrap();
        for _ in 0..6 {
            log.append(&one, epoch).unwrap();
        }
        assert!(log.durable_end() < log.log_end());
        assert_eq!(log.apply_retention().await.unwrap(), 0);
        log.flush().await.unwrap();
        assert_eq!(log.apply_retention().await.unwrap(), 1);
    });
}
