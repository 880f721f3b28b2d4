//! The raw programs as a target.

use std::path::Path;

use ringlog_device::{DeviceConfig, Idle, Shape as RawShape, run_once};

use super::ran::Ran;
use super::{PointPlan, PointWork};
use crate::driver::{Counters, Durability};
use crate::error::BenchError;
use crate::load::Load;
use crate::pin::placement;
use crate::settings::{BenchSettings, ReadFrom};
use crate::stop::Stop;
use crate::summary::Measured;

/// Reads under way when raw reads stand beside a consumer: one more than it takes to keep the device busy.
pub(crate) const READ_DEPTH: usize = 2;

/// What a raw program is to do.
struct Asked {
    shape: RawShape,
    record_bytes: usize,
    depth: usize,
    /// Records of a request.
    records: usize,
}

/// The program that does the same I/O as a system at this point.
fn asked(plan: &PointPlan, settings: &BenchSettings) -> Result<Asked, BenchError> {
    let fetch_bytes = usize::try_from(settings.fetch_bytes).unwrap_or(usize::MAX);
    let asked = match &plan.work {
        PointWork::Device {
            shape,
            record_bytes,
            depth,
        } => Asked {
            shape: *shape,
            record_bytes: *record_bytes,
            depth: *depth,
            records: 1,
        },
        PointWork::Produce { shape, load, .. } => {
            let Load::Closed { in_flight } = *load else {
                let message = "the raw programs know no schedule: leave out --rate or raw";
                return Err(BenchError::Settings(message.to_owned()));
            };
            let raw = match settings.durability {
                Durability::Sync | Durability::Default => RawShape::TcpDurable,
                Durability::Async | Durability::Memory => RawShape::TcpEcho,
            };
            Asked {
                shape: raw,
                record_bytes: shape.request_bytes(),
                depth: in_flight,
                records: shape.batch_records,
            }
        }
        PointWork::Consume { from, .. } => {
            let (shape, depth) = match from {
                ReadFrom::Memory => (RawShape::TcpOut, 1),
                ReadFrom::Device => (RawShape::Read, READ_DEPTH),
            };
            Asked {
                shape,
                record_bytes: fetch_bytes,
                depth,
                records: 1,
            }
        }
        PointWork::Append {
            shape, in_flight, ..
        } => Asked {
            shape: RawShape::WriteSync,
            record_bytes: shape.request_bytes(),
            depth: *in_flight,
            records: shape.batch_records,
        },
    };
    Ok(asked)
}

/// One run of the program that does the same I/O with nothing around it.
pub(super) async fn run(
    plan: &PointPlan,
    dir: &Path,
    settings: &BenchSettings,
    stop: &Stop,
) -> Result<Measured, BenchError> {
    let Asked {
        shape,
        record_bytes,
        depth,
        records,
    } = asked(plan, settings)?;
    // A file takes its requests from one thread.
    let connections = if shape.is_network() {
        plan.connections
    } else {
        1
    };
    let idle = if settings.raw_spin.is_zero() {
        Idle::Park
    } else {
        Idle::Spin(settings.raw_spin)
    };
    let config = DeviceConfig {
        record_bytes,
        connections,
        depth,
        idle,
        warm_up: settings.timing.warm_up,
        duration: settings.timing.duration,
        placement: placement(),
        ending: stop.ending(),
        ..DeviceConfig::new(shape, dir)
    };
    let measured = tokio::task::spawn_blocking(move || run_once(&config)).await;
    let measured = measured.map_err(|error| BenchError::Generator {
        what: "run a raw program",
        reason: error.to_string(),
    })?;
    let measured = stop.or_stopped(measured)?;
    let ran = Ran {
        requests: measured.requests,
        records,
        bytes: measured.bytes,
        elapsed: measured.elapsed,
        latency: &measured.latency,
        generator_cpu: measured.cpu.client,
        server_cpu: measured.cpu.server,
        written_bytes: 0,
        counters_before: Counters::new(),
        counters_after: Counters::new(),
    };
    let is_followed = matches!(
        plan.work,
        PointWork::Produce {
            is_followed: true,
            ..
        }
    );
    let mut measured = ran.measured()?;
    if is_followed {
        // The answer comes when a consumer's would: after the way there, the flush, and the way back.
        measured.figures.end_to_end_ns = Some(measured.response.percentiles());
        measured.end_to_end = measured.response.clone();
    }
    Ok(measured)
}
