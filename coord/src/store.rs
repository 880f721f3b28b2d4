//! The metadata store: a small tree of versioned nodes that every broker of a cluster shares.
//!
//! Duty: one trait, so that the controller and everything above run unchanged on the embedded store (one
//! node), on the in-memory store (simulation) and on ZooKeeper. The semantics are ZooKeeper's, cut to what is
//! used: versioned writes in atomic multis, ephemeral nodes that live as long as their session, one-shot
//! watches, and outcomes that may be unknown. What ZooKeeper cannot promise, no store promises: a read may be
//! stale (writes are guarded by versions, not by reads), and a watch is lost with its connection.
//!
//! Thread: the control thread. Futures are not `Send`, and need no particular executor.
//!
//! Must not know: which paths exist and what the nodes hold ([`crate::paths`], [`crate::records`]).

use std::fmt;
use std::rc::Rc;

use async_trait::async_trait;

mod embedded;
mod error;
mod memory;
mod path;
mod session;
mod tree;
mod watch;
mod zookeeper;

#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
pub(crate) mod faulty;

pub use embedded::{EmbeddedStore, OpenError};
pub use error::{Conflict, MultiError, StoreError};
pub use memory::{MemoryStore, WriteFault};
pub use path::{NodePath, PathError};
pub use session::{Session, SessionId, SessionStatus};
pub use watch::{Watch, WatchEvent, WatchKind};
pub use zookeeper::{
    AddressError, ConnectError, DigestIdentity, NoIdentity, PemIdentity, TlsError, ZooKeeperAccess,
    ZooKeeperAddress, ZooKeeperStore, ZooKeeperTls,
};

/// The position of a write in the store's history: each multi has one, larger than all before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(u64);

impl Zxid {
    /// From its number.
    #[must_use]
    pub const fn new(zxid: u64) -> Self {
        Self(zxid)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How often a node was set since it was created: 0 at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u32);

impl Version {
    /// The version of a node just created.
    pub const FIRST: Self = Self(0);

    /// From its number.
    #[must_use]
    pub const fn new(version: u32) -> Self {
        Self(version)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The version after one more set.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the store knows about a node besides its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The write that created the node.
    pub czxid: Zxid,
    /// The write that set it last.
    pub mzxid: Zxid,
    /// How often it was set.
    pub version: Version,
    /// The session that it lives and dies with; none for a persistent node.
    pub ephemeral_owner: Option<SessionId>,
}

/// A node as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it holds.
    pub data: Vec<u8>,
    /// Its versions.
    pub stat: Stat,
}

/// One operation of a multi. Where a version is optional, `None` means whichever.
#[derive(Clone, PartialEq, Eq)]
pub enum MetaOp {
    /// Creates a persistent node; its parent exists and is persistent.
    Create {
        /// Where.
        path: NodePath,
        /// What it holds.
        data: Vec<u8>,
    },
    /// Creates a node that goes when the session of the caller ends.
    CreateEphemeral {
        /// Where.
        path: NodePath,
        /// What it holds.
        data: Vec<u8>,
    },
    /// Replaces the data of a node.
    Set {
        /// Which node.
        path: NodePath,
        /// What it is to hold.
        data: Vec<u8>,
        /// The version that it must have.
        version: Option<Version>,
    },
    /// Writes nothing; the multi fails unless the node is there at this version.
    Check {
        /// Which node.
        path: NodePath,
        /// The version that it must have.
        version: Option<Version>,
    },
    /// Removes a node without children.
    Delete {
        /// Which node.
        path: NodePath,
        /// The version that it must have.
        version: Option<Version>,
    },
}

impl MetaOp {
    /// The node concerned.
    #[must_use]
    pub fn path(&self) -> &NodePath {
        match self {
            Self::Create { path, .. }
            | Self::CreateEphemeral { path, .. }
            | Self::Set { path, .. }
            | Self::Check { path, .. }
            | Self::Delete { path, .. } => path,
        }
    }

    /// What the operation adds to the size of its multi.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let data_bytes = match self {
            Self::Create { data, .. }
            | Self::CreateEphemeral { data, .. }
            | Self::Set { data, .. } => data.len(),
            Self::Check { .. } | Self::Delete { .. } => 0,
        };
        crate::limits::OP_OVERHEAD_BYTES + self.path().as_str().len() + data_bytes
    }
}

impl fmt::Debug for MetaOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, data, version) = match self {
            Self::Create { data, .. } => ("create", Some(data), None),
            Self::CreateEphemeral { data, .. } => ("create_ephemeral", Some(data), None),
            Self::Set { data, version, .. } => ("set", Some(data), *version),
            Self::Check { version, .. } => ("check", None, *version),
            Self::Delete { version, .. } => ("delete", None, *version),
        };
        write!(f, "{name} {}", self.path())?;
        if let Some(version) = version {
            write!(f, " at {version}")?;
        }
        if let Some(data) = data {
            write!(f, " {}", String::from_utf8_lossy(data))?;
        }
        Ok(())
    }
}

/// What one operation of a committed multi did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpResult {
    /// The node was created. What its `czxid` is has to be read: ZooKeeper 3.8 does not tell what a multi created
    /// (ZOOKEEPER-4667).
    Created,
    /// The node was set.
    Set(Stat),
    /// The check held.
    Checked,
    /// The node is gone.
    Deleted,
}

/// A shared tree of versioned nodes.
#[async_trait(?Send)]
pub trait MetadataStore {
    /// A node, or `None` when there is none. May be stale.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be asked.
    async fn read(&self, path: &NodePath) -> Result<Option<Node>, StoreError>;

    /// The names directly under a node, in byte order, or `None` when the node does not exist. May be stale.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be asked.
    async fn children(&self, path: &NodePath) -> Result<Option<Vec<String>>, StoreError>;

    /// Does all of the operations, or none. They see the effects of those before them. At most
    /// [`crate::limits::MULTI_OPS_MAX`] operations and [`crate::limits::MULTI_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`MultiError::Unknown`] when nobody can say whether the multi was, or will yet be, done; every other
    /// error means that nothing was done.
    async fn multi(&self, ops: Vec<MetaOp>) -> Result<Vec<OpResult>, MultiError>;

    /// Sets a one-shot watch. Set the watch first and read afterwards: then no change is missed. The watch always
    /// ends: [`WatchEvent::Lost`] when the session was connected anew before it fired, or ended.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be asked; [`StoreError::NoNode`] for the children of a node that
    /// does not exist.
    async fn watch(&self, path: &NodePath, kind: WatchKind) -> Result<Watch, StoreError>;

    /// The session as it is known now.
    fn session(&self) -> Session;

    /// Waits until the session is no longer as `seen`. After a reconnect (`connects` moved) read everything
    /// again: all watches are lost.
    async fn session_changed(&self, seen: &Session) -> Session;

    /// Ends the session: its ephemeral nodes go now instead of at its time-out.
    async fn close(&self);
}

#[async_trait(?Send)]
impl<S: MetadataStore + ?Sized> MetadataStore for Rc<S> {
    async fn read(&self, path: &NodePath) -> Result<Option<Node>, StoreError> {
        (**self).read(path).await
    }

    async fn children(&self, path: &NodePath) -> Result<Option<Vec<String>>, StoreError> {
        (**self).children(path).await
    }

    async fn multi(&self, ops: Vec<MetaOp>) -> Result<Vec<OpResult>, MultiError> {
        (**self).multi(ops).await
    }

    async fn watch(&self, path: &NodePath, kind: WatchKind) -> Result<Watch, StoreError> {
        (**self).watch(path, kind).await
    }

    fn session(&self) -> Session {
        (**self).session()
    }

    async fn session_changed(&self, seen: &Session) -> Session {
        (**self).session_changed(seen).await
    }

    async fn close(&self) {
        (**self).close().await;
    }
}
