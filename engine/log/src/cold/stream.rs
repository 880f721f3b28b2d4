//! A reader that goes on: where, and what was read ahead for it.

use std::rc::Weak;

use ringlog_reactor::Instant;
use ringlog_record::Offset;

use super::window::{Reading, Window};
use crate::log::LogInner;
use crate::read::DiskPlan;

/// A reader of a log that went from one fetch to the next.
pub(crate) struct Stream {
    pub(super) log: Weak<LogInner>,
    segment: Offset,
    /// What its next fetch asks for, and where that lies in the segment.
    pub(crate) offset: Offset,
    pub(crate) position: u64,
    ahead: Option<Ahead>,
    pub(super) used: Instant,
}

/// What a reader will ask for next.
enum Ahead {
    Read(Window),
    Reading(Reading),
}

impl Stream {
    pub(crate) fn new(
        log: &Weak<LogInner>,
        segment: Offset,
        offset: Offset,
        position: u64,
    ) -> Self {
        Self {
            log: Weak::clone(log),
            segment,
            offset,
            position,
            ahead: None,
            used: Instant::default(),
        }
    }

    pub(super) fn goes_on_at(&self, log: &Weak<LogInner>, segment: Offset, offset: Offset) -> bool {
        self.offset == offset && self.segment == segment && self.log.ptr_eq(log)
    }

    /// Keeps a window that holds what comes next.
    pub(crate) fn keep(&mut self, window: Window) {
        self.ahead = Some(Ahead::Read(window));
    }

    /// Begins to read what comes next, if there is memory for it.
    pub(crate) fn read_ahead(&mut self, log: &LogInner, next: &DiskPlan, wanted: usize) {
        self.ahead = log.begin_read_ahead(next, wanted).map(Ahead::Reading);
    }

    /// What was read ahead, once it is there. Nothing when that failed: whoever needs it reads it and sees for itself.
    pub(crate) async fn window_ahead(self) -> Option<Window> {
        match self.ahead? {
            Ahead::Read(window) => Some(window),
            Ahead::Reading(reading) => reading
                .window()
                .await
                .inspect_err(|error| tracing::debug!(%error, "reading ahead failed"))
                .ok(),
        }
    }

    /// Lets go of what was read ahead, unless it is still under way: that would free nothing yet.
    pub(super) fn give_up(&mut self) -> Option<()> {
        let is_read = match self.ahead.as_ref()? {
            Ahead::Read(_) => true,
            Ahead::Reading(reading) => reading.is_finished(),
        };
        is_read.then(|| self.ahead = None)
    }
}
