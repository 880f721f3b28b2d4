//! What one run measured, and the window of time in which it does.

use std::time::{Duration, Instant};

use crate::cpu;
use crate::ending::Ending;
use crate::error::DeviceError;
use crate::latency::Latency;

/// CPU time spent within the measured time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuTime {
    /// By the thread that asks; zero where the same thread asks and does.
    pub client: Duration,
    /// By everything else in this process: the server and the kernel's workers for its ring. Not that of a server that
    /// runs elsewhere.
    pub server: Duration,
}

/// What one run measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Requests completed within the measured time.
    pub requests: u64,
    /// Bytes of their records, as asked for: not rounded to blocks.
    pub bytes: u64,
    /// Bytes that each request moves to or from the file, if it does so alone.
    pub file_bytes_per_request: Option<usize>,
    /// Syncs within the whole run, warm-up included, where requests share them.
    pub group_commits: Option<u64>,
    /// Requests within the whole run, warm-up included.
    pub requests_in_all: u64,
    /// How long it really measured.
    pub elapsed: Duration,
    /// From submission to completion. Closed loop: a request is submitted when one before it has completed.
    pub latency: Latency,
    /// What it cost.
    pub cpu: CpuTime,
    /// Whether the memory for the file was registered with the ring.
    pub memory_registered: bool,
    /// Whether the threads were pinned as asked.
    pub pinned: bool,
}

impl Measured {
    /// Requests a second.
    #[must_use]
    pub fn requests_per_s(&self) -> f64 {
        per_second(self.requests, self.elapsed)
    }

    /// Bytes a second.
    #[must_use]
    pub fn bytes_per_s(&self) -> f64 {
        per_second(self.bytes, self.elapsed)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is shown with a few digits"
)]
fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measuring,
    Over,
}

/// When it measures.
pub(crate) struct Timing {
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    pub(crate) ending: Ending,
}

/// The measured time, and what happens in it. Owned by the thread that asks.
pub(crate) struct Window {
    warm_until: Instant,
    ending: Ending,
    duration: Duration,
    phase: Phase,
    began: Instant,
    elapsed: Duration,
    thread_began: Duration,
    process_began: Duration,
    cpu: CpuTime,
    requests: u64,
    requests_in_all: u64,
    latency: Latency,
}

impl Window {
    /// Starts the warm-up.
    pub(crate) fn start(timing: &Timing) -> Result<Self, DeviceError> {
        let now = Instant::now();
        Ok(Self {
            warm_until: now + timing.warm_up,
            ending: timing.ending.clone(),
            duration: timing.duration,
            phase: Phase::WarmUp,
            began: now,
            elapsed: Duration::ZERO,
            thread_began: Duration::ZERO,
            process_began: Duration::ZERO,
            cpu: CpuTime::default(),
            requests: 0,
            requests_in_all: 0,
            latency: Latency::new()?,
        })
    }

    /// Counts a request that completed in the batch of completions that arrived at `now`.
    pub(crate) fn record(&mut self, submitted: Instant, now: Instant) {
        self.requests_in_all += 1;
        if self.phase == Phase::Measuring {
            self.requests += 1;
            self.latency
                .record(now.saturating_duration_since(submitted));
        }
    }

    /// Whether more is to be submitted; when not, what is in flight comes to its end.
    pub(crate) fn is_open(&self) -> bool {
        self.phase != Phase::Over
    }

    /// Moves on, after a batch was counted: the batch that opens the window is outside, the one that closes it
    /// inside, so that count and time belong together.
    pub(crate) fn advance(&mut self, now: Instant) -> Result<(), DeviceError> {
        match self.phase {
            Phase::WarmUp if now >= self.warm_until => {
                self.phase = Phase::Measuring;
                self.began = now;
                self.thread_began = cpu::thread_time()?;
                self.process_began = cpu::process_time()?;
            }
            Phase::Measuring if now - self.began >= self.duration || self.ending.is_told() => {
                self.phase = Phase::Over;
                self.elapsed = now - self.began;
                let thread = cpu::thread_time()?.saturating_sub(self.thread_began);
                let process = cpu::process_time()?.saturating_sub(self.process_began);
                self.cpu = CpuTime {
                    client: thread,
                    server: process.saturating_sub(thread),
                };
            }
            Phase::WarmUp if self.ending.is_told() => self.phase = Phase::Over,
            _ => {}
        }
        Ok(())
    }

    /// What was measured.
    pub(crate) fn finish(self, record_bytes: usize) -> Result<Measured, DeviceError> {
        if self.requests == 0 {
            return Err(DeviceError::Nothing {
                duration_ms: self.duration.as_millis(),
            });
        }
        Ok(Measured {
            requests: self.requests,
            bytes: self.requests * record_bytes as u64,
            file_bytes_per_request: None,
            group_commits: None,
            requests_in_all: self.requests_in_all,
            elapsed: self.elapsed,
            latency: self.latency,
            cpu: self.cpu,
            memory_registered: false,
            pinned: false,
        })
    }
}
