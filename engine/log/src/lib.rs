//! The log of a partition: segments, indexes, group commit, recovery, retention.
//!
//! A [`Log`] belongs to one core, reaches the world through the reactor of that core alone, and knows nothing of
//! topics, replicas or requests. Its words are Kafka's:
//!
//! - **log start**: the first offset that can be read; moved by retention and `delete_records` only.
//! - **log end**: the offset behind the last record; moved by appends.
//! - **durable end**: the offset behind the last record that is on the device; moved by flush groups.
//! - **stable end**: what this replica has for good: the durable end, or the log end under `async` and `memory`.
//! - **high watermark**: what all in-sync replicas have; the log only keeps it for whoever replicates.
//! - **segment**: one file of the log, named for its base offset; the last one is active, the others are sealed.
//! - **flush group**: what is written and synced at once, at most 4 MiB; one of a log is in flight.
//! - **checkpoint**: what recovery begins from.
#![forbid(unsafe_code)]

mod append;
pub mod bulk;
mod cache;
mod checkpoint;
mod checkpointing;
mod cold;
mod config;
mod counters;
mod directory;
mod durable;
mod env;
mod epochs;
mod error;
mod files;
mod flush;
mod flusher;
mod full;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod index;
mod index_file;
pub mod inspect;
pub mod limits;
mod log;
#[cfg(feature = "bench")]
pub mod lookup;
mod memory;
mod names;
mod next_file;
pub mod omit;
mod producers;
mod read;
mod recovery;
mod recycle;
mod retention;
mod roll;
mod scan;
mod segment;
mod space;
mod tail;

pub use bulk::{BulkFiles, Leisure, NoBulkFiles};
pub use cache::CacheBudget;
pub use cold::ColdReads;
pub use config::{Durability, LogConfig};
pub use counters::{Counter, LogCounters};
pub use directory::delete_directory;
pub use env::LogEnv;
pub use epochs::{EpochCache, EpochEnd, EpochStart};
pub use error::{
    AppendError, BatchProblem, ChangeError, Corruption, Damage, FileError, LogFailure, OpenError,
    ReadError,
};
pub use files::OpenFiles;
pub use flusher::Flusher;
pub use log::{Appended, Log};
pub use producers::ProducerError;
pub use read::{ReadData, ReadRequest, Slices, TimestampOffset};
pub use recovery::{RecoveryReport, TornTail};
pub use ringlog_record::batch::TimestampType;
pub use space::{SpaceGauge, reserve_bytes};
