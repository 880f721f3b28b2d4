//! Why there is no figure.

use ringlog_client::ClientError;
use ringlog_device::DeviceError;
use ringlog_record::batch::BatchError;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The broker.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// The raw program.
    #[error("the raw program failed: {0}")]
    Device(#[from] DeviceError),
    /// The batch to be sent.
    #[error("no batch of this size can be made: {0}")]
    Batch(#[from] BatchError),
    /// The settings.
    #[error("{0}")]
    Settings(String),
}
