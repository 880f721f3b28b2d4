//! Moves frames with tokio.

mod chance;
mod connection;
mod frame_slices;
mod pool;

pub(crate) use chance::chance;
pub use connection::{Call, Connection, ConnectionConfig};
pub(crate) use pool::Pool;
