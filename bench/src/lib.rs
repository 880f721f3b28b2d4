//! The load generator: a closed loop, beside the raw device in the same run.
//!
//! **Duty.** [`produce`] and [`consume`] load a broker, [`device`] the machine under it, each several times and in
//! turns, and give [`Row`]s: medians with their spread, and the ratio of the one to the other. Closed loop only, so
//! far: each connection has one request under way and sends the next when it is answered, so that a stall of the
//! broker stalls the load. Rates are honest, percentiles leave out the requests that were never sent.
//!
//! **Threads.** The caller's, pinned to the first processor, asks; the broker is another process; the raw program
//! has threads of its own on the same processors.
//!
//! **Must not know.** The engine and the wire format: it is a client like any other.
#![forbid(unsafe_code)]

mod closed_loop;
mod consume;
mod device;
mod error;
pub mod limits;
mod pin;
mod produce;
mod report;
mod spread;

pub use consume::{ConsumeBench, consume};
pub use device::{DeviceBench, device};
pub use error::BenchError;
pub use produce::{ProduceBench, produce};
pub use report::{Report, Row};
pub use ringlog_device::{ConfigError as ShapeError, Shape};
pub use spread::Spread;

/// How often, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long each run goes on before it measures.
    pub warm_up: std::time::Duration,
    /// How long it measures.
    pub duration: std::time::Duration,
    /// How many runs of each there are.
    pub repetitions: u32,
}

/// What is told while it runs.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

#[cfg(test)]
mod tests;
