//! The raw programs as a target.

use std::collections::BTreeSet;

use ringlog_device::{DeviceConfig, Shape as RawShape, run_once};

use super::{PointPlan, PointWork};
use crate::driver::Counters;
use crate::error::BenchError;
use crate::histogram::Times;
use crate::load::Load;
use crate::pin::placement;
use crate::recorder::Window;
use crate::result::{Interval, Repetition, ServerUse};
use crate::settings::BenchSettings;
use crate::summary::Measured;
use crate::target::{Target, TargetKind};

/// One run of the program that does the same I/O with nothing around it.
pub(super) async fn run(
    plan: &PointPlan,
    target: &Target,
    settings: &BenchSettings,
) -> Result<Measured, BenchError> {
    let TargetKind::Raw(dir) = &target.kind else {
        return Err(BenchError::Settings("not a raw program".to_owned()));
    };
    let (shape, record_bytes, depth, records) = match &plan.work {
        PointWork::Device {
            shape,
            record_bytes,
            depth,
        } => (*shape, *record_bytes, *depth, 1),
        PointWork::Produce { shape, load, .. } => {
            let Load::Closed { in_flight } = *load else {
                let message = "the raw programs know no schedule: leave out --rate or raw";
                return Err(BenchError::Settings(message.to_owned()));
            };
            let records = shape.batch_records;
            (
                RawShape::TcpDurable,
                shape.request_bytes(),
                in_flight,
                records,
            )
        }
        PointWork::Consume { .. } => {
            let fetch_bytes = usize::try_from(settings.fetch_bytes).unwrap_or(usize::MAX);
            (RawShape::TcpOut, fetch_bytes, 1, 1)
        }
    };
    let config = DeviceConfig {
        record_bytes,
        connections: plan.connections,
        depth,
        warm_up: settings.timing.warm_up,
        duration: settings.timing.duration,
        placement: placement(),
        ..DeviceConfig::new(shape, dir)
    };
    let measured = tokio::task::spawn_blocking(move || run_once(&config)).await;
    let measured = measured.map_err(|error| BenchError::Generator {
        what: "run a raw program",
        reason: error.to_string(),
    })??;
    let times = Times::of_device(&measured.latency)?;
    let elapsed_s = measured.elapsed.as_secs_f64();
    let requests_per_s = measured.requests_per_s();
    let share = |cpu: std::time::Duration| cpu.as_secs_f64() / elapsed_s;
    let window = Window::new(settings.timing.warm_up, measured.elapsed);
    // It has one step: its generator does nothing but what is measured.
    let interval = Interval {
        at_s: 0.0,
        length_s: window.duration().as_secs_f64(),
        requests: measured.requests,
        bytes: measured.bytes,
        response_p50_ns: times.percentile(50.0),
        response_p99_ns: times.percentile(99.0),
        response_max_ns: times.max_ns(),
    };
    #[expect(clippy::cast_precision_loss, reason = "a batch has few records")]
    let per_request = records as f64;
    let figures = Repetition {
        requests: measured.requests,
        records: measured.requests * records as u64,
        bytes: measured.bytes,
        elapsed_s,
        requests_per_s,
        records_per_s: requests_per_s * per_request,
        bytes_per_s: measured.bytes_per_s(),
        response_ns: times.percentiles(),
        service_ns: times.percentiles(),
        end_to_end_ns: None,
        due: measured.requests,
        late: 0,
        late_share: 0.0,
        late_max_ns: 0,
        errors: 0,
        error_kinds: BTreeSet::new().into_iter().collect(),
        invalid: Vec::new(),
        generator_cpu_share: share(measured.cpu.client),
        server: Some(ServerUse {
            cpu_s: measured.cpu.server.as_secs_f64(),
            cpu_share: share(measured.cpu.server),
            memory_bytes: 0,
        }),
        counters_before: Counters::new(),
        counters_after: Counters::new(),
        intervals: vec![interval],
        background_bytes_per_s: None,
        hlog: None,
    };
    Ok(Measured {
        figures,
        steps: vec![times.clone()],
        service: times.clone(),
        response: times,
        end_to_end: Times::new()?,
    })
}
