//! A store whose user crashes at one of its writes.

use std::cell::Cell;
use std::rc::Rc;

use async_trait::async_trait;
use ringlog_coord::store::{
    MemoryStore, MetaOp, MetadataStore, MultiError, Node, NodePath, OpResult, Session, StoreError,
    Watch, WatchKind,
};

/// When the user crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Whole,
    /// At the write after so many; it is done, or not.
    Burning {
        writes: u64,
        is_done: bool,
    },
    Burnt,
}

/// A session whose user may crash.
#[derive(Clone)]
pub(super) struct Fused {
    pub(super) inner: MemoryStore,
    state: Rc<Cell<State>>,
}

impl Fused {
    pub(super) fn new(inner: MemoryStore) -> Self {
        Self {
            inner,
            state: Rc::new(Cell::new(State::Whole)),
        }
    }

    pub(super) fn burn_after(&self, writes: u64, is_done: bool) {
        self.state.set(State::Burning { writes, is_done });
    }

    pub(super) fn is_burnt(&self) -> bool {
        self.state.get() == State::Burnt
    }

    /// It does not burn any more, if it has not.
    pub(super) fn put_out(&self) {
        if !self.is_burnt() {
            self.state.set(State::Whole);
        }
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.is_burnt() {
            return Err(StoreError::Disconnected {
                reason: "crashed".to_owned(),
            });
        }
        Ok(())
    }
}

#[async_trait(?Send)]
impl MetadataStore for Fused {
    async fn read(&self, path: &NodePath) -> Result<Option<Node>, StoreError> {
        self.alive()?;
        self.inner.read(path).await
    }

    async fn children(&self, path: &NodePath) -> Result<Option<Vec<String>>, StoreError> {
        self.alive()?;
        self.inner.children(path).await
    }

    async fn multi(&self, ops: Vec<MetaOp>) -> Result<Vec<OpResult>, MultiError> {
        self.alive()?;
        match self.state.get() {
            State::Burning { writes: 0, is_done } => {
                self.state.set(State::Burnt);
                if is_done {
                    // Nobody is there to see the outcome.
                    self.inner.multi(ops).await.ok();
                }
                Err(MultiError::Unknown {
                    reason: "crashed".to_owned(),
                })
            }
            State::Burning { writes, is_done } => {
                self.state.set(State::Burning {
                    writes: writes - 1,
                    is_done,
                });
                self.inner.multi(ops).await
            }
            State::Whole | State::Burnt => self.inner.multi(ops).await,
        }
    }

    async fn watch(&self, path: &NodePath, kind: WatchKind) -> Result<Watch, StoreError> {
        self.alive()?;
        self.inner.watch(path, kind).await
    }

    fn session(&self) -> Session {
        self.inner.session()
    }

    async fn session_changed(&self, seen: &Session) -> Session {
        self.inner.session_changed(seen).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
