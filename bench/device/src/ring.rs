//! A ring and the memory that its operations use.
//!
//! **Duty.** Submits reads, writes, syncs, sends and receives on parts of its own memory, and hands out what came
//! back. **Thread.** The one that made it. **Invariants.** Memory is freed only when nothing is in flight; if the
//! kernel does not give it back, it is never freed. **Must not know.** What the operations are for.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd, Fixed, FsyncFlags, Timespec};
use io_uring::{IoUring, opcode};

use crate::config::Idle;
use crate::error::DeviceError;
use crate::limits::COALESCE_BYTES;
use crate::memory::Pages;

/// How often a ring that is dropped looks for what is still in flight before it gives its memory up.
const DRAIN_ROUNDS: usize = 16;

/// Turns of the spin loop between two looks at the clock.
const SPINS_PER_CLOCK: u32 = 64;

/// What an operation was submitted with and is recognised by.
pub(crate) type Token = u64;

/// An operation that ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion {
    /// Which.
    pub(crate) token: Token,
    result: i32,
}

impl Completion {
    /// How many bytes it moved.
    pub(crate) fn moved(self, operation: &'static str) -> Result<usize, DeviceError> {
        usize::try_from(self.result).map_err(|_| DeviceError::Operation {
            operation,
            source: io::Error::from_raw_os_error(-self.result),
        })
    }

    /// That it moved all of it: a linked operation behind a short one was cancelled.
    pub(crate) fn moved_all(
        self,
        operation: &'static str,
        expected_bytes: usize,
    ) -> Result<(), DeviceError> {
        let moved_bytes = self.moved(operation)?;
        if moved_bytes == expected_bytes {
            return Ok(());
        }
        Err(DeviceError::Short {
            operation,
            expected_bytes,
            moved_bytes,
        })
    }
}

/// A part of the ring's memory, and where in the file it goes to or comes from.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The memory.
    pub(crate) part: Range<usize>,
    /// The position in the file, in bytes.
    pub(crate) position: u64,
}

/// What comes with a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteKind {
    /// Nothing.
    Alone,
    /// The next submission waits for it, and is cancelled if it fails or is short.
    BeforeNext,
    /// It ends when it is durable (RWF_DSYNC).
    Durable,
}

/// The file that is read and written.
#[derive(Debug, Clone, Copy)]
enum Target {
    Registered(Fixed),
    Plain(Fd),
}

/// A ring with its memory.
pub(crate) struct Ring {
    uring: IoUring,
    memory: ManuallyDrop<Pages>,
    memory_registered: bool,
    target: Target,
    in_flight: usize,
    idle: Idle,
    completions: Vec<Completion>,
}

impl Ring {
    /// A ring for at most `entries` operations in flight, for the calling thread.
    pub(crate) fn new(entries: usize, memory: Pages, idle: Idle) -> Result<Self, DeviceError> {
        let entries = u32::try_from(entries.next_power_of_two()).unwrap_or(u32::MAX);
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .build(entries)
            .map_err(|source| ring_error("set up", source))?;
        Ok(Self {
            uring,
            memory: ManuallyDrop::new(memory),
            memory_registered: false,
            target: Target::Registered(Fixed(0)),
            in_flight: 0,
            idle,
            completions: Vec::new(),
        })
    }

    /// Registers the file and, where the limit on locked memory allows it, the memory.
    pub(crate) fn register(&mut self, file: &File) -> Result<(), DeviceError> {
        let submitter = self.uring.submitter();
        submitter
            .register_files(&[file.as_raw_fd()])
            .map_err(|source| ring_error("register the file with", source))?;
        let whole = libc::iovec {
            iov_base: self.memory.bytes_mut().as_mut_ptr().cast(),
            iov_len: self.memory.len(),
        };
        // SAFETY: the memory is freed only after the ring has nothing in flight, by drop, which drops the ring
        // itself before anything could be submitted again.
        let registered = unsafe { submitter.register_buffers(&[whole]) };
        self.memory_registered = registered.is_ok();
        Ok(())
    }

    /// Reads and writes this file without registering anything.
    pub(crate) fn know(&mut self, file: &File) {
        self.target = Target::Plain(Fd(file.as_raw_fd()));
    }

    /// Whether the memory is registered.
    pub(crate) fn memory_registered(&self) -> bool {
        self.memory_registered
    }

    /// The memory. Only parts that no operation in flight writes to hold still.
    pub(crate) fn memory_mut(&mut self) -> &mut [u8] {
        self.memory.bytes_mut()
    }

    /// Writes to the file.
    pub(crate) fn write(
        &mut self,
        token: Token,
        block: Block,
        kind: WriteKind,
    ) -> Result<(), DeviceError> {
        let (pointer, len) = self.part(&block.part)?;
        let rw_flags = match kind {
            WriteKind::Alone | WriteKind::BeforeNext => 0,
            WriteKind::Durable => libc::RWF_DSYNC,
        };
        let entry = match self.target {
            Target::Registered(file) if self.memory_registered => {
                opcode::WriteFixed::new(file, pointer, len, 0)
                    .offset(block.position)
                    .rw_flags(rw_flags)
                    .build()
            }
            Target::Registered(file) => opcode::Write::new(file, pointer, len)
                .offset(block.position)
                .rw_flags(rw_flags)
                .build(),
            Target::Plain(file) => opcode::Write::new(file, pointer, len)
                .offset(block.position)
                .rw_flags(rw_flags)
                .build(),
        };
        let flags = match kind {
            WriteKind::Alone | WriteKind::Durable => Flags::empty(),
            WriteKind::BeforeNext => Flags::IO_LINK,
        };
        self.push(token, entry.flags(flags))
    }

    /// Syncs the data of the file.
    pub(crate) fn sync_data(&mut self, token: Token) -> Result<(), DeviceError> {
        let sync = match self.target {
            Target::Registered(file) => opcode::Fsync::new(file),
            Target::Plain(file) => opcode::Fsync::new(file),
        };
        self.push(token, sync.flags(FsyncFlags::DATASYNC).build())
    }

    /// Reads from the file.
    pub(crate) fn read(&mut self, token: Token, block: Block) -> Result<(), DeviceError> {
        let (pointer, len) = self.part(&block.part)?;
        let entry = match self.target {
            Target::Registered(file) if self.memory_registered => {
                opcode::ReadFixed::new(file, pointer, len, 0)
                    .offset(block.position)
                    .build()
            }
            Target::Registered(file) => opcode::Read::new(file, pointer, len)
                .offset(block.position)
                .build(),
            Target::Plain(file) => opcode::Read::new(file, pointer, len)
                .offset(block.position)
                .build(),
        };
        self.push(token, entry)
    }

    /// Receives into a part; a large part is filled before it completes.
    pub(crate) fn recv(
        &mut self,
        token: Token,
        socket: &TcpStream,
        part: Range<usize>,
    ) -> Result<(), DeviceError> {
        let (pointer, len) = self.part(&part)?;
        let entry = opcode::Recv::new(Fd(socket.as_raw_fd()), pointer, len)
            .flags(message_flags(part.len()))
            .build();
        self.push(token, entry)
    }

    /// Sends a part; a large part is sent whole before it completes.
    pub(crate) fn send(
        &mut self,
        token: Token,
        socket: &TcpStream,
        part: Range<usize>,
    ) -> Result<(), DeviceError> {
        let (pointer, len) = self.part(&part)?;
        let entry = opcode::Send::new(Fd(socket.as_raw_fd()), pointer, len)
            .flags(message_flags(part.len()))
            .build();
        self.push(token, entry)
    }

    /// Submits what was pushed, waits until something has ended, and hands all of that out.
    pub(crate) fn wait(&mut self) -> Result<Vec<Completion>, DeviceError> {
        loop {
            match self.idle {
                Idle::Park => self.enter(1)?,
                Idle::Spin(longest) => self.spin(longest)?,
            }
            self.reap();
            if !self.completions.is_empty() {
                return Ok(std::mem::take(&mut self.completions));
            }
        }
    }

    /// Takes the vector that [`Ring::wait`] gave out back, so that none is allocated for the next.
    pub(crate) fn recycle(&mut self, mut completions: Vec<Completion>) {
        completions.clear();
        self.completions = completions;
    }

    /// Whether the kernel holds anything of this ring.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// Looks for completions for at most `longest`, then parks: what the kernel does on this core needs it too.
    fn spin(&mut self, longest: Duration) -> Result<(), DeviceError> {
        let began = Instant::now();
        loop {
            for _ in 0..SPINS_PER_CLOCK {
                let submission = self.uring.submission();
                let must_enter = !submission.is_empty() || submission.taskrun();
                drop(submission);
                if must_enter {
                    self.enter(0)?;
                }
                if !self.uring.completion().is_empty() {
                    return Ok(());
                }
                std::hint::spin_loop();
            }
            if began.elapsed() >= longest {
                return self.enter(1);
            }
        }
    }

    fn enter(&mut self, want: usize) -> Result<(), DeviceError> {
        match self.uring.submit_and_wait(want) {
            Ok(_) => Ok(()),
            Err(error) if is_transient(&error) => Ok(()),
            Err(error) => Err(ring_error("enter", error)),
        }
    }

    fn reap(&mut self) {
        let before = self.completions.len();
        let ended = self.uring.completion().map(|entry| Completion {
            token: entry.user_data(),
            result: entry.result(),
        });
        self.completions.extend(ended);
        self.in_flight -= self.completions.len() - before;
    }

    fn part(&mut self, part: &Range<usize>) -> Result<(*mut u8, u32), DeviceError> {
        let bytes = self.memory.bytes_mut().get_mut(part.clone());
        let bytes =
            bytes.ok_or_else(|| ring_error("submit to", io::ErrorKind::InvalidInput.into()))?;
        let len = u32::try_from(bytes.len())
            .map_err(|_| ring_error("submit to", io::ErrorKind::InvalidInput.into()))?;
        Ok((bytes.as_mut_ptr(), len))
    }

    fn push(&mut self, token: Token, entry: Entry) -> Result<(), DeviceError> {
        let entry = entry.user_data(token);
        if self.uring.submission().is_full() {
            self.enter(0)?;
        }
        // SAFETY: the entry points into the ring's own memory, at a part that was checked to lie within, and that
        // memory is freed only when nothing is in flight.
        let pushed = unsafe { self.uring.submission().push(&entry) };
        pushed.map_err(|_| ring_error("submit to", io::ErrorKind::WouldBlock.into()))?;
        self.in_flight += 1;
        Ok(())
    }

    /// Cancels what is in flight and waits for it.
    fn drain(&mut self) -> io::Result<()> {
        for _ in 0..DRAIN_ROUNDS {
            if self.in_flight == 0 {
                return Ok(());
            }
            self.uring.submit()?;
            // That something could not be cancelled any more only means that it ends by itself.
            drop(self.uring.submitter().register_sync_cancel(
                Some(Timespec::new().nsec(100_000_000)),
                CancelBuilder::any(),
            ));
            self.uring.submit()?;
            self.reap();
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.drain().is_ok() {
            // SAFETY: nothing is in flight, so the kernel will not touch the memory, and it is not used after this.
            unsafe { ManuallyDrop::drop(&mut self.memory) };
        }
    }
}

/// Large messages move in one operation however many steps the socket takes.
fn message_flags(len: usize) -> i32 {
    if len >= COALESCE_BYTES {
        libc::MSG_WAITALL
    } else {
        0
    }
}

/// What a signal or a full queue of completions leads to: look at the completions, and come again.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINTR | libc::EBUSY | libc::EAGAIN)
    )
}

fn ring_error(action: &'static str, source: io::Error) -> DeviceError {
    DeviceError::Ring { action, source }
}

#[cfg(test)]
mod tests;
