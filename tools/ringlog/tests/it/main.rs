//! The binary as a user runs it: real processes, real files, real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failure in a test is a panic, and a test may say what it has met"
)]

mod admin;
mod bad_input;
mod bench;
mod cluster;
mod formats;
mod groups;
mod help;
mod kill;
mod pipes;
mod process;
mod python;
mod records;
mod round_trip;
mod stop;
mod topics;
mod transcripts;
mod zookeeper;
