//! Timers of one core, ordered by deadline and, among equals, by registration.

use std::collections::BTreeMap;
use std::task::Waker;

use crate::time::Instant;

/// Names a registered timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerId {
    deadline: Instant,
    sequence: u64,
}

/// The timers that have not fired.
#[derive(Default)]
pub(crate) struct Timers {
    pending: BTreeMap<TimerId, Waker>,
    next_sequence: u64,
}

impl Timers {
    /// Registers `waker` to be woken at `deadline`.
    pub(crate) fn insert(&mut self, deadline: Instant, waker: Waker) -> TimerId {
        let id = TimerId {
            deadline,
            sequence: self.next_sequence,
        };
        self.next_sequence += 1;
        self.pending.insert(id, waker);
        id
    }

    /// Replaces the waker of a timer that has not fired.
    pub(crate) fn update(&mut self, id: TimerId, waker: &Waker) {
        if let Some(held) = self.pending.get_mut(&id) {
            held.clone_from(waker);
        }
    }

    /// Forgets a timer.
    pub(crate) fn remove(&mut self, id: TimerId) {
        self.pending.remove(&id);
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.pending.first_key_value().map(|(id, _)| id.deadline)
    }

    /// Takes one timer whose deadline is not after `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Waker> {
        let entry = self.pending.first_entry()?;
        (entry.key().deadline <= now).then(|| entry.remove())
    }
}
