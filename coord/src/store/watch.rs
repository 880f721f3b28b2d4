//! One-shot watches, and the list in which a local store keeps them.
//!
//! A watch says only that something changed, never what: whoever is woken reads again. And it always ends: a watch
//! that outlived a connection is lost rather than silent, because nobody can say what happened meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_channel::oneshot;
use futures_util::future::{Either, select};

use super::session::SessionCell;
use super::{NodePath, SessionId, StoreError};
use crate::limits;

/// What a watch looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchKind {
    /// The node is created, set or deleted.
    Node,
    /// The node gets or loses a child, or is deleted.
    Children,
}

/// What a watch saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchEvent {
    /// There is something to read again.
    Changed,
    /// The watch is lost, with its connection, its session or its store; whether anything changed is not known.
    Lost,
}

/// A watch that was set: a future of what it sees. Dropping it gives it up.
pub struct Watch(Pin<Box<dyn Future<Output = WatchEvent> + Send>>);

impl Watch {
    /// A watch in a session that had been connected `connects` times when it was asked for. `sees` must not wait for
    /// the session: this does.
    pub(super) fn new(
        session: SessionCell,
        connects: u64,
        sees: impl Future<Output = WatchEvent> + Send + 'static,
    ) -> Self {
        Self(Box::pin(async move {
            let sees = std::pin::pin!(sees);
            let lost = std::pin::pin!(session.reconnected(connects));
            match select(sees, lost).await {
                Either::Left((seen, _)) => seen,
                Either::Right(((), _)) => WatchEvent::Lost,
            }
        }))
    }

    /// A watch that a local store keeps in its list.
    pub(super) fn kept(session: SessionCell, connects: u64, fired: oneshot::Receiver<()>) -> Self {
        Self::new(session, connects, async move {
            match fired.await {
                Ok(()) => WatchEvent::Changed,
                Err(oneshot::Canceled) => WatchEvent::Lost,
            }
        })
    }
}

impl Future for Watch {
    type Output = WatchEvent;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// A watch that a change ended, and whose holder is to be told.
#[derive(Debug)]
#[must_use = "dropped, it tells that the watch is lost"]
pub(super) struct Fired {
    pub(super) session: SessionId,
    tell: oneshot::Sender<()>,
}

impl Fired {
    /// Tells the holder. One that has given the watch up is not there any more.
    pub(super) fn tell(self) {
        self.tell.send(()).ok();
    }
}

/// The watches set on a local store.
#[derive(Debug, Default)]
pub(super) struct Watches {
    by_node: BTreeMap<(NodePath, WatchKind), Vec<Fired>>,
    count: usize,
}

impl Watches {
    pub(super) fn set(
        &mut self,
        session: SessionId,
        path: &NodePath,
        kind: WatchKind,
    ) -> Result<oneshot::Receiver<()>, StoreError> {
        if self.count >= limits::WATCHES_MAX {
            self.retain(|watcher| !watcher.tell.is_canceled());
        }
        if self.count >= limits::WATCHES_MAX {
            return Err(StoreError::Overloaded {
                waiting: self.count,
            });
        }
        let (tell, fired) = oneshot::channel();
        self.count += 1;
        self.by_node
            .entry((path.clone(), kind))
            .or_default()
            .push(Fired { session, tell });
        Ok(fired)
    }

    pub(super) fn fire(&mut self, path: &NodePath, kind: WatchKind, fired: &mut Vec<Fired>) {
        let watchers = self
            .by_node
            .remove(&(path.clone(), kind))
            .unwrap_or_default();
        self.count -= watchers.len();
        fired.extend(watchers);
    }

    /// Takes out the watches of a session for which `changed` holds.
    pub(super) fn take(
        &mut self,
        session: SessionId,
        changed: impl Fn(&NodePath, WatchKind) -> bool,
    ) -> Vec<Fired> {
        let mut fired = Vec::new();
        for ((path, kind), watchers) in &mut self.by_node {
            if changed(path, *kind) {
                fired.extend(watchers.extract_if(.., |watcher| watcher.session == session));
            }
        }
        self.count -= fired.len();
        fired
    }

    /// Drops the watches of a session, which tells their holders that they are lost.
    pub(super) fn end_session(&mut self, session: SessionId) {
        self.retain(|watcher| watcher.session != session);
    }

    fn retain(&mut self, keep: impl Fn(&Fired) -> bool) {
        self.by_node.retain(|_, watchers| {
            watchers.retain(&keep);
            !watchers.is_empty()
        });
        self.count = self.by_node.values().map(Vec::len).sum();
    }
}
