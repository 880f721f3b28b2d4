//! Cores as threads of this machine, each with a ring of its own.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use core_affinity::CoreId;

use super::{UringConfig, UringDriver};
use crate::buf::BufferPool;
use crate::executor::Core;
use crate::platform::{CoreHandle, CoreMain, CoreSpec, Platform};

/// Starts each core on a thread of its own, pinned when the [`CoreSpec`] names a processor.
#[derive(Clone, Copy, Debug, Default)]
pub struct UringPlatform {
    writes_through: bool,
}

impl UringPlatform {
    /// The platform of this machine.
    pub fn new() -> Self {
        Self::default()
    }

    /// The platform of this machine, whose durable writes are made as suits the device below `dir` (or below its nearest
    /// parent that exists).
    pub fn for_files_in(dir: &Path) -> Self {
        let writes_through = super::probe::has_no_volatile_cache(dir);
        Self { writes_through }
    }

    /// The processors that this process may run on, ascending.
    ///
    /// # Errors
    ///
    /// When the operating system does not tell.
    pub fn cpus() -> io::Result<Vec<usize>> {
        let ids = core_affinity::get_core_ids().ok_or_else(|| {
            io::Error::other("the system does not tell which processors there are")
        })?;
        let mut cpus: Vec<usize> = ids.into_iter().map(|core| core.id).collect();
        cpus.sort_unstable();
        Ok(cpus)
    }
}

impl Platform for UringPlatform {
    /// Starts the thread and waits until its ring is set up.
    fn launch(&self, spec: CoreSpec, main: CoreMain) -> io::Result<CoreHandle> {
        let finished = Arc::new(AtomicBool::new(false));
        let (started, is_started) = sync_channel(1);
        let flag = Arc::clone(&finished);
        let (name, platform) = (spec.name.clone(), *self);
        let thread = thread::Builder::new().name(name).spawn(move || {
            let result = platform.run(&spec, main, &started);
            flag.store(true, Ordering::Release);
            result
        })?;
        match is_started.recv() {
            Ok(Ok(())) => Ok(CoreHandle::new(finished, Some(thread))),
            Ok(Err(error)) => {
                // The thread ends by itself now; its result says the same.
                drop(thread.join());
                Err(error)
            }
            Err(_) => Err(io::Error::other("the thread of a core ended before it ran")),
        }
    }
}

impl UringPlatform {
    /// The life of a core's thread.
    fn run(
        self,
        spec: &CoreSpec,
        main: CoreMain,
        started: &SyncSender<io::Result<()>>,
    ) -> io::Result<()> {
        let (core, reported) = match self.set_up(spec) {
            Ok(core) => (Some(core), started.send(Ok(()))),
            Err(error) => (None, started.send(Err(error))),
        };
        // Whoever launched the core waits for this; nobody does only when the process is going down.
        let (Some(core), Ok(())) = (core, reported) else {
            return Ok(());
        };
        core.block_on(main(core.reactor()))
    }

    fn set_up(self, spec: &CoreSpec) -> io::Result<Core> {
        // Before this thread is pinned: the one that fills the pool up is not to share its processor.
        let pool = BufferPool::stocked(spec.pool_bytes)?;
        if let Some(cpu) = spec.cpu {
            pin(cpu)?;
        }
        let config = UringConfig {
            spin: spec.spin,
            // What ends such a write may need the processor that a spinning core keeps.
            writes_through: self.writes_through && spec.spin.is_zero(),
            ..UringConfig::default()
        };
        let (driver, notify) = UringDriver::new(config)?;
        Ok(Core::new(Box::new(driver), notify, pool))
    }
}

/// Binds the calling thread to one processor.
fn pin(cpu: usize) -> io::Result<()> {
    let cpus = UringPlatform::cpus()?;
    if !cpus.contains(&cpu) {
        let message = format!("there is no processor {cpu} for this process; it may use {cpus:?}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    if core_affinity::set_for_current(CoreId { id: cpu }) {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "the system refused to bind a thread to processor {cpu}"
        )))
    }
}

#[cfg(test)]
mod tests;
