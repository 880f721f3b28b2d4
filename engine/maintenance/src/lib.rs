//! The glommio executor that prepares segment files off the data path.
//!
//! One thread of low priority, which owns everything here. It creates a file under the name that it is given,
//! writes zeros over its whole length, syncs the file and closes it; publishing, renaming and unlinking stay with
//! the core that owns the partition. It knows nothing of what segments hold.
//!
//! Requests come over a bounded channel from any thread, answers go back through one-shot channels. All files
//! share one pace in bytes per second and one buffer of zeros, so neither the load on the device nor the memory
//! depends on how many are asked for. A file may come with time to spare, over which its writes are spread.
//!
//! What glommio 0.9 must be kept from: it decides once for each device whether completions can be polled, by
//! reading the first file that is opened, and decides wrongly when that file has no content; see `device.rs`. Its
//! open panics when the path is gone by the time it looks at the file system, so files are created here and
//! handed over by descriptor. It forgets tasks that are ready when it is preempted before it has run any, and sleeps;
//! see `PREEMPT_TIMER`. Nothing is ever detached.
#![forbid(unsafe_code)]

mod bulk;
mod device;
pub mod limits;
mod pace;
mod prepare;
mod serve;

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::future::select;
use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement};

pub use crate::bulk::GlommioFiles;
use crate::limits::{
    BYTES_PER_SECOND, IO_MEMORY_BYTES, PULSE, QUEUE_MAX, RING_DEPTH, START_ATTEMPTS_MAX,
    START_TIMEOUT, STOP_INTERVAL, STOP_TIMEOUT,
};
use crate::serve::Message;

/// How often glommio asks a task to give way: never, since each of ours waits for a write soon enough.
///
/// Its executor goes to sleep with tasks that are ready when anything completes in its latency ring between its look at
/// the rings and the first of those tasks. Nothing wakes them once more: neither a message, since they are ready, nor a
/// timer, since there is none. With a preemption every 500 us a thread of low priority on a busy machine met that once in
/// a thousand files.
const PREEMPT_TIMER: Duration = Duration::from_secs(3_600);

/// How the maintenance executor runs.
#[derive(Clone, Debug)]
pub struct MaintenanceConfig {
    /// A directory on the device whose files are prepared; it exists.
    pub data_dir: PathBuf,
    /// The CPU to run on; on any without one.
    pub cpu: Option<usize>,
    /// Memory that is registered for I/O, in bytes.
    pub io_memory_bytes: usize,
    /// Zeros written per second, in bytes, over all files.
    pub bytes_per_second: u64,
    /// Niceness of the thread, from 0 to 19.
    pub nice: i32,
}

impl MaintenanceConfig {
    /// The defaults, for files below a directory.
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            cpu: None,
            io_memory_bytes: IO_MEMORY_BYTES,
            bytes_per_second: BYTES_PER_SECOND,
            nice: 10,
        }
    }
}

/// Why the executor did not start. A broker warns and runs without prepared files.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The thread could not be made.
    #[error("the maintenance thread could not be started: {0}")]
    Thread(io::Error),
    /// glommio refused: most often a memlock limit under 512 KiB.
    #[error("the maintenance executor could not be set up: {reason}")]
    Executor {
        /// What glommio said.
        reason: String,
    },
    /// The device below the data directory could not be examined.
    #[error("the device below {} could not be examined: {source}", .data_dir.display())]
    Device {
        /// The directory.
        data_dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What the executor has done since it started.
#[derive(Debug, Default)]
pub struct MaintenanceCounters {
    prepared_files: AtomicU64,
    prepared_bytes: AtomicU64,
    failed_files: AtomicU64,
}

impl MaintenanceCounters {
    /// Files that were prepared.
    pub fn prepared_files(&self) -> u64 {
        self.prepared_files.load(Ordering::Relaxed)
    }

    /// Bytes of the files that were prepared.
    pub fn prepared_bytes(&self) -> u64 {
        self.prepared_bytes.load(Ordering::Relaxed)
    }

    /// Files that failed or that nobody wanted any more.
    pub fn failed_files(&self) -> u64 {
        self.failed_files.load(Ordering::Relaxed)
    }

    pub(crate) fn count_prepared(&self, bytes: u64) {
        self.prepared_files.fetch_add(1, Ordering::Relaxed);
        self.prepared_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn count_failed(&self) {
        self.failed_files.fetch_add(1, Ordering::Relaxed);
    }
}

/// The running executor. Dropping it stops the thread: files that are being prepared are given up and removed,
/// requests that wait fail.
#[derive(Debug)]
pub struct Maintenance {
    messages: flume::Sender<Message>,
    stopping: Arc<AtomicBool>,
    counters: Arc<MaintenanceCounters>,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    /// Starts the thread, and returns once it is ready.
    ///
    /// One that is not ready in time, on a device that does not answer, is left behind, where it sleeps until the process
    /// ends, and another one is started.
    ///
    /// # Errors
    ///
    /// [`StartError`]; a broker can run without this executor.
    pub fn start(config: MaintenanceConfig) -> Result<Self, StartError> {
        for attempt in 1..=START_ATTEMPTS_MAX {
            if let Some(started) = Self::try_start(config.clone())? {
                return Ok(started);
            }
            tracing::warn!(
                attempt,
                "the maintenance executor sleeps, and is left behind"
            );
        }
        Err(StartError::Executor {
            reason: format!("{START_ATTEMPTS_MAX} times it was not ready within {START_TIMEOUT:?}"),
        })
    }

    /// One attempt; `None` when the executor is not ready in time.
    fn try_start(config: MaintenanceConfig) -> Result<Option<Self>, StartError> {
        let (messages, inbox) = flume::bounded(QUEUE_MAX);
        let stopping = Arc::new(AtomicBool::new(false));
        let counters = Arc::new(MaintenanceCounters::default());
        let (ready, started) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("maintenance".to_owned())
            .spawn({
                let stopping = Arc::clone(&stopping);
                let counters = Arc::clone(&counters);
                move || run(&config, inbox, &stopping, &counters, &ready)
            })
            .map_err(StartError::Thread)?;
        let mut maintenance = Self {
            messages,
            stopping,
            counters,
            thread: Some(thread),
        };
        match started.recv_timeout(START_TIMEOUT) {
            Ok(Ok(())) => Ok(Some(maintenance)),
            Ok(Err(error)) => {
                maintenance.join();
                Err(error)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                maintenance.join();
                Err(StartError::Executor {
                    reason: "its thread ended early".to_owned(),
                })
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                // Nobody waits for it. Should it wake up after all, it finds that nobody asks it for anything.
                maintenance.thread = None;
                Ok(None)
            }
        }
    }

    /// The port through which files are asked for; it may be cloned and sent to other threads.
    pub fn files(&self) -> GlommioFiles {
        GlommioFiles::new(self.messages.clone())
    }

    /// What has been done so far.
    pub fn counters(&self) -> Arc<MaintenanceCounters> {
        Arc::clone(&self.counters)
    }

    fn join(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // A failure means that the thread has ended already, or sleeps.
        drop(self.messages.send_timeout(Message::Stop, STOP_TIMEOUT));
        let Some(thread) = self.thread.take() else {
            return;
        };
        let deadline = Instant::now() + STOP_TIMEOUT;
        while !thread.is_finished() {
            if Instant::now() >= deadline {
                // It holds nothing that anybody needs, and ends with the process.
                tracing::warn!("the maintenance thread did not stop in time and is left behind");
                return;
            }
            std::thread::sleep(STOP_INTERVAL);
        }
        if thread.join().is_err() {
            tracing::error!("the maintenance thread panicked");
        }
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.join();
    }
}

/// The life of the thread.
fn run(
    config: &MaintenanceConfig,
    inbox: flume::Receiver<Message>,
    stopping: &AtomicBool,
    counters: &MaintenanceCounters,
    ready: &mpsc::Sender<Result<(), StartError>>,
) {
    if let Err(error) = ringlog_reactor::uring::set_thread_nice(config.nice) {
        tracing::warn!(%error, "the maintenance thread keeps its priority");
    }
    let executor = match executor(config) {
        Ok(executor) => executor,
        Err(error) => {
            // Nobody listens only if the starting thread is gone, and then nobody minds.
            drop(ready.send(Err(StartError::Executor {
                reason: error.to_string(),
            })));
            return;
        }
    };
    executor.run(async {
        let serve = async {
            if let Err(source) = device::settle(&config.data_dir).await {
                let data_dir = config.data_dir.clone();
                drop(ready.send(Err(StartError::Device { data_dir, source })));
                return;
            }
            drop(ready.send(Ok(())));
            serve::serve(inbox, config.bytes_per_second, stopping, counters).await;
        };
        select(pin!(serve), pin!(pulse())).await;
    });
}

/// Has the executor awake again and again, should it go to sleep with tasks that are ready all the same: a wake-up of
/// another thread may come in that moment, too.
async fn pulse() {
    loop {
        glommio::timer::sleep(PULSE).await;
    }
}

fn executor(config: &MaintenanceConfig) -> Result<LocalExecutor, GlommioError<()>> {
    let placement = config.cpu.map_or(Placement::Unbound, Placement::Fixed);
    LocalExecutorBuilder::new(placement)
        .name("maintenance")
        .io_memory(config.io_memory_bytes)
        .ring_depth(RING_DEPTH)
        .preempt_timer(PREEMPT_TIMER)
        .make()
}

/// The system's error inside of glommio's.
pub(crate) fn io_error(error: GlommioError<()>) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.into(),
    }
}
