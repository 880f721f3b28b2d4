//! The load generator: honest load on ringlog, on its peers and on the machine under them.
//!
//! **Duty.** [`bench()`] runs a scenario: targets take turns at each point, every figure has its spread, and ratios are
//! taken pair by pair. On a schedule, requests leave when they are due, whatever became of those before them;
//! *response time* counts from when they were due, *service time* from when they left. In a closed loop a stall of
//! the target stalls the load, and the result says so.
//!
//! **Threads.** Workers, pinned to the first processor, each with a runtime, connections and histograms of its own;
//! the caller's puts their counts together. The target is another process; raw programs have threads of their own.
//!
//! **Invariants.** A histogram is merged, never its percentiles. A request that was due within the measured time is in
//! the figures, answered or not. A percentile is told only from 100 samples above it on.
//!
//! **Must not know.** The engine and the wire format: it is a client like any other.
#![forbid(unsafe_code)]

mod compare;
pub mod driver;
mod environment;
mod error;
#[cfg(test)]
mod fault;
mod histogram;
mod hlog;
pub mod limits;
mod load;
mod metrics;
mod pacer;
pub mod payload;
mod pin;
mod process;
mod recorder;
mod report;
pub mod result;
mod run;
mod scenario;
mod schedule;
mod session;
mod settings;
mod spread;
mod stages;
mod stop;
mod summary;
mod target;
mod warm;
mod worker;

use std::path::Path;

pub use compare::{Change, Comparison, Verdict, compare, read_result};
pub use error::BenchError;
pub use report::tables;
pub use result::RunResult;
pub use ringlog_device::{ConfigError as ShapeError, Shape};
pub use scenario::Crowd;
pub use schedule::Arrivals;
pub use settings::{BenchSettings, BrokerCommand, ReadFrom, Scenario, Timing, Vary};
pub use spread::Spread;
pub use target::TargetSpec;

/// What is told while it runs.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

/// Runs a scenario until it is over or `interrupted` is; streams that it made are removed in any case. Whatever ended it
/// before its time, what was measured until then is in the result, which says why it ended.
///
/// # Errors
///
/// [`BenchError`], if nothing was measured.
pub async fn bench(
    settings: &BenchSettings,
    interrupted: impl Future<Output = ()>,
    progress: Progress<'_>,
) -> Result<RunResult, BenchError> {
    let stop = stop::Stop::new();
    let mut session = session::Session::open(settings, progress, stop.clone()).await?;
    // What is under way ends by itself when it is told to; what does not is given up.
    let given_up = async {
        interrupted.await;
        stop.tell();
        tokio::time::sleep(limits::STOP_MAX).await;
    };
    let outcome = tokio::select! {
        outcome = scenario::run(&mut session) => outcome,
        () = given_up => Err(BenchError::Stopped),
    };
    session.clean_up().await;
    session.result(outcome)
}

/// Writes a result into a folder, as `result.json` and `report.html`, beside the histogram logs that are there already.
///
/// # Errors
///
/// [`BenchError::Generator`].
pub fn write_result(out: &Path, result: &RunResult) -> Result<std::path::PathBuf, BenchError> {
    session::write_result(out, result)
}
