//! The closed loop: each connection sends its next request when the one before is answered.

use std::time::Duration;

use hdrhistogram::Histogram;
use ringlog_client::ClientError;
use tokio::time::Instant;

use crate::Timing;
use crate::error::BenchError;
use crate::limits::LATENCY_NS_MAX;
use crate::report::Figures;

/// What one connection has measured.
pub(crate) struct Measured {
    requests: u64,
    bytes: u64,
    latency: Histogram<u64>,
}

/// An empty histogram of latencies in nanoseconds.
fn histogram() -> Result<Histogram<u64>, BenchError> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)
        .map_err(|error| BenchError::Settings(error.to_string()))
}

/// Sends requests, one after the other, until time is over. A request gives the bytes of its records.
pub(crate) async fn run_connection(
    timing: Timing,
    begin: Instant,
    mut request: impl AsyncFnMut() -> Result<usize, ClientError>,
) -> Result<Measured, BenchError> {
    let mut measured = Measured {
        requests: 0,
        bytes: 0,
        latency: histogram()?,
    };
    let from = begin + timing.warm_up;
    let until = from + timing.duration;
    loop {
        let sent = Instant::now();
        if sent >= until {
            return Ok(measured);
        }
        let bytes = request().await?;
        let answered = Instant::now();
        // What was sent in the warm-up or answered too late belongs to no measurement.
        if sent >= from && answered <= until {
            measured.requests += 1;
            measured.bytes += bytes as u64;
            let nanos = u64::try_from((answered - sent).as_nanos()).unwrap_or(LATENCY_NS_MAX);
            measured.latency.saturating_record(nanos.max(1));
        }
    }
}

/// Puts the connections of a run together.
pub(crate) fn merge(connections: Vec<Measured>, duration: Duration) -> Result<Figures, BenchError> {
    let mut latency = histogram()?;
    let (mut requests, mut bytes) = (0_u64, 0_u64);
    for connection in connections {
        requests += connection.requests;
        bytes += connection.bytes;
        latency
            .add(&connection.latency)
            .map_err(|error| BenchError::Settings(error.to_string()))?;
    }
    let seconds = duration.as_secs_f64();
    Ok(Figures {
        requests_per_s: as_f64(requests) / seconds,
        bytes_per_s: as_f64(bytes) / seconds,
        latency,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is shown with a few digits"
)]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
