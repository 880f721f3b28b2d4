//! Bounds of the appender.

use std::time::Duration;

/// Memory of the core's buffers, in bytes: that of a shard of a broker with the usual settings.
pub const POOL_BYTES: usize = 1 << 30;

/// The part of it that keeps the tails of the logs.
pub const CACHE_BYTES: usize = POOL_BYTES / 2;

/// Most logs.
pub const LOGS_MAX: usize = 10_000;

/// Most appends under way on a log.
pub const IN_FLIGHT_MAX: usize = 1024;

/// How often segments that are more than is kept are removed: often enough to stay near that size at the speed of any
/// device, since it is what comes behind the start of retention that is to be measured.
pub const RETENTION_INTERVAL: Duration = Duration::from_millis(200);
