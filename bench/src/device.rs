//! The machine itself: raw io_uring programs, and their figures in the form of all others.

use std::path::PathBuf;

use ringlog_device::{DeviceConfig, Measured, Shape, run_once};

use crate::error::BenchError;
use crate::pin::placement;
use crate::report::{Figures, Report, Row};
use crate::{Progress, Timing};

/// What of the machine is measured.
#[derive(Clone, Debug)]
pub struct DeviceBench {
    /// The programs; all without any.
    pub shapes: Vec<Shape>,
    /// Sizes of a request.
    pub record_bytes: Vec<usize>,
    /// Connections, for programs that have some.
    pub connections: Vec<usize>,
    /// Where files are made, and removed.
    pub dir: PathBuf,
    /// How often, and for how long.
    pub timing: Timing,
}

/// One run of a raw program.
pub(crate) fn run_raw(
    shape: Shape,
    record_bytes: usize,
    connections: usize,
    dir: &std::path::Path,
    timing: Timing,
) -> Result<Figures, BenchError> {
    let config = DeviceConfig {
        record_bytes,
        connections,
        warm_up: timing.warm_up,
        duration: timing.duration,
        placement: placement(),
        ..DeviceConfig::new(shape, dir)
    };
    Ok(figures(&run_once(&config)?))
}

fn figures(measured: &Measured) -> Figures {
    Figures {
        requests_per_s: measured.requests_per_s(),
        bytes_per_s: measured.bytes_per_s(),
        latency: measured.latency.histogram().clone(),
    }
}

/// Measures the machine.
///
/// # Errors
///
/// [`BenchError`].
pub fn device(bench: &DeviceBench, progress: Progress<'_>) -> Result<Report, BenchError> {
    let shapes = if bench.shapes.is_empty() {
        Shape::ALL.to_vec()
    } else {
        bench.shapes.clone()
    };
    let mut rows = Vec::new();
    for shape in shapes {
        for &record_bytes in &bench.record_bytes {
            let connections = if shape.is_network() {
                bench.connections.clone()
            } else {
                vec![1]
            };
            for connections in connections {
                let mut runs = Vec::new();
                for repetition in 1..=bench.timing.repetitions {
                    progress(&format!(
                        "{shape}, {record_bytes} bytes, {connections} connection(s), run {repetition} of {}",
                        bench.timing.repetitions
                    ));
                    let dir = &bench.dir;
                    runs.push(run_raw(
                        shape,
                        record_bytes,
                        connections,
                        dir,
                        bench.timing,
                    )?);
                }
                rows.extend(Row::new(
                    shape.name(),
                    record_bytes,
                    connections,
                    &runs,
                    None,
                ));
            }
        }
    }
    Ok(Report {
        conditions: conditions(bench.timing),
        rows,
    })
}

/// What all figures have in common.
pub(crate) fn conditions(timing: Timing) -> Vec<(String, String)> {
    let placement = placement();
    let cpu = |cpu: Option<usize>| {
        cpu.map_or_else(|| "not pinned".to_owned(), |cpu| format!("cpu {cpu}"))
    };
    let pairs = [
        (
            "load",
            "closed loop, one request under way on each connection".to_owned(),
        ),
        ("generator", cpu(placement.client_cpu)),
        ("raw server", cpu(placement.server_cpu)),
        ("warm-up", format!("{:?}", timing.warm_up)),
        ("measured", format!("{:?}", timing.duration)),
        ("repetitions", timing.repetitions.to_string()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}
