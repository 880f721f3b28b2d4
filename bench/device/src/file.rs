//! The file that is written and read: pre-written, direct, gone afterwards.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::DeviceError;
use crate::limits::PREPARE_BYTES;
use crate::memory::Pages;

/// Tells the files of runs in one process apart.
static FILES: AtomicU64 = AtomicU64::new(0);

/// A file of random bytes, every block written and synced, opened for direct I/O. Removed when dropped.
pub(crate) struct DataFile {
    file: File,
    path: PathBuf,
    len_bytes: u64,
}

impl DataFile {
    /// Makes it in `dir`, which must exist.
    pub(crate) fn create(dir: &Path, len_bytes: u64) -> Result<Self, DeviceError> {
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!(
            "ringlog-device-{}-{number}.tmp",
            std::process::id()
        ));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .custom_flags(libc::O_DIRECT)
            .open(&path)
            .map_err(|source| DeviceError::File {
                action: "make, for direct I/O,",
                path: path.clone(),
                source,
            })?;
        let len_bytes = len_bytes.next_multiple_of(PREPARE_BYTES as u64);
        let data = Self {
            file,
            path,
            len_bytes,
        };
        data.prepare().map_err(|source| DeviceError::File {
            action: "write",
            path: data.path.clone(),
            source,
        })?;
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|source| DeviceError::File {
                action: "sync",
                path: dir.to_owned(),
                source,
            })?;
        Ok(data)
    }

    fn prepare(&self) -> io::Result<()> {
        let chunk = Pages::random(PREPARE_BYTES);
        let mut position = 0;
        while position < self.len_bytes {
            self.file.write_all_at(chunk.bytes(), position)?;
            position += PREPARE_BYTES as u64;
        }
        self.file.sync_all()
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }
}

impl Drop for DataFile {
    fn drop(&mut self) {
        // Nobody to tell: a file left behind is seen in the directory that the caller named.
        drop(fs::remove_file(&self.path));
    }
}
