//! Walking over the batches of a segment file, with every check that its bytes allow.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use ringlog_reactor::{AlignedBuf, File, Reactor};
use ringlog_record::Offset;
use ringlog_record::batch::{BatchError, BatchView};
use ringlog_record::limits::BATCH_HEADER_BYTES;

use crate::error::BatchProblem;
use crate::limits::{
    FLUSH_GROUP_BYTES_MAX, SCAN_BYTES, SCAN_WINDOW_BYTES_MAX, SCAN_WINDOW_BYTES_MIN,
};
use crate::tail::{block_ceil, block_floor};

/// A window on a segment file.
pub(crate) struct Scanner {
    reactor: Reactor,
    file: File,
    file_bytes: u64,
    buf: AlignedBuf,
    /// Position in the file of the first byte of `buf`.
    start: u64,
    len: usize,
    /// Bytes that the next read takes, unless more are wanted: few at first, since many look at one batch only.
    window_bytes: usize,
    /// What was in `buf` before: the last bytes of a flush group or more, once somebody wants them.
    passed: Option<VecDeque<Passed>>,
}

/// Blocks of a file that a window has passed over.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    /// Position of the first byte, aligned.
    pub(crate) start: u64,
    pub(crate) bytes: Bytes,
}

impl Passed {
    /// Position behind the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// Where a walk ended, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Position behind the last good batch.
    pub(crate) position: u64,
    /// Offset behind the last good batch.
    pub(crate) offset: Offset,
    /// What is there instead of the next batch.
    pub(crate) problem: BatchProblem,
}

/// A batch found behind damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) position: u64,
    pub(crate) offset: Offset,
}

/// Which batches behind an end cannot have been left there by a torn flush group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beyond {
    /// They begin here or behind,
    pub(crate) from: u64,
    /// and before this,
    pub(crate) to: u64,
    /// with this offset or a higher one.
    pub(crate) least: Offset,
}

/// What lies behind an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// The first batch that cannot be there.
    pub(crate) later: Option<Found>,
    /// Where the window ends in which a flush group may be torn, and the last valid batch that begins in it.
    pub(crate) window_end: u64,
    /// Nothing but zeros was found.
    pub(crate) is_zero: bool,
}

impl Scanner {
    /// A window on the first `file_bytes` of a file.
    pub(crate) fn new(reactor: &Reactor, file: File, file_bytes: u64) -> Self {
        Self {
            reactor: reactor.clone(),
            file,
            file_bytes,
            buf: AlignedBuf::unpooled(1),
            start: 0,
            len: 0,
            window_bytes: SCAN_WINDOW_BYTES_MIN,
            passed: None,
        }
    }

    /// Keeps what is passed over from now on, as far back as the last flush group may reach.
    pub(crate) fn keeping(mut self) -> Self {
        self.passed = Some(VecDeque::new());
        self
    }

    /// What was passed over and kept, in the order of the file. No more is kept.
    pub(crate) fn take_passed(&mut self) -> VecDeque<Passed> {
        self.keep_window();
        self.passed.take().unwrap_or_default()
    }

    /// Makes the window one of those passed over, if these are kept.
    fn keep_window(&mut self) {
        let Some(passed) = &mut self.passed else {
            return;
        };
        let buf = std::mem::replace(&mut self.buf, AlignedBuf::unpooled(1));
        let (start, bytes) = (self.start, buf.freeze(self.len));
        self.len = 0;
        passed.push_back(Passed { start, bytes });
        // The log may end with the first byte of the window.
        while passed
            .get(1)
            .is_some_and(|second| second.start + FLUSH_GROUP_BYTES_MAX <= start)
        {
            passed.pop_front();
        }
    }

    /// The bytes from `position`: `wanted` of them or more, fewer only where the file ends.
    pub(crate) async fn bytes_at(&mut self, position: u64, wanted: usize) -> io::Result<&[u8]> {
        let available = self.file_bytes.saturating_sub(position);
        let wanted = usize::try_from(available).unwrap_or(usize::MAX).min(wanted);
        if !self.holds(position, wanted) {
            self.fill(position, wanted).await?;
        }
        let from = usize::try_from(position - self.start)
            .unwrap_or(usize::MAX)
            .min(self.len);
        Ok(&self.buf[from..self.len])
    }

    fn holds(&self, position: u64, wanted: usize) -> bool {
        position >= self.start && position + wanted as u64 <= self.start + self.len as u64
    }

    async fn fill(&mut self, position: u64, wanted: usize) -> io::Result<()> {
        let start = block_floor(position);
        // None where the file ends in front of it.
        let bytes =
            |to: u64| usize::try_from(block_ceil(to).saturating_sub(start)).unwrap_or(SCAN_BYTES);
        let len = bytes(position + wanted as u64)
            .max(self.window_bytes)
            .min(bytes(self.file_bytes.min(start + SCAN_BYTES as u64)));
        self.window_bytes = (self.window_bytes * 4).min(SCAN_WINDOW_BYTES_MAX);
        self.keep_window();
        self.len = 0;
        let mut buf = std::mem::replace(&mut self.buf, AlignedBuf::unpooled(1));
        if buf.capacity() < len {
            drop(buf);
            let pooled = self.reactor.buffer(len);
            buf = pooled.unwrap_or_else(|| AlignedBuf::unpooled(len));
        }
        let (read, buf) = self.file.read_at(start, buf, len).await;
        self.buf = buf;
        let within = usize::try_from(self.file_bytes.saturating_sub(start)).unwrap_or(usize::MAX);
        (self.start, self.len) = (start, read?.min(within));
        Ok(())
    }

    /// The valid batch at `position` that begins with `offset`, or what is there instead.
    pub(crate) async fn batch_at(
        &mut self,
        position: u64,
        offset: Offset,
    ) -> io::Result<Result<BatchView<'_>, BatchProblem>> {
        let header = self.bytes_at(position, BATCH_HEADER_BYTES).await?;
        let wanted = match BatchView::parse(header) {
            Err(BatchError::Truncated { needed_bytes, .. }) => needed_bytes,
            Ok(batch) => batch.len_bytes(),
            Err(error) => return Ok(Err(error.into())),
        };
        let bytes = self.bytes_at(position, wanted).await?;
        let checked = BatchView::parse(bytes).and_then(|batch| batch.check_crc().map(|()| batch));
        Ok(match checked {
            Ok(batch) if batch.base_offset() == offset => Ok(batch),
            Ok(batch) => Err(BatchProblem::Offset {
                found: batch.base_offset(),
            }),
            Err(error) => Err(error.into()),
        })
    }

    /// Looks at what lies behind an end: every byte from `end` on, except those within valid batches, whatever their
    /// offsets. In a recycled file these are batches that it held before, and what looks like a batch within one of
    /// them was part of a value.
    pub(crate) async fn look_behind(&mut self, end: u64, wanted: &Beyond) -> io::Result<Behind> {
        let to = wanted.to.max(wanted.from).min(self.file_bytes);
        let mut behind = Behind {
            later: None,
            window_end: wanted.from.min(self.file_bytes),
            is_zero: true,
        };
        let mut position = end;
        while position < to {
            let window = self.bytes_at(position, BATCH_HEADER_BYTES).await?;
            let Some(skipped) = next_candidate(window) else {
                // A header may begin in the last bytes of the window.
                let passed = (window.len() + 1).saturating_sub(BATCH_HEADER_BYTES).max(1);
                // All of them, not up to the first that is not zero: that is what the compiler makes wide.
                let all = window.iter().take(passed).fold(0, |all, &byte| all | byte);
                behind.is_zero &= all == 0;
                position += passed as u64;
                continue;
            };
            behind.is_zero = false;
            position += skipped as u64;
            if position >= to {
                break;
            }
            let Some((offset, len_bytes)) = self.valid_batch_at(position).await? else {
                position += 1;
                continue;
            };
            if (wanted.from..wanted.to).contains(&position) && offset >= wanted.least {
                behind.later = Some(Found { position, offset });
                break;
            }
            if position < wanted.from {
                behind.window_end = behind.window_end.max(position + len_bytes);
            }
            position += len_bytes;
        }
        Ok(behind)
    }

    async fn valid_batch_at(&mut self, position: u64) -> io::Result<Option<(Offset, u64)>> {
        let bytes = self.bytes_at(position, BATCH_HEADER_BYTES).await?;
        let Some(len_bytes) = whole_bytes(bytes) else {
            return Ok(None);
        };
        let bytes = self.bytes_at(position, len_bytes).await?;
        Ok(BatchView::parse(bytes)
            .ok()
            .filter(BatchView::crc_is_valid)
            .map(|batch| (batch.base_offset(), batch.len_bytes() as u64)))
    }
}

/// Whether the header of a batch that begins with `offset` is at the front of `bytes`.
pub(crate) fn begins_with_batch(bytes: &[u8], offset: Offset) -> bool {
    let base_offset = bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
    base_offset == Some(offset.get()) && whole_bytes(bytes).is_some()
}

/// Bytes of the batch at the front, which may go on behind `bytes`.
pub(crate) fn whole_bytes(bytes: &[u8]) -> Option<usize> {
    match BatchView::parse(bytes) {
        Ok(batch) => Some(batch.len_bytes()),
        Err(BatchError::Truncated { needed_bytes, .. }) => Some(needed_bytes),
        Err(_) => None,
    }
}

/// How far into `window` the first header lies that might be of a batch.
pub(crate) fn next_candidate(window: &[u8]) -> Option<usize> {
    const MAGIC_AT: usize = 16;
    let mut from = 0;
    loop {
        from += memchr::memchr(2, window.get(from + MAGIC_AT..)?)?;
        let header = window.get(from..from + BATCH_HEADER_BYTES)?;
        let base_offset = header
            .first_chunk()
            .map_or(0, |bytes| u64::from_be_bytes(*bytes));
        if base_offset <= Offset::MAX.get() && whole_bytes(header).is_some() {
            return Some(from);
        }
        from += 1;
    }
}
