//! How long requests took.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::error::DeviceError;
use crate::limits::LATENCY_NS_MAX;

/// Significant digits that the histogram keeps.
const DIGITS: u8 = 3;

/// A histogram of nanoseconds, with the true maximum beside it: the histogram's own is that of a bucket.
#[derive(Debug, Clone)]
pub struct Latency {
    histogram: Histogram<u64>,
    max_ns: u64,
}

impl Latency {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Histogram`] if its bounds were refused.
    pub fn new() -> Result<Self, DeviceError> {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).map_err(|error| {
            DeviceError::Histogram {
                action: "make",
                reason: error.to_string(),
            }
        })?;
        Ok(Self {
            histogram,
            max_ns: 0,
        })
    }

    /// Counts one request.
    pub fn record(&mut self, took: Duration) {
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(took_ns);
        self.max_ns = self.max_ns.max(took_ns);
    }

    /// Counts all that `other` counted.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Histogram`] if the two do not fit, which two made by [`Latency::new`] always do.
    pub fn merge(&mut self, other: &Self) -> Result<(), DeviceError> {
        self.histogram
            .add(&other.histogram)
            .map_err(|error| DeviceError::Histogram {
                action: "merge",
                reason: error.to_string(),
            })?;
        self.max_ns = self.max_ns.max(other.max_ns);
        Ok(())
    }

    /// The counts by bucket.
    #[must_use]
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The slowest, exactly.
    #[must_use]
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }
}
