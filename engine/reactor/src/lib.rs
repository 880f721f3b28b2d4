//! The reactor of a pinned core: executor, timers, mailboxes, buffers, and the I/O driver seam.
//!
//! Everything that touches the world outside of a core (disk, network, clock, randomness, other threads) goes
//! through a [`Reactor`], and from there through a [`driver::Driver`]: the ring of Linux or the simulation. Code
//! above is ordinary `async fn` and cannot tell which it runs on. This crate knows nothing of logs or topics.

pub mod buf;
pub mod driver;
pub mod limits;
pub mod op;
pub mod sim;
pub mod time;
pub mod uring;

pub use buf::{AlignedBuf, BufferPool};
pub use time::Instant;
