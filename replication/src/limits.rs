//! The bounds of a partition.

use std::time::Duration;

/// How long a partition that closes waits for what was appended to become durable, as when the device is full: a stop
/// of the broker, and the removal of a topic that is to make room, do not wait for ever.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Ends of appends that a partition remembers, to tell a parked fetch to the byte how much there is for it. 2 KiB of
/// memory for a partition that is written to, and less for one that is not.
pub const RECENT_ENDS_MAX: usize = 128;

/// Moves of the stable end that a partition remembers, to tell of a produce when it was stable on the leader. Each is a
/// flush, so that this covers followers that are so many flushes behind. 1 KiB for a partition that is written to.
pub const STABLE_MARKS_MAX: usize = 64;
