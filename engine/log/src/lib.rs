//! The log of a partition: segments, indexes, group commit, recovery, retention.
#![forbid(unsafe_code)]

pub mod bulk;

pub use bulk::{BulkFiles, NoBulkFiles};
