//! The durable end: how flush groups begin and end.

use std::rc::Rc;

use crate::config::Durability;
use crate::error::LogFailure;
use crate::flush::{FlushGroup, GroupEnd};
use crate::limits::{CHECKPOINT_INTERVAL_BYTES, CHECKPOINT_LAG_BYTES_MAX, FLUSH_GROUP_BYTES_MAX};
use crate::log::{InFlight, LogInner, LogState};
use crate::omit::Step;
use crate::segment::{SegmentFile, SegmentName};

/// Flush groups of a log that are in flight at once. Two would overlap in the block that one ends and the next begins
/// in.
fn groups_in_flight_max() -> usize {
    match Step::OneWritePerBlock.is_omitted() {
        true => 2,
        false => 1,
    }
}

impl LogInner {
    /// The next flush group, if there is something to flush and nothing stands in the way. Whoever takes away what
    /// stands in the way asks for a flush again.
    pub(crate) fn begin_group(log: &Rc<Self>) -> Option<FlushGroup> {
        let state = &mut *log.state.borrow_mut();
        if state.memory.is_some()
            || state.failure.is_some()
            || state.in_flight.len() >= groups_in_flight_max()
        {
            return None;
        }
        let base = state.tail.next_group_segment()?;
        let segment = state.segments.get(&base)?;
        let SegmentFile::Open { file, name } = &segment.file else {
            return None;
        };
        // Recovery relies on both: a segment is written to only when the one before is durable, and what stands
        // under the name of the prepared file is never more than one flush group.
        let follows_another = state
            .in_flight
            .iter()
            .any(|group| group.end.segment != base);
        let is_misnamed = *name == SegmentName::Next && segment.durable_bytes > 0;
        if follows_another || is_misnamed {
            return None;
        }
        let file = file.clone();
        if !log.checkpoint_allows_group(state) {
            return None;
        }
        let chunks = state.tail.take_group();
        let last = chunks.last()?.span;
        let end = GroupEnd {
            segment: base,
            position: last.end,
            offset: last.end_offset,
        };
        let writes = chunks
            .iter()
            .enumerate()
            .map(|(index, chunk)| (chunk.span.start, chunk.blocks(index + 1 == chunks.len())))
            .filter(|(_, data)| !data.is_empty())
            .collect();
        state.in_flight.push_back(InFlight {
            end,
            is_durable: false,
        });
        Some(FlushGroup {
            log: Rc::clone(log),
            file,
            writes,
            end,
            result: Ok(()),
        })
    }

    /// Whether recovery would understand a group that is written now: it looks far enough behind the last checkpoint
    /// to find it, and knows the leader epochs of its batches. Starts a checkpoint otherwise.
    fn checkpoint_allows_group(&self, state: &mut LogState) -> bool {
        let lag_bytes = state.durable_bytes - state.checkpoint.durable_bytes;
        let allows = !state.checkpoint.is_clean
            && state.checkpoint.latest_epoch.as_ref() == state.epochs.entries().last()
            && lag_bytes + FLUSH_GROUP_BYTES_MAX <= CHECKPOINT_LAG_BYTES_MAX;
        if !allows {
            self.start_checkpoint(state);
        }
        allows
    }

    /// A flush group is on the device.
    pub(crate) fn group_is_durable(&self, end: GroupEnd) {
        let (stable_end, admitted, goes_on) = {
            let state = &mut *self.state.borrow_mut();
            if state.failure.is_some() {
                // Offline is offline: nobody is told of it, and the next recovery finds it.
                return;
            }
            if let Some(group) = state.in_flight.iter_mut().find(|group| group.end == end) {
                group.is_durable = true;
            }
            let before = state.durable_end;
            while state
                .in_flight
                .front()
                .is_some_and(|group| group.is_durable)
            {
                if let Some(group) = state.in_flight.pop_front() {
                    state.advance_durable(group.end);
                    self.env.counters.flush_groups.add(1);
                }
            }
            if state.durable_bytes - state.checkpoint.durable_bytes >= CHECKPOINT_INTERVAL_BYTES {
                self.start_checkpoint(state);
            }
            let admitted = state.tail.capacities_between(before, state.durable_end);
            let is_sync = state.durability() == Durability::Sync;
            let moved = is_sync && state.durable_end > before;
            (
                moved.then(|| state.stable_end()),
                admitted,
                state.tail.next_group_segment().is_some(),
            )
        };
        for bytes in admitted {
            self.env.cache.admit(&self.me, bytes);
        }
        if goes_on {
            self.request_flush();
        }
        self.changed.notify();
        if let Some(stable_end) = stable_end {
            self.call_on_stable(Ok(stable_end));
        }
    }

    /// Waits until everything appended so far is on the device.
    pub(crate) async fn flush_all(&self) -> Result<(), LogFailure> {
        if self.state.borrow().memory.is_some() {
            return self.check_failure();
        }
        let wanted = {
            let state = &mut *self.state.borrow_mut();
            state.flush_wanted = state.log_end;
            state.log_end
        };
        if let Some(me) = self.me.upgrade() {
            self.env.flusher.flush(&me, self.env.reactor.now());
        }
        self.changed
            .wait(|| {
                let state = self.state.borrow();
                match &state.failure {
                    Some(failure) => Some(Err(failure.clone())),
                    None => (state.durable_end >= wanted).then_some(Ok(())),
                }
            })
            .await
    }
}

impl LogState {
    fn advance_durable(&mut self, end: GroupEnd) {
        self.durable_end = end.offset;
        if let Some(segment) = self.segments.get_mut(&end.segment) {
            self.durable_bytes += end.position - segment.durable_bytes;
            segment.durable_bytes = end.position;
        }
    }
}
