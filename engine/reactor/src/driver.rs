//! The driver seam: everything that leaves a reactor goes through this trait. Two drivers implement it, the ring
//! of Linux ([`crate::uring`]) and the simulation ([`crate::sim`]); code above cannot tell which it runs on.

use std::io;
use std::net::SocketAddr;

use crate::op::{Completion, Handle, Op, OpId};
use crate::time::Instant;

/// How a turn of the driver waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Do not wait.
    Poll,
    /// Wait until something completes, a wake arrives, or this time; for ever without one.
    Until(Option<Instant>),
}

/// How to listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenOptions {
    /// Other listeners of this process share the address (`SO_REUSEPORT`).
    pub reuse_port: bool,
}

/// What a driver has exchanged with the world outside since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriverCounts {
    /// Entries put into the submission queue of a ring.
    pub submissions: u64,
    /// Entries taken from its completion queue.
    pub completions: u64,
    /// System calls made to pass on the ones and wait for the others.
    pub enters: u64,
}

/// What a reactor needs of the world outside.
pub trait Driver {
    /// Takes an operation. It never completes before the next [`Driver::turn`]. `id` is not in flight already.
    fn submit(&mut self, id: OpId, op: Op);

    /// Asks that a receive, send, accept or connect ends early; it still completes. Others may ignore it.
    fn cancel(&mut self, id: OpId);

    /// Passes on what was submitted so far, where that matters: something slow can begin before the turn ends.
    ///
    /// # Errors
    ///
    /// As of [`Driver::turn`].
    fn pass_on(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Passes submissions on, waits as told, and appends what has ended to `completions`.
    ///
    /// # Errors
    ///
    /// When the driver itself fails (not one of its operations): the reactor cannot go on.
    fn turn(&mut self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()>;

    /// Opens a listener.
    ///
    /// # Errors
    ///
    /// What `bind` and `listen` say, such as `AddrInUse`.
    fn listen(
        &mut self,
        address: SocketAddr,
        options: ListenOptions,
    ) -> io::Result<(Handle, SocketAddr)>;

    /// Monotonic time.
    fn now(&self) -> Instant;

    /// A monotonic count that is cheap enough to be read after each poll of a task; [`Driver::ticks_per_ms`] of it pass
    /// in a millisecond.
    fn ticks(&self) -> u64 {
        self.now().as_nanos()
    }

    /// The rate of [`Driver::ticks`], at least 1; it never changes.
    fn ticks_per_ms(&self) -> u64 {
        1_000_000
    }

    /// What was exchanged so far; zeros where there is no ring.
    fn counts(&self) -> DriverCounts {
        DriverCounts::default()
    }

    /// Whether a durable write is one operation of the device: several gain nothing from a sync that they share.
    fn writes_through(&self) -> bool {
        false
    }

    /// Wall-clock time in milliseconds since the Unix epoch.
    fn unix_time_ms(&self) -> i64;

    /// A random number; in the simulation a function of the seed.
    fn random_u64(&mut self) -> u64;
}

/// Ends the wait of a parked reactor, from any thread.
pub trait Notify: Send + Sync {
    /// Makes the current or the next [`Driver::turn`] return.
    fn notify(&self);
}
