//! Why there is no figure.

use ringlog_device::DeviceError;

use crate::driver::DriverError;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A system under load.
    #[error("{target}: {source}")]
    Driver {
        /// Its name.
        target: String,
        /// What it said.
        source: DriverError,
    },
    /// The raw program.
    #[error("the raw program failed: {0}")]
    Device(#[from] DeviceError),
    /// The engine without a network.
    #[error(transparent)]
    Append(#[from] ringlog_append::AppendError),
    /// A histogram refused its bounds or another histogram.
    #[error("histogram: {0}")]
    Histogram(String),
    /// The generator's own machinery.
    #[error("the generator cannot {what}: {reason}")]
    Generator {
        /// What it was to do.
        what: &'static str,
        /// Why it cannot.
        reason: String,
    },
    /// It was told to stop; what was measured until then is kept.
    #[error("it was told to stop")]
    Stopped,
    /// The settings.
    #[error("{0}")]
    Settings(String),
}

impl BenchError {
    /// Says of what target a driver's error is.
    pub(crate) fn of(target: &str) -> impl FnOnce(DriverError) -> Self {
        let target = target.to_owned();
        move |source| Self::Driver { target, source }
    }

    /// What the operating system refused to the generator.
    pub(crate) fn generator(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Generator {
            what,
            reason: error.to_string(),
        }
    }
}
