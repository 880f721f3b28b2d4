//! Recycling: the file of a segment that retention took leave of becomes the next one of its log, as it is.
//!
//! Writing into blocks that were written before is cheap, and nothing has to be written twice. What the file held stays
//! in it, and that is safe for these reasons:
//!
//! - It stays within its log, and leaves only when the log start above it is durable. So all its batches have offsets
//!   below any that the log will give out or expect, whatever a crash takes back, and whoever meets one behind the end
//!   of the log, at the place of the next batch, finds the wrong offset.
//! - It holds whole batches, from the front to where they end, and zeros behind. What looks like a batch within a value
//!   of one of them can be told from batches of the log, since a valid batch lies around it.
//! - Its new name is durable before anything is written to it.
//! - It is at rest: sealed, durable, its index written. Nothing is under way in it but reads. A reader that comes too
//!   late finds other offsets than it expects, and learns that the log starts behind what it wants.

use ringlog_reactor::{AlignedBuf, File};

use crate::directory::Mode;
use crate::error::FileError;
use crate::limits::{FLUSH_GROUP_BYTES_MAX, SCAN_BYTES};
use crate::log::{LogInner, LogState};
use crate::names::NEXT;
use crate::next_file::NextFile;
use crate::segment::{Segment, SegmentFile};
use crate::tail::{block_ceil, block_floor};

const _: () = assert!(SCAN_BYTES as u64 >= FLUSH_GROUP_BYTES_MAX);

impl LogInner {
    /// Makes the file of a segment below the durable log start the next one of the log, if one is wanted and this one
    /// will do. Says whether it is gone from its name.
    pub(crate) async fn recycle(&self, segment: &Segment) -> bool {
        {
            let state = &mut *self.state.borrow_mut();
            if !(self.env.space.has_room() && state.wants_recycled(segment)) {
                return false;
            }
            // Nobody else gets the name meanwhile, and who closes the log waits.
            state.next = NextFile::Publishing;
        }
        let recycled = self.try_recycle(segment).await;
        let is_gone = recycled.is_ok();
        self.state.borrow_mut().next = match recycled {
            Ok(file) => {
                self.env.counters.files_recycled.add(1);
                let len_bytes = segment.capacity_bytes;
                NextFile::Ready { file, len_bytes }
            }
            Err(error) => {
                tracing::debug!(%error, "a segment file could not be recycled");
                // A spare one may do.
                NextFile::Absent
            }
        };
        self.changed.notify();
        is_gone
    }

    async fn try_recycle(&self, segment: &Segment) -> Result<File, FileError> {
        let path = self.directory.segment_path(segment.base);
        let next = self.directory.join(NEXT);
        let file = self.directory.open(&path, Mode::Existing).await?;
        let cleared = self.clear_unused(&file, segment).await;
        cleared.map_err(|error| FileError::new("clear", &path, error))?;
        self.directory.rename(&path, &next).await?;
        self.directory.sync().await?;
        Ok(file)
    }

    /// Zeros over what a sealed segment did not use of its file: parts of batches that were there before it.
    async fn clear_unused(&self, file: &File, segment: &Segment) -> std::io::Result<()> {
        let (start, end) = (block_floor(segment.len_bytes), segment.capacity_bytes);
        if segment.len_bytes == end {
            return Ok(());
        }
        let len = usize::try_from(end - start).unwrap_or(SCAN_BYTES);
        let kept = usize::try_from(segment.len_bytes - start).unwrap_or(0);
        let reactor = &self.env.reactor;
        let buf = reactor
            .buffer(len)
            .unwrap_or_else(|| AlignedBuf::unpooled(len));
        // The last batch ends in the first of these blocks.
        let (read, mut buf) = file.read_at(start, buf, len).await;
        let read = read?.min(len);
        buf[read..len].fill(0);
        if buf[kept..len].iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        buf[kept..len].fill(0);
        self.env.counters.metadata_bytes.add(len as u64);
        file.write_at(start, buf.freeze(len)).await?;
        file.sync_data().await
    }
}

impl LogState {
    /// Whether the log has no next file yet, and that of `segment` is as large as one that would be made, and nearly full.
    fn wants_recycled(&self, segment: &Segment) -> bool {
        let Some(active) = self.active() else {
            return false;
        };
        let is_wanted = match self.next {
            NextFile::Absent | NextFile::Failed | NextFile::Unavailable => true,
            NextFile::Publishing | NextFile::Ready { .. } => false,
        };
        let wanted_bytes = self.config.file_bytes(active.capacity_bytes, 0);
        let unused_bytes = segment.capacity_bytes - block_ceil(segment.len_bytes);
        is_wanted
            && !self.is_ended()
            // Who takes the log to memory removes the next file.
            && self.memory.is_none()
            && !self.is_moving
            && !self.is_without_space()
            && self.name_is_free()
            // Whoever sealed it is done with it.
            && matches!(segment.file, SegmentFile::Closed)
            && segment.end <= self.log_start()
            && segment.capacity_bytes == wanted_bytes
            && unused_bytes <= FLUSH_GROUP_BYTES_MAX
    }
}
