//! What a client decides, without a runtime: no sockets, no clock, no tasks. Time and chance are passed in.

pub mod accumulator;
pub mod assembler;
pub mod backoff;
pub mod compression;
pub mod lane;
pub mod partitioner;
pub mod pending;

pub use ringlog_record::murmur2;
