//! When checkpoints are written, and what changes durably through them: the log start and the leader epoch.

use std::io;

use ringlog_record::{LeaderEpoch, Offset, TimestampMs};

use crate::checkpoint::{self, Checkpoint};
use crate::error::ChangeError;
use crate::index::SparseIndex;
use crate::log::{LogInner, LogState};
use crate::segment::Segment;

impl LogInner {
    /// Has a checkpoint written that nobody waits for, unless one is under way.
    pub(crate) fn start_checkpoint(&self, state: &mut LogState) {
        let is_ended = state.failure.is_some() || state.is_closed_durably();
        if state.checkpoint.is_busy || state.checkpoint.is_wanted || is_ended {
            return;
        }
        state.checkpoint.is_wanted = true;
        self.spawn("checkpoint", |log| async move {
            let written = log
                .retry_while_full(async || match log.write_checkpoint().await {
                    Err(ChangeError::NoSpace) => Err(io::ErrorKind::StorageFull.into()),
                    // Another failure has taken the log offline already.
                    _ => Ok(()),
                })
                .await;
            if let Err(error) = written {
                // The log is being closed: nobody waits for space any more.
                log.fail("write the checkpoint", &error);
            }
            log.state.borrow_mut().checkpoint.is_wanted = false;
            log.request_flush();
        });
    }

    /// Writes a checkpoint of what is durable now; it is durable when this returns.
    pub(crate) async fn write_checkpoint(&self) -> Result<(), ChangeError> {
        self.changed.wait(|| self.take_checkpoint_turn()).await?;
        let result = self.write_slot().await;
        self.state.borrow_mut().checkpoint.is_busy = false;
        self.changed.notify();
        // A flush group may have waited for this one, whoever it was written for.
        self.request_flush();
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(ChangeError::NoSpace),
            Err(error) => {
                self.fail("write the checkpoint", &error);
                Ok(self.check_failure()?)
            }
        }
    }

    fn take_checkpoint_turn(&self) -> Option<Result<(), ChangeError>> {
        let state = &mut *self.state.borrow_mut();
        if let Some(failure) = &state.failure {
            return Some(Err(failure.clone().into()));
        }
        (!std::mem::replace(&mut state.checkpoint.is_busy, true)).then_some(Ok(()))
    }

    async fn write_slot(&self) -> io::Result<()> {
        let now = self.now_ms();
        let (file, checkpoint, producers, durable_bytes) = {
            let state = &mut *self.state.borrow_mut();
            state.producers.expire(now);
            let producers = state.producers.below(state.kept_end());
            let mut checkpoint = state.to_checkpoint(state.checkpoint.sequence + 1);
            checkpoint.has_producers = !producers.is_empty();
            (
                state.checkpoint.file.clone(),
                checkpoint,
                producers,
                state.durable_bytes,
            )
        };
        let written_bytes =
            checkpoint::write(&self.env.reactor, &file, &checkpoint, &producers).await?;
        self.env.counters.metadata_bytes.add(written_bytes);
        let state = &mut *self.state.borrow_mut();
        state.checkpoint.sequence = checkpoint.sequence;
        state.checkpoint.durable_bytes = durable_bytes;
        state.checkpoint.is_clean = checkpoint.is_clean;
        state.checkpoint.log_start = checkpoint.log_start;
        state.checkpoint.latest_epoch = checkpoint.epochs.entries().last().copied();
        if let Some(memory) = &mut state.memory {
            memory.reserved = checkpoint.log_start;
        }
        state.epochs.forget_below(state.log_start());
        self.env.counters.checkpoints.add(1);
        Ok(())
    }

    pub(crate) async fn begin_epoch(&self, epoch: LeaderEpoch) -> Result<(), ChangeError> {
        self.state.borrow().check_new_epoch(epoch)?;
        self.flush_all().await?;
        {
            let state = &mut *self.state.borrow_mut();
            state.check_new_epoch(epoch)?;
            let log_end = state.log_end;
            state.epochs.begin(epoch, log_end);
        }
        self.write_checkpoint().await
    }

    pub(crate) async fn close(&self) -> Result<(), ChangeError> {
        if std::mem::replace(&mut self.state.borrow_mut().is_closed, true) {
            return Ok(());
        }
        self.env.cold.forget(&self.me);
        self.changed.notify();
        self.changed
            .wait(|| (!self.state.borrow().is_moving).then_some(()))
            .await;
        self.flush_all().await?;
        self.changed.wait(|| self.is_at_rest().then_some(())).await;
        let written = self.write_checkpoint().await;
        self.changed.notify();
        written
    }

    /// Whether nothing is left to do in the directory: every segment stands under its own name, and no file is being
    /// prepared.
    pub(crate) fn is_at_rest(&self) -> bool {
        let state = self.state.borrow();
        let are_at_rest =
            state.segments.values().all(Segment::is_at_rest) && !state.next_is_coming();
        state.failure.is_some() || are_at_rest
    }
}

impl LogState {
    /// Whether `epoch` may begin: it is newer than all before, or found no space when it was to begin.
    fn check_new_epoch(&self, epoch: LeaderEpoch) -> Result<(), ChangeError> {
        if self.is_closed {
            return Err(ChangeError::Closed);
        }
        if epoch > LeaderEpoch::MAX {
            return Err(ChangeError::EpochOutOfRange { epoch });
        }
        let durable = self.checkpoint.latest_epoch.map(|begins| begins.epoch);
        let is_durable = durable >= Some(epoch);
        match self.epochs.latest() {
            Some(latest) if latest > epoch || (latest == epoch && is_durable) => {
                Err(ChangeError::StaleEpoch { epoch, latest })
            }
            _ => Ok(()),
        }
    }

    /// Whether the log is closed and nothing is left to write, so that the next open need not scan.
    fn is_closed_durably(&self) -> bool {
        let is_at_rest = self.segments.values().all(Segment::is_at_rest);
        self.is_closed && self.kept_end() == self.log_end && is_at_rest
    }

    fn to_checkpoint(&self, sequence: u64) -> Checkpoint {
        if self.memory.is_some() {
            return self.to_checkpoint_in_memory(sequence);
        }
        let active = self.segment_of_durable_end();
        let position = active.map_or(0, |active| active.durable_bytes);
        let index = active.map(|active| {
            let durable = active
                .index
                .entries()
                .iter()
                .filter(|entry| entry.position < position);
            SparseIndex::from_entries(durable.copied().collect()).unwrap_or_default()
        });
        let mut epochs = self.epochs.clone();
        epochs.forget_below(self.wanted_log_start);
        Checkpoint {
            is_clean: self.is_closed_durably(),
            has_producers: false,
            is_memory: false,
            sequence,
            durable_end: self.durable_end,
            durable_position: position,
            active_base: active.map_or(Offset::ZERO, |active| active.base),
            log_start: self.wanted_log_start,
            high_watermark: self.high_watermark,
            first_append: active.and_then(|active| active.first_append),
            last_append: active.and_then(|active| active.last_append),
            max_timestamp: active.map_or(TimestampMs::NONE, |active| active.max_timestamp),
            epochs,
            index: index.unwrap_or_default(),
        }
    }

    /// The segment that the durable end lies in: the last one with a durable end, or the one before the first that
    /// has none.
    fn segment_of_durable_end(&self) -> Option<&Segment> {
        let holds = |segment: &&Segment| {
            segment.base < self.durable_end
                || (segment.base == self.durable_end && segment.is_at_rest())
        };
        self.segments
            .values()
            .rev()
            .find(holds)
            .or_else(|| self.segments.values().next())
    }
}
