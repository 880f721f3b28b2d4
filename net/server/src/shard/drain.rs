//! How a shard stops: what is under way is finished, everything is made durable, and the next start scans nothing.

use std::rc::Rc;

use futures_util::future::join_all;

use super::Shard;
use crate::limits::DRAIN_TIMEOUT;

impl Shard {
    /// Takes no more connections and requests, waits for those under way, and closes the logs.
    pub(crate) async fn drain(self: &Rc<Self>) {
        self.drain.come();
        drop(self.listening.take());
        let quiet = self.calmed.wait(|| self.is_quiet().then_some(()));
        if self.reactor.timeout(DRAIN_TIMEOUT, quiet).await.is_err() {
            let connections = self.metrics.connections.get();
            let calls = self.metrics.calls_in_flight.get();
            tracing::warn!(
                connections,
                calls,
                "connections did not end in time and are cut"
            );
        }
        let partitions = std::mem::take(&mut *self.partitions.borrow_mut());
        let closed = join_all(partitions.values().map(|partition| async {
            if let Err(error) = partition.close().await {
                tracing::error!(partition = %partition.id(), %error, "a log was not closed cleanly; the next start recovers it");
            }
        }));
        closed.await;
    }

    /// Whether nobody waits for anything here.
    fn is_quiet(&self) -> bool {
        self.metrics.connections.get() == 0 && self.metrics.calls_in_flight.get() == 0
    }

    /// Notes that a connection has ended.
    pub(crate) fn connection_ended(&self) {
        let connections = self.metrics.connections.get();
        self.metrics.connections.set(connections.saturating_sub(1));
        self.calmed.notify();
    }
}

/// Counts a call of another shard for as long as it is under way here.
pub(crate) struct CallInFlight(Rc<Shard>);

impl CallInFlight {
    pub(crate) fn new(shard: &Rc<Shard>) -> Self {
        let calls = &shard.metrics.calls_in_flight;
        calls.set(calls.get() + 1);
        Self(Rc::clone(shard))
    }

    /// The shard that is called.
    pub(crate) fn shard(&self) -> &Shard {
        &self.0
    }
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        let calls = &self.0.metrics.calls_in_flight;
        calls.set(calls.get().saturating_sub(1));
        self.0.calmed.notify();
    }
}
