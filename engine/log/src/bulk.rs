//! The port behind which files are prepared off the data path.
//!
//! A durable write into a block that was written before costs half of one into a block that is merely allocated
//! or lies beyond the end of the file. So the file that a log rolls into next is filled ahead of time: by the
//! maintenance executor in a broker, by the simulation in the simulation, and by nobody where that is not to be
//! had. A log never waits for it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, ready};

/// How much time the making of a file may take. Clones are of the same file.
#[derive(Clone, Debug, Default)]
pub struct Leisure {
    within: Duration,
    is_over: Arc<AtomicBool>,
}

impl Leisure {
    /// So much, until it is over.
    pub fn new(within: Duration) -> Self {
        Self {
            within,
            is_over: Arc::default(),
        }
    }

    /// From now on the file is wanted as soon as may be.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// The time that the whole file may take; nothing once it is wanted as soon as may be.
    pub fn within(&self) -> Duration {
        if self.is_over.load(Ordering::Relaxed) {
            Duration::ZERO
        } else {
            self.within
        }
    }
}

/// Makes files of zeros.
pub trait BulkFiles {
    /// Creates `path` with `len_bytes` of zeros, written out and synced; syncing its directory is left to the
    /// caller. The work begins at once; dropping the future gives it up. It may be spread over the time of `leisure`, so
    /// that the device is left to others; it is not when more files wait to be made.
    ///
    /// # Errors
    ///
    /// In the future: `AlreadyExists` when there is such a file, which is not touched; `WouldBlock` when too
    /// many requests wait; `Unsupported` when nobody prepares files here; else what the system said, and no file
    /// is left behind.
    fn prepare(
        &self,
        path: PathBuf,
        len_bytes: u64,
        leisure: Leisure,
    ) -> LocalBoxFuture<'static, io::Result<()>>;
}

/// Prepares nothing, for a broker whose maintenance executor could not start.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBulkFiles;

impl BulkFiles for NoBulkFiles {
    fn prepare(
        &self,
        _path: PathBuf,
        _len_bytes: u64,
        _leisure: Leisure,
    ) -> LocalBoxFuture<'static, io::Result<()>> {
        Box::pin(ready(Err(io::ErrorKind::Unsupported.into())))
    }
}
