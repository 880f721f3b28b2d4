//! What a process wrote before it was killed may be seen by the next one and still be lost with the power.

use std::time::Duration;

use ringlog_log::LogConfig;
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{World, append_numbered, check_numbered, open, open_with, try_open};

fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 1 << 20,
        retention_ms: None,
        ..LogConfig::default()
    }
}

#[test]
fn a_log_start_of_a_killed_process_is_durable_before_files_leave() {
    for seed in 0..60 {
        let world = World::new(seed);
        world.run(move |env| async move {
            let (log, _) = open_with(&env, small()).await;
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            append_numbered(&env, &log, 300, 16_000, 1).await;
            log.flush().await.unwrap();
            let deleting = log.clone();
            let delete = async move { deleting.delete_records(Offset::new(290)).await };
            env.reactor.spawn("delete", delete).detach();
            env.reactor.sleep(Duration::from_micros(seed * 4)).await;
        });
        world.run(|env| async move {
            open_with(&env, small()).await;
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = try_open(&env, small())
                .await
                .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            check_numbered(&log, report.log_start.get(), 16_000, 1 << 20).await;
        });
    }
}

#[test]
fn an_epoch_of_a_killed_process_is_durable_before_batches_of_it() {
    for seed in 0..80 {
        let world = World::new(seed);
        world.run(move |env| async move {
            let (log, _) = open(&env).await;
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            append_numbered(&env, &log, 10, 300, 1).await;
            log.flush().await.unwrap();
            let beginning = log.clone();
            let begin = async move { beginning.begin_epoch(LeaderEpoch::new(2)).await };
            env.reactor.spawn("begin", begin).detach();
            env.reactor.sleep(Duration::from_micros(seed * 2)).await;
        });
        let end = world.run(|env| async move {
            let (log, report) = open(&env).await;
            let epoch = report.latest_epoch.unwrap().get();
            append_numbered(&env, &log, 20, 300, epoch).await;
            log.flush().await.unwrap();
            log.log_end()
        });
        world.lose_power();
        world.run(move |env| async move {
            let (log, report) = open(&env).await;
            assert_eq!(report.log_end, end, "seed {seed}");
            check_numbered(&log, 0, 300, 1 << 20).await;
        });
    }
}

#[test]
fn logs_that_wait_to_be_flushed_do_not_outlive_their_core() {
    let world = World::new(1);
    let counters = world.run(|env| async move {
        let (log, _) = open(&env).await;
        append_numbered(&env, &log, 10, 300, 1).await;
        std::rc::Rc::downgrade(&env.counters)
    });
    assert!(counters.upgrade().is_none(), "the log is still there");
}
