//! The client against a broker that does as it is told, over loopback TCP.
#![cfg(test)]

mod connection;
mod consumer;
mod fake;
mod producer;
