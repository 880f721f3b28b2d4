use std::fs;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use ringlog_log::{BulkFiles, Leisure};
use ringlog_maintenance::limits::JOBS_MAX;
use ringlog_maintenance::{Maintenance, MaintenanceConfig, StartError};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

fn start(dir: &TempDir) -> Maintenance {
    Maintenance::start(MaintenanceConfig::new(dir.path().to_owned())).expect("it starts")
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park_timeout(Duration::from_secs(20)),
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

#[test]
fn a_file_is_prepared_in_full() {
    let dir = TempDir::new().unwrap();
    let maintenance = start(&dir);
    let files = maintenance.files();
    for len in [MIB, 4096, 3 * MIB + 8192] {
        let path = dir.path().join(format!("{len}"));
        block_on(files.prepare(path.clone(), len, Leisure::default())).unwrap();
        let content = fs::read(&path).unwrap();
        assert_eq!(content.len() as u64, len);
        assert!(is_zero(&content));
    }
    let counters = maintenance.counters();
    assert_eq!((counters.prepared_files(), counters.failed_files()), (3, 0));
    assert_eq!(counters.prepared_bytes(), 4 * MIB + 4096 + 8192);
    let names = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 3, "nothing else is left in the directory");
}

#[test]
fn an_existing_file_is_not_touched() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("next");
    fs::write(&path, b"in use").unwrap();
    let maintenance = start(&dir);
    let error = block_on(
        maintenance
            .files()
            .prepare(path.clone(), MIB, Leisure::default()),
    )
    .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"in use");
    assert_eq!(maintenance.counters().failed_files(), 1);
}

#[test]
fn a_missing_directory_is_an_error_and_does_not_end_the_executor() {
    let dir = TempDir::new().unwrap();
    let maintenance = start(&dir);
    let files = maintenance.files();
    let error =
        block_on(files.prepare(dir.path().join("gone/next"), MIB, Leisure::default())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    for len in [0, 4097] {
        let error =
            block_on(files.prepare(dir.path().join("odd"), len, Leisure::default())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    block_on(files.prepare(dir.path().join("next"), MIB, Leisure::default())).unwrap();
}

#[test]
fn a_file_that_does_not_fit_fails_and_is_removed() {
    let dir = TempDir::new().unwrap();
    let maintenance = start(&dir);
    let path = dir.path().join("next");
    let error = block_on(
        maintenance
            .files()
            .prepare(path.clone(), 1 << 42, Leisure::default()),
    )
    .unwrap_err();
    assert!(
        matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge
        ),
        "{error:?}"
    );
    assert!(!path.exists());
}

#[test]
fn a_directory_that_disappears_does_not_end_the_executor() {
    let dir = TempDir::new().unwrap();
    let maintenance = start(&dir);
    let files = maintenance.files();
    let doomed = dir.path().join("doomed");
    fs::create_dir(&doomed).unwrap();
    let future = files.prepare(doomed.join("next"), 64 * MIB, Leisure::default());
    while !doomed.join("next").exists() {
        std::thread::yield_now();
    }
    fs::remove_dir_all(&doomed).unwrap();
    // Whatever came of it, the executor goes on.
    drop(block_on(future));
    block_on(files.prepare(dir.path().join("next"), MIB, Leisure::default())).unwrap();
}

#[test]
fn many_files_share_the_pace() {
    let dir = TempDir::new().unwrap();
    let config = MaintenanceConfig {
        bytes_per_second: 32 * MIB,
        ..MaintenanceConfig::new(dir.path().to_owned())
    };
    let maintenance = Maintenance::start(config).unwrap();
    let files = maintenance.files();
    let start = Instant::now();
    let futures: Vec<_> = (0..8)
        .map(|i| files.prepare(dir.path().join(format!("{i}")), 2 * MIB, Leisure::default()))
        .collect();
    for future in futures {
        block_on(future).unwrap();
    }
    // The first piece of 16 goes at once.
    assert!(
        start.elapsed() >= Duration::from_millis(15 * 1000 / 32),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_file_is_spread_over_its_time() {
    let dir = TempDir::new().unwrap();
    let maintenance = start(&dir);
    let within = Duration::from_millis(400);
    let start = Instant::now();
    let path = dir.path().join("next");
    block_on(
        maintenance
            .files()
            .prepare(path, 8 * MIB, Leisure::new(within)),
    )
    .unwrap();
    // The last piece of 8 is due when seven eighths are over.
    assert!(start.elapsed() >= within * 7 / 8, "{:?}", start.elapsed());
}

#[test]
fn nothing_is_spread_while_others_wait() {
    let dir = TempDir::new().unwrap();
    let maintenance = start(&dir);
    let files = maintenance.files();
    let hour = Duration::from_secs(3_600);
    let count = 2 * JOBS_MAX;
    let _futures: Vec<_> = (0..count)
        .map(|i| files.prepare(dir.path().join(format!("{i}")), 4 * MIB, Leisure::new(hour)))
        .collect();
    let start = Instant::now();
    // As many as had to make room for the others.
    while maintenance.counters().prepared_files() < JOBS_MAX as u64 {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "files wait behind one that takes its time"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn leisure_may_end() {
    let dir = TempDir::new().unwrap();
    let maintenance = start(&dir);
    let leisure = Leisure::new(Duration::from_secs(3_600));
    let path = dir.path().join("next");
    let future = maintenance
        .files()
        .prepare(path.clone(), 8 * MIB, leisure.clone());
    while !path.exists() {
        std::thread::yield_now();
    }
    leisure.end();
    let start = Instant::now();
    block_on(future).unwrap();
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn dropping_a_request_gives_its_file_up() {
    let dir = TempDir::new().unwrap();
    let config = MaintenanceConfig {
        bytes_per_second: 16 * MIB,
        ..MaintenanceConfig::new(dir.path().to_owned())
    };
    let maintenance = Maintenance::start(config).unwrap();
    let files = maintenance.files();
    let path = dir.path().join("next");
    let future = files.prepare(path.clone(), 256 * MIB, Leisure::default());
    while !path.exists() {
        std::thread::yield_now();
    }
    drop(future);
    let start = Instant::now();
    while path.exists() {
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "the file is still there"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn stopping_ends_the_thread_and_fails_what_waits() {
    let dir = TempDir::new().unwrap();
    let config = MaintenanceConfig {
        bytes_per_second: 16 * MIB,
        ..MaintenanceConfig::new(dir.path().to_owned())
    };
    let maintenance = Maintenance::start(config).unwrap();
    let files = maintenance.files();
    let futures: Vec<_> = (0..20)
        .map(|i| {
            files.prepare(
                dir.path().join(format!("{i}")),
                64 * MIB,
                Leisure::default(),
            )
        })
        .collect();
    std::thread::sleep(Duration::from_millis(20));
    let start = Instant::now();
    drop(maintenance);
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    for future in futures {
        block_on(future).unwrap_err();
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let error =
        block_on(files.prepare(dir.path().join("late"), MIB, Leisure::default())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_data_directory_that_is_missing_is_refused() {
    let config = MaintenanceConfig::new("surely/not/here".into());
    let error = Maintenance::start(config).unwrap_err();
    assert!(matches!(error, StartError::Device { .. }), "{error:?}");
}

#[test]
fn a_cpu_that_does_not_exist_is_refused() {
    let dir = TempDir::new().unwrap();
    let config = MaintenanceConfig {
        cpu: Some(1_000_000),
        ..MaintenanceConfig::new(dir.path().to_owned())
    };
    let error = Maintenance::start(config).unwrap_err();
    assert!(matches!(error, StartError::Executor { .. }), "{error:?}");
}
