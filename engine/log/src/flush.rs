//! A flush group: what one log writes and syncs in one round.

use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::join_all;
use std::io;

use ringlog_reactor::{File, WriteSyncError};
use ringlog_record::Offset;
use smallvec::SmallVec;

use crate::log::LogInner;
use crate::omit::Step;

/// The part of a log that one round makes durable. Its end was captured when it was submitted.
pub(crate) struct FlushGroup {
    pub(crate) log: Rc<LogInner>,
    pub(crate) file: File,
    /// Aligned positions and whole blocks; no two touch one block.
    pub(crate) writes: SmallVec<[(u64, Bytes); 1]>,
    pub(crate) end: GroupEnd,
    pub(crate) result: io::Result<()>,
}

/// Where a flush group ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupEnd {
    /// Base offset of its segment.
    pub(crate) segment: Offset,
    /// Position behind its last batch.
    pub(crate) position: u64,
    /// Offset behind its last record.
    pub(crate) offset: Offset,
}

impl FlushGroup {
    /// Writes and syncs as the only group of a round: where the blocks lie together, in one go.
    pub(crate) async fn commit(mut self) {
        let one = match self.writes.as_slice() {
            [(position, data)]
                if !Step::SyncBeforeAck.is_omitted()
                    && !Step::OfflineAfterFailedSync.is_omitted() =>
            {
                Some((*position, data.clone()))
            }
            _ => None,
        };
        let Some((position, data)) = one else {
            if let Some(written) = self.write().await {
                written.sync().await;
            }
            return;
        };
        self.log.env.counters.written_bytes.add(data.len() as u64);
        match self.file.write_sync_at(position, data).await {
            Ok(()) => self.log.group_is_durable(self.end),
            Err(WriteSyncError::Sync(error)) => self.log.fail("sync the segment file", &error),
            Err(WriteSyncError::Unanswered(error)) => {
                self.log.fail("write and sync the segment file", &error);
            }
            Err(WriteSyncError::Write(error)) => {
                self.result = Err(error);
                if let Some(written) = self.after_write() {
                    written.sync().await;
                }
            }
        }
    }

    /// Writes the blocks. A group that finds no space leaves the round, so that it does not hold up the others, and
    /// goes on by itself.
    pub(crate) async fn write(mut self) -> Option<Self> {
        self.result = self.try_write().await;
        self.after_write()
    }

    fn after_write(mut self) -> Option<Self> {
        if !matches!(&self.result, Err(error) if error.kind() == io::ErrorKind::StorageFull) {
            return Some(self);
        }
        let log = Rc::clone(&self.log);
        log.spawn("flush group without space", |log| async move {
            self.result = log.retry_while_full(async || self.try_write().await).await;
            self.sync().await;
        });
        None
    }

    /// Writes the blocks once. All writes have ended when this returns, so that they can be written again.
    async fn try_write(&self) -> io::Result<()> {
        let written = self.writes.iter().map(|(position, data)| {
            self.log.env.counters.written_bytes.add(data.len() as u64);
            self.file.write_at(*position, data.clone())
        });
        join_all(written).await.into_iter().collect()
    }

    /// Makes the writes durable, and tells the log.
    pub(crate) async fn sync(self) {
        let Self {
            log,
            file,
            end,
            result,
            ..
        } = self;
        if let Err(error) = result {
            log.fail("write the segment file", &error);
            return;
        }
        if !Step::SyncBeforeAck.is_omitted()
            && let Err(error) = sync_once(&file).await
        {
            log.fail("sync the segment file", &error);
            return;
        }
        log.group_is_durable(end);
    }
}

/// Syncs a file, and never tries again: a second sync may succeed over what the first one has given up.
async fn sync_once(file: &File) -> io::Result<()> {
    let synced = file.sync_data().await;
    if synced.is_err() && Step::OfflineAfterFailedSync.is_omitted() {
        return file.sync_data().await;
    }
    synced
}
