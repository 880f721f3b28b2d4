//! A store that fails at a chosen write: what shows that everything resumes.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use async_trait::async_trait;

use super::{
    MetaOp, MetadataStore, MultiError, Node, NodePath, OpResult, Session, StoreError, Watch,
    WatchKind,
};

/// What happens at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process ends before the write: nothing is answered any more.
    CrashBefore,
    /// The process ends after the write and before its answer.
    CrashAfter,
    /// It was done, and nobody knows.
    UnknownDone,
    /// It was done, nobody knows, and then the store is away for the rest of the writes.
    UnknownDoneThenAway,
    /// It was not done, and nobody knows.
    UnknownNotDone,
    /// It was not done, and that is known.
    NotDone,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::UnknownDone,
        Self::UnknownDoneThenAway,
        Self::UnknownNotDone,
        Self::NotDone,
    ];

    /// Those that leave the process running.
    pub(crate) const SURVIVED: [Self; 4] = [
        Self::UnknownDone,
        Self::UnknownDoneThenAway,
        Self::UnknownNotDone,
        Self::NotDone,
    ];

    pub(crate) fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }
}

pub(crate) struct FaultyStore<S> {
    inner: S,
    /// Writes, counted from 0, that meet the fault.
    at: Range<usize>,
    fault: Fault,
    writes: RefCell<Vec<Vec<MetaOp>>>,
    crashed: Cell<bool>,
}

impl<S: MetadataStore> FaultyStore<S> {
    pub(crate) fn new(inner: S, at: Range<usize>, fault: Fault) -> Self {
        Self {
            inner,
            at,
            fault,
            writes: RefCell::default(),
            crashed: Cell::new(false),
        }
    }

    pub(crate) fn without_fault(inner: S) -> Self {
        Self::new(inner, 0..0, Fault::NotDone)
    }

    /// Every write that was tried.
    pub(crate) fn writes(&self) -> Vec<Vec<MetaOp>> {
        self.writes.borrow().clone()
    }

    pub(crate) fn was_hit(&self) -> bool {
        self.writes.borrow().len() > self.at.start
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.crashed.get() {
            return Err(StoreError::Disconnected {
                reason: "crashed".to_owned(),
            });
        }
        Ok(())
    }
}

#[async_trait(?Send)]
impl<S: MetadataStore> MetadataStore for FaultyStore<S> {
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
        let number = self.writes.borrow().len();
        self.writes.borrow_mut().push(ops.clone());
        if !self.at.contains(&number) {
            return self.inner.multi(ops).await;
        }
        let unknown = Err(MultiError::Unknown {
            reason: format!("{:?}", self.fault),
        });
        let away = self.fault == Fault::UnknownDoneThenAway && number > self.at.start;
        match self.fault {
            _ if away => Err(MultiError::NotDone(StoreError::Disconnected {
                reason: "away".to_owned(),
            })),
            Fault::NotDone => Err(MultiError::NotDone(StoreError::Disconnected {
                reason: "NotDone".to_owned(),
            })),
            Fault::UnknownNotDone => unknown,
            Fault::CrashBefore => {
                self.crashed.set(true);
                unknown
            }
            Fault::UnknownDone | Fault::UnknownDoneThenAway | Fault::CrashAfter => {
                self.crashed.set(self.fault == Fault::CrashAfter);
                // A real conflict is answered as one: only the answer to a write is lost.
                self.inner.multi(ops).await?;
                unknown
            }
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
