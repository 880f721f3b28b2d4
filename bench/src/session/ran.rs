//! What ran in this process as a closed loop, as it is told of every target.

use std::time::Duration;

use ringlog_device::Latency;

use crate::driver::Counters;
use crate::error::BenchError;
use crate::histogram::Times;
use crate::result::{Interval, Repetition, Restart, ServerUse};
use crate::stages::StageTimes;
use crate::summary::{Measured, as_f64};

/// A restart: nothing was asked for but that.
pub(crate) fn of_restart(restart: Restart) -> Result<Measured, BenchError> {
    let ran = Ran {
        requests: 0,
        records: 0,
        bytes: 0,
        elapsed: Duration::try_from_secs_f64(restart.all_partitions_s).unwrap_or_default(),
        latency: &Latency::new()?,
        generator_cpu: Duration::ZERO,
        server_cpu: Duration::ZERO,
        written_bytes: 0,
        counters_before: Counters::new(),
        counters_after: Counters::new(),
    };
    let mut measured = ran.measured()?;
    measured.figures.server = None;
    measured.figures.restart = Some(restart);
    Ok(measured)
}

/// What a run in this process has shown.
pub(super) struct Ran<'a> {
    pub(super) requests: u64,
    /// Records of a request.
    pub(super) records: usize,
    pub(super) bytes: u64,
    pub(super) elapsed: Duration,
    pub(super) latency: &'a Latency,
    pub(super) generator_cpu: Duration,
    pub(super) server_cpu: Duration,
    pub(super) written_bytes: u64,
    pub(super) counters_before: Counters,
    pub(super) counters_after: Counters,
}

impl Ran<'_> {
    pub(super) fn measured(self) -> Result<Measured, BenchError> {
        let times = Times::of_device(self.latency)?;
        let elapsed_s = self.elapsed.as_secs_f64();
        let share = |cpu: Duration| cpu.as_secs_f64() / elapsed_s;
        let records = self.requests * self.records as u64;
        // It has one step: its generator does nothing but what is measured.
        let interval = Interval {
            at_s: 0.0,
            length_s: elapsed_s,
            requests: self.requests,
            bytes: self.bytes,
            response_p50_ns: times.percentile(50.0),
            response_p99_ns: times.percentile(99.0),
            response_p999_ns: times.percentile(99.9),
            response_max_ns: times.max_ns(),
            server_memory_bytes: None,
            server_written_bytes: None,
            server_cpu_share: None,
        };
        let figures = Repetition {
            requests: self.requests,
            records,
            bytes: self.bytes,
            elapsed_s,
            requests_per_s: as_f64(self.requests) / elapsed_s,
            records_per_s: as_f64(records) / elapsed_s,
            bytes_per_s: as_f64(self.bytes) / elapsed_s,
            response_ns: times.percentiles(),
            service_ns: times.percentiles(),
            end_to_end_ns: None,
            due: self.requests,
            late: 0,
            late_share: 0.0,
            late_max_ns: 0,
            errors: 0,
            error_kinds: Vec::new(),
            invalid: Vec::new(),
            generator_cpu_share: share(self.generator_cpu),
            server: Some(ServerUse {
                cpu_s: self.server_cpu.as_secs_f64(),
                cpu_share: share(self.server_cpu),
                memory_bytes: 0,
                written_bytes: self.written_bytes,
            }),
            counters_before: self.counters_before,
            counters_after: self.counters_after,
            idle_cpu_share: None,
            restart: None,
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
            stages: StageTimes::default(),
        })
    }
}
