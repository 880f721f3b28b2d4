//! The redb file of the embedded store.
//!
//! ```text
//! table "counters": name -> u64      "format" = 1, "last_zxid", "last_session"
//! table "nodes":    path -> value    persistent nodes, without the root
//!
//! value, little-endian:
//!   0        8        16       20
//!   +--------+--------+--------+----------------+
//!   | czxid  | mzxid  | version| data           |
//!   | u64    | u64    | u32    | to the end     |
//!   +--------+--------+--------+----------------+
//! ```
//!
//! A commit is durable when it returns (redb's `Durability::Immediate`), and the directory entry of the file
//! is durable before the store is used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, Durability, ReadableTable, StorageError, TableDefinition};
use thiserror::Error;

use super::super::tree::{Staged, Tree};
use super::super::{Node, NodePath, SessionId, Stat, Version, Zxid};

const NODES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("nodes");
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
const FORMAT: u64 = 1;
const HEADER_BYTES: usize = 20;
/// The tree is in memory: redb needs pages only to write.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Why the embedded store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error(
        "the metadata store {path} is in use by another broker: stop that one, or give this one another data directory"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error(
        "the metadata store {path} has format {found}, this program reads up to {supported}: use a newer program"
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest that is understood.
        supported: u64,
    },
    /// It does not hold what it must.
    #[error(
        "the metadata store {path} is damaged: {reason}; nothing was changed, restore the file from a copy"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refused.
    #[error("cannot {what} the metadata store {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What an open yields.
pub(super) struct Opened {
    pub(super) file: MetadataFile,
    pub(super) tree: Tree,
    pub(super) session: SessionId,
}

/// The file, held open and locked.
pub(super) struct MetadataFile {
    path: PathBuf,
    database: Database,
}

impl MetadataFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens or creates the file, reads the tree, and takes a session number, durably.
    pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
        let io_error = |what| {
            move |source| OpenError::Io {
                path: path.to_owned(),
                what,
                source,
            }
        };
        if !path.try_exists().map_err(io_error("look for"))? {
            Self::create(path)?;
        }
        sync_parent(path).map_err(io_error("make durable"))?;
        let database = builder()
            .open(path)
            .map_err(|error| open_error(path, error))?;
        Self::load_from(path, database)
    }

    /// Makes an empty store under another name and renames it: a crash in between leaves no store, never half
    /// of one.
    fn create(path: &Path) -> Result<(), OpenError> {
        let io_error = |what| {
            move |source| OpenError::Io {
                path: path.to_owned(),
                what,
                source,
            }
        };
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".new");
        let unfinished = PathBuf::from(unfinished);
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("create")(error));
            }
            Ok(()) | Err(_) => {}
        }
        let database = builder()
            .create(&unfinished)
            .map_err(|error| open_error(path, error))?;
        drop(Self::load_from(&unfinished, database)?);
        std::fs::rename(&unfinished, path).map_err(io_error("create"))
    }

    pub(super) fn load_from(path: &Path, database: Database) -> Result<Opened, OpenError> {
        let file = Self {
            path: path.to_owned(),
            database,
        };
        let (tree, session) = file.load().map_err(|error| match error {
            LoadError::Newer { found } => OpenError::NewerFormat {
                path: path.to_owned(),
                found,
                supported: FORMAT,
            },
            LoadError::Damaged(reason) => OpenError::Damaged {
                path: path.to_owned(),
                reason,
            },
            LoadError::Redb(redb::Error::Io(source)) => OpenError::Io {
                path: path.to_owned(),
                what: "read",
                source,
            },
            LoadError::Redb(error) => OpenError::Damaged {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        })?;
        Ok(Opened {
            file,
            tree,
            session,
        })
    }

    fn load(&self) -> Result<(Tree, SessionId), LoadError> {
        let mut transaction = self.database.begin_write().map_err(redb::Error::from)?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(redb::Error::from)?;
        let (tree, session) = {
            let mut counters = transaction
                .open_table(COUNTERS)
                .map_err(redb::Error::from)?;
            let read = |name: &str| -> Result<Option<u64>, LoadError> {
                let value = counters.get(name).map_err(redb::Error::from)?;
                Ok(value.map(|value| value.value()))
            };
            let (format, last_zxid, last_session) =
                (read("format")?, read("last_zxid")?, read("last_session")?);
            match format {
                Some(found) if found > FORMAT => return Err(LoadError::Newer { found }),
                Some(_) | None => {}
            }
            let nodes = transaction.open_table(NODES).map_err(redb::Error::from)?;
            let mut loaded = BTreeMap::new();
            for entry in nodes.iter().map_err(redb::Error::from)? {
                let (path, value) = entry.map_err(redb::Error::from)?;
                let path = NodePath::parse(path.value())
                    .map_err(|error| LoadError::Damaged(error.to_string()))?;
                let node = decode(value.value()).ok_or_else(|| {
                    LoadError::Damaged(format!("the entry of {path} is too short"))
                })?;
                loaded.insert(path, node);
            }
            if format.is_none() && !loaded.is_empty() {
                return Err(LoadError::Damaged(
                    "it has nodes, but no format number".to_owned(),
                ));
            }
            let tree = Tree::new(loaded, Zxid::new(last_zxid.unwrap_or(0)).next());
            let session = last_session.unwrap_or(0).saturating_add(1);
            let mut write = |name, value| {
                counters
                    .insert(name, value)
                    .map(drop)
                    .map_err(redb::Error::from)
            };
            write("format", FORMAT)?;
            write("last_session", session)?;
            write("last_zxid", tree.last_zxid().get())?;
            (tree, SessionId::new(session))
        };
        transaction.commit().map_err(redb::Error::from)?;
        Ok((tree, session))
    }

    /// Makes what was staged durable.
    pub(super) fn commit(&self, staged: &Staged) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut nodes = transaction.open_table(NODES)?;
            for (path, change) in &staged.changes {
                match change {
                    Some(node) if node.stat.ephemeral_owner.is_none() => {
                        nodes.insert(path.as_str(), encode(node).as_slice())?;
                    }
                    // An ephemeral node may take the path of a persistent one deleted in the same multi.
                    Some(_) | None => {
                        nodes.remove(path.as_str())?;
                    }
                }
            }
            let mut counters = transaction.open_table(COUNTERS)?;
            counters.insert("last_zxid", staged.zxid.get())?;
        }
        transaction.commit()?;
        Ok(())
    }
}

enum LoadError {
    Newer { found: u64 },
    Damaged(String),
    Redb(redb::Error),
}

impl From<redb::Error> for LoadError {
    fn from(error: redb::Error) -> Self {
        Self::Redb(error)
    }
}

fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path },
        DatabaseError::Storage(StorageError::Io(source))
            if source.kind() != io::ErrorKind::InvalidData =>
        {
            OpenError::Io {
                path,
                what: "open",
                source,
            }
        }
        other => OpenError::Damaged {
            path,
            reason: other.to_string(),
        },
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true);
    builder
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

fn encode(node: &Node) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_BYTES + node.data.len());
    value.extend_from_slice(&node.stat.czxid.get().to_le_bytes());
    value.extend_from_slice(&node.stat.mzxid.get().to_le_bytes());
    value.extend_from_slice(&node.stat.version.get().to_le_bytes());
    value.extend_from_slice(&node.data);
    value
}

fn decode(value: &[u8]) -> Option<Node> {
    let (czxid, rest) = value.split_first_chunk()?;
    let (mzxid, rest) = rest.split_first_chunk()?;
    let (version, data) = rest.split_first_chunk()?;
    Some(Node {
        data: data.to_vec(),
        stat: Stat {
            czxid: Zxid::new(u64::from_le_bytes(*czxid)),
            mzxid: Zxid::new(u64::from_le_bytes(*mzxid)),
            version: Version::new(u32::from_le_bytes(*version)),
            ephemeral_owner: None,
        },
    })
}

#[cfg(test)]
mod tests;
