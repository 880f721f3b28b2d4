//! What is printed: one row for each thing measured.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::closed_loop::as_f64;
use crate::limits::SAMPLES_ABOVE_MIN;
use crate::spread::Spread;

/// What a run came to.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) requests_per_s: f64,
    pub(crate) bytes_per_s: f64,
    /// In nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

/// One thing measured, over its repetitions.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured, such as `ringlog` or `raw`.
    pub what: String,
    /// Bytes of a request's records.
    pub record_bytes: usize,
    /// Connections, each with one request under way.
    pub connections: usize,
    /// Requests a second.
    pub requests_per_s: Spread,
    /// Megabytes (10^6) of records a second.
    pub megabytes_per_s: Spread,
    /// Median latency in microseconds.
    pub p50_us: Option<Spread>,
    /// 99th percentile of the latency in microseconds; none when fewer than 100 samples lie above it.
    pub p99_us: Option<Spread>,
    /// The same of the 99.9th percentile.
    pub p999_us: Option<Spread>,
    /// Requests a second as a part of the raw program's, repetition by repetition.
    pub of_raw: Option<Spread>,
}

impl Row {
    pub(crate) fn new(
        what: &str,
        record_bytes: usize,
        connections: usize,
        runs: &[Figures],
        raw: Option<&[Figures]>,
    ) -> Option<Self> {
        let of_raw = raw.and_then(|raw| {
            let pairs = runs.iter().zip(raw);
            Spread::of(pairs.map(|(run, raw)| run.requests_per_s / raw.requests_per_s))
        });
        Some(Self {
            what: what.to_owned(),
            record_bytes,
            connections,
            requests_per_s: Spread::of(runs.iter().map(|run| run.requests_per_s))?,
            megabytes_per_s: Spread::of(runs.iter().map(|run| run.bytes_per_s / 1e6))?,
            p50_us: percentile(runs, 0.5),
            p99_us: percentile(runs, 0.99),
            p999_us: percentile(runs, 0.999),
            of_raw,
        })
    }
}

/// A percentile of each run, in microseconds, if all have enough samples above it.
fn percentile(runs: &[Figures], quantile: f64) -> Option<Spread> {
    let values: Option<Vec<f64>> = runs
        .iter()
        .map(|run| {
            let nanos = run.latency.value_at_quantile(quantile);
            let next = run.latency.next_non_equivalent(nanos);
            let above = run.latency.count_between(next, u64::MAX);
            (above >= SAMPLES_ABOVE_MIN).then_some(as_f64(nanos) / 1e3)
        })
        .collect();
    Spread::of(values?)
}

/// All that a command measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How it was measured, for whoever reads the figures later.
    pub conditions: Vec<(String, String)>,
    /// The figures.
    pub rows: Vec<Row>,
}

#[cfg(test)]
mod tests;
