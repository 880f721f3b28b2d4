//! The broker as a whole on a simulated machine, spoken to in the wire protocol.
#![cfg(test)]

mod assembly;
mod bad_input;
mod budget;
mod client;
mod control;
mod data;
mod deposed;
mod fairness;
mod faults;
mod groups;
mod idempotence;
mod memory;
mod sockets;
mod world;
