//! Appending: check, give offsets, copy. Synchronous, and all or nothing.

use std::time::Duration;

use ringlog_reactor::AlignedBuf;
use ringlog_record::batch::{
    BatchError, BatchLimits, BatchView, TimestampType, check_produce, copy_validated, stamp,
    stamp_append_time,
};
use ringlog_record::limits::BATCH_RECORDS_MAX;
use ringlog_record::{LeaderEpoch, Offset, ProducerStamp, TimestampMs};

use crate::config::Durability;
use crate::error::AppendError;
use crate::limits::{
    CHUNK_BYTES_MAX, FLUSH_GROUP_BYTES_MAX, PENDING_BYTES_MAX, WRITE_BEHIND_BYTES,
};
use crate::log::{Appended, LogInner, LogState};
use crate::producers::{ProducerError, StoredBatch, Verdict};
use crate::tail::ChunkBytes;

/// What was learnt of the batches of an append while they were checked.
struct Checked {
    batches: usize,
    records: u64,
    /// The idempotent producer of the one batch.
    producer: Option<ProducerStamp>,
}

/// What is to be done with an append.
enum Wanted {
    Append(Checked),
    /// It was appended before.
    Stored(StoredBatch),
}

impl LogInner {
    pub(crate) fn append(
        &self,
        batches: &[u8],
        epoch: LeaderEpoch,
        expected: Option<Offset>,
    ) -> Result<Appended, AppendError> {
        let now = self.now_ms();
        let checked = match self.check_append(batches, epoch, now)? {
            Wanted::Append(checked) => checked,
            Wanted::Stored(stored) => return self.stored_before(batches, stored),
        };
        self.check_expected(expected)?;
        self.check_reserved(checked.records)?;
        self.make_room(batches.len())?;
        let appended = {
            let state = &mut *self.state.borrow_mut();
            let base_offset = state.log_end;
            let log_end = base_offset
                .checked_add(checked.records)
                .ok_or(AppendError::OffsetsExhausted)?;
            let timestamp_type = state.config.timestamp_type;
            let room = state.tail.room(batches.len());
            copy(batches, room, checked.batches)?;
            note_batches(
                room,
                &Stamp {
                    base_offset,
                    epoch,
                    timestamp_type,
                    now,
                },
                |batch| {
                    if let Some(active) = state.segments.values_mut().next_back() {
                        let end = batch.last_offset().next();
                        active.note_batch(
                            batch.base_offset(),
                            end,
                            batch.len_bytes() as u64,
                            batch.max_timestamp(),
                        );
                    }
                },
            )?;
            state.tail.advance(batches.len(), log_end);
            state.epochs.begin(epoch, base_offset);
            state.log_end = log_end;
            if let Some(stamp) = checked.producer {
                let kept_end = state.kept_end();
                let batch = StoredBatch {
                    epoch: stamp.epoch,
                    base_sequence: stamp.base_sequence,
                    records: u32::try_from(checked.records).unwrap_or(u32::MAX),
                    base_offset,
                };
                state.producers.note(stamp.id, batch, now, kept_end);
            }
            state.appended_bytes += batches.len() as u64;
            if let Some(active) = state.segments.values_mut().next_back() {
                active.note_append(now);
            }
            let last_offset = log_end.checked_sub(1).unwrap_or(base_offset);
            Appended {
                base_offset,
                last_offset,
                log_end,
                is_duplicate: false,
            }
        };
        self.env.counters.appended_bytes.add(batches.len() as u64);
        self.request_flush();
        self.prepare_next_if_due();
        self.reserve_offsets_if_due();
        Ok(appended)
    }

    /// The answer to a batch that is in the log already, if it is intact.
    fn stored_before(&self, batch: &[u8], stored: StoredBatch) -> Result<Appended, AppendError> {
        BatchView::parse(batch)
            .and_then(|view| view.check_crc())
            .map_err(|source| AppendError::Batch { index: 0, source })?;
        self.env.counters.appends_duplicate.add(1);
        let log_end = stored.end();
        Ok(Appended {
            base_offset: stored.base_offset,
            last_offset: log_end.checked_sub(1).unwrap_or(stored.base_offset),
            log_end,
            is_duplicate: true,
        })
    }

    fn check_append(
        &self,
        batches: &[u8],
        epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> Result<Wanted, AppendError> {
        let state = &*self.state.borrow();
        if let Some(failure) = &state.failure {
            return Err(failure.clone().into());
        }
        if state.is_closed {
            return Err(AppendError::Closed);
        }
        if let Some(latest) = state.epochs.latest().filter(|&latest| latest > epoch) {
            return Err(AppendError::StaleEpoch { epoch, latest });
        }
        let batch_bytes_max = usize::try_from(state.config.max_batch_bytes).unwrap_or(usize::MAX);
        let checked = check_batches(
            batches,
            &BatchLimits {
                batch_bytes_max,
                records_max: BATCH_RECORDS_MAX,
            },
        )?;
        if batches.len() as u64 > FLUSH_GROUP_BYTES_MAX {
            return Err(AppendError::TooLarge {
                bytes: batches.len(),
                bytes_max: FLUSH_GROUP_BYTES_MAX,
            });
        }
        if let Some(stamp) = checked.producer {
            let records = u32::try_from(checked.records).unwrap_or(u32::MAX);
            match state.producers.check(stamp, records, now)? {
                Verdict::Append => {}
                // It needs neither space nor memory.
                Verdict::Stored(stored) => return Ok(Wanted::Stored(stored)),
            }
        }
        if state.is_moving {
            return Err(self.throttled());
        }
        if state.memory.is_some() {
            // It needs no space on the device, and nothing of it is pending.
            return Ok(Wanted::Append(checked));
        }
        if state.is_without_space() || !self.env.space.has_room() {
            self.env.counters.appends_without_space.add(1);
            return Err(AppendError::NoSpace);
        }
        if state.pending_bytes() + batches.len() as u64 > PENDING_BYTES_MAX {
            return Err(self.throttled());
        }
        Ok(Wanted::Append(checked))
    }

    /// Whether the log ends where the append wants it to. Nothing can come between this and the append.
    fn check_expected(&self, expected: Option<Offset>) -> Result<(), AppendError> {
        let log_end = self.state.borrow().log_end;
        match expected.filter(|&expected| expected != log_end) {
            None => Ok(()),
            Some(expected) => Err(AppendError::UnexpectedOffset { expected, log_end }),
        }
    }

    pub(crate) fn throttled(&self) -> AppendError {
        self.env.counters.appends_throttled.add(1);
        AppendError::Throttled
    }

    /// Makes sure that the active segment and the open chunk have room for `len` bytes.
    fn make_room(&self, len: usize) -> Result<(), AppendError> {
        if self.state.borrow().memory.is_some() {
            return self.make_room_in_memory(len);
        }
        let chunk = {
            let state = &mut *self.state.borrow_mut();
            self.make_room_in_segment(state, len as u64)?;
            state.tail.chunk_for(len, CHUNK_BYTES_MAX)
        };
        // The log is not borrowed here, since making room may evict chunks of any log, this one included.
        if let Some(bytes) = chunk {
            let buf = self.chunk_buffer(bytes).ok_or_else(|| self.throttled())?;
            self.state.borrow_mut().tail.begin_chunk(buf);
        }
        Ok(())
    }

    /// A buffer as large as wanted, or as needed when memory is short: then chunks of any log are evicted.
    pub(crate) fn chunk_buffer(&self, bytes: ChunkBytes) -> Option<AlignedBuf> {
        let reactor = &self.env.reactor;
        loop {
            let found = reactor
                .buffer(bytes.wanted)
                .or_else(|| reactor.buffer(bytes.needed));
            // What was read ahead is the first to go.
            if found.is_some() || !(self.env.cold.give_up_one() || self.env.cache.evict()) {
                return found;
            }
        }
    }

    /// Has the flusher come by when the durability asks for it.
    pub(crate) fn request_flush(&self) {
        let Some(me) = self.me.upgrade() else { return };
        let due = {
            let state = self.state.borrow();
            if state.memory.is_some() {
                return;
            }
            let now = self.env.reactor.now();
            let is_urgent = state.config.durability != Durability::Async
                || state.is_closed
                || state.durable_end < state.flush_wanted
                || state.tail.unsubmitted_bytes() >= WRITE_BEHIND_BYTES;
            if is_urgent {
                now
            } else {
                now + Duration::from_millis(state.config.flush_ms)
            }
        };
        self.env.flusher.flush(&me, due);
    }
}

/// Checks everything but the CRC of a single batch, which is checked while it is copied; several are checked in
/// full, so that a bad one does not leave the ones before it behind.
fn check_batches(batches: &[u8], limits: &BatchLimits) -> Result<Checked, AppendError> {
    let mut checked = Checked {
        batches: 0,
        records: 0,
        producer: None,
    };
    let mut rest = batches;
    while !rest.is_empty() {
        let refused = |source| AppendError::Batch {
            index: checked.batches,
            source,
        };
        let info = check_produce(rest, limits).map_err(refused)?;
        let is_alone = info.len_bytes == batches.len();
        if !is_alone {
            BatchView::parse(rest)
                .and_then(|view| view.check_crc())
                .map_err(refused)?;
        }
        checked.batches += 1;
        checked.records += u64::from(info.record_count);
        checked.producer = checked.producer.or(info.producer);
        rest = &rest[info.len_bytes..];
    }
    match checked.batches {
        0 => Err(AppendError::Empty),
        1 => Ok(checked),
        // What is sent again must be told apart as a whole: as much is one batch.
        batches if checked.producer.is_some() => Err(ProducerError::NotAlone { batches }.into()),
        _ => Ok(checked),
    }
}

fn copy(batches: &[u8], room: &mut [u8], count: usize) -> Result<(), AppendError> {
    if count == 1 {
        return copy_validated(batches, room)
            .map_err(|source| AppendError::Batch { index: 0, source });
    }
    room.copy_from_slice(batches);
    Ok(())
}

struct Stamp {
    base_offset: Offset,
    epoch: LeaderEpoch,
    timestamp_type: TimestampType,
    now: TimestampMs,
}

/// Stamps the batches in `room`, which were checked, and shows each to `note`.
fn note_batches(
    room: &mut [u8],
    with: &Stamp,
    mut note: impl FnMut(&BatchView<'_>),
) -> Result<(), AppendError> {
    let refused = |index| move |source: BatchError| AppendError::Batch { index, source };
    let (mut position, mut base_offset, mut index) = (0, with.base_offset, 0);
    while position < room.len() {
        let rest = &mut room[position..];
        let len_bytes = BatchView::parse(rest).map_err(refused(index))?.len_bytes();
        let batch = &mut rest[..len_bytes];
        stamp(batch, base_offset, with.epoch).map_err(refused(index))?;
        if with.timestamp_type == TimestampType::Append {
            stamp_append_time(batch, with.now).map_err(refused(index))?;
        }
        let view = BatchView::parse(batch).map_err(refused(index))?;
        note(&view);
        base_offset = view.last_offset().next();
        position += len_bytes;
        index += 1;
    }
    Ok(())
}

impl LogState {
    /// Bytes that are in memory and not on the device.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.appended_bytes - self.durable_bytes
    }
}
