//! What the loop of a core has done, and which of its tasks held it for too long.
//!
//! Owned by the core. A turn reads the ticks of the driver once before its first poll and once after each, and nothing
//! else is done for a poll than a few additions. What the operating system takes away from a thread in the middle of a
//! poll counts as held by the task: nothing else of the core ran meanwhile either.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::driver::DriverCounts;
use crate::limits::{STALL_NAMES_MAX, STALL_REPORT_MS, STALL_US};
use crate::time::Instant;

/// The name that stalls are counted under when there are too many names.
const OTHER_TASKS: &str = "other tasks";

/// What the loop of a core has done since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoopCounts {
    /// Turns of the loop.
    pub turns: u64,
    /// Polls of tasks.
    pub polls: u64,
    /// Turns that waited, since there was nothing to do.
    pub parks: u64,
    /// Operations handed to the driver.
    pub operations: u64,
    /// What the driver exchanged with the kernel for them.
    pub driver: DriverCounts,
    /// Time spent in tasks.
    pub busy: Duration,
    /// The longest time that the tasks of one turn took together.
    pub longest_turn: Duration,
    /// Tasks that held the core for too long, by name.
    pub stalls: Vec<StallCount>,
}

/// How often tasks of one name held their core for longer than [`STALL_US`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallCount {
    /// The name that they were spawned with.
    pub task: &'static str,
    /// How often.
    pub count: u64,
    /// The longest of it.
    pub longest: Duration,
}

/// A stall that is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StallReport {
    pub(crate) task: &'static str,
    pub(crate) held: Duration,
    /// Stalls since the last report, this one included.
    pub(crate) stalls: u64,
}

/// The counters of a core.
pub(crate) struct LoopMeter {
    ticks_per_ms: u64,
    stall_ticks: u64,
    turns: Cell<u64>,
    polls: Cell<u64>,
    parks: Cell<u64>,
    operations: Cell<u64>,
    busy_ticks: Cell<u64>,
    longest_turn_ticks: Cell<u64>,
    stalls: RefCell<Vec<StallCount>>,
    unreported: Cell<u64>,
    reported: Cell<Option<Instant>>,
}

fn bump(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl LoopMeter {
    pub(crate) fn new(ticks_per_ms: u64) -> Self {
        let ticks_per_ms = ticks_per_ms.max(1);
        Self {
            ticks_per_ms,
            stall_ticks: ticks_per_ms.saturating_mul(STALL_US) / 1_000,
            turns: Cell::new(0),
            polls: Cell::new(0),
            parks: Cell::new(0),
            operations: Cell::new(0),
            busy_ticks: Cell::new(0),
            longest_turn_ticks: Cell::new(0),
            stalls: RefCell::default(),
            unreported: Cell::new(0),
            reported: Cell::new(None),
        }
    }

    /// An operation goes to the driver.
    pub(crate) fn submitted(&self) {
        bump(&self.operations);
    }

    /// The core is about to wait.
    pub(crate) fn parked(&self) {
        bump(&self.parks);
    }

    /// A task was polled; true when that was a stall, for [`LoopMeter::stalled`].
    pub(crate) fn polled(&self, ticks: u64) -> bool {
        bump(&self.polls);
        ticks > self.stall_ticks
    }

    /// The tasks of a turn took so long together.
    pub(crate) fn turned(&self, ticks: u64) {
        bump(&self.turns);
        self.busy_ticks.set(self.busy_ticks.get() + ticks);
        if ticks > self.longest_turn_ticks.get() {
            self.longest_turn_ticks.set(ticks);
        }
    }

    /// Counts a stall; gives what is to be reported, if it is time for that.
    pub(crate) fn stalled(
        &self,
        task: &'static str,
        ticks: u64,
        now: Instant,
    ) -> Option<StallReport> {
        let held = self.to_duration(ticks);
        self.note_stall(task, held);
        bump(&self.unreported);
        let is_quiet = self
            .reported
            .get()
            .is_none_or(|at| now.since(at) >= Duration::from_millis(STALL_REPORT_MS));
        is_quiet.then(|| {
            self.reported.set(Some(now));
            StallReport {
                task,
                held,
                stalls: self.unreported.replace(0),
            }
        })
    }

    fn note_stall(&self, task: &'static str, held: Duration) {
        let mut stalls = self.stalls.borrow_mut();
        let has_room = stalls.len() < STALL_NAMES_MAX;
        let is_known = stalls.iter().any(|stall| stall.task == task);
        let task = if is_known || has_room {
            task
        } else {
            OTHER_TASKS
        };
        match stalls.iter_mut().find(|stall| stall.task == task) {
            Some(stall) => {
                stall.count += 1;
                stall.longest = stall.longest.max(held);
            }
            None => stalls.push(StallCount {
                task,
                count: 1,
                longest: held,
            }),
        }
    }

    fn to_duration(&self, ticks: u64) -> Duration {
        let nanos = u128::from(ticks) * 1_000_000 / u128::from(self.ticks_per_ms);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// What was counted so far.
    pub(crate) fn counts(&self, driver: DriverCounts) -> LoopCounts {
        LoopCounts {
            turns: self.turns.get(),
            polls: self.polls.get(),
            parks: self.parks.get(),
            operations: self.operations.get(),
            driver,
            busy: self.to_duration(self.busy_ticks.get()),
            longest_turn: self.to_duration(self.longest_turn_ticks.get()),
            stalls: self.stalls.borrow().clone(),
        }
    }
}

#[cfg(test)]
mod tests;
