//! Rolling: going on in another segment file.
//!
//! The append that rolls does not wait: batches go into memory at their place in the new segment at once. A file
//! gets its place in the directory only when the segment before it is durable, so that recovery never finds a named
//! segment behind one that is cut short.

use std::io;
use std::path::Path;

use ringlog_reactor::File;
use ringlog_record::Offset;

use crate::directory::Mode;
use crate::error::{AppendError, FileError};
use crate::limits::{INTERIM_FILL_BYTES_MAX, INTERIM_FILL_PIECE_BYTES};
use crate::log::{LogInner, LogState};
use crate::names::NEXT;
use crate::next_file::NextFile;
use crate::segment::{Segment, SegmentFile, SegmentName};
use crate::tail::block_ceil;

impl LogInner {
    /// Makes sure that the active segment has room for `len_bytes`, which may roll.
    pub(crate) fn make_room_in_segment(
        &self,
        state: &mut LogState,
        len_bytes: u64,
    ) -> Result<(), AppendError> {
        let Some(active) = state.active() else {
            return Err(self.throttled());
        };
        if active.len_bytes + len_bytes <= active.capacity_bytes {
            return Ok(());
        }
        if !active.is_ready() {
            // Nothing more can be lined up before the file of this one is there.
            return Err(self.throttled());
        }
        if active.len_bytes == 0 {
            if !active.is_at_rest() {
                // It is being given its name: it would be taken for ready while it grows, and written to.
                return Err(self.throttled());
            }
            self.grow_empty_segment(state, len_bytes);
            return Ok(());
        }
        let file_bytes = match &state.next {
            NextFile::Unavailable => state.config.file_bytes(active.capacity_bytes, len_bytes),
            // A durable write to a file that nobody prepared costs twice as much: it is left as soon as may be.
            _ => state.config.interim_file_bytes(
                active.capacity_bytes,
                len_bytes,
                state.missed_rolls,
            ),
        };
        state.missed_rolls += 1;
        self.roll(state, len_bytes, file_bytes);
        Ok(())
    }

    /// Seals the active segment and goes on in a new one, in the prepared file if it holds `needed_bytes`, else in
    /// one of `file_bytes` that is made now.
    pub(crate) fn roll(&self, state: &mut LogState, needed_bytes: u64, file_bytes: u64) {
        let base = state.log_end;
        state.tail.roll(base);
        let segment = match state.take_next(needed_bytes) {
            Some((file, len_bytes)) => {
                self.env.counters.rolls_prepared.add(1);
                Segment::new(
                    base,
                    len_bytes,
                    SegmentFile::Open {
                        file,
                        name: SegmentName::Next,
                    },
                )
            }
            None => {
                self.env.counters.rolls_unprepared.add(1);
                Segment::new(base, file_bytes, SegmentFile::Awaited)
            }
        };
        state.segments.insert(base, segment);
        self.spawn("finish roll", |log| async move {
            if let Err(error) = log.finish_roll(base).await {
                log.fail(error.operation, &error.source);
            }
        });
    }

    /// The active segment is empty and too small for a batch: its file grows.
    fn grow_empty_segment(&self, state: &mut LogState, len_bytes: u64) {
        let file_bytes = state.config.file_bytes(0, len_bytes);
        let Some(active) = state.segments.values_mut().next_back() else {
            return;
        };
        active.capacity_bytes = file_bytes;
        let base = active.base;
        if let SegmentFile::Open { file, name } = active.file.clone() {
            active.file = SegmentFile::Awaited;
            self.spawn("grow segment", |log| async move {
                match log.allocate(&file, base, file_bytes).await {
                    Ok(()) => log.segment_is_ready(base, SegmentFile::Open { file, name }),
                    Err(error) => log.fail(error.operation, &error.source),
                }
            });
        }
    }

    async fn finish_roll(&self, base: Offset) -> Result<(), FileError> {
        if !self.may_name_segment(base).await {
            return Ok(());
        }
        let opened = self
            .state
            .borrow()
            .segments
            .get(&base)
            .map(|segment| segment.file.clone());
        let path = self.directory.segment_path(base);
        let file = match opened {
            Some(SegmentFile::Open {
                file,
                name: SegmentName::Next,
            }) => {
                self.name_next(&path).await?;
                self.directory.sync().await?;
                file
            }
            Some(SegmentFile::Awaited) => {
                let file_bytes = self
                    .state
                    .borrow()
                    .segments
                    .get(&base)
                    .map_or(0, |new| new.capacity_bytes);
                let file = self.create_file(base).await?;
                self.allocate(&file, base, file_bytes).await?;
                self.directory.sync().await?;
                file
            }
            _ => return Ok(()),
        };
        self.segment_is_ready(
            base,
            SegmentFile::Open {
                file,
                name: SegmentName::BaseOffset,
            },
        );
        self.seal_before(base).await;
        self.retain_after_roll().await;
        Ok(())
    }

    /// Waits until all segments before `base` are durable and named; false when the log has ended first.
    async fn may_name_segment(&self, base: Offset) -> bool {
        self.changed
            .wait(|| {
                let state = self.state.borrow();
                // A log that is being closed goes on: what was appended has to find its place.
                if state.failure.is_some() {
                    return Some(false);
                }
                let are_named = state
                    .segments
                    .range(..base)
                    .all(|(_, segment)| segment.is_at_rest());
                (state.durable_end >= base && are_named).then_some(true)
            })
            .await
    }

    fn segment_is_ready(&self, base: Offset, file: SegmentFile) {
        if let Some(segment) = self.state.borrow_mut().segments.get_mut(&base) {
            segment.file = file;
        }
        self.changed.notify();
        self.request_flush();
    }

    /// Gives the prepared file its name, for which the directory may need space.
    async fn name_next(&self, path: &Path) -> Result<(), FileError> {
        let next = self.directory.join(NEXT);
        self.retry_while_full(async || {
            let renamed = self.directory.rename(&next, path).await;
            renamed.map_err(|error| error.source)
        })
        .await
        .map_err(|error| FileError::new("rename", &next, error))
    }

    async fn create_file(&self, base: Offset) -> Result<File, FileError> {
        let path = self.directory.segment_path(base);
        self.retry_while_full(async || {
            let opened = self.directory.open(&path, Mode::New).await;
            opened.map_err(|error| error.source)
        })
        .await
        .map_err(|error| FileError::new("create", &path, error))
    }

    /// Gives a segment file that nobody prepared its `file_bytes`, however long the file system has no room for it, and
    /// makes its length durable.
    async fn allocate(&self, file: &File, base: Offset, file_bytes: u64) -> Result<(), FileError> {
        let failed = |operation| {
            move |error| FileError::new(operation, &self.directory.segment_path(base), error)
        };
        self.retry_while_full(async || file.allocate(file_bytes).await)
            .await
            .map_err(failed("allocate"))?;
        self.fill(file, file_bytes).await.map_err(failed("fill"))?;
        file.sync_all().await.map_err(failed("sync"))
    }

    /// Fills a file with zeros, unless it is large. Each batch that is written to blocks that are merely allocated has the
    /// file system commit its journal with the sync, which takes more time, and more of this core, than writing the
    /// blocks twice does.
    async fn fill(&self, file: &File, file_bytes: u64) -> io::Result<()> {
        if file_bytes > INTERIM_FILL_BYTES_MAX {
            return Ok(());
        }
        let len = usize::try_from(INTERIM_FILL_PIECE_BYTES.min(file_bytes)).unwrap_or(0);
        // Without memory the blocks are merely allocated.
        let Some(mut zeros) = self.env.reactor.buffer(len) else {
            return Ok(());
        };
        zeros[..len].fill(0);
        let zeros = zeros.freeze(len);
        let mut position = 0;
        while position < file_bytes {
            let left = usize::try_from(file_bytes - position).unwrap_or(len);
            let piece = zeros.slice(..len.min(left));
            self.retry_while_full(async || file.write_at(position, piece.clone()).await)
                .await?;
            position += piece.len() as u64;
        }
        self.env.counters.prepared_bytes.add(position);
        Ok(())
    }

    /// Writes the index of the segment before `base`, and gives back what its file has too much. Nothing depends on
    /// either.
    async fn seal_before(&self, base: Offset) {
        let sealed = self
            .state
            .borrow()
            .segments
            .range(..base)
            .next_back()
            .map(|(_, segment)| segment.clone());
        if let Some(sealed) = sealed {
            crate::index_file::write(&self.env, &self.directory, &sealed).await;
            self.trim(&sealed).await;
            if let Some(sealed) = self.state.borrow_mut().segments.get_mut(&sealed.base) {
                sealed.close_file();
            }
        }
    }

    /// Cuts off what a sealed segment did not use when that is more than a tenth: a segment that was sealed for its
    /// age may be nearly empty.
    async fn trim(&self, sealed: &Segment) {
        let used_bytes = block_ceil(sealed.len_bytes);
        let unused_bytes = sealed.capacity_bytes.saturating_sub(used_bytes);
        let SegmentFile::Open { file, .. } = &sealed.file else {
            return;
        };
        if unused_bytes <= sealed.capacity_bytes / 10 {
            return;
        }
        match file.truncate(used_bytes).await {
            Ok(()) => {
                if let Some(segment) = self.state.borrow_mut().segments.get_mut(&sealed.base) {
                    segment.capacity_bytes = used_bytes;
                }
            }
            Err(error) => {
                let path = self.directory.segment_path(sealed.base);
                tracing::warn!(path = %path.display(), %error, "a sealed segment was not cut to its length");
            }
        }
    }
}

/// Makes an empty segment file with room for `file_bytes` while the log is being opened.
pub(crate) async fn create_first_segment(
    directory: &crate::directory::Directory,
    base: Offset,
    file_bytes: u64,
) -> Result<Segment, FileError> {
    let path = directory.segment_path(base);
    let file = directory.open(&path, Mode::Either).await?;
    let made = async {
        file.allocate(file_bytes).await?;
        file.sync_all().await
    };
    made.await
        .map_err(|error| FileError::new("allocate", &path, error))?;
    directory.sync().await?;
    Ok(Segment::new(
        base,
        file_bytes,
        SegmentFile::Open {
            file,
            name: SegmentName::BaseOffset,
        },
    ))
}
