//! One-shot watches on several nodes: set, awaited together, set again.
//!
//! Whoever uses it sets the watches, then reads, then waits: so no change is missed, and what fired says only that it is
//! time to read again.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::task::Poll;

use crate::store::{MetadataStore, NodePath, StoreError, Watch, WatchKind};

/// Watches on some nodes.
pub struct Watcher<S> {
    store: S,
    watches: BTreeMap<(NodePath, WatchKind), Watch>,
    fired: bool,
}

impl<S: MetadataStore> Watcher<S> {
    /// None yet.
    pub fn new(store: S) -> Self {
        Self {
            store,
            watches: BTreeMap::new(),
            fired: false,
        }
    }

    /// Watches a node, if it is not watched yet. What fired until now is about to be read.
    ///
    /// # Errors
    /// [`StoreError`] when the watch cannot be set.
    pub async fn add(&mut self, path: &NodePath, kind: WatchKind) -> Result<(), StoreError> {
        self.fired = false;
        let key = (path.clone(), kind);
        if !self.watches.contains_key(&key) {
            let watch = self.store.watch(path, kind).await?;
            self.watches.insert(key, watch);
        }
        Ok(())
    }

    /// Gives up all watches but these.
    pub fn keep(&mut self, wanted: &[(NodePath, WatchKind)]) {
        self.watches.retain(|key, _| wanted.contains(key));
    }

    /// Waits until one fires or is lost; for ever without any. May be dropped and waited for again.
    pub async fn fired(&mut self) {
        std::future::poll_fn(|context| {
            self.watches.retain(|_, watch| {
                let is_over = Pin::new(watch).poll(context).is_ready();
                self.fired |= is_over;
                !is_over
            });
            if self.fired {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl<S> fmt::Debug for Watcher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("watches", &self.watches.len())
            .finish()
    }
}
