//! The bounds of the load generator.

/// Connections of one run.
pub const CONNECTIONS_MAX: usize = 1024;

/// Largest latency that is told apart, in nanoseconds: one minute.
pub const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Samples that a percentile must have above it to be told.
pub const SAMPLES_ABOVE_MIN: u64 = 100;

/// Bytes that `consume` writes before it reads.
pub const CONSUME_FILL_BYTES: u64 = 256 << 20;

/// Size of the batches that `consume` reads.
pub const CONSUME_BATCH_BYTES: usize = 64 << 10;
