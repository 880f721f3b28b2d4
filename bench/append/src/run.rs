//! One repetition.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Instant;

use bytes::Bytes;
use rand::Rng;
use ringlog_log::{BulkFiles, CacheBudget, Log, LogConfig, LogCounters, LogEnv, SpaceGauge};
use ringlog_maintenance::{GlommioFiles, Maintenance, MaintenanceConfig};
use ringlog_reactor::{CoreSpec, LocalFuture, Platform, Reactor, Signal, UringPlatform};
use ringlog_record::batch::{BatchBuilder, RecordData};
use ringlog_record::limits::BATCH_BYTES_MAX;
use ringlog_record::{LeaderEpoch, Offset};

use crate::config::AppendConfig;
use crate::error::AppendError;
use crate::limits::{CACHE_BYTES, POOL_BYTES, RETENTION_INTERVAL};
use crate::measured::{Measured, Window};

/// Measures one repetition: warm-up, then as long as the settings say. Makes its own threads, and blocks.
///
/// # Errors
///
/// [`AppendError`].
pub fn run_once(config: &AppendConfig) -> Result<Measured, AppendError> {
    config.validate()?;
    let batch = batch(config)?;
    let directory = tempfile::Builder::new()
        .prefix("ringlog-append-")
        .tempdir_in(&config.dir)
        .map_err(|source| AppendError::Directory {
            dir: config.dir.clone(),
            source,
        })?;
    let maintenance = Maintenance::start(MaintenanceConfig::new(directory.path().to_owned()))?;
    let files = maintenance.files();
    let spec = CoreSpec {
        name: "append".to_owned(),
        cpu: config.cpu,
        spin: config.spin,
        pool_bytes: POOL_BYTES,
    };
    let (done, outcome) = mpsc::channel();
    let (config, root) = (config.clone(), directory.path().to_owned());
    let start = move |reactor: Reactor| -> LocalFuture {
        Box::pin(async move {
            let measured = measure(&config, root, batch, files, reactor).await;
            // Whoever asked waits for it.
            done.send(measured).ok();
        })
    };
    let core = UringPlatform::for_files_in(directory.path()).launch(spec, Box::new(start));
    core.and_then(ringlog_reactor::CoreHandle::join)
        .map_err(AppendError::Core)?;
    drop(maintenance);
    outcome.recv().unwrap_or(Err(AppendError::Nothing))
}

/// The batch that is appended over and over: random bytes, which nothing on the way makes smaller.
fn batch(config: &AppendConfig) -> Result<Bytes, AppendError> {
    let made = |error: &dyn std::fmt::Display| AppendError::Batch(error.to_string());
    let mut builder = BatchBuilder::new(BATCH_BYTES_MAX);
    let mut value = vec![0; config.record_bytes];
    for _ in 0..config.batch_records {
        rand::rng().fill_bytes(&mut value);
        let record = RecordData {
            value: Some(&value),
            ..RecordData::default()
        };
        builder.append(&record).map_err(|error| made(&error))?;
    }
    builder.build().map_err(|error| made(&error))
}

/// What the logs share.
struct Appending {
    batch: Bytes,
    in_flight: usize,
    counters: Rc<LogCounters>,
    window: RefCell<Window>,
}

async fn measure(
    config: &AppendConfig,
    root: PathBuf,
    batch: Bytes,
    files: GlommioFiles,
    reactor: Reactor,
) -> Result<Measured, AppendError> {
    let bulk: Rc<dyn BulkFiles> = Rc::new(files);
    let cache = CacheBudget::new(CACHE_BYTES);
    let env = LogEnv::new(reactor.clone(), bulk, cache, SpaceGauge::new());
    let log_config = LogConfig {
        retention_bytes: Some(config.retention_bytes),
        segment_bytes: config.segment_bytes,
        max_batch_bytes: u32::try_from(batch.len()).unwrap_or(u32::MAX),
        ..LogConfig::default()
    };
    let mut logs = Vec::with_capacity(config.logs);
    for number in 0..config.logs {
        let path = root.join(number.to_string());
        let opened = Log::open(env.clone(), path, log_config).await;
        let (log, _) = opened.map_err(AppendError::log)?;
        log.begin_epoch(EPOCH).await.map_err(AppendError::log)?;
        logs.push(log);
    }
    let appending = Rc::new(Appending {
        batch,
        in_flight: config.in_flight,
        counters: Rc::clone(&env.counters),
        window: RefCell::new(Window::start(config)?),
    });
    let retained = (logs.clone(), Rc::clone(&appending), reactor.clone());
    let retention = reactor.spawn("retention", retain(retained.0, retained.1, retained.2));
    let mut appenders = Vec::with_capacity(logs.len());
    for log in &logs {
        let work = append(log.clone(), Rc::clone(&appending));
        appenders.push(reactor.spawn("append", work));
    }
    for appender in appenders {
        appender.await?;
    }
    retention.await?;
    for log in logs {
        log.close().await.map_err(AppendError::log)?;
    }
    appending.window.borrow().finish()
}

const EPOCH: LeaderEpoch = LeaderEpoch::new(1);

/// Lets segments that are more than is kept leave, as a broker does from time to time.
async fn retain(
    logs: Vec<Log>,
    appending: Rc<Appending>,
    reactor: Reactor,
) -> Result<(), AppendError> {
    while appending.window.borrow().is_open() {
        reactor.sleep(RETENTION_INTERVAL).await;
        for log in &logs {
            log.apply_retention().await.map_err(AppendError::log)?;
        }
    }
    Ok(())
}

/// Appends to a log, so many at a time, until the time is over and all are stable.
async fn append(log: Log, appending: Rc<Appending>) -> Result<(), AppendError> {
    let changed = Rc::new(Signal::default());
    let told = Rc::clone(&changed);
    log.on_stable(move |_| told.notify());
    let mut under_way: VecDeque<(Offset, Instant)> = VecDeque::with_capacity(appending.in_flight);
    loop {
        while under_way.len() < appending.in_flight && appending.window.borrow().is_open() {
            let now = Instant::now();
            let appended = log
                .append(&appending.batch, EPOCH)
                .map_err(AppendError::log)?;
            under_way.push_back((appended.log_end, now));
        }
        let Some(&(first, _)) = under_way.front() else {
            return Ok(());
        };
        changed
            .wait(|| (log.stable_end() >= first || log.failure().is_some()).then_some(()))
            .await;
        if let Some(failure) = log.failure() {
            return Err(AppendError::log(failure));
        }
        let (now, stable) = (Instant::now(), log.stable_end());
        let mut window = appending.window.borrow_mut();
        while let Some(&(end, appended)) = under_way.front()
            && end <= stable
        {
            under_way.pop_front();
            window.record(appended, now);
        }
        window.advance(now, &appending.counters)?;
    }
}
