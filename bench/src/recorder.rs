//! What a worker has seen: each request once, in the window that it belongs to.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::driver::Receipt;
use crate::error::BenchError;
use crate::histogram::Times;
use crate::limits::{ERROR_KINDS_MAX, INTERVAL_MIN, INTERVALS_MAX};
use crate::stages::StageTimes;

/// When is measured, in time since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The end of the warm-up.
    pub(crate) from: Duration,
    /// The end of everything.
    pub(crate) until: Duration,
    step: Duration,
}

impl Window {
    pub(crate) fn new(warm_up: Duration, duration: Duration) -> Self {
        Self {
            from: warm_up,
            until: warm_up + duration,
            step: (duration / INTERVALS_MAX).max(INTERVAL_MIN),
        }
    }

    /// The same, ended before its time.
    fn cut(self, at: Duration) -> Self {
        Self {
            until: at.clamp(self.from, self.until),
            ..self
        }
    }

    pub(crate) fn duration(&self) -> Duration {
        self.until - self.from
    }

    fn holds(&self, at: Duration) -> bool {
        (self.from..self.until).contains(&at)
    }

    /// The length of a step.
    pub(crate) fn step(&self) -> Duration {
        self.step
    }

    pub(crate) fn steps(&self) -> usize {
        let steps = self.duration().as_nanos().div_ceil(self.step().as_nanos());
        usize::try_from(steps).unwrap_or(1).max(1)
    }

    /// The step that holds `at`; none outside of the window.
    fn step_of(&self, at: Duration) -> Option<usize> {
        if !self.holds(at) {
            return None;
        }
        usize::try_from((at - self.from).as_nanos() / self.step().as_nanos()).ok()
    }
}

/// A request that was answered, in time since the run began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    /// When it was to be sent. In a closed loop that is when it was sent.
    pub(crate) intended: Duration,
    /// When it was sent.
    pub(crate) sent: Duration,
    /// When the answer was there.
    pub(crate) answered: Duration,
    /// Its records.
    pub(crate) records: u64,
    /// Bytes of their values.
    pub(crate) bytes: u64,
}

/// A step of time.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Requests answered in it.
    pub(crate) requests: u64,
    /// Bytes of their values.
    pub(crate) bytes: u64,
    /// Response times of the requests that were due in it.
    pub(crate) response: Times,
}

/// Which requests have their times counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belongs {
    /// Those due in the window, whenever they are answered: with a schedule, where leaving out the slow ones at the end
    /// would be leaving out the slow ones.
    Due,
    /// Those sent and answered in the window: in a closed loop.
    Within,
}

/// Counts of a worker, or of all of them.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    pub(crate) window: Window,
    belongs: Belongs,
    late_after: Duration,
    /// Requests, records and bytes answered in the window.
    pub(crate) requests: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Requests due in the window.
    pub(crate) due: u64,
    /// Those of them that left late.
    pub(crate) late: u64,
    pub(crate) late_max: Duration,
    /// Requests that failed or were not answered.
    pub(crate) errors: u64,
    pub(crate) error_kinds: BTreeSet<String>,
    pub(crate) response: Times,
    pub(crate) service: Times,
    pub(crate) end_to_end: Times,
    pub(crate) stages: StageTimes,
    pub(crate) steps: Vec<Step>,
}

impl Recorder {
    pub(crate) fn new(
        window: Window,
        belongs: Belongs,
        late_after: Duration,
    ) -> Result<Self, BenchError> {
        let step = Step {
            requests: 0,
            bytes: 0,
            response: Times::new()?,
        };
        Ok(Self {
            window,
            belongs,
            late_after,
            requests: 0,
            records: 0,
            bytes: 0,
            due: 0,
            late: 0,
            late_max: Duration::ZERO,
            errors: 0,
            error_kinds: BTreeSet::new(),
            response: Times::new()?,
            service: Times::new()?,
            end_to_end: Times::new()?,
            stages: StageTimes::default(),
            steps: vec![step; window.steps()],
        })
    }

    /// A request leaves.
    pub(crate) fn sent(&mut self, intended: Duration, sent: Duration) {
        if !self.window.holds(intended) {
            return;
        }
        self.due += 1;
        let late = sent.saturating_sub(intended);
        self.late_max = self.late_max.max(late);
        if late > self.late_after {
            self.late += 1;
        }
    }

    /// A request was answered.
    pub(crate) fn answered(&mut self, request: Answered, receipt: Option<&Receipt>) {
        let counts = match self.belongs {
            Belongs::Due => self.window.holds(request.answered),
            Belongs::Within => {
                self.window.holds(request.sent) && self.window.holds(request.answered)
            }
        };
        if counts {
            self.requests += 1;
            self.records += request.records;
            self.bytes += request.bytes;
            if let Some(step) = self.window.step_of(request.answered) {
                self.steps[step].requests += 1;
                self.steps[step].bytes += request.bytes;
            }
        }
        let is_timed = match self.belongs {
            Belongs::Due => self.window.holds(request.intended),
            Belongs::Within => counts,
        };
        if is_timed {
            let response = request.answered.saturating_sub(request.intended);
            self.response.record(response);
            if let Some(receipt) = receipt {
                self.stages.record(response, receipt);
            }
            self.service
                .record(request.answered.saturating_sub(request.sent));
            if let Some(step) = self.window.step_of(request.intended) {
                self.steps[step].response.record(response);
            }
        }
    }

    /// A record arrived at a consumer.
    pub(crate) fn arrived(&mut self, intended: Duration, arrived: Duration) {
        if self.window.holds(intended) {
            self.end_to_end.record(arrived.saturating_sub(intended));
        }
    }

    /// Requests failed, or were not answered.
    pub(crate) fn failed(&mut self, requests: u64, kind: &str) {
        self.errors += requests;
        if self.error_kinds.len() < ERROR_KINDS_MAX {
            self.error_kinds.insert(kind.to_owned());
        }
    }

    /// Forgets the time behind `at`, when the run was ended before its time: nothing was sent any more.
    pub(crate) fn cut(&mut self, at: Duration) {
        self.window = self.window.cut(at);
        self.steps.truncate(self.window.steps());
    }

    /// Takes what another worker has seen in the same window.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), BenchError> {
        self.requests += other.requests;
        self.records += other.records;
        self.bytes += other.bytes;
        self.due += other.due;
        self.late += other.late;
        self.late_max = self.late_max.max(other.late_max);
        self.errors += other.errors;
        for kind in &other.error_kinds {
            if self.error_kinds.len() < ERROR_KINDS_MAX {
                self.error_kinds.insert(kind.clone());
            }
        }
        self.response.merge(&other.response)?;
        self.service.merge(&other.service)?;
        self.end_to_end.merge(&other.end_to_end)?;
        self.stages.merge(&other.stages);
        for (step, others) in self.steps.iter_mut().zip(&other.steps) {
            step.requests += others.requests;
            step.bytes += others.bytes;
            step.response.merge(&others.response)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
