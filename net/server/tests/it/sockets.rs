//! Brokers on rings and loopback sockets, asked in the bytes of the protocol; most scenes are played on the
//! simulated driver as well.

mod bad_input;
mod data_path;
mod real;
mod receipts;
mod shards;
mod stage;
mod stopping;
mod wire;
