//! Raw io_uring yardsticks: the physical limits that the broker is measured against.
//!
//! **Duty.** The same I/O as the broker with nothing around it: a ring, a file or some sockets, a closed loop.
//! [`run_once`] measures one repetition of one [`Shape`]; whoever calls it repeats, interleaves and reports.
//! [`replay_once`] puts the client of that on a server elsewhere: requests made beforehand, again and again.
//!
//! **Threads.** Files: one thread with one ring, pinned. TCP: a server ring and a client ring, each on its own
//! thread and core. A ring never leaves the thread that made it.
//!
//! **Invariants.** Memory given to the kernel is owned by the ring and is freed only after the last operation
//! came back. A short write, a failed sync or a short answer ends the run with an error, never with a number.
//! The file is written once before the measurement, so that it measures neither allocation nor unwritten
//! extents, and is gone afterwards.
//!
//! **Must not know.** The engine and its reactor: a fault shared with what is measured would hide itself.
//! Protocol, batches, reports.
//!
//! ```no_run
//! use ringlog_device::{DeviceConfig, Shape, run_once};
//!
//! # fn main() -> Result<(), ringlog_device::DeviceError> {
//! let config = DeviceConfig::new(Shape::WriteSync, "/var/tmp");
//! let measured = run_once(&config)?;
//! println!("{} requests, slowest {} ns", measured.requests, measured.latency.max_ns());
//! # Ok(()) }
//! ```

pub mod limits;

mod config;
mod cpu;
mod disk;
mod ending;
mod error;
mod file;
mod latency;
mod measured;
mod memory;
mod ring;
mod run;
mod tcp;

pub use config::{DeviceConfig, Idle, Placement, Shape};
pub use ending::Ending;
pub use error::{ConfigError, DeviceError};
pub use latency::Latency;
pub use measured::{CpuTime, Measured};
pub use run::run_once;
pub use tcp::replay::{Answer, Replay, Script, replay_once, requests_of_round};

#[cfg(test)]
mod tests;
