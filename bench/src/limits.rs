//! The bounds of the load generator.

use std::time::Duration;

/// Connections of one run.
pub const CONNECTIONS_MAX: usize = 20_000;

/// Partitions of one run.
pub const PARTITIONS_MAX: u32 = 20_000;

/// Requests under way on a connection, in a closed loop.
pub const IN_FLIGHT_MAX: usize = 1024;

/// Requests a second, on a schedule.
pub const RATE_MAX: f64 = 10_000_000.0;

/// Bytes of the values of one request: what every system takes as one batch, with room for its headers.
pub const REQUEST_BYTES_MAX: usize = 4 << 20;

/// Largest latency that is told apart, in nanoseconds: five minutes. Slower ones count in the last bucket and in the
/// true maximum.
pub const LATENCY_NS_MAX: u64 = 300_000_000_000;

/// Samples that a percentile must have above it to be told.
pub const SAMPLES_ABOVE_MIN: u64 = 100;

/// Requests that a worker has under way on a schedule; a system that lets more pile up is saturated, and the run is
/// not valid.
pub const OUTSTANDING_MAX: usize = 65_536;

/// Bytes of requests that a worker has under way on a schedule.
pub const OUTSTANDING_BYTES_MAX: usize = 1 << 30;

/// How long answers are waited for when the measured time is over.
pub const DRAIN: Duration = Duration::from_secs(10);

/// How long what is under way may take to end when it is told to.
pub const STOP_MAX: Duration = Duration::from_secs(30);

/// How long a broker may take to start.
pub const RESTART_MAX: Duration = Duration::from_secs(300);

/// How long a connection pauses after a request that failed, in a closed loop: a system that refuses everything at once
/// is not to be flooded.
pub const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Kinds of errors that are told.
pub const ERROR_KINDS_MAX: usize = 5;

/// Steps of time that a run is divided into, at most.
pub const INTERVALS_MAX: u32 = 120;

/// The shortest step.
pub const INTERVAL_MIN: Duration = Duration::from_millis(100);

const _: () = assert!(OUTSTANDING_BYTES_MAX >= REQUEST_BYTES_MAX);
const _: () = assert!(STOP_MAX.as_secs() > 2 * DRAIN.as_secs());
