//! Open files. An operation that a device does not answer fails with `TimedOut`; see
//! [`crate::limits::DISK_PATIENCE_SECONDS`].

use std::io;
use std::ops::Range;
use std::rc::Rc;

use bytes::{Buf, Bytes};

use crate::buf::AlignedBuf;
use crate::limits::BLOCK_BYTES;
use crate::op::{Handle, Op, Output, SyncKind};
use crate::reactor::{Reactor, unexpected};

/// Which part of a durable write failed.
#[derive(Debug)]
pub enum WriteSyncError {
    /// The write: how much was written is unknown, and nothing is durable.
    Write(io::Error),
    /// The sync: the state on the device is unknown. Never retry.
    Sync(io::Error),
    /// The device answered neither in time.
    Unanswered(io::Error),
}

/// An open file of this core. Clones share it; it is closed when the last one is dropped.
#[derive(Clone)]
pub struct File(Rc<Owned>);

struct Owned {
    reactor: Reactor,
    handle: Handle,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.reactor.run_detached(Op::Close {
            handle: self.handle,
        });
    }
}

impl File {
    pub(crate) fn new(reactor: Reactor, handle: Handle) -> Self {
        Self(Rc::new(Owned { reactor, handle }))
    }

    /// Reads up to `len` bytes at `position` to the front of `buf`, which comes back whatever the result (another one
    /// when the device does not answer). Fewer bytes are read only at the end of the file. On a direct file all three are multiples of 4096.
    pub async fn read_at(
        &self,
        position: u64,
        buf: AlignedBuf,
        len: usize,
    ) -> (io::Result<usize>, AlignedBuf) {
        self.read_into(position, buf, 0..len).await
    }

    /// As [`File::read_at`], but to `range` of `buf`. On a direct file both of its ends are multiples of 4096.
    pub async fn read_into(
        &self,
        position: u64,
        buf: AlignedBuf,
        range: Range<usize>,
    ) -> (io::Result<usize>, AlignedBuf) {
        let (at, len, capacity) = (range.start, range.len(), buf.capacity());
        let op = Op::ReadAt {
            file: self.0.handle,
            position,
            buf,
            at,
            len,
        };
        match self.0.reactor.run_disk(op).await {
            Ok(Output::Buf(result, buf)) => (result, buf),
            Ok(other) => (Err(unexpected(&other)), AlignedBuf::unpooled(capacity)),
            // The buffer is the device's until the operation ends.
            Err(error) => (Err(error), AlignedBuf::unpooled(capacity)),
        }
    }

    /// Writes all of `data` at `position`. On a direct file position, length and memory are aligned to 4096.
    ///
    /// # Errors
    ///
    /// What the operating system says; how much was written is then unknown.
    pub async fn write_at(&self, mut position: u64, mut data: Bytes) -> io::Result<()> {
        while !data.is_empty() {
            let op = Op::WriteAt {
                file: self.0.handle,
                position,
                data: data.clone(),
            };
            let written = match self.0.reactor.run_disk(op).await? {
                Output::Count(result) => result?,
                other => return Err(unexpected(&other)),
            };
            // A short write goes on from the last whole block, so that a direct file stays aligned.
            let whole = if written == data.len() {
                written
            } else {
                written - written % BLOCK_BYTES
            };
            if whole == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            data.advance(whole);
            position += whole as u64;
        }
        Ok(())
    }

    /// Writes all of `data` at `position` and makes it durable, in one go: what [`File::write_at`] and [`File::sync_data`]
    /// do one after the other, but nothing waits for this core in between.
    ///
    /// # Errors
    ///
    /// As of the two; which of them failed is in the error.
    pub async fn write_sync_at(
        &self,
        position: u64,
        mut data: Bytes,
    ) -> Result<(), WriteSyncError> {
        let op = Op::WriteSync {
            file: self.0.handle,
            position,
            data: data.clone(),
        };
        match self.0.reactor.run_disk(op).await {
            Ok(Output::Unit(synced)) => synced.map_err(WriteSyncError::Sync),
            Ok(Output::Count(Ok(written))) => {
                // The write was short, and nothing is synced.
                let whole = written.min(data.len()) / BLOCK_BYTES * BLOCK_BYTES;
                data.advance(whole);
                self.write_at(position + whole as u64, data)
                    .await
                    .map_err(WriteSyncError::Write)?;
                self.sync_data().await.map_err(WriteSyncError::Sync)
            }
            Ok(Output::Count(Err(error))) => Err(WriteSyncError::Write(error)),
            Err(error) => Err(WriteSyncError::Unanswered(error)),
            Ok(other) => Err(WriteSyncError::Write(unexpected(&other))),
        }
    }

    /// Makes the contents durable (fdatasync): every write that completed before this call.
    ///
    /// # Errors
    ///
    /// What the operating system says. After an error the state on the device is unknown: never retry.
    pub async fn sync_data(&self) -> io::Result<()> {
        self.0
            .reactor
            .run_disk_unit(Op::Sync {
                file: self.0.handle,
                kind: SyncKind::Data,
            })
            .await
    }

    /// Makes contents and metadata durable (fsync).
    ///
    /// # Errors
    ///
    /// As for [`File::sync_data`].
    pub async fn sync_all(&self) -> io::Result<()> {
        self.0
            .reactor
            .run_disk_unit(Op::Sync {
                file: self.0.handle,
                kind: SyncKind::All,
            })
            .await
    }

    /// Allocates blocks from 0 to `len_bytes`; the file is at least that long afterwards.
    ///
    /// # Errors
    ///
    /// `StorageFull` when the file system has no room, and what else the operating system says.
    pub async fn allocate(&self, len_bytes: u64) -> io::Result<()> {
        self.0
            .reactor
            .run_disk_unit(Op::Allocate {
                file: self.0.handle,
                len_bytes,
            })
            .await
    }

    /// Sets the length.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        self.0
            .reactor
            .run_disk_unit(Op::Truncate {
                file: self.0.handle,
                len_bytes,
            })
            .await
    }

    /// Takes the exclusive advisory lock, held until the file is closed.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when another holder has it.
    pub async fn try_lock(&self) -> io::Result<()> {
        self.0
            .reactor
            .run_disk_unit(Op::TryLock {
                file: self.0.handle,
            })
            .await
    }
}
