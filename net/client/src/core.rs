//! What a client decides, without a runtime: no sockets, no clock, no tasks. Time is passed in.

pub mod accumulator;
pub mod assembler;
pub mod backoff;
pub mod murmur2;
