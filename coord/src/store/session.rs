//! The session of a store's user, and how its changes are told.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_channel::oneshot;

use super::StoreError;

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
    /// How often it was connected: a change means that watches were lost, and that what was read may be old.
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
    /// A session that is connected for the first time; `timeout` as in [`Session`].
    pub(super) fn connected(id: SessionId, timeout: Option<Duration>) -> Self {
        Self(Arc::new(Mutex::new(State {
            session: Session {
                id,
                status: SessionStatus::Connected,
                connects: 1,
                timeout,
            },
            waiting: Vec::new(),
        })))
    }

    pub(super) fn get(&self) -> Session {
        self.state().session
    }

    /// The id of a session that has not ended, as far as its user knows.
    ///
    /// # Errors
    /// [`StoreError::SessionEnded`].
    pub(super) fn live(&self) -> Result<SessionId, StoreError> {
        let session = self.get();
        match session.status {
            SessionStatus::Ended => Err(StoreError::SessionEnded),
            SessionStatus::Connected | SessionStatus::Disconnected => Ok(session.id),
        }
    }

    pub(super) fn end(&self) {
        self.set(|session| session.status = SessionStatus::Ended);
    }

    /// The connection is lost; a session that has ended stays so.
    pub(super) fn disconnect(&self) {
        self.set(|session| {
            if session.status == SessionStatus::Connected {
                session.status = SessionStatus::Disconnected;
            }
        });
    }

    /// There is a connection again; a session that has ended stays so.
    pub(super) fn reconnect(&self) {
        self.set(|session| {
            if session.status != SessionStatus::Ended {
                session.status = SessionStatus::Connected;
                session.connects += 1;
            }
        });
    }

    fn set(&self, change: impl FnOnce(&mut Session)) {
        let mut state = self.state();
        change(&mut state.session);
        // Dropping the senders wakes those who wait.
        state.waiting.clear();
    }

    /// Waits until the session has been connected more often than that, or has ended.
    pub(super) async fn reconnected(&self, connects: u64) {
        let mut session = self.get();
        while session.connects == connects && session.status != SessionStatus::Ended {
            session = self.changed(&session).await;
        }
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
