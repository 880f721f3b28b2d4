//! How cores are started: on pinned threads of this machine, or inside a simulation.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::reactor::Reactor;

/// What a core is to be.
#[derive(Clone, Debug)]
pub struct CoreSpec {
    /// Name of the thread.
    pub name: String,
    /// Which processor to pin to; `None` leaves it to the scheduler.
    pub cpu: Option<usize>,
    /// How long to spin before parking.
    pub spin: Duration,
    /// Budget of the core's buffer pool in bytes.
    pub pool_bytes: usize,
}

/// The future that a core runs; the core ends with it.
pub type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Makes the future of a core, on that core.
pub type CoreMain = Box<dyn FnOnce(Reactor) -> LocalFuture + Send>;

/// Starts cores.
pub trait Platform {
    /// Starts a core that runs `main`.
    ///
    /// # Errors
    ///
    /// When the thread or its ring cannot be made.
    fn launch(&self, spec: CoreSpec, main: CoreMain) -> io::Result<CoreHandle>;
}

/// A core that was started. Dropping it does not end the core.
pub struct CoreHandle {
    finished: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl CoreHandle {
    /// A handle for a core that sets `finished` when its main future is done, and runs on `thread` if any.
    pub fn new(finished: Arc<AtomicBool>, thread: Option<JoinHandle<io::Result<()>>>) -> Self {
        Self { finished, thread }
    }

    /// Whether the core's main future is done.
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Waits for the thread of the core to end. In a simulation there is none and this returns at once.
    ///
    /// # Errors
    ///
    /// When the driver of the core failed or the core panicked.
    pub fn join(mut self) -> io::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("a core panicked")),
        }
    }
}
