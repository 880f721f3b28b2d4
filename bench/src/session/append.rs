//! The engine without a network as a target: what it adds to raw writes.

use std::path::Path;

use ringlog_append::{AppendConfig, run_once};

use super::ran::Ran;
use crate::driver::Counters;
use crate::error::BenchError;
use crate::load::Shape;
use crate::pin::placement;
use crate::settings::BenchSettings;
use crate::stop::Stop;
use crate::summary::{Measured, as_f64};

/// One run of appends to logs in `dir`.
pub(super) async fn run(
    shape: Shape,
    in_flight: usize,
    dir: &Path,
    settings: &BenchSettings,
    stop: &Stop,
) -> Result<Measured, BenchError> {
    let config = AppendConfig {
        record_bytes: shape.record_bytes,
        batch_records: shape.batch_records,
        logs: shape.partitions as usize,
        in_flight,
        retention_bytes: settings.retention_bytes,
        segment_bytes: settings.segment_bytes,
        warm_up: settings.timing.warm_up,
        duration: settings.timing.duration,
        dir: dir.to_owned(),
        cpu: placement().server_cpu,
        spin: settings.raw_spin,
        ending: stop.ending(),
    };
    let measured = tokio::task::spawn_blocking(move || run_once(&config)).await;
    let measured = measured.map_err(|error| BenchError::Generator {
        what: "append to logs",
        reason: error.to_string(),
    })?;
    let measured = stop.or_stopped(measured)?;
    let counted = |counted: std::collections::BTreeMap<String, u64>| -> Counters {
        let counted = counted.into_iter();
        counted.map(|(name, count)| (name, as_f64(count))).collect()
    };
    let ran = Ran {
        requests: measured.requests,
        records: shape.batch_records,
        bytes: measured.bytes,
        elapsed: measured.elapsed,
        latency: &measured.latency,
        generator_cpu: std::time::Duration::ZERO,
        server_cpu: measured.cpu,
        written_bytes: measured.written_bytes,
        counters_before: counted(measured.counters_before),
        counters_after: counted(measured.counters_after),
    };
    ran.measured()
}
