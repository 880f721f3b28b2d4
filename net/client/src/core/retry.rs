//! Whether a request that failed is sent again, and when.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use crate::error::ClientError;

/// What to do after an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody can say whether it was carried out: it must not be sent again.
    Unknown,
    /// It never will be carried out.
    Refused,
    /// It may be carried out later, but there is no time left.
    Expired,
    /// It may be carried out later.
    Again {
        /// How long to wait first.
        pause: Duration,
        /// What to do first.
        metadata: Metadata,
    },
}

/// Whether what is known of leaders and shards can still be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// The broker is the right one, it cannot now.
    Keep,
    /// Ask anew.
    Refresh,
}

/// The attempts at a request that must not be carried out twice.
#[derive(Clone, Debug)]
pub struct Retry {
    deadline: Instant,
    backoff: Backoff,
}

impl Retry {
    /// Attempts until `deadline`.
    pub fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            backoff: Backoff::default(),
        }
    }

    /// The time an attempt may take that begins now; none when it is over.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let left = self.deadline.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// What to do after `error`; `chance` is any random number.
    pub fn after(&mut self, error: &ClientError, now: Instant, chance: u64) -> Verdict {
        if !error.is_definite() {
            return Verdict::Unknown;
        }
        if !error.is_retriable() && !error.is_elsewhere() {
            return Verdict::Refused;
        }
        let pause = self.backoff.next_pause(chance);
        if now + pause >= self.deadline {
            return Verdict::Expired;
        }
        let is_here = matches!(error, ClientError::Refused { .. }) && !error.is_elsewhere();
        let metadata = if is_here {
            Metadata::Keep
        } else {
            Metadata::Refresh
        };
        Verdict::Again { pause, metadata }
    }
}

#[cfg(test)]
mod tests;
