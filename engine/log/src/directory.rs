//! The directory of a log, and the operations in it that correctness depends on.

use std::io;
use std::path::{Path, PathBuf};

use ringlog_reactor::{File, OpenOptions, Reactor};
use ringlog_record::Offset;

use crate::error::FileError;
use crate::limits::DELETE_ATTEMPTS_MAX;
use crate::names::{self, FileName};
use crate::omit::Step;

/// The directory of a log.
#[derive(Clone)]
pub(crate) struct Directory {
    reactor: Reactor,
    path: PathBuf,
}

/// A file of a log as its directory lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: FileName,
    pub(crate) len_bytes: u64,
}

impl Entry {
    /// Whether records may be in it.
    pub(crate) fn holds_records(&self) -> bool {
        matches!(self.name, FileName::Segment(_) | FileName::Next)
    }
}

/// How to open a file of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It must be there.
    Existing,
    /// It must not be there.
    New,
    /// It is made when it is missing.
    Either,
}

impl Directory {
    pub(crate) fn new(reactor: Reactor, path: PathBuf) -> Self {
        Self { reactor, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn segment_path(&self, base: Offset) -> PathBuf {
        names::segment_path(&self.path, base)
    }

    pub(crate) fn index_path(&self, base: Offset) -> PathBuf {
        names::index_path(&self.path, base)
    }

    /// Makes the directory and those above it where they are missing, and makes their entries durable: a directory
    /// that is there may have been made just before a crash of the process.
    pub(crate) async fn ensure(&self) -> Result<(), FileError> {
        let mut missing = vec![self.path.clone()];
        while let Some(path) = missing.last().cloned() {
            match self.reactor.mkdir(&path).await {
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && path.parent().is_some() =>
                {
                    missing.extend(path.parent().map(Path::to_owned));
                }
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(FileError::new("make the directory", &path, error));
                }
                made => {
                    missing.pop();
                    if let (Ok(()), Some(parent)) = (made, path.parent()) {
                        sync_directory(&self.reactor, parent).await?;
                    }
                }
            }
        }
        // The partition's entry is in the topic's directory, and the topic's in the one above.
        for path in self
            .path
            .ancestors()
            .skip(1)
            .take(2)
            .filter(|path| !path.as_os_str().is_empty())
        {
            sync_directory(&self.reactor, path).await?;
        }
        self.sync().await
    }

    /// The files of the log.
    pub(crate) async fn list(&self) -> Result<Vec<Entry>, FileError> {
        let entries = self
            .reactor
            .list_dir(&self.path)
            .await
            .map_err(|error| FileError::new("list the directory", &self.path, error))?;
        let known = |entry: &ringlog_reactor::DirEntry| match FileName::parse(&entry.name) {
            Some(name) => Some(Entry {
                name,
                len_bytes: entry.len_bytes,
            }),
            None => {
                let (directory, name) = (self.path.display(), entry.name.as_str());
                tracing::warn!(%directory, name, "a file that is not of the log lies in its directory");
                None
            }
        };
        Ok(entries.iter().filter_map(known).collect())
    }

    pub(crate) async fn open(&self, path: &Path, mode: Mode) -> Result<File, FileError> {
        let options = OpenOptions {
            read: true,
            write: true,
            direct: true,
            create: mode == Mode::Either,
            create_new: mode == Mode::New,
            ..OpenOptions::default()
        };
        self.reactor
            .open(path, options)
            .await
            .map_err(|error| FileError::new("open", path, error))
    }

    pub(crate) async fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        self.reactor
            .rename(from, to)
            .await
            .map_err(|error| FileError::new("rename", from, error))
    }

    /// Removes a file, if it is there.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), FileError> {
        match self.reactor.unlink(path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FileError::new("remove", path, error))
            }
            _ => Ok(()),
        }
    }

    /// Makes the entries of the directory durable.
    pub(crate) async fn sync(&self) -> Result<(), FileError> {
        sync_directory(&self.reactor, &self.path).await
    }
}

async fn sync_directory(reactor: &Reactor, path: &Path) -> Result<(), FileError> {
    if Step::DirectorySync.is_omitted() {
        return Ok(());
    }
    reactor
        .sync_dir(path)
        .await
        .map_err(|error| FileError::new("sync the directory", path, error))
}

/// Removes a closed log and its directory. A crash may bring it back until the directory above is synced or, durably,
/// removed as well, which whoever removes many does once.
///
/// # Errors
///
/// [`FileError`]; some of the files may be gone then, and it can be tried again.
pub async fn delete_directory(reactor: &Reactor, path: &Path) -> Result<(), FileError> {
    // Whoever prepared a file when the log was closed may still be putting it away.
    for _ in 0..DELETE_ATTEMPTS_MAX {
        if !delete_files(reactor, path).await? {
            return Ok(());
        }
        match reactor.rmdir(path).await {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) => return Err(FileError::new("remove the directory", path, error)),
            Ok(()) => return Ok(()),
        }
    }
    let error = io::ErrorKind::DirectoryNotEmpty.into();
    Err(FileError::new("remove the directory", path, error))
}

/// Removes all files in a directory; false when there is no such directory.
async fn delete_files(reactor: &Reactor, path: &Path) -> Result<bool, FileError> {
    let entries = match reactor.list_dir(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result.map_err(|error| FileError::new("list the directory", path, error))?,
    };
    for entry in entries {
        let file = path.join(entry.name);
        match reactor.unlink(&file).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::new("remove", &file, error));
            }
            _ => {}
        }
    }
    Ok(true)
}
