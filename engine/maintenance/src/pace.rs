//! The pace that all files share.

use std::time::{Duration, Instant};

/// Spreads bytes evenly over time: each piece pushes the moment at which the next one may go.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    next: Instant,
}

impl Pace {
    /// A pace that starts now.
    pub(crate) fn new(bytes_per_second: u64, now: Instant) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            next: now,
        }
    }

    /// Books a piece; it may go after the time returned. Time that was not used is not saved up.
    pub(crate) fn book(&mut self, bytes: u64, now: Instant) -> Duration {
        let start = self.next.max(now);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        self.next = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        start - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_go_at_the_pace() {
        let start = Instant::now();
        let mut pace = Pace::new(1_000, start);
        assert_eq!(pace.book(100, start), Duration::ZERO);
        assert_eq!(pace.book(100, start), Duration::from_millis(100));
        assert_eq!(
            pace.book(100, start + Duration::from_millis(150)),
            Duration::from_millis(50)
        );
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let start = Instant::now();
        let mut pace = Pace::new(1_000, start);
        let later = start + Duration::from_secs(60);
        assert_eq!(pace.book(100, later), Duration::ZERO);
        assert_eq!(pace.book(100, later), Duration::from_millis(100));
    }
}
