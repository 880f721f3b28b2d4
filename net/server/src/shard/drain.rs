//! How a shard stops: what is under way is finished, everything is made durable, and the next start scans nothing.

use std::rc::Rc;

use futures_util::future::join_all;

use super::Shard;
use crate::limits::DRAIN_TIMEOUT;

impl Shard {
    /// Takes no more connections and requests, waits for those under way, and closes the logs.
    pub(crate) async fn drain(self: &Rc<Self>) {
        self.is_draining.set(true);
        drop(self.listening.take());
        self.draining.notify();
        let quiet = self
            .draining
            .wait(|| (self.metrics.connections.get() == 0).then_some(()));
        if self.reactor.timeout(DRAIN_TIMEOUT, quiet).await.is_err() {
            let connections = self.metrics.connections.get();
            tracing::warn!(connections, "connections did not end in time and are cut");
        }
        let partitions = std::mem::take(&mut *self.partitions.borrow_mut());
        let closed = join_all(partitions.values().map(|partition| async {
            if let Err(error) = partition.close().await {
                tracing::error!(partition = %partition.id(), %error, "a log was not closed cleanly; the next start recovers it");
            }
        }));
        closed.await;
        self.lock.take();
    }

    /// Notes that a connection has ended.
    pub(crate) fn connection_ended(&self) {
        let connections = self.metrics.connections.get();
        self.metrics.connections.set(connections.saturating_sub(1));
        if self.is_draining() {
            self.draining.notify();
        }
    }
}
