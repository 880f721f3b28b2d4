//! The client over loopback TCP: against a broker that does as it is told, and against a real one, with and without a proxy
//! between them.
#![cfg(test)]

mod admin;
mod broker;
mod connection;
mod consumer;
mod examples;
mod fake;
mod idempotence;
mod offsets;
mod partition;
mod producer;
mod proxy;
mod raw;
