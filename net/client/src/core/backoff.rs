//! How long to wait before something is tried again: twice as long each time, with jitter.

use std::time::Duration;

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN};

/// Pauses between attempts.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The pause before the next attempt: between half and all of what the number of attempts calls for. `chance` is
    /// any random number, so that clients that failed together do not come back together.
    pub fn next_pause(&mut self, chance: u64) -> Duration {
        let whole = BACKOFF_MIN
            .saturating_mul(1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX))
            .min(BACKOFF_MAX);
        self.attempts = (self.attempts + 1).min(16);
        let half = whole / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        half + Duration::from_nanos(chance % nanos.max(1))
    }

    /// Something went right: begin with a short pause again.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests;
