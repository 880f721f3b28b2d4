//! The simulated driver: several nodes with their cores, disks and network in one thread, in virtual time.
//!
//! A [`SimWorld`] holds one clock, one seeded source of chance and one queue of events. Each step takes the next
//! event (by time; among equals by chance), gives its outcome to the core concerned, and runs that core until it
//! has nothing to do. Everything that happens is a function of the seed: there is no thread, no real clock and
//! no address or hash order in it, and [`SimWorld::trace_hash`] of two runs of one seed is equal.
//!
//! It is stricter than a real machine where that is allowed: a write is volatile until a later sync completes,
//! directory entries are volatile until their directory is synced, writes in flight that overlap land in any
//! order, receives and sends are partial. It knows nothing of logs or topics.

mod disk;
mod driver;
mod net;
mod platform;
mod random;
mod world;

pub use disk::{CrashKind, DiskFault, DiskStats, FaultEffect, FaultTrigger, FaultyOp};
pub use platform::SimPlatform;
pub use random::Chance;
pub use world::SimWorld;

/// A machine of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u16);

/// A core of a world; no two ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CoreId(pub(crate) u64);

/// How a world behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimConfig {
    /// Its disks.
    pub disk: DiskConfig,
    /// Its network.
    pub net: NetConfig,
}

/// How the disks of a world behave. Each latency is the usual one: single operations take half of it to ten
/// times as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// Size of each disk in bytes.
    pub capacity_bytes: u64,
    /// Latency of a read in microseconds.
    pub read_us: u64,
    /// Latency of a write in microseconds.
    pub write_us: u64,
    /// Latency of a sync in microseconds.
    pub sync_us: u64,
    /// Latency of everything else in microseconds.
    pub metadata_us: u64,
    /// One operation in so many takes up to ten times as long.
    pub slow_one_in: u64,
    /// What [`crate::Reactor::writes_through`] says.
    pub writes_through: bool,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            capacity_bytes: 64 << 30,
            read_us: 60,
            write_us: 50,
            sync_us: 100,
            metadata_us: 20,
            slow_one_in: 25,
            writes_through: false,
        }
    }
}

/// How the network of a world behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetConfig {
    /// Least delay of a segment in microseconds.
    pub latency_us_min: u64,
    /// Usual largest delay of a segment in microseconds.
    pub latency_us_max: u64,
    /// One segment in so many is delayed further.
    pub stall_one_in: u64,
    /// By up to so many microseconds.
    pub stall_us_max: u64,
    /// Least window of a connection in bytes: what is under way or not yet received.
    pub window_bytes_min: u64,
    /// Largest window of a connection in bytes.
    pub window_bytes_max: u64,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            latency_us_min: 10,
            latency_us_max: 200,
            stall_one_in: 100,
            stall_us_max: 5_000,
            window_bytes_min: 4 << 10,
            window_bytes_max: 512 << 10,
        }
    }
}
