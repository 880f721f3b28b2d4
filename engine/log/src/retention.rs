//! Retention: which segments leave, and how the log start moves.
//!
//! The new log start is durable before a file goes, so that a log never comes back with a hole at its front.

use std::time::Duration;

use ringlog_record::{Offset, TimestampMs};

use crate::error::ChangeError;
use crate::log::{LogInner, LogState};
use crate::omit::Step;
use crate::segment::Segment;

impl LogInner {
    pub(crate) async fn apply_retention(&self) -> Result<usize, ChangeError> {
        self.check_changeable()?;
        self.settle_medium_or_later().await;
        let now = self.now_ms();
        let log_start = {
            let state = &mut *self.state.borrow_mut();
            if state.memory.is_some() {
                return Ok(self.apply_retention_in_memory(state, now));
            }
            if state.active_is_due(now) {
                let used_bytes = state.active().map_or(0, |active| active.len_bytes);
                let file_bytes = state.config.file_bytes(0, used_bytes);
                self.roll(state, 0, file_bytes);
            }
            state.log_start_by_retention(now)
        };
        self.move_log_start(log_start).await
    }

    /// What retention asks for after a roll. It is due then: a steady producer leaves a file to be recycled for each that
    /// it needs.
    pub(crate) async fn retain_after_roll(&self) {
        let now = self.now_ms();
        let log_start = {
            let state = self.state.borrow();
            if state.is_ended() || state.memory.is_some() {
                return;
            }
            state.log_start_by_retention(now)
        };
        if let Err(error) = self.move_log_start(log_start).await {
            // The log has failed, or has no space: the next look at the retention tries again.
            tracing::debug!(%error, "retention was not applied after a roll");
        }
    }

    pub(crate) async fn delete_records(&self, before: Offset) -> Result<Offset, ChangeError> {
        self.check_changeable()?;
        let is_durable = {
            let state = self.state.borrow();
            let (log_start, log_end) = (state.log_start(), state.stable_end());
            if before > log_end {
                return Err(ChangeError::OffsetOutOfRange {
                    requested: before,
                    log_start,
                    log_end,
                });
            }
            before <= state.kept_end()
        };
        // Under `async` the records to be deleted may be in memory only. Those on the device do not wait for others
        // behind them: they may be deleted because it is full.
        if !is_durable {
            self.flush_all().await?;
        }
        self.move_log_start(before).await?;
        self.settle_medium_or_later().await;
        Ok(self.state.borrow().log_start())
    }

    fn check_changeable(&self) -> Result<(), ChangeError> {
        if self.state.borrow().is_closed {
            return Err(ChangeError::Closed);
        }
        Ok(self.check_failure()?)
    }

    /// Moves the log start, durably, and removes the segments that lie below it. Gives how many.
    async fn move_log_start(&self, log_start: Offset) -> Result<usize, ChangeError> {
        let is_durable = {
            let state = &mut *self.state.borrow_mut();
            if state.memory.is_some() {
                return Ok(self.move_log_start_in_memory(state, log_start));
            }
            state.wanted_log_start = state.wanted_log_start.max(log_start);
            state.log_start() >= log_start
        };
        if !is_durable {
            if Step::LogStartBeforeRemoval.is_omitted() {
                self.remove_segments_below_start().await;
            }
            self.write_checkpoint().await?;
        }
        Ok(self.remove_segments_below_start().await)
    }

    /// Removes the segments that lie below the durable log start. Gives how many.
    pub(crate) async fn remove_segments_below_start(&self) -> usize {
        let gone = self.state.borrow_mut().take_segments_below_start();
        for segment in &gone {
            self.env.files.forget_segment(&self.me, segment.base);
            let removed = async {
                if !self.recycle(segment).await {
                    self.directory
                        .remove(&self.directory.segment_path(segment.base))
                        .await?;
                }
                self.directory
                    .remove(&self.directory.index_path(segment.base))
                    .await
            };
            if let Err(error) = removed.await {
                // It is below the log start, so the next open removes it.
                tracing::warn!(%error, "a segment below the log start was not removed");
            }
        }
        self.env.counters.segments_removed.add(gone.len() as u64);
        gone.len()
    }
}

impl LogState {
    pub(crate) fn active_is_due(&self, now: TimestampMs) -> bool {
        let Some(active) = self
            .active()
            .filter(|active| active.len_bytes > 0 && active.is_at_rest())
        else {
            return false;
        };
        let is_old = |since: Option<TimestampMs>, age_ms: u64| {
            since.is_some_and(|since| age(now, since) >= Duration::from_millis(age_ms))
        };
        is_old(active.first_append, self.config.segment_ms)
            || self
                .config
                .retention_ms
                .is_some_and(|age_ms| is_old(active.last_append, age_ms))
    }

    /// Where the log would start if all segments left that are too old or too many. Only those leave that are sealed
    /// and durable, and only what is durable counts: the rest may be gone after a crash.
    fn log_start_by_retention(&self, now: TimestampMs) -> Offset {
        let mut size_bytes: u64 = self
            .segments
            .values()
            .map(|segment| segment.durable_bytes)
            .sum();
        let mut log_start = self.log_start();
        let sealed = self.segments.len().saturating_sub(1);
        for segment in self.segments.values().take(sealed) {
            let is_old = self.config.retention_ms.is_some_and(|age_ms| {
                segment
                    .last_append
                    .is_some_and(|last| age(now, last) >= Duration::from_millis(age_ms))
            });
            let rest_bytes = size_bytes - segment.durable_bytes;
            let is_much = self
                .config
                .retention_bytes
                .is_some_and(|bytes| rest_bytes >= bytes);
            if !(is_old || is_much) || segment.end > self.durable_end {
                break;
            }
            size_bytes = rest_bytes;
            log_start = log_start.max(segment.end);
        }
        log_start
    }

    /// A segment that stands under the name of the prepared file is found by recovery only behind another one, which
    /// stays until that is renamed.
    fn take_segments_below_start(&mut self) -> Vec<Segment> {
        let log_start = match Step::LogStartBeforeRemoval.is_omitted() {
            true => self.wanted_log_start,
            false => self.checkpoint.log_start,
        };
        let first = self
            .segments
            .range(..=log_start)
            .rev()
            .find(|(_, segment)| segment.is_at_rest() || !segment.is_ready())
            .map(|(&base, _)| base);
        let Some(first) = first else {
            return Vec::new();
        };
        let kept = self.segments.split_off(&first);
        std::mem::replace(&mut self.segments, kept)
            .into_values()
            .collect()
    }
}

/// Time from `since` to `now`; none when the clock went back.
pub(crate) fn age(now: TimestampMs, since: TimestampMs) -> Duration {
    Duration::from_millis(u64::try_from(now.get().saturating_sub(since.get())).unwrap_or(0))
}
