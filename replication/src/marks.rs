//! When the stable end moved: for telling of each produce when it was stable on the leader, which is long before it is
//! answered where other replicas lag behind.

use std::collections::VecDeque;

use ringlog_reactor::Instant;
use ringlog_record::Offset;

use crate::limits::STABLE_MARKS_MAX;

/// The last moves of the stable end, oldest first.
#[derive(Default)]
pub(crate) struct StableMarks(VecDeque<(Offset, Instant)>);

impl StableMarks {
    /// Notes that the log is stable up to here from now on.
    pub(crate) fn note(&mut self, stable_end: Offset, now: Instant) {
        if self.0.back().is_some_and(|&(known, _)| known >= stable_end) {
            return;
        }
        if self.0.len() == STABLE_MARKS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((stable_end, now));
    }

    /// When the log became stable up to `end`; later than that when it is too long ago, and `None` when it is not yet.
    pub(crate) fn reached(&self, end: Offset) -> Option<Instant> {
        let first = self.0.partition_point(|&(stable_end, _)| stable_end < end);
        self.0.get(first).map(|&(_, at)| at)
    }
}

#[cfg(test)]
mod tests;
