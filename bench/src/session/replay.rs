//! A system under the client of the raw programs.

use std::error::Error;
use std::time::Duration;

use ringlog_device::replay_once;
use tokio::time::Instant;

use super::ran::Ran;
use super::{PointPlan, PointWork, Session};
use crate::driver::{Counters, DriverError, ReplaySpec, Replayed, StreamSpec};
use crate::error::BenchError;
use crate::load::Load;
use crate::pin::placement;
use crate::process::Observed;
use crate::recorder::Window;
use crate::run::watch_usage;
use crate::settings::Timing;
use crate::stop::Stop;
use crate::summary::Measured;

/// One run of it.
pub(super) struct Replay {
    /// Name of the target, for errors.
    pub(super) target: String,
    pub(super) replayed: Replayed,
    pub(super) spec: ReplaySpec,
    pub(super) timing: Timing,
}

impl Session<'_> {
    /// What is sent at a point if it was made beforehand.
    pub(super) async fn replay(
        &self,
        plan: &PointPlan,
        target: usize,
        stream: &StreamSpec,
    ) -> Result<Option<Replay>, BenchError> {
        let settings = self.settings;
        let PointWork::Produce {
            shape,
            load: Load::Closed { in_flight },
            is_followed: false,
        } = plan.work
        else {
            return Ok(None);
        };
        let open = &self.targets[target];
        let Some(driver) = &open.driver else {
            return Ok(None);
        };
        if shape.keys.is_some() || settings.wants_receipts || plan.has_cold_reader {
            return Ok(None);
        }
        let spec = ReplaySpec {
            connections: plan.connections,
            in_flight,
            batch_records: shape.batch_records,
            record_bytes: shape.record_bytes,
        };
        let replayed = driver.replay(stream, spec).await;
        let replayed = replayed.map_err(BenchError::of(&open.info.name))?;
        Ok(replayed.map(|replayed| Replay {
            target: open.info.name.clone(),
            replayed,
            spec,
            timing: settings.timing,
        }))
    }
}

/// Runs it, and watches the server meanwhile.
pub(super) async fn run(
    replay: Replay,
    server: Option<&Observed>,
    stop: &Stop,
) -> Result<Measured, BenchError> {
    let Replay {
        target,
        replayed,
        spec,
        timing,
    } = replay;
    let config = ringlog_device::Replay {
        scripts: replayed.scripts,
        depth: spec.in_flight,
        record_bytes: spec.batch_records * spec.record_bytes,
        answer: replayed.answer,
        client_cpu: placement().client_cpu,
        warm_up: timing.warm_up,
        duration: timing.duration,
        ending: stop.ending(),
    };
    let window = Window::new(timing.warm_up, timing.duration);
    // Watched from the moment when it connects: some milliseconds before it begins.
    let watching = watch_usage(Instant::now(), window, server, stop);
    let replaying = async {
        let replayed = tokio::task::spawn_blocking(move || replay_once(&config)).await;
        let replayed = replayed.map_err(|error| BenchError::Generator {
            what: "send requests",
            reason: error.to_string(),
        })?;
        match replayed {
            // What goes wrong with a server elsewhere is told of it, and not of a raw program.
            Err(error) if !stop.is_told() => {
                let reason = error.source().map(ToString::to_string);
                let reason =
                    reason.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
                Err(BenchError::of(&target)(DriverError::Failed(reason)))
            }
            other => stop.or_stopped(other),
        }
    };
    let (measured, watched) = tokio::try_join!(replaying, async { Ok(watching.await) })?;
    let ran = Ran {
        requests: measured.requests,
        records: spec.batch_records,
        bytes: measured.bytes,
        elapsed: measured.elapsed,
        latency: &measured.latency,
        generator_cpu: measured.cpu.client,
        server_cpu: Duration::ZERO,
        written_bytes: 0,
        counters_before: Counters::new(),
        counters_after: Counters::new(),
    };
    let mut measured = ran.measured()?;
    measured.figures.server = watched.server;
    Ok(measured)
}
