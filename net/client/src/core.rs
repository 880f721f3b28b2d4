//! What a client decides, without a runtime: no sockets, no clock, no tasks. Time and chance are passed in.

pub mod accumulator;
pub mod assembler;
pub mod backoff;
pub mod compression;
pub mod lane;
pub mod murmur2;
pub mod partitioner;
pub mod pending;
