//! What goes wrong between a client and its store, as the caller wants it: nothing happens by chance here, so that a
//! simulation can draw it from its seed.

use std::sync::MutexGuard;

use super::{Ensemble, MemoryStore};
use crate::store::{MetaOp, MultiError, SessionId, SessionStatus, StoreError};

/// What happens to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// It does not reach the store, and its user knows.
    NotDone,
    /// It does not reach the store, and nobody knows.
    UnknownNotDone,
    /// It is done, and nobody knows.
    UnknownDone,
    /// It is on its way until [`MemoryStore::deliver_late`], and nobody knows.
    UnknownLate,
}

impl MemoryStore {
    /// Cuts the connection: nothing is answered, and no watch is told of anything, until [`MemoryStore::reconnect`].
    /// The session lives on in the store.
    pub fn disconnect(&self) {
        if let Ok(session) = self.session.live() {
            self.lock().member(session).cut = true;
            self.session.disconnect();
        }
    }

    /// Connects again. All watches are lost; a session that expired meanwhile has ended.
    pub fn reconnect(&self) {
        let Ok(session) = self.session.live() else {
            return;
        };
        let mut ensemble = self.lock();
        let member = ensemble.member(session);
        member.cut = false;
        member.held.clear();
        if member.expired {
            ensemble.sessions.remove(&session);
            self.session.end();
        } else {
            self.session.reconnect();
            ensemble.tree.forget_watches(session);
        }
    }

    /// Ends this session in the store, as its time-out would: its ephemeral nodes are gone, and its user learns of it
    /// at the next contact.
    pub fn expire(&self) {
        if let Ok(session) = self.session.live() {
            self.lock().expire(session);
        }
    }

    /// Shows this session the tree as it is now, whatever is written, until it writes itself or is to
    /// [`MemoryStore::catch_up`]. Watches tell it of nothing that it cannot see.
    pub fn lag(&self) {
        if let Ok(session) = self.session.live() {
            let mut ensemble = self.lock();
            let now = ensemble.tree.nodes().clone();
            ensemble.member(session).view.get_or_insert(now);
        }
    }

    /// Shows this session everything that was written.
    pub fn catch_up(&self) {
        if let Ok(session) = self.session.live() {
            self.lock().catch_up(session);
        }
    }

    /// Says what happens to the next write of this session that nothing has been said of yet.
    pub fn fail_write(&self, fault: WriteFault) {
        if let Ok(session) = self.session.live() {
            self.lock().member(session).faults.push_back(fault);
        }
    }

    /// Takes back what [`MemoryStore::fail_write`] said of writes to come.
    pub fn heal(&self) {
        if let Ok(session) = self.session.live() {
            self.lock().member(session).faults.clear();
        }
    }

    /// Has the writes arrive that are still on their way, in the order in which they were sent. One that cannot be done
    /// any more is not; nobody is told either way.
    pub fn deliver_late(&self) {
        let Ok(session) = self.session.live() else {
            return;
        };
        let mut ensemble = self.lock();
        for ops in std::mem::take(&mut ensemble.member(session).late) {
            // Its sender has given up waiting for the answer.
            ensemble.write(session, &ops).ok();
        }
    }

    /// Fails a write. One whose outcome is unknown has cost the connection, which is there again at once.
    pub(super) fn fail(
        &self,
        fault: WriteFault,
        session: SessionId,
        mut ensemble: MutexGuard<'_, Ensemble>,
        ops: Vec<MetaOp>,
    ) -> MultiError {
        match fault {
            WriteFault::NotDone => {
                return MultiError::NotDone(StoreError::Disconnected {
                    reason: "the write was not sent".to_owned(),
                });
            }
            WriteFault::UnknownNotDone => {}
            // A write that conflicts is not done either, and its user does not learn that it conflicts.
            WriteFault::UnknownDone => drop(ensemble.write(session, &ops)),
            WriteFault::UnknownLate => ensemble.member(session).late.push(ops),
        }
        drop(ensemble);
        self.disconnect();
        self.reconnect();
        debug_assert_eq!(self.session.get().status, SessionStatus::Connected);
        MultiError::Unknown {
            reason: format!("{fault:?}"),
        }
    }
}
