//! The client against a broker that does as it is told, over loopback TCP.
#![cfg(test)]

mod admin;
mod connection;
mod consumer;
mod fake;
mod partition;
mod producer;
