//! Reading a window of a segment file into a buffer of the pool, piece by piece in the background class.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use ringlog_reactor::{AlignedBuf, File, Share, Task};
use ringlog_record::batch::BatchError;

use crate::env::LogEnv;
use crate::error::{FileError, ReadError};
use crate::limits::{BACKGROUND_READ_BYTES, READ_BYTES_AT_REST};
use crate::log::LogInner;
use crate::read::DiskPlan;

/// Bytes of a segment file that are in memory, none of them behind its durable end.
pub(crate) struct Window {
    /// Position of the first byte, aligned.
    pub(crate) start: u64,
    pub(crate) bytes: Bytes,
    /// Its part of the budget, if it was read ahead.
    memory: Option<Share>,
}

impl Window {
    /// Position behind the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    pub(crate) fn is_read_ahead(&self) -> bool {
        self.memory.is_some()
    }
}

/// A window that is being read. Who loses interest drops it; the piece that is under way goes on, and keeps its memory
/// and its place at the device, and the others are not read.
pub(crate) struct Reading {
    /// Positions of what it will hold.
    pub(super) start: u64,
    pub(super) end: u64,
    task: Option<Task<Result<Window, ReadError>>>,
    is_wanted: Rc<Cell<bool>>,
}

impl Reading {
    /// Waits until it has been read.
    pub(crate) async fn window(mut self) -> Result<Window, ReadError> {
        match &mut self.task {
            Some(task) => task.await,
            None => Err(ReadError::Throttled),
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(Task::is_finished)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.is_wanted.set(false);
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}

impl LogInner {
    /// Reads `wanted` bytes from the position of a plan on.
    pub(crate) async fn read_window(
        &self,
        plan: &DiskPlan,
        wanted: usize,
    ) -> Result<Window, ReadError> {
        let (_, len) = plan.blocks(wanted);
        let buf = self.env.cold.buffer(&self.env.reactor, len);
        let buf = buf.ok_or(ReadError::Throttled)?;
        self.begin_reading(plan, len, buf, None).window().await
    }

    /// Begins to read ahead, if there is memory for it.
    pub(super) fn begin_read_ahead(&self, plan: &DiskPlan, wanted: usize) -> Option<Reading> {
        let (_, len) = plan.blocks(wanted);
        // What the budget has no room for is not even asked of the pool.
        let memory = &self.env.cold.0.memory;
        if memory.free_bytes() < len {
            return None;
        }
        let buf = self.env.reactor.buffer(len)?;
        let share = memory.try_take(buf.capacity())?;
        self.env.counters.reads_ahead.add(1);
        Some(self.begin_reading(plan, len, buf, Some(share)))
    }

    fn begin_reading(
        &self,
        plan: &DiskPlan,
        len: usize,
        buf: AlignedBuf,
        memory: Option<Share>,
    ) -> Reading {
        let is_wanted = Rc::new(Cell::new(true));
        let wanted = Rc::clone(&is_wanted);
        let plan = plan.clone();
        let (start, _) = plan.blocks(len);
        let end = plan.data_end.min(start + len as u64);
        let task = self.me.upgrade().map(|log| {
            let reading = async move {
                let file = log.file_of(&plan).await?;
                let (read, buf) = fill(&log.env, &file, start, (buf, len), &wanted).await;
                let read = read.map_err(|error| FileError::new("read", &plan.path, error))?;
                let data_len = usize::try_from(plan.data_end - start).unwrap_or(usize::MAX);
                if read < len.min(data_len) {
                    let problem = BatchError::Truncated {
                        available_bytes: read,
                        needed_bytes: len,
                    };
                    return Err(ReadError::Corrupt {
                        position: start + read as u64,
                        offset: plan.offset,
                        problem: problem.into(),
                        path: plan.path,
                    });
                }
                let bytes = buf.freeze(read.min(data_len));
                Ok(Window {
                    start,
                    bytes,
                    memory,
                })
            };
            self.env.reactor.spawn("cold read", reading)
        });
        Reading {
            start,
            end,
            task,
            is_wanted,
        }
    }
}

/// Reads `len` bytes at `start`, each piece when it is its turn. While nothing is written, pieces are larger: they cost
/// less, and nobody waits behind them.
async fn fill(
    env: &LogEnv,
    file: &File,
    start: u64,
    (mut buf, len): (AlignedBuf, usize),
    is_wanted: &Cell<bool>,
) -> (io::Result<usize>, AlignedBuf) {
    let mut at = 0;
    while at < len {
        let _turn = env
            .cold
            .0
            .in_flight
            .take((len - at).min(BACKGROUND_READ_BYTES))
            .await;
        let piece_bytes = match env.is_at_rest() {
            true => READ_BYTES_AT_REST,
            false => BACKGROUND_READ_BYTES,
        };
        let end = len.min(at + piece_bytes);
        if !is_wanted.get() {
            return (Err(io::ErrorKind::Interrupted.into()), buf);
        }
        let (read, same) = file.read_into(start + at as u64, buf, at..end).await;
        buf = same;
        match read {
            Ok(read) if read == end - at => at = end,
            // The file ends here.
            Ok(read) => return (Ok(at + read), buf),
            Err(error) => return (Err(error), buf),
        }
    }
    (Ok(at), buf)
}
