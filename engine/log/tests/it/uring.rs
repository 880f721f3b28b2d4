//! The same log on the files of this machine: io_uring, O_DIRECT, real syncs.

use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_log::limits::{CHECKPOINT_SLOT_BYTES, PRODUCER_REGION_BYTES};
use ringlog_log::{CacheBudget, Log, LogConfig, LogEnv, RecoveryReport, SpaceGauge, TornTail};
use ringlog_reactor::{CoreSpec, OpenOptions, Platform, Reactor, UringPlatform};
use ringlog_record::{LeaderEpoch, Offset};
use tempfile::TempDir;

use crate::bench_world::{Bulk, append_numbered, check_numbered};

const LEN_MAX: usize = 9_000;

fn directory() -> TempDir {
    // Not the system's, which may be in memory and then knows no direct I/O.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 1 << 20,
        ..LogConfig::default()
    }
}

/// Runs `main` on a core of this machine until it is done. Its logs end without being closed.
fn run<F: Future<Output = ()> + 'static>(main: impl FnOnce(LogEnv) -> F + Send + 'static) {
    let spec = CoreSpec {
        name: "log test".to_owned(),
        cpu: None,
        spin: Duration::ZERO,
        pool_bytes: 64 << 20,
    };
    let start = move |reactor: Reactor| -> ringlog_reactor::LocalFuture {
        let bulk = Rc::new(Bulk(reactor.clone()));
        let cache = CacheBudget::new(512 << 10);
        let env = LogEnv::new(reactor, bulk, cache, SpaceGauge::new());
        Box::pin(main(env))
    };
    let core = UringPlatform::new().launch(spec, Box::new(start)).unwrap();
    core.join().unwrap();
}

async fn open(env: &LogEnv, path: &Path) -> (Log, RecoveryReport) {
    let opened = Log::open(env.clone(), path.to_owned(), small()).await;
    opened.unwrap()
}

fn log_path(directory: &TempDir) -> PathBuf {
    directory.path().join("topics/0/0")
}

#[test]
fn a_checkpoint_needs_no_space_of_a_disk_that_is_full_by_then() {
    let directory = directory();
    let path = log_path(&directory);
    run(move |env| async move {
        let (log, _) = open(&env, &path).await;
        let file = std::fs::metadata(path.join("checkpoint")).unwrap();
        let needed = 2 * (CHECKPOINT_SLOT_BYTES + PRODUCER_REGION_BYTES) as u64;
        // `st_blocks` counts 512 bytes each, whatever the file system's are.
        assert!(file.blocks() * 512 >= needed, "{} blocks", file.blocks());
        drop(log);
    });
}

#[test]
fn a_log_rolls_and_comes_back() {
    let directory = directory();
    let path = log_path(&directory);
    run(move |env| async move {
        let (log, _) = open(&env, &path).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        let mut end = 0;
        while log.segment_count() < 5 {
            end += 20;
            append_numbered(&env, &log, end, LEN_MAX, 1).await;
            log.flush().await.unwrap();
        }
        check_numbered(&log, 0, LEN_MAX, 1 << 20).await;
        assert!(env.counters.rolls_prepared.get() > 0);
        assert!(env.counters.reads_from_disk.get() > 0);
    });
    let path = log_path(&directory);
    run(move |env| async move {
        let (log, report) = open(&env, &path).await;
        assert!(!report.is_clean && report.segments == 5);
        assert_eq!(report.torn_tail, None);
        check_numbered(&log, 0, LEN_MAX, 1 << 20).await;
        log.begin_epoch(LeaderEpoch::new(2)).await.unwrap();
        let end = report.log_end.get() + 50;
        append_numbered(&env, &log, end, LEN_MAX, 2).await;
        assert_eq!(
            log.delete_records(Offset::new(200)).await.unwrap(),
            Offset::new(200)
        );
        log.close().await.unwrap();
    });
    let path = log_path(&directory);
    run(move |env| async move {
        let (log, report) = open(&env, &path).await;
        assert!(report.is_clean && report.scanned_bytes == 0);
        assert_eq!(report.log_start, Offset::new(200));
        check_numbered(&log, 200, LEN_MAX, 1 << 20).await;
    });
}

#[test]
fn a_torn_tail_is_cut_and_zeroed() {
    let directory = directory();
    let path = log_path(&directory);
    run(move |env| async move {
        let (log, _) = open(&env, &path).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        append_numbered(&env, &log, 40, LEN_MAX, 1).await;
        log.flush().await.unwrap();
        let position = log.size_bytes();
        // Part of a group that never was acknowledged.
        let options = OpenOptions {
            write: true,
            ..OpenOptions::default()
        };
        let segment = path.join(format!("{:020}.log", 0));
        let file = env.reactor.open(&segment, options).await.unwrap();
        file.write_at(position + 100, Bytes::from(vec![7; 5_000]))
            .await
            .unwrap();
        file.sync_all().await.unwrap();
    });
    for torn in [true, false] {
        let path = log_path(&directory);
        run(move |env| async move {
            let (log, report) = open(&env, &path).await;
            let (segment, position, bytes) = (Offset::ZERO, log.size_bytes(), 5_000);
            let tail = TornTail {
                segment,
                position,
                bytes,
            };
            assert_eq!(report.torn_tail, torn.then_some(tail));
            assert_eq!(report.log_end, Offset::new(40));
            check_numbered(&log, 0, LEN_MAX, 1 << 20).await;
        });
    }
}

#[test]
fn many_logs_share_a_flusher() {
    let directory = directory();
    let root = directory.path().to_owned();
    run(move |env| async move {
        let mut logs = Vec::new();
        for index in 0..20 {
            let (log, _) = open(&env, &root.join(format!("topics/0/{index}"))).await;
            log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
            logs.push(log);
        }
        for round in 1..=10 {
            for log in &logs {
                append_numbered(&env, log, round * 3, LEN_MAX, 1).await;
            }
            for log in &logs {
                log.flush().await.unwrap();
                assert_eq!(log.stable_end(), Offset::new(round * 3));
            }
        }
        assert!(env.counters.flush_rounds.get() < env.counters.flush_groups.get());
        for log in &logs {
            check_numbered(log, 0, LEN_MAX, 1 << 20).await;
            log.close().await.unwrap();
        }
    });
}
