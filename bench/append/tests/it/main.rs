//! Appends to real logs: what is counted must be so, how fast it was is nobody's business here.
#![cfg(test)]

use std::path::PathBuf;
use std::time::Duration;

use ringlog_append::{AppendConfig, Ending, run_once};

fn config(dir: &tempfile::TempDir) -> AppendConfig {
    AppendConfig {
        record_bytes: 1000,
        batch_records: 3,
        logs: 2,
        in_flight: 4,
        retention_bytes: 64 << 20,
        segment_bytes: 256 << 20,
        warm_up: Duration::from_millis(50),
        duration: Duration::from_millis(200),
        dir: dir.path().to_owned(),
        cpu: None,
        spin: Duration::ZERO,
        ending: Ending::default(),
    }
}

fn directory() -> tempfile::TempDir {
    // Below the build's, which is on a file system with direct I/O.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[test]
fn what_is_counted_was_appended_and_nothing_is_left_behind() {
    let dir = directory();
    let measured = run_once(&config(&dir)).unwrap();
    assert!(measured.requests > 0 && measured.latency.count() == measured.requests);
    assert_eq!(measured.bytes, measured.requests * 3000);
    let appended = |counters: &std::collections::BTreeMap<String, u64>| counters["appended_bytes"];
    let grown = appended(&measured.counters_after) - appended(&measured.counters_before);
    // What was under way at the begin and at the end may be on either side.
    let slack = 8 * 2 * 3200;
    assert!(grown + slack >= measured.bytes, "{grown} {measured:?}");
    assert!(measured.written_bytes > 0);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_run_that_is_told_to_end_keeps_what_it_measured() {
    let dir = directory();
    let config = AppendConfig {
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(3600),
        ..config(&dir)
    };
    let ending = config.ending.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        ending.tell();
    });
    let measured = run_once(&config).unwrap();
    assert!(measured.requests > 0 && measured.elapsed < config.duration);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_measured_is_refused_with_a_reason() {
    let dir = directory();
    let refused = |config: AppendConfig| run_once(&config).unwrap_err().to_string();
    let none = AppendConfig {
        logs: 0,
        ..config(&dir)
    };
    assert!(refused(none).contains("--partitions 0"));
    let nowhere = AppendConfig {
        dir: PathBuf::from("/nonexistent"),
        ..config(&dir)
    };
    assert!(refused(nowhere).contains("/nonexistent"));
    let huge = AppendConfig {
        record_bytes: 1 << 30,
        ..config(&dir)
    };
    assert!(refused(huge).contains("batch"));
}
