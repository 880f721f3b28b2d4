//! The prepared file `next`, and the spare one: how they come to be.
//!
//! A file is filled with zeros under a temporary name, off the data path; it is the **spare**. When there is no `next`, it
//! becomes that: it is renamed, and its directory synced. The log rolls into `next` and writes to it under that name, and
//! renames it to its base offset afterwards. Not before that rename is durable does another one get the name.
//!
//! The file of a segment that leaves becomes `next` too, and comes before a spare one that is still being filled. That one
//! is filled to the end all the same, and is kept: a log that outruns the filling is short of files, and has one more from
//! then on.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use ringlog_reactor::{Elapsed, File};
use ringlog_record::TimestampMs;

use crate::bulk::Leisure;
use crate::directory::Mode;
use crate::error::FileError;
use crate::limits::{PREPARATION_MS_MAX, PREPARATION_PATIENCE_MS, SEGMENT_BYTES_MIN};
use crate::log::{LogInner, LogState};
use crate::names::{NEXT, NEXT_TEMPORARY};
use crate::segment::Segment;

/// How far the prepared file is.
pub(crate) enum NextFile {
    /// There is none.
    Absent,
    /// It is getting its name.
    Publishing,
    /// It can be rolled into.
    Ready { file: File, len_bytes: u64 },
    /// It could not be made; tried again after the next roll.
    Failed,
    /// Nobody prepares files here.
    Unavailable,
}

/// The file that is made for later.
pub(crate) enum SpareFile {
    /// There is none.
    Absent,
    /// It is being filled.
    Filling(Leisure),
    /// It is there, so long, under its temporary name.
    Filled(u64),
}

impl LogState {
    /// Takes the next file when it is ready and holds `needed_bytes`.
    pub(crate) fn take_next(&mut self, needed_bytes: u64) -> Option<(File, u64)> {
        match &self.next {
            NextFile::Ready { file, len_bytes } if *len_bytes >= needed_bytes => {
                let taken = (file.clone(), *len_bytes);
                self.next = NextFile::Absent;
                self.missed_rolls = 0;
                Some(taken)
            }
            NextFile::Failed => {
                self.next = NextFile::Absent;
                None
            }
            _ => None,
        }
    }

    /// Whether a file is being made, or getting its name.
    pub(crate) fn next_is_coming(&self) -> bool {
        matches!(self.next, NextFile::Publishing) || matches!(self.spare, SpareFile::Filling(_))
    }

    /// Has a file that is being filled ready as soon as may be.
    pub(crate) fn hurry_spare(&self) {
        if let SpareFile::Filling(leisure) = &self.spare {
            leisure.end();
        }
    }

    /// Whether a file may get the name of the next one. One that an unprepared segment waits for gets its own at once.
    pub(crate) fn name_is_free(&self) -> bool {
        !self.segments.values().any(Segment::is_named_next)
    }
}

/// A segment that will be full within this time gets its successor early, unless it is of the smallest class: those are
/// of partitions with little to do, which are to cost little.
const SOON: Duration = Duration::from_millis(2 * PREPARATION_MS_MAX);

impl LogInner {
    /// Has the next file prepared once the active segment is half full, or earlier if it fills fast.
    pub(crate) fn prepare_next_if_due(&self) {
        let state = &mut *self.state.borrow_mut();
        if state.memory.is_some() {
            return;
        }
        let Some(active) = state.active() else { return };
        if !matches!(state.next, NextFile::Absent)
            || active.len_bytes < active.capacity_bytes / 8
            || state.is_ended()
        {
            return;
        }
        if active.len_bytes >= active.capacity_bytes / 8 * 7 {
            // It may fill faster than it did.
            state.hurry_spare();
        }
        let left = time_to_fill(active, self.now_ms());
        let within = (left / 4 * 3).min(Duration::from_millis(PREPARATION_MS_MAX));
        let fills_fast = active.capacity_bytes > SEGMENT_BYTES_MIN && left <= SOON;
        let is_due = fills_fast || active.len_bytes >= active.capacity_bytes / 2;
        if !is_due {
            return;
        }
        match state.spare {
            SpareFile::Filling(_) => {}
            SpareFile::Filled(_) => self.publish_spare(state),
            SpareFile::Absent => {
                let len_bytes = state.config.file_bytes(active.capacity_bytes, 0);
                let leisure = Leisure::new(within);
                state.spare = SpareFile::Filling(leisure.clone());
                self.spawn("fill spare file", move |log| {
                    log.fill_spare(len_bytes, leisure)
                });
            }
        }
    }

    async fn fill_spare(self: Rc<Self>, len_bytes: u64, leisure: Leisure) {
        let filled = self.try_fill_spare(len_bytes, &leisure).await;
        {
            let state = &mut *self.state.borrow_mut();
            match filled {
                Ok(()) => {
                    self.env.counters.prepared_bytes.add(len_bytes);
                    state.spare = SpareFile::Filled(len_bytes);
                    if matches!(state.next, NextFile::Absent) && !state.is_ended() {
                        self.publish_spare(state);
                    }
                }
                Err(error) => {
                    state.spare = SpareFile::Absent;
                    if matches!(state.next, NextFile::Absent) {
                        state.next = unavailable(&error);
                    }
                }
            }
        }
        self.changed.notify();
    }

    /// Makes the spare file the next one, if the name is free.
    fn publish_spare(&self, state: &mut LogState) {
        let SpareFile::Filled(len_bytes) = state.spare else {
            return;
        };
        if !state.name_is_free() {
            return;
        }
        state.spare = SpareFile::Absent;
        state.next = NextFile::Publishing;
        self.spawn("publish next file", move |log| async move {
            let next = match log.try_publish_spare().await {
                Ok(file) => NextFile::Ready { file, len_bytes },
                Err(error) => unavailable(&error),
            };
            log.state.borrow_mut().next = next;
            log.changed.notify();
        });
    }

    async fn try_publish_spare(&self) -> Result<File, FileError> {
        let (temporary, next) = (
            self.directory.join(NEXT_TEMPORARY),
            self.directory.join(NEXT),
        );
        self.directory.rename(&temporary, &next).await?;
        self.directory.sync().await?;
        self.directory.open(&next, Mode::Existing).await
    }

    async fn try_fill_spare(&self, len_bytes: u64, leisure: &Leisure) -> Result<(), FileError> {
        let temporary = self.directory.join(NEXT_TEMPORARY);
        let patience = Duration::from_millis(PREPARATION_PATIENCE_MS);
        let filled = self.fill_anew(&temporary, len_bytes, leisure);
        let filled = self.env.reactor.timeout(patience, filled).await;
        filled
            .unwrap_or_else(|Elapsed| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| FileError::new("prepare", &temporary, error))
    }

    /// Fills the temporary file, in the place of one that an earlier run or attempt has left there.
    async fn fill_anew(
        &self,
        temporary: &Path,
        len_bytes: u64,
        leisure: &Leisure,
    ) -> io::Result<()> {
        let filled = self.fill_temporary(temporary, len_bytes, leisure).await;
        if !matches!(&filled, Err(error) if error.kind() == io::ErrorKind::AlreadyExists) {
            return filled;
        }
        self.directory
            .remove(temporary)
            .await
            .map_err(|error| error.source)?;
        self.fill_temporary(temporary, len_bytes, leisure).await
    }

    /// Fills the temporary file; given up when the log ends, which waits for that.
    async fn fill_temporary(
        &self,
        temporary: &Path,
        len_bytes: u64,
        leisure: &Leisure,
    ) -> io::Result<()> {
        let ended = self.changed.wait(|| self.is_ended().then_some(()));
        let bulk = &self.env.bulk;
        let prepared = bulk.prepare(temporary.to_owned(), len_bytes, leisure.clone());
        match select(pin!(ended), prepared).await {
            Either::Left(_) => Err(io::ErrorKind::Interrupted.into()),
            Either::Right((result, _)) => result,
        }
    }
}

/// What it means that no file could be prepared.
fn unavailable(error: &FileError) -> NextFile {
    if error.source.kind() == io::ErrorKind::Unsupported {
        return NextFile::Unavailable;
    }
    tracing::debug!(%error, "the next segment file could not be prepared");
    NextFile::Failed
}

/// How long it takes until a segment is full, at the rate at which it filled so far.
fn time_to_fill(active: &Segment, now: TimestampMs) -> Duration {
    let age_ms = active
        .first_append
        .map_or(0, |first| now.get().saturating_sub(first.get()));
    let left_bytes = active.capacity_bytes.saturating_sub(active.len_bytes);
    let left_ms = u128::try_from(age_ms).unwrap_or(0) * u128::from(left_bytes)
        / u128::from(active.len_bytes.max(1));
    Duration::from_millis(u64::try_from(left_ms).unwrap_or(u64::MAX))
}
