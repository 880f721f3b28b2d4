//! The log of a partition: segments, indexes, group commit, recovery, retention.
#![forbid(unsafe_code)]
