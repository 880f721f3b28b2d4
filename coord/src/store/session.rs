//! The session of a store's user, and how its changes are told.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_channel::oneshot;

/// Identifies a session: ephemeral nodes name it as their owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

impl SessionId {
    /// From its number.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self(id)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a session stands, as far as its user knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    /// The store answers.
    Connected,
    /// The store does not answer; the session may or may not still live there.
    Disconnected,
    /// The session is over; its ephemeral nodes are gone. Final.
    Ended,
}

/// A session as known at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Which session.
    pub id: SessionId,
    /// Where it stands.
    pub status: SessionStatus,
    /// How often it was connected: a change means that watches may have been lost.
    pub connects: u64,
    /// After how long without contact it ends, as negotiated; `None` for a store that is never out of reach.
    pub timeout: Option<Duration>,
}

#[derive(Debug)]
struct State {
    session: Session,
    waiting: Vec<oneshot::Sender<()>>,
}

/// A session that its store changes and its users look at.
#[derive(Debug, Clone)]
pub(super) struct SessionCell(Arc<Mutex<State>>);

impl SessionCell {
    pub(super) fn connected(id: SessionId) -> Self {
        Self(Arc::new(Mutex::new(State {
            session: Session {
                id,
                status: SessionStatus::Connected,
                connects: 1,
                timeout: None,
            },
            waiting: Vec::new(),
        })))
    }

    pub(super) fn get(&self) -> Session {
        self.state().session
    }

    pub(super) fn end(&self) {
        let mut state = self.state();
        state.session.status = SessionStatus::Ended;
        // Dropping the senders wakes those who wait.
        state.waiting.clear();
    }

    pub(super) async fn changed(&self, seen: &Session) -> Session {
        loop {
            let woken = {
                let mut state = self.state();
                if state.session != *seen {
                    return state.session;
                }
                let (sender, receiver) = oneshot::channel();
                state.waiting.retain(|waiting| !waiting.is_canceled());
                state.waiting.push(sender);
                receiver
            };
            let _woken = woken.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
