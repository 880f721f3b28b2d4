//! Walking over a segment file, and on over what is damaged in it.

use std::io;

use ringlog_record::batch::{BatchError, BatchView};
use ringlog_record::limits::BATCH_HEADER_BYTES;
use ringlog_record::{Offset, TimestampMs};

use super::Source;
use super::report::{BatchReport, BatchState, SegmentReport, SkippedBytes};
use crate::error::BatchProblem;
use crate::limits::{FLUSH_GROUP_BYTES_MAX, SCAN_BYTES};
use crate::scan::{next_candidate, whole_bytes};

/// Shows every batch of a segment file to `visit`, in order. `base` is the offset that the name of the file says;
/// without, the first batch tells it. A batch with a wrong CRC is passed over by its length when another one follows;
/// else the next valid batch is looked for, and what lies between is a [`SkippedBytes`].
///
/// # Errors
///
/// What the system says when the file is read.
pub fn walk_segment(
    source: &mut impl Source,
    base: Option<Offset>,
    mut visit: impl FnMut(&BatchReport),
) -> io::Result<SegmentReport> {
    let mut window = Window::new(source)?;
    let base = match base {
        Some(base) => base,
        None => window.offset_at(0)?.unwrap_or(Offset::ZERO),
    };
    let mut walk = Walk::new(base);
    let stop = loop {
        let problem = match walk.take_batch(&mut window, &mut visit)? {
            None => continue,
            Some(problem) => problem,
        };
        if !walk.resume(&mut window, &problem)? {
            break problem;
        }
    };
    let holds_old_batches = walk.passed_old_batch;
    let nonzero_bytes_behind = window.count_nonzero(
        walk.position,
        walk.position.saturating_add(FLUSH_GROUP_BYTES_MAX),
    )?;
    Ok(SegmentReport {
        base,
        end: walk.offset,
        end_position: walk.position,
        file_bytes: window.file_bytes,
        batches: walk.batches,
        records: walk.records,
        max_timestamp: walk.max_timestamp,
        stop,
        nonzero_bytes_behind,
        holds_old_batches,
        skipped: walk.skipped,
    })
}

/// How far a walk has come.
struct Walk {
    position: u64,
    offset: Offset,
    batches: u64,
    records: u64,
    max_timestamp: TimestampMs,
    skipped: Vec<SkippedBytes>,
    base: Offset,
    /// Behind the end lies a batch of a segment before, which the file held.
    passed_old_batch: bool,
}

impl Walk {
    fn new(base: Offset) -> Self {
        Self {
            base,
            passed_old_batch: false,
            position: 0,
            offset: base,
            batches: 0,
            records: 0,
            max_timestamp: TimestampMs::NONE,
            skipped: Vec::new(),
        }
    }

    /// Passes over the batch here, or tells what is here instead of one that can be passed over.
    fn take_batch(
        &mut self,
        window: &mut Window<'_, impl Source>,
        visit: &mut impl FnMut(&BatchReport),
    ) -> io::Result<Option<BatchProblem>> {
        let expected = self.offset;
        let report = match window.batch_at(self.position)? {
            Ok(batch) => report(&batch, self.position, expected),
            Err(error) => return Ok(Some(error.into())),
        };
        let behind = self.position + report.len_bytes;
        if let BatchState::Bad(problem) = &report.state {
            // Only believed when the batch behind it is where this one says.
            let is_framed = report.base_offset == expected
                && window.valid_offset_at(behind)? == Some(report.last_offset.next());
            if !is_framed {
                return Ok(Some(problem.clone()));
            }
        } else {
            self.records += report.records;
            self.max_timestamp = self.max_timestamp.max(report.max_timestamp);
        }
        self.batches += 1;
        self.position = behind;
        self.offset = report.last_offset.next();
        visit(&report);
        Ok(None)
    }

    /// Goes on at the next valid batch, if there is one.
    fn resume(
        &mut self,
        window: &mut Window<'_, impl Source>,
        problem: &BatchProblem,
    ) -> io::Result<bool> {
        let mut from = self.position;
        let (position, later_offset) = loop {
            match window.find_batch(from)? {
                None => return Ok(false),
                Some((position, found, _)) if found >= self.offset => {
                    if position > self.position {
                        break (position, found);
                    }
                    from += 1;
                }
                // What looks like a batch within it is part of a value.
                Some((position, found, len_bytes)) => {
                    self.passed_old_batch |= found < self.base;
                    from = position + len_bytes;
                }
            }
        };
        self.skipped.push(SkippedBytes {
            position: self.position,
            bytes: position - self.position,
            problem: problem.clone(),
            expected: self.offset,
            later_offset,
        });
        (self.position, self.offset) = (position, later_offset);
        Ok(true)
    }
}

fn report(batch: &BatchView<'_>, position: u64, expected: Offset) -> BatchReport {
    let header = batch.header();
    let found = batch.base_offset();
    let state = match batch.check_crc() {
        Err(error) => BatchState::Bad(error.into()),
        Ok(()) if found != expected => BatchState::Bad(BatchProblem::Offset { found }),
        Ok(()) => BatchState::Valid,
    };
    BatchReport {
        position,
        len_bytes: batch.len_bytes() as u64,
        base_offset: found,
        last_offset: batch.last_offset(),
        records: batch.last_offset().since(found) + 1,
        epoch: header.leader_epoch(),
        base_timestamp: TimestampMs::new(header.base_timestamp.get()),
        max_timestamp: batch.max_timestamp(),
        timestamp_type: header.attributes().timestamp_type(),
        compression_code: header.attributes().compression_code(),
        state,
    }
}

/// A window on a file.
struct Window<'a, S> {
    source: &'a mut S,
    file_bytes: u64,
    buf: Vec<u8>,
    start: u64,
    len: usize,
}

impl<'a, S: Source> Window<'a, S> {
    fn new(source: &'a mut S) -> io::Result<Self> {
        let file_bytes = source.len_bytes()?;
        let wanted = usize::try_from(file_bytes).unwrap_or(SCAN_BYTES);
        Ok(Self {
            source,
            file_bytes,
            buf: vec![0; wanted.min(SCAN_BYTES)],
            start: 0,
            len: 0,
        })
    }

    /// The bytes from `position`: `wanted` of them or more, fewer only where the file ends.
    fn bytes_at(&mut self, position: u64, wanted: usize) -> io::Result<&[u8]> {
        let available = self.file_bytes.saturating_sub(position);
        let wanted = usize::try_from(available).unwrap_or(usize::MAX).min(wanted);
        let holds =
            position >= self.start && position + wanted as u64 <= self.start + self.len as u64;
        if !holds {
            self.start = position;
            self.len = self.source.read_at(position, &mut self.buf)?;
        }
        let from = usize::try_from(position - self.start)
            .unwrap_or(usize::MAX)
            .min(self.len);
        Ok(&self.buf[from..self.len])
    }

    fn batch_at(&mut self, position: u64) -> io::Result<Result<BatchView<'_>, BatchError>> {
        let wanted = whole_bytes(self.bytes_at(position, BATCH_HEADER_BYTES)?);
        let bytes = self.bytes_at(position, wanted.unwrap_or(BATCH_HEADER_BYTES))?;
        Ok(BatchView::parse(bytes))
    }

    fn offset_at(&mut self, position: u64) -> io::Result<Option<Offset>> {
        Ok(self
            .batch_at(position)?
            .ok()
            .map(|batch| batch.base_offset()))
    }

    fn valid_offset_at(&mut self, position: u64) -> io::Result<Option<Offset>> {
        let batch = self.batch_at(position)?;
        Ok(batch
            .ok()
            .filter(BatchView::crc_is_valid)
            .map(|batch| batch.base_offset()))
    }

    /// The first valid batch from `from` on: its position, offset and bytes.
    fn find_batch(&mut self, from: u64) -> io::Result<Option<(u64, Offset, u64)>> {
        let mut position = from;
        while position < self.file_bytes {
            let window = self.bytes_at(position, BATCH_HEADER_BYTES)?;
            let Some(skipped) = next_candidate(window) else {
                // A header may begin in the last bytes of the window.
                let passed = (window.len() + 1).saturating_sub(BATCH_HEADER_BYTES).max(1);
                position += passed as u64;
                continue;
            };
            position += skipped as u64;
            let batch = self.batch_at(position)?.ok();
            if let Some(batch) = batch.filter(BatchView::crc_is_valid) {
                let (offset, len_bytes) = (batch.base_offset(), batch.len_bytes() as u64);
                return Ok(Some((position, offset, len_bytes)));
            }
            position += 1;
        }
        Ok(None)
    }

    fn count_nonzero(&mut self, from: u64, to: u64) -> io::Result<u64> {
        let to = to.min(self.file_bytes);
        let (mut position, mut count) = (from, 0);
        while position < to {
            let bytes = self.bytes_at(position, 1)?;
            let len = usize::try_from(to - position)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            if len == 0 {
                break;
            }
            count += bytes[..len].iter().filter(|&&byte| byte != 0).count() as u64;
            position += len as u64;
        }
        Ok(count)
    }
}
