//! The reactor of a pinned core: executor, timers, mailboxes, buffers, and the I/O driver seam.
//!
//! Everything that touches the world outside of a core (disk, network, clock, randomness, other threads) goes
//! through a [`Reactor`], and from there through a [`driver::Driver`]: the ring of Linux or the simulation. Code
//! above is ordinary `async fn` and cannot tell which it runs on. This crate knows nothing of logs or topics.

#[cfg(feature = "allocations")]
pub mod allocations;
mod budget;
pub mod buf;
pub mod driver;
pub mod executor;
pub mod file;
pub mod limits;
pub mod mailbox;
mod meter;
pub mod net;
pub mod op;
pub mod platform;
pub mod reactor;
mod signal;
pub mod sim;
pub mod time;
mod timer;
pub mod uring;

pub use budget::{Budget, Share};
pub use buf::{AlignedBuf, BufferPool};
pub use driver::{DriverCounts, ListenOptions};
pub use executor::{Core, Task};
pub use file::{File, WriteSyncError};
pub use meter::{LoopCounts, StallCount};
pub use net::{Listener, RawSocket, TcpStream};
pub use op::{DirEntry, FileKind, OpenOptions, Space, Stat};
pub use platform::{CoreHandle, CoreMain, CoreSpec, LocalFuture, Platform};
pub use reactor::{Elapsed, Reactor, Sleep};
pub use signal::Signal;
pub use time::Instant;
pub use uring::UringPlatform;
