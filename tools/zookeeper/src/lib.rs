//! A real ZooKeeper server on loopback, and a proxy that cuts and delays: what tests of coordination run against.
//!
//! **Duty.** [`installation`] finds Debian's package `zookeeper` and says what to install when it is missing;
//! [`Server`] runs it for as long as the value, or the process that made it, lives; [`Ensemble`] runs several as one store; [`Proxy`] stands between a
//! client and the server and does to the connection what networks do.
//!
//! **Must not know.** The protocol: all it sees are bytes.
#![forbid(unsafe_code)]

mod ensemble;
mod proxy;
mod server;

pub use ensemble::Ensemble;
pub use proxy::{Direction, Proxy};
pub use server::{Certificates, Installation, Missing, Server, StartError, installation};
