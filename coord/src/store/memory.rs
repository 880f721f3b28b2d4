//! The in-memory store: for the simulation and for tests.
//!
//! The tree outlives its users: a handle is one session on it, clones share the session, and
//! [`MemoryStore::new_session`] is what a restarted broker does. Deterministic, and never waits: every future
//! is ready when first polled, except those for which something has to happen first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::session::SessionCell;
use super::tree::Tree;
use super::{
    MetaOp, MetadataStore, MultiError, Node, NodePath, OpResult, Session, SessionId, SessionStatus,
    StoreError, Watch, WatchKind, Zxid,
};

#[derive(Debug)]
struct Ensemble {
    tree: Tree,
    sessions: u64,
}

/// One session on a tree in memory.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    ensemble: Arc<Mutex<Ensemble>>,
    session: SessionCell,
}

impl MemoryStore {
    /// An empty tree, and a session on it.
    #[must_use]
    pub fn new() -> Self {
        let ensemble = Ensemble {
            tree: Tree::new(std::collections::BTreeMap::new(), Zxid::new(0)),
            sessions: 0,
        };
        Self::open_session(Arc::new(Mutex::new(ensemble)))
    }

    /// Ends this session, with all its handles and ephemeral nodes, and opens another on the same tree: what
    /// the restart of the only broker means to the store.
    #[must_use]
    pub fn new_session(&self) -> Self {
        self.end_session();
        self.another_session()
    }

    /// Opens another session on the same tree and leaves this one alone: a second client of the store.
    #[must_use]
    pub fn another_session(&self) -> Self {
        Self::open_session(Arc::clone(&self.ensemble))
    }

    /// Ends this session as a time-out would.
    pub fn end_session(&self) {
        let session = self.session.get();
        if session.status != SessionStatus::Ended {
            self.session.end();
            self.lock().tree.end_session(session.id);
        }
    }

    fn open_session(ensemble: Arc<Mutex<Ensemble>>) -> Self {
        let id = {
            let mut ensemble = ensemble.lock().unwrap_or_else(PoisonError::into_inner);
            ensemble.sessions += 1;
            SessionId::new(ensemble.sessions)
        };
        Self {
            ensemble,
            session: SessionCell::connected(id),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ensemble> {
        self.ensemble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_session(&self) -> Result<SessionId, StoreError> {
        let session = self.session.get();
        match session.status {
            SessionStatus::Ended => Err(StoreError::SessionEnded),
            SessionStatus::Connected | SessionStatus::Disconnected => Ok(session.id),
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait(?Send)]
impl MetadataStore for MemoryStore {
    async fn read(&self, path: &NodePath) -> Result<Option<Node>, StoreError> {
        self.live_session()?;
        Ok(self.lock().tree.read(path))
    }

    async fn children(&self, path: &NodePath) -> Result<Option<Vec<String>>, StoreError> {
        self.live_session()?;
        Ok(self.lock().tree.children(path))
    }

    async fn multi(&self, ops: Vec<MetaOp>) -> Result<Vec<OpResult>, MultiError> {
        let session = self.live_session()?;
        let tree = &mut self.lock().tree;
        let staged = tree.stage(session, &ops)?;
        Ok(tree.apply(staged))
    }

    async fn watch(&self, path: &NodePath, kind: WatchKind) -> Result<Watch, StoreError> {
        let session = self.live_session()?;
        self.lock().tree.watch(session, path, kind)
    }

    fn session(&self) -> Session {
        self.session.get()
    }

    async fn session_changed(&self, seen: &Session) -> Session {
        self.session.changed(seen).await
    }

    async fn close(&self) {
        self.end_session();
    }
}

#[cfg(test)]
mod tests;
