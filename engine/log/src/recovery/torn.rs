//! The end of the log: telling a torn tail from corruption, zeroing it, and making the rest durable.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use futures_util::future::join_all;
use ringlog_reactor::limits::BLOCK_BYTES;
use ringlog_reactor::{AlignedBuf, File};
use ringlog_record::Offset;

use super::TornTail;
use super::walk::Recovering;
use crate::config::LogConfig;
use crate::error::{Corruption, Damage, FileError, OpenError};
use crate::limits::{CHECKPOINT_LAG_BYTES_MAX, FLUSH_GROUP_BYTES_MAX};
use crate::omit::Step;
use crate::scan::{Beyond, Passed, Scanner, Stop};
use crate::segment::{Segment, SegmentFile};
use crate::tail::{block_ceil, block_floor};

/// Bytes that are read and written at a time.
const PIECE_BYTES: u64 = 1 << 20;

/// What is left to know when the end is settled.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// The bytes of the partial block that the log ends in.
    pub(super) carry: Vec<u8>,
    pub(super) torn_tail: Option<TornTail>,
}

impl Recovering<'_> {
    /// Makes the end of the active segment what the log says it is, durably.
    pub(super) async fn settle(
        &mut self,
        active: &mut Segment,
        config: &LogConfig,
    ) -> Result<Settled, OpenError> {
        let path = self.directory.segment_path(active.base);
        let SegmentFile::Open { file, .. } = active.file.clone() else {
            return Ok(Settled::default());
        };
        let failed = |operation| {
            let path = path.clone();
            move |error| FileError::new(operation, &path, error)
        };
        let Some(stop) = self.end.stop.clone() else {
            let carry = self
                .read_carry(&file, active.len_bytes)
                .await
                .map_err(failed("read"))?;
            return Ok(Settled {
                carry,
                torn_tail: None,
            });
        };
        let walked = self.scanner.as_mut().map(Scanner::take_passed);
        let window_end = self.check_nothing_beyond(&file, active, &stop).await?;
        let wanted_bytes = config.file_bytes(0, 0).max(block_ceil(active.len_bytes));
        if active.capacity_bytes < wanted_bytes {
            // The crash came before the length of a new file was durable.
            match file.allocate(wanted_bytes).await {
                Ok(()) => {
                    file.sync_all().await.map_err(failed("sync"))?;
                    active.capacity_bytes = wanted_bytes;
                }
                // What is there can be served; the next append has the file grow, or rolls.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
                Err(error) => return Err(failed("allocate")(error).into()),
            }
        }
        let settled = self
            .rewrite_end(&file, active, walked.unwrap_or_default(), window_end)
            .await
            .map_err(failed("recover"))?;
        if !Step::SyncAfterRecovery.is_omitted() {
            file.sync_data().await.map_err(failed("sync"))?;
        }
        Ok(settled)
    }

    /// The position in `segment` up to which the checkpoint says that everything is durable.
    fn durable_position(&self, segment: Offset) -> u64 {
        self.checkpoint
            .filter(|found| found.active_base == segment)
            .map_or(0, |found| found.durable_position)
    }

    /// Looks for a valid batch where a torn flush group cannot have left one. Gives the end of the window in which it
    /// can have left something; batches that a recycled file held before lie within it or behind it, none across. That is
    /// the end of the log where only zeros were found.
    async fn check_nothing_beyond(
        &mut self,
        file: &File,
        active: &Segment,
        stop: &Stop,
    ) -> Result<u64, OpenError> {
        let to = match self.checkpoint {
            Some(_) => self.durable_position(active.base) + CHECKPOINT_LAG_BYTES_MAX,
            None => active.capacity_bytes,
        };
        let beyond = Beyond {
            from: stop.position + FLUSH_GROUP_BYTES_MAX,
            to,
            least: stop.offset,
        };
        let path = self.directory.segment_path(active.base);
        let walked = self.scanner.take();
        let fresh = || Scanner::new(&self.env.reactor, file.clone(), active.capacity_bytes);
        let mut scanner = walked.unwrap_or_else(fresh);
        let behind = scanner.look_behind(stop.position, &beyond).await;
        let behind = behind.map_err(|error| FileError::new("read", &path, error))?;
        let Some(found) = behind.later else {
            return Ok(match behind.is_zero {
                true => stop.position,
                false => behind.window_end,
            });
        };
        let damage = Damage::ValidBatchBeyond {
            batch: stop.problem.clone(),
            later_offset: found.offset,
            later_position: found.position,
        };
        Err(Corruption {
            path,
            position: stop.position,
            offset: stop.offset,
            damage,
        }
        .into())
    }

    /// Writes what may not be on the device yet once more, and zeros over what is not of the log up to `window_end`.
    async fn rewrite_end(
        &self,
        file: &File,
        active: &Segment,
        walked: VecDeque<Passed>,
        window_end: u64,
    ) -> io::Result<Settled> {
        let end = active.len_bytes;
        let durable = self
            .durable_position(active.base)
            .max(end.saturating_sub(FLUSH_GROUP_BYTES_MAX));
        let rewritten_end = block_ceil(window_end.max(end));
        let mut settled = Settled {
            carry: self.read_carry(file, end).await?,
            torn_tail: None,
        };
        let mut torn_bytes = 0;
        let mut position = self
            .rewrite_walked(file, walked, block_floor(durable)..block_floor(end))
            .await?;
        while position < rewritten_end {
            let piece_end = (position + PIECE_BYTES).min(rewritten_end);
            let (mut buf, len) = self.read_blocks(file, position, piece_end).await?;
            let within = |at: u64| {
                usize::try_from(at.saturating_sub(position))
                    .unwrap_or(usize::MAX)
                    .min(len)
            };
            let (kept, cleared) = (within(end), within(end)..within(window_end.max(end)));
            let torn = buf[cleared.clone()].iter().filter(|&&byte| byte != 0);
            let torn = torn.count();
            torn_bytes += torn as u64;
            let is_zeroed = torn > 0 && !Step::TornWindowZeroing.is_omitted();
            if is_zeroed {
                buf[cleared].fill(0);
            }
            // Zeros over zeros need not be written; what lies in front of the end is.
            let written = if is_zeroed {
                len
            } else {
                kept.next_multiple_of(BLOCK_BYTES)
            };
            if written > 0 {
                self.env.counters.metadata_bytes.add(written as u64);
                file.write_at(position, buf.freeze(written.min(len)))
                    .await?;
            }
            position = piece_end;
        }
        settled.torn_tail = (torn_bytes > 0).then_some(TornTail {
            segment: active.base,
            position: end,
            bytes: torn_bytes,
        });
        Ok(settled)
    }

    /// Writes blocks once more as the walk has found them, as far as it still has them. Gives the position behind those.
    /// Where two windows overlap, the walk has checked what the later one holds.
    async fn rewrite_walked(
        &self,
        file: &File,
        walked: VecDeque<Passed>,
        range: Range<u64>,
    ) -> io::Result<u64> {
        let mut position = range.start;
        let mut writes = Vec::with_capacity(walked.len());
        let mut walked = walked.into_iter().peekable();
        while let Some(passed) = walked.next() {
            let next = walked.peek().map_or(range.end, |next| next.start);
            let end = block_floor(passed.end()).min(next).min(range.end);
            if passed.start > position || end <= position {
                continue;
            }
            let within = |at: u64| usize::try_from(at - passed.start).unwrap_or(usize::MAX);
            let blocks = passed.bytes.slice(within(position)..within(end));
            self.env.counters.metadata_bytes.add(blocks.len() as u64);
            writes.push(file.write_at(position, blocks));
            position = end;
        }
        join_all(writes)
            .await
            .into_iter()
            .collect::<io::Result<()>>()?;
        Ok(position)
    }

    async fn read_carry(&self, file: &File, end: u64) -> io::Result<Vec<u8>> {
        let start = block_floor(end);
        if start == end {
            return Ok(Vec::new());
        }
        let (buf, _) = self.read_blocks(file, start, block_ceil(end)).await?;
        Ok(buf[..usize::try_from(end - start).unwrap_or(0)].to_vec())
    }

    /// Reads whole blocks; what lies behind the end of the file is zeros.
    pub(super) async fn read_blocks(
        &self,
        file: &File,
        start: u64,
        end: u64,
    ) -> io::Result<(AlignedBuf, usize)> {
        let len = usize::try_from(end - start).unwrap_or(0);
        let buf = self
            .env
            .reactor
            .buffer(len)
            .unwrap_or_else(|| AlignedBuf::unpooled(len));
        let (read, mut buf) = file.read_at(start, buf, len).await;
        let read = read?.min(len);
        buf[read..len].fill(0);
        Ok((buf, len))
    }
}
