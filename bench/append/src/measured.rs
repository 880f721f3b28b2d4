//! What one run measured, and the window of time in which it does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringlog_device::{Ending, Latency};
use ringlog_log::{Counter, LogCounters};

use crate::config::AppendConfig;
use crate::error::AppendError;

/// What one run measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Appends that became stable within the measured time.
    pub requests: u64,
    /// Bytes of the values of their records.
    pub bytes: u64,
    /// How long it really measured.
    pub elapsed: Duration,
    /// From the append to when the log said that it is stable. Closed loop.
    pub latency: Latency,
    /// CPU time of this process within it: the core, the kernel's workers for its ring, the preparation of files.
    pub cpu: Duration,
    /// Bytes that this process had written to the device within it.
    pub written_bytes: u64,
    /// What the logs counted before the measured time.
    pub counters_before: BTreeMap<String, u64>,
    /// What they had counted after it.
    pub counters_after: BTreeMap<String, u64>,
}

/// A counter by name.
type Counted = (&'static str, fn(&LogCounters) -> &Counter);

const COUNTED: [Counted; 9] = [
    ("flush_rounds", |all| &all.flush_rounds),
    ("flush_groups", |all| &all.flush_groups),
    ("appended_bytes", |all| &all.appended_bytes),
    ("written_bytes", |all| &all.written_bytes),
    ("prepared_bytes", |all| &all.prepared_bytes),
    ("metadata_bytes", |all| &all.metadata_bytes),
    ("rolls_prepared", |all| &all.rolls_prepared),
    ("rolls_unprepared", |all| &all.rolls_unprepared),
    ("files_recycled", |all| &all.files_recycled),
];

fn counted(counters: &LogCounters) -> BTreeMap<String, u64> {
    let all = COUNTED.iter();
    all.map(|(name, of)| ((*name).to_owned(), of(counters).get()))
        .collect()
}

/// CPU time and bytes written of this process until now.
fn used() -> Result<(Duration, u64), AppendError> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu =
        Duration::try_from(time).map_err(|_| AppendError::Usage("negative time".to_owned()))?;
    let io = procfs::process::Process::myself().and_then(|me| me.io());
    let io = io.map_err(|error| AppendError::Usage(error.to_string()))?;
    Ok((cpu, io.write_bytes))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measuring,
    Over,
}

/// The measured time, and what happens in it.
pub(crate) struct Window {
    phase: Phase,
    warm_until: Instant,
    ending: Ending,
    duration: Duration,
    began: Instant,
    used_before: (Duration, u64),
    measured: Measured,
    request_bytes: u64,
}

impl Window {
    /// Starts the warm-up.
    pub(crate) fn start(config: &AppendConfig) -> Result<Self, AppendError> {
        let now = Instant::now();
        Ok(Self {
            phase: Phase::WarmUp,
            warm_until: now + config.warm_up,
            ending: config.ending.clone(),
            duration: config.duration,
            began: now,
            used_before: (Duration::ZERO, 0),
            measured: Measured {
                requests: 0,
                bytes: 0,
                elapsed: Duration::ZERO,
                latency: Latency::new()?,
                cpu: Duration::ZERO,
                written_bytes: 0,
                counters_before: BTreeMap::new(),
                counters_after: BTreeMap::new(),
            },
            request_bytes: (config.record_bytes * config.batch_records) as u64,
        })
    }

    /// Whether more is to be appended.
    pub(crate) fn is_open(&self) -> bool {
        self.phase != Phase::Over
    }

    /// Counts an append that became stable at `now`.
    pub(crate) fn record(&mut self, appended: Instant, now: Instant) {
        if self.phase == Phase::Measuring {
            self.measured.requests += 1;
            self.measured.bytes += self.request_bytes;
            let took = now.saturating_duration_since(appended);
            self.measured.latency.record(took);
        }
    }

    /// Moves on, after what had become stable at `now` was counted.
    pub(crate) fn advance(
        &mut self,
        now: Instant,
        counters: &LogCounters,
    ) -> Result<(), AppendError> {
        match self.phase {
            Phase::WarmUp if now >= self.warm_until => {
                self.phase = Phase::Measuring;
                self.began = now;
                self.used_before = used()?;
                self.measured.counters_before = counted(counters);
            }
            Phase::Measuring if now - self.began >= self.duration || self.ending.is_told() => {
                self.phase = Phase::Over;
                self.measured.elapsed = now - self.began;
                let (cpu, written_bytes) = used()?;
                self.measured.cpu = cpu.saturating_sub(self.used_before.0);
                self.measured.written_bytes = written_bytes.saturating_sub(self.used_before.1);
                self.measured.counters_after = counted(counters);
            }
            Phase::WarmUp if self.ending.is_told() => self.phase = Phase::Over,
            _ => {}
        }
        Ok(())
    }

    /// What was measured.
    pub(crate) fn finish(&self) -> Result<Measured, AppendError> {
        if self.measured.requests == 0 {
            return Err(AppendError::Nothing);
        }
        Ok(self.measured.clone())
    }
}
