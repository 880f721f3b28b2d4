//! How long a connection was held back: not read from, although its client may have sent more.
//!
//! It is announced as `throttle_ms` in the next answer to a produce or fetch, once.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use futures_util::poll;
use ringlog_reactor::{Instant, Reactor};

/// The time for which a connection was held back and has not been told so.
#[derive(Debug, Default)]
pub(crate) struct Held {
    untold: Cell<Duration>,
    since: Cell<Option<Instant>>,
}

impl Held {
    /// Waits for what the connection cannot be read without, and counts how long that takes.
    pub(super) async fn during<T>(&self, reactor: &Reactor, wait: impl Future<Output = T>) -> T {
        let mut wait = pin!(wait);
        if let std::task::Poll::Ready(ended) = poll!(wait.as_mut()) {
            return ended;
        }
        self.since.set(Some(reactor.now()));
        let ended = wait.await;
        self.settle(reactor.now());
        self.since.set(None);
        ended
    }

    /// What has not been told yet, in milliseconds rounded up; it is told now.
    pub(crate) fn take_ms(&self, reactor: &Reactor) -> u32 {
        if self.since.get().is_some() {
            self.settle(reactor.now());
        }
        let untold = self.untold.take();
        u32::try_from(untold.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
    }

    /// Counts the time up to now.
    fn settle(&self, now: Instant) {
        if let Some(since) = self.since.replace(Some(now)) {
            self.untold.set(self.untold.get() + now.since(since));
        }
    }
}
