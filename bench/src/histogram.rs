//! Times in nanoseconds: counted, merged, and told only as far as there are enough of them.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::error::BenchError;
use crate::limits::{LATENCY_NS_MAX, SAMPLES_ABOVE_MIN};
use crate::result::Percentiles;

/// Significant digits that are kept.
const DIGITS: u8 = 3;

/// A histogram with the true maximum beside it: the histogram's own is that of a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    histogram: Histogram<u64>,
    max_ns: u64,
}

impl Times {
    pub(crate) fn new() -> Result<Self, BenchError> {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS);
        let histogram = histogram.map_err(|error| BenchError::Histogram(error.to_string()))?;
        Ok(Self {
            histogram,
            max_ns: 0,
        })
    }

    /// Takes what a raw program counted.
    pub(crate) fn of_device(latency: &ringlog_device::Latency) -> Result<Self, BenchError> {
        let mut times = Self::new()?;
        let added = times.histogram.add(latency.histogram());
        added.map_err(|error| BenchError::Histogram(error.to_string()))?;
        times.max_ns = latency.max_ns();
        Ok(times)
    }

    pub(crate) fn record(&mut self, took: Duration) {
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        // Zero, which virtual time makes possible, is no value of a histogram.
        self.histogram.saturating_record(took_ns.max(1));
        self.max_ns = self.max_ns.max(took_ns);
    }

    /// Counts all that `other` counted: percentiles of several workers or runs come from their counts, never from
    /// their percentiles.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), BenchError> {
        let added = self.histogram.add(&other.histogram);
        added.map_err(|error| BenchError::Histogram(error.to_string()))?;
        self.max_ns = self.max_ns.max(other.max_ns);
        Ok(())
    }

    pub(crate) fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    pub(crate) fn count(&self) -> u64 {
        self.histogram.len()
    }

    pub(crate) fn max_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.max_ns)
    }

    /// A percentile, if enough samples lie above it.
    pub(crate) fn percentile(&self, percentile: f64) -> Option<u64> {
        let value = self.histogram.value_at_percentile(percentile);
        let next = self.histogram.next_non_equivalent(value);
        let above = self.histogram.count_between(next, u64::MAX);
        // A bucket holds a range; its end is never told as more than what was seen.
        (above >= SAMPLES_ABOVE_MIN).then_some(value.min(self.max_ns))
    }

    /// What is told.
    pub(crate) fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50: self.percentile(50.0),
            p90: self.percentile(90.0),
            p99: self.percentile(99.0),
            p999: self.percentile(99.9),
            p9999: self.percentile(99.99),
            max: self.max_ns(),
            count: self.count(),
            curve: self.curve(),
        }
    }

    /// Points for a plot whose axis halves what is left with each step: 0, 10 … 50, 60 … 75, … 99, 99.1 … and so on.
    fn curve(&self) -> Vec<(f64, u64)> {
        let mut points = Vec::new();
        let Some(max_ns) = self.max_ns() else {
            return points;
        };
        let mut left = 100.0;
        while left > 1e-5 {
            for tenth in 0..5 {
                let percentile = 100.0 - left * (1.0 - f64::from(tenth) / 10.0);
                let Some(value) = self.percentile(percentile) else {
                    points.push((100.0, max_ns));
                    return points;
                };
                points.push((percentile, value));
            }
            left /= 2.0;
        }
        points.push((100.0, max_ns));
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(nanos: impl IntoIterator<Item = u64>) -> Times {
        let mut times = Times::new().unwrap();
        nanos
            .into_iter()
            .for_each(|nanos| times.record(Duration::from_nanos(nanos)));
        times
    }

    #[test]
    fn a_percentile_is_told_from_a_hundred_samples_above_it_on() {
        let enough = times((1..=10_000).map(|n| n * 1000));
        let near = |told: Option<u64>, ns: u64| told.unwrap().abs_diff(ns) * 1000 <= ns;
        assert!(near(enough.percentile(50.0), 5_000_000));
        assert!(near(enough.percentile(98.9), 9_890_000));
        assert_eq!(enough.percentile(99.9), None);
        let few = times([7; 150]);
        assert_eq!(few.percentile(50.0), None, "none lies above");
        assert_eq!(few.max_ns(), Some(7));
    }

    #[test]
    fn the_maximum_is_exact_and_no_percentile_exceeds_it() {
        let one = 123_456_789_123;
        let seen = times([one].into_iter().chain(1..1000));
        assert_eq!(seen.max_ns(), Some(one));
        let curve = seen.percentiles().curve;
        assert_eq!(curve.last(), Some(&(100.0, one)));
        assert!(
            curve.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1),
            "{curve:?}"
        );
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(times([]).percentiles(), Percentiles::default());
    }

    #[test]
    fn merging_is_counting_everything_in_one() {
        let (low, high) = (1..=1000, 1_000_000..=1_002_000);
        let mut merged = times(low.clone());
        merged.merge(&times(high.clone())).unwrap();
        let all = times(low.chain(high));
        assert_eq!(merged.percentiles(), all.percentiles());
    }
}
