//! A reader that goes on: where, and what was read ahead for it.

use std::rc::Weak;

use ringlog_reactor::Instant;
use ringlog_record::Offset;
use smallvec::SmallVec;

use super::window::{Reading, Window};
use crate::log::LogInner;
use crate::read::DiskPlan;
use crate::tail::block_floor;

/// Windows that are read ahead of a reader: one is there or waited for while the device reads the others.
const WINDOWS_AHEAD: usize = 3;

/// Windows that are read ahead, in the order of the file.
pub(crate) type Windows = SmallVec<[Ahead; WINDOWS_AHEAD]>;

/// A reader of a log that went from one fetch to the next.
pub(crate) struct Stream {
    pub(super) log: Weak<LogInner>,
    segment: Offset,
    /// What its next fetch asks for, and where that lies in the segment.
    pub(crate) offset: Offset,
    pub(crate) position: u64,
    /// The first one holds `position`.
    ahead: Windows,
    pub(super) used: Instant,
}

/// What a reader will ask for.
pub(crate) enum Ahead {
    Read(Window),
    Reading(Reading),
}

impl Ahead {
    /// Positions in the file of what it holds, or will.
    fn span(&self) -> (u64, u64) {
        match self {
            Self::Read(window) => (window.start, window.end()),
            Self::Reading(reading) => (reading.start, reading.end),
        }
    }

    /// Whether it holds what begins at `position`, and `bytes` of it.
    pub(crate) fn holds(&self, position: u64, bytes: usize) -> bool {
        let (start, end) = self.span();
        start <= position && position + bytes as u64 <= end
    }

    /// Once it is there. Nothing when that failed: whoever needs it reads it and sees for itself.
    async fn window(self) -> Option<Window> {
        match self {
            Self::Read(window) => Some(window),
            Self::Reading(reading) => reading
                .window()
                .await
                .inspect_err(|error| tracing::debug!(%error, "reading ahead failed"))
                .ok(),
        }
    }

    /// Whether dropping it gives memory back now.
    fn is_finished(&self) -> bool {
        match self {
            Self::Read(_) => true,
            Self::Reading(reading) => reading.is_finished(),
        }
    }
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
            ahead: Windows::new(),
            used: Instant::default(),
        }
    }

    pub(super) fn goes_on_at(&self, log: &Weak<LogInner>, segment: Offset, offset: Offset) -> bool {
        self.offset == offset && self.segment == segment && self.log.ptr_eq(log)
    }

    /// Keeps what holds what comes next, or what lies behind that.
    pub(crate) fn keep(&mut self, ahead: Ahead) {
        self.ahead.push(ahead);
    }

    /// Begins to read what comes next and is not read ahead yet, if there is memory for it: from where the next fetch will
    /// begin, `wanted` bytes, and as many behind them, window for window.
    pub(crate) fn read_ahead(&mut self, log: &LogInner, next: &DiskPlan, wanted: usize) {
        if self.ahead.is_empty() {
            let reading = log.begin_read_ahead(next, wanted);
            self.ahead.extend(reading.map(Ahead::Reading));
        }
        while self.ahead.len() < WINDOWS_AHEAD
            && let Some((start, end)) = self.ahead.last().map(Ahead::span)
        {
            // A further window of one reader takes neither the place of the first one of another, nor the device from those
            // who write.
            let reading = log
                .plan_behind(next.segment, end)
                .filter(|plan| plan.position > next.position && block_floor(plan.position) > start)
                .filter(|_| log.env.cold.has_plenty() && log.env.is_at_rest())
                .and_then(|plan| log.begin_read_ahead(&plan, wanted));
            let Some(reading) = reading else { return };
            self.ahead.push(Ahead::Reading(reading));
        }
    }

    /// What was read ahead: the window that comes next, once it is there, and what lies behind it.
    pub(crate) async fn windows(self) -> (Option<Window>, Windows) {
        let mut ahead = self.ahead;
        if ahead.is_empty() {
            return (None, ahead);
        }
        let window = ahead.remove(0).window().await;
        (window, ahead)
    }

    /// Lets go of a window that was read ahead, the last one first, unless it is still under way: that would free nothing
    /// yet.
    pub(super) fn give_up(&mut self) -> Option<()> {
        let last = self.ahead.iter().rposition(Ahead::is_finished)?;
        // What lies behind it is of no use without it.
        self.ahead.truncate(last);
        Some(())
    }
}
