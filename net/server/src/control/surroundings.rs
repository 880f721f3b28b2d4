//! What the control task gets from whoever runs it: time, and sessions with the metadata store.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use ringlog_coord::store::{MetadataStore, SessionStatus};
use ringlog_reactor::Reactor;

/// Time, and sessions with the metadata store.
pub trait Surroundings: 'static {
    /// A session. Clones are handles to the same one.
    type Store: MetadataStore + Clone + 'static;

    /// The time since some moment in the past, on a clock that goes on while the machine is suspended.
    fn now(&self) -> Duration;

    /// Ends after so long.
    fn sleep(&self, time: Duration) -> LocalBoxFuture<'static, ()>;

    /// A new session: at the start, and when the last one has ended. Takes as long as it takes.
    fn open(&self) -> LocalBoxFuture<'static, Result<Self::Store, String>>;
}

/// A control task on a core of a reactor, with one session that is not opened again: a simulation.
pub struct OnReactor<S> {
    reactor: Reactor,
    store: S,
}

impl<S: MetadataStore + Clone> OnReactor<S> {
    /// With this session.
    pub fn new(reactor: Reactor, store: S) -> Self {
        Self { reactor, store }
    }
}

impl<S: MetadataStore + Clone + 'static> Surroundings for OnReactor<S> {
    type Store = S;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.reactor.now().as_nanos())
    }

    fn sleep(&self, time: Duration) -> LocalBoxFuture<'static, ()> {
        let reactor = self.reactor.clone();
        async move { reactor.sleep(time).await }.boxed_local()
    }

    fn open(&self) -> LocalBoxFuture<'static, Result<S, String>> {
        let store = self.store.clone();
        let is_live = store.session().status != SessionStatus::Ended;
        let opened = is_live.then_some(store);
        async move { opened.ok_or_else(|| "the session has ended".to_owned()) }.boxed_local()
    }
}
