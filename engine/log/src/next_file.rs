//! The prepared file `next`: how it comes to be.
//!
//! It is made under a temporary name off the data path, renamed, and its directory synced; then it is ready. The log
//! rolls into it and writes to it under that name, and renames it to its base offset afterwards. Not before that
//! rename is durable is another one prepared.

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
use crate::log::LogInner;
use crate::names::{NEXT, NEXT_TEMPORARY};
use crate::segment::Segment;

/// How far the prepared file is.
pub(crate) enum NextFile {
    /// There is none.
    Absent,
    /// It is being made.
    Preparing {
        leisure: Leisure,
        /// Rolls that did not wait for it.
        rolls: u32,
    },
    /// It can be rolled into.
    Ready { file: File, len_bytes: u64 },
    /// It could not be made; tried again after the next roll.
    Failed,
    /// Nobody prepares files here.
    Unavailable,
}

impl NextFile {
    /// It is being made from now on.
    pub(crate) fn preparing(leisure: Leisure) -> Self {
        Self::Preparing { leisure, rolls: 0 }
    }

    /// How many rolls did not wait for it while it was being made.
    pub(crate) fn missed_rolls(&self) -> u32 {
        match self {
            Self::Preparing { rolls, .. } => *rolls,
            _ => 0,
        }
    }

    /// Takes the file when it is ready and holds `needed_bytes`.
    pub(crate) fn take(&mut self, needed_bytes: u64) -> Option<(File, u64)> {
        match self {
            Self::Ready { file, len_bytes } if *len_bytes >= needed_bytes => {
                let taken = (file.clone(), *len_bytes);
                *self = Self::Absent;
                Some(taken)
            }
            Self::Failed => {
                *self = Self::Absent;
                None
            }
            Self::Preparing { rolls, .. } => {
                *rolls += 1;
                None
            }
            _ => None,
        }
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
        if let NextFile::Preparing { leisure, .. } = &state.next
            && active.len_bytes >= active.capacity_bytes / 8 * 7
        {
            // It fills faster than it did.
            leisure.end();
        }
        if !matches!(state.next, NextFile::Absent)
            || active.len_bytes < active.capacity_bytes / 8
            || state.is_ended()
        {
            return;
        }
        let left = time_to_fill(active, self.now_ms());
        let within = (left / 4 * 3).min(Duration::from_millis(PREPARATION_MS_MAX));
        let fills_fast = active.capacity_bytes > SEGMENT_BYTES_MIN && left <= SOON;
        let is_due = fills_fast || active.len_bytes >= active.capacity_bytes / 2;
        // The name must be free; a file that an unprepared segment waits for gets its own at once.
        if is_due && !state.segments.values().any(Segment::is_named_next) {
            let len_bytes = state.config.file_bytes(active.capacity_bytes, 0);
            let leisure = Leisure::new(within);
            state.next = NextFile::preparing(leisure.clone());
            self.spawn("prepare next file", move |log| {
                log.prepare_next(len_bytes, leisure)
            });
        }
    }

    async fn prepare_next(self: Rc<Self>, len_bytes: u64, leisure: Leisure) {
        let next = match self.try_prepare_next(len_bytes, leisure).await {
            Ok(file) => {
                self.env.counters.prepared_bytes.add(len_bytes);
                NextFile::Ready { file, len_bytes }
            }
            Err(error) if error.source.kind() == io::ErrorKind::Unsupported => {
                NextFile::Unavailable
            }
            Err(error) => {
                tracing::debug!(%error, "the next segment file could not be prepared");
                NextFile::Failed
            }
        };
        self.state.borrow_mut().next = next;
        self.changed.notify();
    }

    /// Fills the temporary file; given up when the log ends, which waits for that.
    async fn prepare_temporary(
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

    /// As before, in the place of a file that an earlier run or attempt has left there.
    async fn prepare_anew(
        &self,
        temporary: &Path,
        len_bytes: u64,
        leisure: &Leisure,
    ) -> io::Result<()> {
        let prepared = self.prepare_temporary(temporary, len_bytes, leisure).await;
        if !matches!(&prepared, Err(error) if error.kind() == io::ErrorKind::AlreadyExists) {
            return prepared;
        }
        self.directory
            .remove(temporary)
            .await
            .map_err(|error| error.source)?;
        self.prepare_temporary(temporary, len_bytes, leisure).await
    }

    async fn try_prepare_next(&self, len_bytes: u64, leisure: Leisure) -> Result<File, FileError> {
        let (temporary, next) = (
            self.directory.join(NEXT_TEMPORARY),
            self.directory.join(NEXT),
        );
        let patience = Duration::from_millis(PREPARATION_PATIENCE_MS);
        let prepared = self.prepare_anew(&temporary, len_bytes, &leisure);
        let prepared = self.env.reactor.timeout(patience, prepared).await;
        prepared
            .unwrap_or_else(|Elapsed| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| FileError::new("prepare", &temporary, error))?;
        self.directory.rename(&temporary, &next).await?;
        self.directory.sync().await?;
        self.directory.open(&next, Mode::Existing).await
    }
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
