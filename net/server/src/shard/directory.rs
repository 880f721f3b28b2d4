//! The data directory: made, locked, described, and changed for the control task, which decides.
//!
//! ```text
//! <data>/lock           held by the broker that runs
//! <data>/format.json    whose data this is
//! <data>/topics/<topic id>/<partition>/    the logs
//! ```

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ringlog_coord::directory::FORMAT_FILE;
use ringlog_log::delete_directory;
use ringlog_reactor::{OpenOptions, Reactor};
use ringlog_record::TopicId;

use super::Shard;
use super::command::{DirectoryCommand, DirectoryFound, topic_directory, topics_directory};

const LOCK_FILE: &str = "lock";
const FORMAT_TEMPORARY: &str = "format.json.tmp";

/// Longest `format.json` that is read, in bytes.
const FORMAT_BYTES_MAX: usize = 64 << 10;

/// Why the data directory is not usable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    /// Somebody else has it.
    #[error(
        "the data directory {} is in use by another broker: stop that one, or give this one another directory",
        path.display()
    )]
    InUse { path: PathBuf },
    /// It cannot be written to.
    #[error(
        "the data directory {} is read-only: make it writable for this user, or give another directory",
        path.display()
    )]
    ReadOnly { path: PathBuf },
    /// Something failed.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            DirectoryError::ReadOnly { path }
        }
        _ => DirectoryError::Io {
            operation,
            path,
            source,
        },
    }
}

/// Makes a directory whose parent exists, durably, unless it is there.
pub(crate) async fn make_directory(reactor: &Reactor, path: &Path) -> Result<(), DirectoryError> {
    match reactor.mkdir(path).await {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(failed("make the directory", path)(error)),
    }
    match path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        Some(parent) => reactor
            .sync_dir(parent)
            .await
            .map_err(failed("sync the directory", parent)),
        None => Ok(()),
    }
}

/// Makes a directory and those above it that are missing.
async fn make_directories(reactor: &Reactor, path: &Path) -> Result<(), DirectoryError> {
    let mut missing = Vec::new();
    let mut above = Some(path);
    while let Some(one) = above.filter(|one| !one.as_os_str().is_empty()) {
        if reactor.stat(one).await.is_ok() {
            break;
        }
        missing.push(one);
        above = one.parent();
    }
    for one in missing.into_iter().rev() {
        make_directory(reactor, one).await?;
    }
    // Whoever made it may have crashed before its entry was durable. What is above it may belong to somebody else,
    // who does not let it be opened.
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        && let Err(error) = reactor.sync_dir(parent).await
    {
        tracing::debug!(path = %parent.display(), %error, "the directory above the data directory was not synced");
    }
    Ok(())
}

impl Shard {
    pub(crate) async fn work_on_directory(
        &self,
        command: DirectoryCommand,
    ) -> Result<DirectoryFound, DirectoryError> {
        match command {
            DirectoryCommand::Inspect => return self.inspect_directory().await,
            DirectoryCommand::WriteFormat(bytes) => self.write_format(bytes).await?,
            DirectoryCommand::SetAside(names) => self.set_aside(names).await?,
            DirectoryCommand::RemoveTopic(topic) => self.remove_topic(topic).await?,
        }
        Ok(DirectoryFound::default())
    }

    async fn inspect_directory(&self) -> Result<DirectoryFound, DirectoryError> {
        make_directories(&self.reactor, &self.data_dir).await?;
        self.lock_directory().await?;
        let topics = topics_directory(&self.data_dir);
        make_directory(&self.reactor, &topics).await?;
        let entries = self.reactor.list_dir(&topics).await;
        let entries = entries.map_err(failed("list the directory", &topics))?;
        Ok(DirectoryFound {
            format: self.read_format().await?,
            topics: entries.into_iter().map(|entry| entry.name).collect(),
            seed: self.seed(),
        })
    }

    fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        for part in seed.chunks_mut(8) {
            part.copy_from_slice(&self.reactor.random_u64().to_le_bytes());
        }
        seed
    }

    /// Lets another broker have the directory.
    pub(crate) fn release_directory(&self) {
        self.lock.take();
    }

    async fn lock_directory(&self) -> Result<(), DirectoryError> {
        let path = self.data_dir.join(LOCK_FILE);
        let options = OpenOptions {
            read: true,
            write: true,
            create: true,
            ..OpenOptions::default()
        };
        let file = self.reactor.open(&path, options).await;
        let file = file.map_err(failed("open", &path))?;
        match file.try_lock().await {
            Ok(()) => {
                self.lock.replace(Some(file));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(DirectoryError::InUse {
                path: self.data_dir.clone(),
            }),
            Err(error) => Err(failed("lock", &path)(error)),
        }
    }

    async fn read_format(&self) -> Result<Option<Vec<u8>>, DirectoryError> {
        let path = self.data_dir.join(FORMAT_FILE);
        let options = OpenOptions {
            read: true,
            ..OpenOptions::default()
        };
        let file = match self.reactor.open(&path, options).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("open", &path))?,
        };
        let no_memory = || failed("read", &path)(io::ErrorKind::OutOfMemory.into());
        let buf = self
            .reactor
            .buffer(FORMAT_BYTES_MAX)
            .ok_or_else(no_memory)?;
        let (read, buf) = file.read_at(0, buf, FORMAT_BYTES_MAX).await;
        let len = read.map_err(failed("read", &path))?;
        Ok(Some(buf[..len].to_vec()))
    }

    /// Writes `format.json` so that it is there as a whole or not at all.
    async fn write_format(&self, bytes: Vec<u8>) -> Result<(), DirectoryError> {
        let temporary = self.data_dir.join(FORMAT_TEMPORARY);
        let path = self.data_dir.join(FORMAT_FILE);
        let options = OpenOptions {
            write: true,
            create: true,
            ..OpenOptions::default()
        };
        let file = self.reactor.open(&temporary, options).await;
        let file = file.map_err(failed("make", &temporary))?;
        file.truncate(0)
            .await
            .map_err(failed("write", &temporary))?;
        let written = file.write_at(0, Bytes::from(bytes)).await;
        written.map_err(failed("write", &temporary))?;
        file.sync_all().await.map_err(failed("sync", &temporary))?;
        let renamed = self.reactor.rename(&temporary, &path).await;
        renamed.map_err(failed("rename", &temporary))?;
        let synced = self.reactor.sync_dir(&self.data_dir).await;
        synced.map_err(failed("sync the directory", &self.data_dir))
    }

    async fn set_aside(&self, names: Vec<(String, String)>) -> Result<(), DirectoryError> {
        let topics = topics_directory(&self.data_dir);
        for (from, to) in names {
            let path = topics.join(from);
            let renamed = self.reactor.rename(&path, &topics.join(to)).await;
            renamed.map_err(failed("rename", &path))?;
        }
        let synced = self.reactor.sync_dir(&topics).await;
        synced.map_err(failed("sync the directory", &topics))
    }

    /// Removes what is left of a topic: directories of partitions that no shard has open, and its own.
    async fn remove_topic(&self, topic: TopicId) -> Result<(), DirectoryError> {
        let directory = topic_directory(&self.data_dir, topic);
        let entries = match self.reactor.list_dir(&directory).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            listed => listed.map_err(failed("list the directory", &directory))?,
        };
        for entry in entries {
            let partition = directory.join(entry.name);
            let removed = delete_directory(&self.reactor, &partition).await;
            removed.map_err(|error| DirectoryError::Io {
                operation: "remove",
                path: partition.clone(),
                source: error.source,
            })?;
        }
        let removed = self.reactor.rmdir(&directory).await;
        removed.map_err(failed("remove", &directory))?;
        let topics = topics_directory(&self.data_dir);
        let synced = self.reactor.sync_dir(&topics).await;
        synced.map_err(failed("sync the directory", &topics))
    }
}
