//! The slowest requests of a shard in the last minutes.
//!
//! Two tables of a fixed size: that of the present window, and that of the one before, so that there is always something
//! to look at and nothing stays for ever. A request that is not among the slowest costs a comparison.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use ringlog_reactor::Instant;
use ringlog_record::TopicPartition;
use ringlog_wire::{Api, ErrorCode, ProduceReceipt};

use crate::limits::{SLOW_REQUESTS_MAX, SLOW_WINDOW};

/// A request that took long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowRequest {
    /// Its kind.
    pub api: Api,
    /// What it was about, if one partition: the first of several, or of a produce the one that was acknowledged last.
    pub partition: Option<TopicPartition>,
    /// Bytes of records, in or out.
    pub bytes: u64,
    /// What it was answered with, as a whole.
    pub error: ErrorCode,
    /// From its last byte to its answer, without the time that a fetch was parked for want of records.
    pub took: Duration,
    /// Where that went, of a produce that was acknowledged.
    pub stages: Option<ProduceReceipt>,
    /// When it was answered, in milliseconds since the Unix epoch by the broker's clock.
    pub answered_unix_ms: i64,
}

/// The slowest requests of a shard.
pub(crate) struct SlowRequests {
    /// What a request must have taken longer than to get in.
    threshold: Cell<Duration>,
    /// When the present window ends.
    ends: Cell<Instant>,
    tables: RefCell<Tables>,
}

struct Tables {
    present: Vec<SlowRequest>,
    before: Vec<SlowRequest>,
}

impl SlowRequests {
    /// Empty tables, with all the memory that they will ever have.
    pub(crate) fn new(now: Instant) -> Self {
        let table = || Vec::with_capacity(SLOW_REQUESTS_MAX);
        Self {
            threshold: Cell::new(Duration::ZERO),
            ends: Cell::new(now + SLOW_WINDOW),
            tables: RefCell::new(Tables {
                present: table(),
                before: table(),
            }),
        }
    }

    /// Notes a request that was answered now, if it is one of the slowest.
    pub(crate) fn note(&self, took: Duration, now: Instant, request: impl FnOnce() -> SlowRequest) {
        if now >= self.ends.get() {
            self.turn(now);
        }
        if took <= self.threshold.get() {
            return;
        }
        let present = &mut self.tables.borrow_mut().present;
        if present.len() < SLOW_REQUESTS_MAX {
            present.push(request());
        } else if let Some(least) = present.iter_mut().min_by_key(|one| one.took) {
            *least = request();
        }
        if present.len() == SLOW_REQUESTS_MAX {
            let least = present.iter().map(|one| one.took).min();
            self.threshold.set(least.unwrap_or_default());
        }
    }

    /// Begins another window.
    fn turn(&self, now: Instant) {
        let tables = &mut *self.tables.borrow_mut();
        std::mem::swap(&mut tables.present, &mut tables.before);
        tables.present.clear();
        if now >= self.ends.get() + SLOW_WINDOW {
            // Nothing was asked for a whole window: what was before that is too old.
            tables.before.clear();
        }
        self.threshold.set(Duration::ZERO);
        self.ends.set(now + SLOW_WINDOW);
    }

    /// The slowest requests of this window and the one before, the slowest first.
    pub(crate) fn list(&self, now: Instant) -> Vec<SlowRequest> {
        if now >= self.ends.get() {
            self.turn(now);
        }
        let tables = self.tables.borrow();
        let mut all: Vec<_> = tables
            .present
            .iter()
            .chain(&tables.before)
            .copied()
            .collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.took));
        all
    }
}

#[cfg(test)]
mod tests;
