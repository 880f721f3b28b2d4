//! A flush group: what one log writes and syncs in one round.

use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use std::io;
use std::time::Duration;

use ringlog_reactor::File;
use ringlog_record::Offset;

use crate::limits::SPACE_RETRY_MS;
use crate::log::LogInner;

/// The part of a log that one round makes durable. Its end was captured when it was submitted.
pub(crate) struct FlushGroup {
    pub(crate) log: Rc<LogInner>,
    pub(crate) file: File,
    /// Aligned positions and whole blocks; no two touch one block.
    pub(crate) writes: Vec<(u64, Bytes)>,
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
    /// Writes the blocks.
    pub(crate) async fn write(mut self) -> Self {
        let writes = std::mem::take(&mut self.writes);
        self.result = try_join_all(
            writes
                .into_iter()
                .map(|(position, data)| self.write_one(position, data)),
        )
        .await
        .map(|_| ());
        self
    }

    /// Writes `data`, however long the file system has no space for it: that is no failure of the device, nothing
    /// was given up, and the same bytes go to the same place.
    async fn write_one(&self, position: u64, data: Bytes) -> io::Result<()> {
        loop {
            self.log.env.counters.written_bytes.add(data.len() as u64);
            match self.file.write_at(position, data.clone()).await {
                Err(error)
                    if error.kind() == io::ErrorKind::StorageFull && !self.log.is_ended() =>
                {
                    self.log.set_without_space(true);
                    self.log
                        .env
                        .reactor
                        .sleep(Duration::from_millis(SPACE_RETRY_MS))
                        .await;
                }
                result => {
                    self.log.set_without_space(false);
                    return result;
                }
            }
        }
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
        if !cfg!(feature = "omit-fdatasync-before-ack")
            && let Err(error) = file.sync_data().await
        {
            log.fail("sync the segment file", &error);
            return;
        }
        log.group_is_durable(end);
    }
}
