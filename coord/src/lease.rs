//! The lease of a broker: for how long it may trust that the cluster has not taken it for gone. Pure but for [`renew`].
//!
//! A committed write is what renews it: answers of a server that has lost its quorum prove nothing. From the moment that
//! the write was *sent* the store waits a whole session time-out before it ends the session; the lease ends at half of
//! that, so that clocks may run apart and a broker that was paused finds out before it answers. The clock goes on while
//! the machine is suspended (CLOCK_BOOTTIME).

use std::time::Duration;

use ringlog_record::BrokerId;
use thiserror::Error;

use crate::controller::{ControllerError, read};
use crate::limits::{LEASE_MARGIN_MIN, LEASE_RENEWALS};
use crate::paths;
use crate::records::{BrokerLease, Payload};
use crate::store::{MetaOp, MetadataStore};

/// A session time-out that leaves no margin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "a session time-out of {timeout:?} is too short: between the end of a broker's lease and that of its session there must be {margin_min:?}, which a time-out of {timeout_min:?} leaves; raise tickTime or maxSessionTimeout of ZooKeeper"
)]
pub struct ThinMargin {
    /// What was negotiated.
    pub timeout: Duration,
    /// What must be left.
    pub margin_min: Duration,
    /// The least that would do.
    pub timeout_min: Duration,
}

/// A lease on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// None for a store that is never out of reach: the lease never lapses.
    timeout: Option<Duration>,
    /// Until when it runs.
    until: Duration,
    /// When the next renewal is due.
    renewal_at: Duration,
    /// When the renewal under way was sent.
    sent_at: Duration,
}

impl Lease {
    /// On a session that was opened, or wrote, at `now`.
    ///
    /// # Errors
    /// [`ThinMargin`].
    pub fn new(timeout: Option<Duration>, now: Duration) -> Result<Self, ThinMargin> {
        if let Some(timeout) = timeout
            && timeout / 2 < LEASE_MARGIN_MIN
        {
            return Err(ThinMargin {
                timeout,
                margin_min: LEASE_MARGIN_MIN,
                timeout_min: LEASE_MARGIN_MIN * 2,
            });
        }
        Ok(Self {
            timeout,
            until: now + timeout.unwrap_or_default() / 2,
            renewal_at: now,
            sent_at: now,
        })
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_valid(&self, now: Duration) -> bool {
        self.timeout.is_none() || now < self.until
    }

    /// When the next renewal is due; never for a store that is never out of reach.
    #[must_use]
    pub fn renewal_at(&self) -> Option<Duration> {
        self.timeout.map(|_| self.renewal_at)
    }

    /// A renewal is sent.
    pub fn begin_renewal(&mut self, now: Duration) {
        self.sent_at = now;
        self.renewal_at = now + self.timeout.unwrap_or_default() / LEASE_RENEWALS;
    }

    /// It was committed.
    pub fn renewed(&mut self) {
        self.until = self
            .until
            .max(self.sent_at + self.timeout.unwrap_or_default() / 2);
    }

    /// It was not, as far as is known: it is tried again in a while.
    pub fn failed(&mut self, now: Duration) {
        self.renewal_at = now + self.timeout.unwrap_or_default() / LEASE_RENEWALS;
    }
}

/// Commits the write that renews a lease.
///
/// # Errors
/// [`ControllerError`]: it was not committed, as far as is known.
pub async fn renew<S: MetadataStore>(store: &S, broker: BrokerId) -> Result<(), ControllerError> {
    let path = paths::broker_lease(broker);
    let stored = read::<BrokerLease, S>(store, &path).await?;
    let Some(stored) = stored else {
        return Err(ControllerError::inconsistent(&path, "it does not exist"));
    };
    let mut record: Payload<BrokerLease> = stored.record;
    record.body.counter = record.body.counter.wrapping_add(1);
    let set = MetaOp::Set {
        data: record.encode(&path)?,
        path,
        version: Some(stored.version),
    };
    let written = store.multi(vec![set]).await;
    written
        .map(drop)
        .map_err(|error| ControllerError::from_multi("the lease", error))
}

#[cfg(test)]
mod tests;
