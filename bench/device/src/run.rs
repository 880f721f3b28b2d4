//! One repetition of one shape.

use std::thread;

use crate::config::{DeviceConfig, Shape};
use crate::error::DeviceError;
use crate::measured::Measured;
use crate::{disk, tcp};

/// Measures one repetition: warm-up, then as long as the settings say. Makes its own threads, and blocks.
///
/// # Errors
///
/// Settings over a limit, a directory or a kernel that does not allow it, an operation that failed or was short.
pub fn run_once(config: &DeviceConfig) -> Result<Measured, DeviceError> {
    config.validate()?;
    match config.shape {
        Shape::Write
        | Shape::WriteSync
        | Shape::WriteSyncPlain
        | Shape::WriteDsync
        | Shape::Read => on_thread("device", || disk::run(config)),
        Shape::TcpEcho | Shape::TcpDurable | Shape::TcpOut => tcp::run(config),
    }
}

/// Runs on a thread of its own, so that pinning and the ring's owner end with the run.
pub(crate) fn on_thread<T: Send>(
    name: &'static str,
    work: impl FnOnce() -> Result<T, DeviceError> + Send,
) -> Result<T, DeviceError> {
    thread::scope(|scope| join(name, spawn(scope, name, work)?))
}

/// Starts a named thread.
pub(crate) fn spawn<'scope, 'env, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, 'env>,
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<thread::ScopedJoinHandle<'scope, T>, DeviceError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, work)
        .map_err(|_| DeviceError::Thread {
            name,
            what: "could not be started",
        })
}

/// Waits for it, and takes what it returned.
pub(crate) fn join<T>(
    name: &'static str,
    handle: thread::ScopedJoinHandle<'_, Result<T, DeviceError>>,
) -> Result<T, DeviceError> {
    handle.join().unwrap_or(Err(DeviceError::Thread {
        name,
        what: "panicked",
    }))
}
