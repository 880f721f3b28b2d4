//! The handle through which the code of a core reaches time, tasks, buffers, files and sockets.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::buf::{AlignedBuf, BufferPool};
use crate::driver::ListenOptions;
use crate::executor::{Inner, Task};
use crate::file::File;
use crate::limits::DISK_PATIENCE_SECONDS;
use crate::meter::LoopCounts;
use crate::net::{Listener, RawSocket, TcpStream};
use crate::op::{DirEntry, Op, OpenOptions, Output, Space, Stat};
use crate::time::Instant;
use crate::timer::TimerId;

/// The reactor of the core that this code runs on. Cheap to clone, and not `Send`.
#[derive(Clone)]
pub struct Reactor(Rc<Inner>);

/// A time-out ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time-out ran out")]
pub struct Elapsed;

/// A disk does not complete an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device has not answered for {DISK_PATIENCE_SECONDS} s")]
struct Unanswered;

impl Reactor {
    pub(crate) fn new(inner: Rc<Inner>) -> Self {
        Self(inner)
    }

    /// Monotonic time.
    pub fn now(&self) -> Instant {
        self.0.driver.borrow().now()
    }

    /// Wall-clock time in milliseconds since the Unix epoch.
    pub fn unix_time_ms(&self) -> i64 {
        self.0.driver.borrow().unix_time_ms()
    }

    /// A random number.
    pub fn random_u64(&self) -> u64 {
        self.0.driver.borrow_mut().random_u64()
    }

    /// What the loop of this core has done so far, and which tasks held it for too long.
    pub fn loop_counts(&self) -> LoopCounts {
        self.0.meter.counts(self.0.driver.borrow().counts())
    }

    /// Starts a task on this core. Its name is that under which stalls are reported.
    pub fn spawn<T: 'static>(
        &self,
        name: &'static str,
        future: impl Future<Output = T> + 'static,
    ) -> Task<T> {
        self.0.spawn(name, future)
    }

    /// Ends after `duration`.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// Ends at `deadline`.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep {
            reactor: self.clone(),
            deadline,
            timer: None,
        }
    }

    /// Runs `future` for at most `duration`.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when it is not done by then; it is dropped.
    pub async fn timeout<T>(
        &self,
        duration: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let mut future = pin!(future);
        let mut sleep = pin!(self.sleep(duration));
        poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            sleep.as_mut().poll(cx).map(|()| Err(Elapsed))
        })
        .await
    }

    /// Lets the other ready tasks run first.
    pub async fn yield_now(&self) {
        let mut yielded = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Whether a durable write is one operation of the device: several gain nothing from a sync that they share.
    pub fn writes_through(&self) -> bool {
        self.0.driver.borrow().writes_through()
    }

    /// A buffer of at least `min_len` bytes, or `None` when the core's budget is spent.
    pub fn buffer(&self, min_len: usize) -> Option<AlignedBuf> {
        self.0.pool.get(min_len)
    }

    /// The pool behind [`Reactor::buffer`].
    pub fn pool(&self) -> &BufferPool {
        &self.0.pool
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// What the operating system says, as for all operations here.
    pub async fn open(&self, path: &Path, options: OpenOptions) -> io::Result<File> {
        match self
            .run_disk(Op::Open {
                path: path.to_owned(),
                options,
            })
            .await?
        {
            Output::Handle(result) => result.map(|handle| File::new(self.clone(), handle)),
            other => Err(unexpected(&other)),
        }
    }

    /// Renames, replacing what `to` named.
    ///
    /// # Errors
    ///
    /// As for [`Reactor::open`].
    pub async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run_disk_unit(Op::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        })
        .await
    }

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// As for [`Reactor::open`].
    pub async fn unlink(&self, path: &Path) -> io::Result<()> {
        self.run_disk_unit(Op::Unlink {
            path: path.to_owned(),
        })
        .await
    }

    /// Makes one directory.
    ///
    /// # Errors
    ///
    /// As for [`Reactor::open`]; `AlreadyExists` when there is something of that name.
    pub async fn mkdir(&self, path: &Path) -> io::Result<()> {
        self.run_disk_unit(Op::Mkdir {
            path: path.to_owned(),
        })
        .await
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// As for [`Reactor::open`].
    pub async fn rmdir(&self, path: &Path) -> io::Result<()> {
        self.run_disk_unit(Op::Rmdir {
            path: path.to_owned(),
        })
        .await
    }

    /// Makes the entries of a directory durable.
    ///
    /// # Errors
    ///
    /// As for [`Reactor::open`].
    pub async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.run_disk_unit(Op::SyncDir {
            path: path.to_owned(),
        })
        .await
    }

    /// The entries of a directory, sorted by name.
    ///
    /// # Errors
    ///
    /// As for [`Reactor::open`].
    pub async fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        match self
            .run_disk(Op::ListDir {
                path: path.to_owned(),
            })
            .await?
        {
            Output::Entries(result) => result,
            other => Err(unexpected(&other)),
        }
    }

    /// Describes a path.
    ///
    /// # Errors
    ///
    /// As for [`Reactor::open`].
    pub async fn stat(&self, path: &Path) -> io::Result<Stat> {
        match self
            .run_disk(Op::Stat {
                path: path.to_owned(),
            })
            .await?
        {
            Output::Stat(result) => result,
            other => Err(unexpected(&other)),
        }
    }

    /// Space of the file system below `path`.
    ///
    /// # Errors
    ///
    /// As for [`Reactor::open`].
    pub async fn space_of(&self, path: &Path) -> io::Result<Space> {
        match self
            .run_disk(Op::SpaceOf {
                path: path.to_owned(),
            })
            .await?
        {
            Output::Space(result) => result,
            other => Err(unexpected(&other)),
        }
    }

    /// Listens for connections.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when somebody else listens there, and what else `bind` says.
    pub fn listen(&self, address: SocketAddr, options: ListenOptions) -> io::Result<Listener> {
        let (handle, address) = self.0.driver.borrow_mut().listen(address, options)?;
        Ok(Listener::new(self.clone(), handle, address))
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// What `connect` says.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        match self.run(Op::Connect { address }).await {
            Output::Handle(result) => {
                result.map(|handle| TcpStream::new(self.clone(), handle, address))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Takes over a connection that another core of this broker gave away.
    pub fn adopt(&self, raw: RawSocket) -> TcpStream {
        TcpStream::new(self.clone(), raw.handle, raw.peer)
    }

    /// Submits an operation when first polled, and gives what it came to.
    pub(crate) async fn run(&self, op: Op) -> Output {
        self.0.submit(op).await
    }

    /// Submits an operation that answers with nothing but success or failure.
    pub(crate) async fn run_unit(&self, op: Op) -> io::Result<()> {
        match self.run(op).await {
            Output::Unit(result) => result,
            other => Err(unexpected(&other)),
        }
    }

    /// Submits an operation of a disk. When the disk does not answer, the operation is given up: whether it happens is
    /// unknown then, and what it owns comes back to nobody before it has ended.
    pub(crate) async fn run_disk(&self, op: Op) -> io::Result<Output> {
        let patience = Duration::from_secs(DISK_PATIENCE_SECONDS);
        let answered = self.timeout(patience, self.run(op)).await;
        answered.map_err(|Elapsed| io::Error::new(io::ErrorKind::TimedOut, Unanswered))
    }

    /// As [`Reactor::run_disk`], for one that answers with nothing but success or failure.
    pub(crate) async fn run_disk_unit(&self, op: Op) -> io::Result<()> {
        match self.run_disk(op).await? {
            Output::Unit(result) => result,
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn run_detached(&self, op: Op) {
        self.0.submit_detached(op);
    }
}

/// A driver answered with another kind of output than the operation has: a bug in the driver.
pub(crate) fn unexpected(output: &Output) -> io::Error {
    debug_assert!(false, "unexpected output {output:?}");
    io::Error::other("the I/O driver gave an answer of the wrong kind")
}

/// Ends at a point in time.
#[must_use = "a timer does nothing unless awaited"]
pub struct Sleep {
    reactor: Reactor,
    deadline: Instant,
    timer: Option<TimerId>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.reactor.now() >= self.deadline {
            return Poll::Ready(());
        }
        let timer = {
            let mut timers = self.reactor.0.timers.borrow_mut();
            match self.timer {
                Some(id) => {
                    timers.update(id, cx.waker());
                    id
                }
                None => timers.insert(self.deadline, cx.waker().clone()),
            }
        };
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.timer.take() {
            self.reactor.0.timers.borrow_mut().remove(id);
        }
    }
}
