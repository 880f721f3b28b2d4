//! The in-memory store: for the simulation and for tests.
//!
//! The tree outlives its users: a handle is one session on it, clones share the session, and
//! [`MemoryStore::new_session`] is what a restarted broker does. Deterministic, and never waits: every future
//! is ready when first polled, except those for which something has to happen first.
//!
//! What goes wrong between a client and ZooKeeper can be made to happen to a session: `faults` has the methods.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::session::SessionCell;
use super::tree::{Nodes, Tree};
use super::watch::Fired;
use super::{
    MetaOp, MetadataStore, MultiError, Node, NodePath, OpResult, Session, SessionId, SessionStatus,
    StoreError, Watch, WatchKind, Zxid,
};

mod faults;

pub use faults::WriteFault;

/// The tree, and what the store knows about each session.
#[derive(Debug)]
struct Ensemble {
    tree: Tree,
    sessions: BTreeMap<SessionId, Member>,
    opened: u64,
}

/// A session as the store sees it.
#[derive(Debug, Default)]
struct Member {
    /// The store has ended it; its user may not know yet.
    expired: bool,
    /// The user's connection is cut.
    cut: bool,
    /// What a server that lags behind shows the user.
    view: Option<Nodes>,
    /// Watches that have fired, and that the user has not been told of yet.
    held: Vec<Fired>,
    /// What is to happen to its next writes.
    faults: VecDeque<WriteFault>,
    /// Writes that are still on their way.
    late: Vec<Vec<MetaOp>>,
}

impl Ensemble {
    fn member(&mut self, session: SessionId) -> &mut Member {
        self.sessions.entry(session).or_default()
    }

    /// Does a multi for a session, and tells the watches of everybody.
    fn write(&mut self, session: SessionId, ops: &[MetaOp]) -> Result<Vec<OpResult>, MultiError> {
        let staged = self.tree.stage(session, ops)?;
        if ops.iter().all(|op| matches!(op, MetaOp::Check { .. })) {
            return Ok(staged.results);
        }
        let applied = self.tree.apply(staged);
        self.tell(applied.fired);
        Ok(applied.results)
    }

    /// Tells watches that have fired, or keeps them until their session can be told.
    fn tell(&mut self, fired: Vec<Fired>) {
        for one in fired {
            let member = self.member(one.session);
            if member.cut || member.view.is_some() {
                member.held.push(one);
            } else {
                one.tell();
            }
        }
    }

    /// Ends a session as the store does: whether its user knows is another matter.
    fn expire(&mut self, session: SessionId) {
        let member = self.member(session);
        if !member.expired {
            member.expired = true;
            member.late.clear();
            let fired = self.tree.end_session(session);
            self.tell(fired);
        }
    }

    /// Shows a session everything as it is now, and tells it of what it had not seen.
    fn catch_up(&mut self, session: SessionId) {
        let member = self.member(session);
        let Some(view) = member.view.take() else {
            return;
        };
        let held = std::mem::take(&mut member.held);
        self.tell(held);
        let fired = self.tree.fire_changed_since(session, &view);
        self.tell(fired);
    }

    /// The nodes as a session is shown them.
    fn nodes(&self, session: SessionId) -> &Nodes {
        let view = self.sessions.get(&session);
        view.and_then(|member| member.view.as_ref())
            .unwrap_or(self.tree.nodes())
    }
}

/// One session on a tree in memory.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    ensemble: Arc<Mutex<Ensemble>>,
    session: SessionCell,
}

impl MemoryStore {
    /// An empty tree, and a session on it that never ends by itself.
    #[must_use]
    pub fn new() -> Self {
        let ensemble = Ensemble {
            tree: Tree::new(BTreeMap::new(), Zxid::new(0)),
            sessions: BTreeMap::new(),
            opened: 0,
        };
        Self::open_session(Arc::new(Mutex::new(ensemble)), None)
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
        Self::open_session(Arc::clone(&self.ensemble), self.session.get().timeout)
    }

    /// As [`MemoryStore::another_session`], of a session that says it ends so long after the last contact. It is the
    /// caller, who has the clock, that ends it ([`MemoryStore::expire`]).
    #[must_use]
    pub fn another_session_with_timeout(&self, timeout: Duration) -> Self {
        Self::open_session(Arc::clone(&self.ensemble), Some(timeout))
    }

    /// Ends this session, and its user knows.
    pub fn end_session(&self) {
        let session = self.session.get();
        if session.status != SessionStatus::Ended {
            self.session.end();
            let mut ensemble = self.lock();
            ensemble.expire(session.id);
            ensemble.sessions.remove(&session.id);
        }
    }

    fn open_session(ensemble: Arc<Mutex<Ensemble>>, timeout: Option<Duration>) -> Self {
        let id = {
            let mut ensemble = ensemble.lock().unwrap_or_else(PoisonError::into_inner);
            ensemble.opened += 1;
            let id = SessionId::new(ensemble.opened);
            ensemble.sessions.insert(id, Member::default());
            id
        };
        Self {
            ensemble,
            session: SessionCell::connected(id, timeout),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ensemble> {
        self.ensemble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reaches the store: only then does the user learn that its session is over.
    fn reach(&self) -> Result<(SessionId, MutexGuard<'_, Ensemble>), StoreError> {
        let session = self.session.live()?;
        let mut ensemble = self.lock();
        let member = ensemble.member(session);
        if member.cut {
            return Err(StoreError::Disconnected {
                reason: "the connection is cut".to_owned(),
            });
        }
        if member.expired {
            self.session.end();
            ensemble.sessions.remove(&session);
            return Err(StoreError::SessionEnded);
        }
        Ok((session, ensemble))
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
        let (session, ensemble) = self.reach()?;
        Ok(ensemble.nodes(session).read(path))
    }

    async fn children(&self, path: &NodePath) -> Result<Option<Vec<String>>, StoreError> {
        let (session, ensemble) = self.reach()?;
        Ok(ensemble.nodes(session).children(path))
    }

    async fn multi(&self, ops: Vec<MetaOp>) -> Result<Vec<OpResult>, MultiError> {
        let (session, mut ensemble) = self.reach()?;
        if let Some(fault) = ensemble.member(session).faults.pop_front() {
            return Err(self.fail(fault, session, ensemble, ops));
        }
        let done = ensemble.write(session, &ops);
        // A server answers a write when it has done it itself, and everything before.
        ensemble.catch_up(session);
        done
    }

    async fn watch(&self, path: &NodePath, kind: WatchKind) -> Result<Watch, StoreError> {
        let connects = self.session.get().connects;
        let (session, mut ensemble) = self.reach()?;
        if kind == WatchKind::Children && !ensemble.nodes(session).contains(path) {
            return Err(StoreError::NoNode { path: path.clone() });
        }
        let fired = ensemble.tree.watch(session, path, kind)?;
        Ok(Watch::kept(self.session.clone(), connects, fired))
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
