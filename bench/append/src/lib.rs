//! Appends to logs of the engine without a network: what the engine adds to the raw writes of `ringlog-device`.
//!
//! **Duty.** [`run_once`] opens logs in a directory of its own, keeps a number of appends under way on each, and counts
//! how long each took until it was stable; whoever calls it repeats, interleaves and reports.
//!
//! **Threads.** One pinned core with its reactor, as a shard has it, and the thread that prepares files.
//!
//! **Invariants.** An append is counted once the log says that it is stable. A log that fails ends the run with an
//! error, never with a number. The directory is gone afterwards.
//!
//! **Must not know.** Topics, replicas, requests; reports.
#![forbid(unsafe_code)]

mod config;
mod error;
pub mod limits;
mod measured;
mod run;

pub use config::AppendConfig;
pub use error::AppendError;
pub use measured::Measured;
pub use ringlog_device::Ending;
pub use run::run_once;
