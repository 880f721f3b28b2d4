//! Makes one file: created, filled with zeros, synced, closed.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::io::{DmaBuffer, DmaFile, OpenOptions};

use crate::io_error;
use crate::limits::{BLOCK_BYTES, WRITE_BYTES};
use crate::pace::Pace;

/// How long a file that waits for its turn does not look whether it is still wanted.
const NAP: Duration = Duration::from_millis(20);

/// Parts that the work on a file is counted in.
const DONE: u32 = 1 << 20;

/// What all files share.
pub(crate) struct Shared {
    pace: RefCell<Pace>,
    zeros: Rc<DmaBuffer>,
}

impl Shared {
    /// To be called inside of the executor, whose registered memory holds the zeros.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        let mut zeros = glommio::allocate_dma_buffer(WRITE_BYTES);
        zeros.as_bytes_mut().fill(0);
        Self {
            pace: RefCell::new(Pace::new(bytes_per_second, Instant::now())),
            zeros: Rc::new(zeros),
        }
    }

    /// Waits for the time of a piece of a file that was begun at `began`, of which `done` in `1 << 20` is written; an
    /// error when nobody wants it by then.
    async fn wait_for_turn(
        &self,
        bytes: u64,
        began: Instant,
        done: u32,
        urgency: impl Fn() -> Urgency,
    ) -> io::Result<()> {
        while let Urgency::Spread(within) = urgency() {
            let due = began + (within / DONE) * done;
            let wait = due.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break;
            }
            glommio::timer::sleep(wait.min(NAP)).await;
        }
        let mut wait = self.pace.borrow_mut().book(bytes, Instant::now());
        loop {
            if urgency() == Urgency::Unwanted {
                return Err(unwanted());
            }
            if wait.is_zero() {
                return Ok(());
            }
            let nap = wait.min(NAP);
            glommio::timer::sleep(nap).await;
            wait -= nap;
        }
    }
}

/// How a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Nobody wants it any more.
    Unwanted,
    /// It may be spread over so much time.
    Spread(Duration),
    /// Others wait for it to be done.
    Hurry,
}

/// Creates `path` with `len_bytes` of zeros that are on the device, and removes it again when that fails. `urgency` is
/// asked between writes.
///
/// An existing file is never touched: the name may have been taken into use since it was chosen.
pub(crate) async fn prepare(
    shared: &Shared,
    path: &Path,
    len_bytes: u64,
    urgency: impl Fn() -> Urgency,
) -> io::Result<()> {
    if len_bytes == 0 || !len_bytes.is_multiple_of(BLOCK_BYTES) {
        let reason = format!("{len_bytes} bytes are not one or more blocks of {BLOCK_BYTES}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    if urgency() == Urgency::Unwanted {
        return Err(unwanted());
    }
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)?;
    let filled = fill(shared, &file, len_bytes, urgency).await;
    // Of one that was given up long ago the name may be another attempt's by now, which then fails, and is made again.
    if filled.is_err()
        && let Err(error) = fs::remove_file(path)
    {
        tracing::warn!(%error, path = %path.display(), "a file that could not be prepared was left behind");
    }
    filled
}

async fn fill(
    shared: &Shared,
    file: &File,
    len_bytes: u64,
    urgency: impl Fn() -> Urgency,
) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    let dma = options.dma_open(open_path(file)).await.map_err(io_error)?;
    let written = write_zeros(shared, &dma, len_bytes, urgency).await;
    // Closed in any case: a file that glommio closes by itself is a detached task.
    let closed = dma.close().await.map_err(io_error);
    written.and(closed)
}

async fn write_zeros(
    shared: &Shared,
    dma: &DmaFile,
    len_bytes: u64,
    urgency: impl Fn() -> Urgency,
) -> io::Result<()> {
    // First all blocks at once: they lie together, and a full disk is found out before anything is written.
    dma.pre_allocate(len_bytes, false).await.map_err(io_error)?;
    let whole = WRITE_BYTES as u64;
    let began = Instant::now();
    let mut position = 0;
    while position < len_bytes {
        let piece = whole.min(len_bytes - position);
        let done = u32::try_from(position * u64::from(DONE) / len_bytes).unwrap_or(DONE);
        shared.wait_for_turn(piece, began, done, &urgency).await?;
        let zeros = if piece == whole {
            Rc::clone(&shared.zeros)
        } else {
            short_zeros(dma, piece)?
        };
        let written = dma.write_rc_at(zeros, position).await.map_err(io_error)?;
        let written = u64::try_from(written).map_err(io::Error::other)?;
        if written == 0 || !written.is_multiple_of(BLOCK_BYTES) {
            return Err(io::Error::new(
                io::ErrorKind::WriteZero,
                "the device took only a part of a block",
            ));
        }
        position += written;
    }
    dma.fdatasync().await.map_err(io_error)
}

/// The zeros of a last piece that is shorter than the others.
fn short_zeros(dma: &DmaFile, bytes: u64) -> io::Result<Rc<DmaBuffer>> {
    let mut zeros = dma.alloc_dma_buffer(usize::try_from(bytes).map_err(io::Error::other)?);
    zeros.as_bytes_mut().fill(0);
    Ok(Rc::new(zeros))
}

fn unwanted() -> io::Error {
    io::Error::new(
        io::ErrorKind::Interrupted,
        "nobody waits for the file any more",
    )
}

/// A path that leads to an open file as long as it is open, whatever happens to its name.
pub(crate) fn open_path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
