//! Moves frames with tokio.

mod connection;

pub use connection::{Connection, ConnectionConfig};
