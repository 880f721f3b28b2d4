//! What to measure.

use std::path::PathBuf;
use std::time::Duration;

use ringlog_device::Ending;

use crate::error::AppendError;
use crate::limits::{IN_FLIGHT_MAX, LOGS_MAX};

/// One run.
#[derive(Debug, Clone)]
pub struct AppendConfig {
    /// Size of a record's value.
    pub record_bytes: usize,
    /// Records of an append: one batch.
    pub batch_records: usize,
    /// Logs that are appended to at the same time, which are flushed in common rounds.
    pub logs: usize,
    /// Appends under way on each.
    pub in_flight: usize,
    /// Bytes that a log keeps; what is older leaves, and its files are used again.
    pub retention_bytes: u64,
    /// Size that its segments grow to.
    pub segment_bytes: u64,
    /// How long it runs before it measures.
    pub warm_up: Duration,
    /// How long it measures.
    pub duration: Duration,
    /// Where the directory of the logs is made, and removed.
    pub dir: PathBuf,
    /// The processor of the core; any without one.
    pub cpu: Option<usize>,
    /// How long the core spins before it sleeps.
    pub spin: Duration,
    /// Ends it before its time.
    pub ending: Ending,
}

impl AppendConfig {
    pub(crate) fn validate(&self) -> Result<(), AppendError> {
        for (name, value, max) in [
            ("partitions", self.logs, LOGS_MAX),
            ("in-flight", self.in_flight, IN_FLIGHT_MAX),
        ] {
            if !(1..=max).contains(&value) {
                return Err(AppendError::OutOfRange { name, value, max });
            }
        }
        Ok(())
    }
}
