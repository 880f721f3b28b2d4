//! One-shot watches, and the list in which a local store keeps them.
//!
//! A watch says only that something changed, never what: whoever is woken reads again.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_channel::oneshot;

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
    /// The watch is lost, with its session or its store; whether anything changed is not known.
    Lost,
}

/// A watch that was set: a future of what it sees. Dropping it gives it up.
#[derive(Debug)]
pub struct Watch(oneshot::Receiver<()>);

impl Watch {
    /// A watch and what fires it; dropping the latter tells that the watch is lost.
    pub(crate) fn channel() -> (oneshot::Sender<()>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }
}

impl Future for Watch {
    type Output = WatchEvent;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        Pin::new(&mut self.0).poll(cx).map(|outcome| match outcome {
            Ok(()) => WatchEvent::Changed,
            Err(oneshot::Canceled) => WatchEvent::Lost,
        })
    }
}

#[derive(Debug)]
struct Watcher {
    session: SessionId,
    fire: oneshot::Sender<()>,
}

/// The watches set on a local store.
#[derive(Debug, Default)]
pub(super) struct Watches {
    by_node: BTreeMap<(NodePath, WatchKind), Vec<Watcher>>,
    count: usize,
}

impl Watches {
    pub(super) fn set(
        &mut self,
        session: SessionId,
        path: &NodePath,
        kind: WatchKind,
    ) -> Result<Watch, StoreError> {
        if self.count >= limits::WATCHES_MAX {
            self.retain(|watcher| !watcher.fire.is_canceled());
        }
        if self.count >= limits::WATCHES_MAX {
            return Err(StoreError::Overloaded {
                waiting: self.count,
            });
        }
        let (fire, watch) = Watch::channel();
        self.count += 1;
        self.by_node
            .entry((path.clone(), kind))
            .or_default()
            .push(Watcher { session, fire });
        Ok(watch)
    }

    pub(super) fn fire(&mut self, path: &NodePath, kind: WatchKind) {
        for watcher in self
            .by_node
            .remove(&(path.clone(), kind))
            .unwrap_or_default()
        {
            self.count -= 1;
            // A watch that was given up has nobody to tell.
            let _given_up = watcher.fire.send(());
        }
    }

    /// Drops the watches of a session, which tells their holders that they are lost.
    pub(super) fn end_session(&mut self, session: SessionId) {
        self.retain(|watcher| watcher.session != session);
    }

    fn retain(&mut self, keep: impl Fn(&Watcher) -> bool) {
        self.by_node.retain(|_, watchers| {
            watchers.retain(&keep);
            !watchers.is_empty()
        });
        self.count = self.by_node.values().map(Vec::len).sum();
    }
}
