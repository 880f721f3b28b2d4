//! Why there is no figure.

use std::io;
use std::path::PathBuf;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A setting.
    #[error("--{name} {value}: 1 to {max} is allowed")]
    OutOfRange {
        /// Its name.
        name: &'static str,
        /// What was asked for.
        value: usize,
        /// What is allowed.
        max: usize,
    },
    /// The records do not make a batch.
    #[error("no batch can be made of the records: {0}")]
    Batch(String),
    /// The directory of the logs.
    #[error("a directory for logs cannot be made in {}: {source}", .dir.display())]
    Directory {
        /// Where.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread that prepares files.
    #[error(transparent)]
    Maintenance(#[from] ringlog_maintenance::StartError),
    /// The core that appends.
    #[error("the core that appends: {0}")]
    Core(io::Error),
    /// The log.
    #[error("a log failed: {0}")]
    Log(String),
    /// What the system is asked about this process.
    #[error("what this process used is not told: {0}")]
    Usage(String),
    /// A histogram.
    #[error(transparent)]
    Latency(#[from] ringlog_device::DeviceError),
    /// No append became stable in time.
    #[error("nothing became stable within the measured time")]
    Nothing,
}

impl AppendError {
    /// What a log says.
    pub(crate) fn log(error: impl std::fmt::Display) -> Self {
        Self::Log(error.to_string())
    }
}
