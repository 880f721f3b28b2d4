//! Devices that are slow, or do not answer at all.

use std::path::PathBuf;
use std::time::Duration;

use ringlog_log::{Log, LogConfig, LogEnv, OpenError};
use ringlog_reactor::limits::DISK_PATIENCE_SECONDS;
use ringlog_reactor::sim::FaultyOp;
use ringlog_record::{LeaderEpoch, Offset};

use crate::bench_world::{World, append_numbered, batch, check_numbered, open};

const EPOCH: LeaderEpoch = LeaderEpoch::new(1);
const SILENCE: &str = "the device has not answered for 30 s";

async fn open_another(env: &LogEnv) -> Log {
    let directory = PathBuf::from("/data/topics/0/1");
    let opened = Log::open(env.clone(), directory, LogConfig::default()).await;
    let (log, _) = opened.unwrap();
    log.begin_epoch(EPOCH).await.unwrap();
    log
}

#[test]
fn a_log_whose_device_hangs_goes_offline_and_the_others_go_on() {
    for op in [FaultyOp::Write, FaultyOp::Sync] {
        let world = World::new(1);
        let faults = world.faults();
        world.run(move |env| async move {
            let (log, _) = open(&env).await;
            log.begin_epoch(EPOCH).await.unwrap();
            append_numbered(&env, &log, 10, 3_000, 1).await;
            log.flush().await.unwrap();
            let other = open_another(&env).await;
            faults.hang_once(op, "topics/0/0/0");
            append_numbered(&env, &log, 20, 3_000, 1).await;
            for _ in 0..20 {
                other.append(&batch(&[b"beside it"]), EPOCH).unwrap();
                let flushed = env.reactor.timeout(Duration::from_secs(1), other.flush());
                flushed.await.expect("the other log is held up").unwrap();
            }
            assert_eq!((log.failure(), log.durable_end()), (None, Offset::new(10)));
            let failure = log.flush().await.unwrap_err();
            assert!(failure.to_string().contains(SILENCE), "{failure}");
            assert_eq!(log.durable_end(), Offset::new(10));
            assert_eq!(other.failure(), None);
        });
        world.run(|env| async move {
            let (log, report) = open(&env).await;
            assert!(report.log_end >= Offset::new(10));
            check_numbered(&log, 0, 3_000, 1 << 20).await;
        });
    }
}

#[test]
fn a_hung_operation_ends_whatever_waits_for_it() {
    for (op, path) in [
        (FaultyOp::Open, "checkpoint"),
        (FaultyOp::Read, "checkpoint"),
        (FaultyOp::SyncDir, "topics"),
        (FaultyOp::Resize, ".log"),
    ] {
        let world = World::new(1);
        let faults = world.faults();
        world.run(move |env| async move {
            faults.hang_once(op, path);
            let began = env.reactor.now();
            let directory = PathBuf::from("/data/topics/0/0");
            let opened = Log::open(env.clone(), directory, LogConfig::default()).await;
            let error = opened.map(|_| ()).unwrap_err();
            assert!(matches!(error, OpenError::File(_)), "{error}");
            assert!(error.to_string().contains(SILENCE), "{error}");
            let waited = env.reactor.now().since(began);
            let patience = Duration::from_secs(DISK_PATIENCE_SECONDS);
            assert!(waited >= patience && waited < patience * 2);
        });
    }
}

#[test]
fn a_slow_device_fails_nothing_and_holds_up_its_own_log_only() {
    let world = World::new(1);
    let faults = world.faults();
    world.run(move |env| async move {
        let (log, _) = open(&env).await;
        log.begin_epoch(EPOCH).await.unwrap();
        let other = open_another(&env).await;
        let delay = Duration::from_secs(5);
        faults.delay_always(FaultyOp::Sync, "topics/0/0/0", delay);
        append_numbered(&env, &log, 20, 3_000, 1).await;
        let began = env.reactor.now();
        for _ in 0..20 {
            other.append(&batch(&[b"beside it"]), EPOCH).unwrap();
            other.flush().await.unwrap();
        }
        assert!(env.reactor.now().since(began) < Duration::from_secs(1));
        assert!(log.durable_end() < log.log_end());
        log.flush().await.unwrap();
        assert!(env.reactor.now().since(began) >= delay);
        assert_eq!((log.failure(), log.durable_end()), (None, Offset::new(20)));
        check_numbered(&log, 0, 3_000, 1 << 20).await;
    });
}
