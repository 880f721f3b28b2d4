//! Reading: whole batches, from memory where the tail reaches, else from disk.

mod damage;
mod disk;

use bytes::Bytes;
use ringlog_record::batch::{BatchView, batches};
use ringlog_record::{Offset, TimestampMs};
use smallvec::SmallVec;

pub(crate) use self::disk::DiskPlan;
use crate::error::ReadError;
use crate::limits::DISK_READ_BYTES_MAX;
use crate::log::{LogInner, LogState};

/// Bytes of the open chunk from which on a reader gets its memory instead of a copy.
const SHARE_FROM_BYTES: u64 = 16 << 10;

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// The first record that is wanted.
    pub offset: Offset,
    /// Most bytes of batches, unless the first one alone is larger.
    pub max_bytes: usize,
    /// No record at or beyond this is given.
    pub limit: Offset,
}

/// Batches in pieces of memory; most reads give one.
pub type Slices = SmallVec<[Bytes; 1]>;

/// What was read: whole batches as they were appended, in order, without gaps. A batch never spans two slices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadData {
    /// The batches.
    pub slices: Slices,
    /// Their bytes together.
    pub bytes: usize,
}

/// A batch found by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Base offset of the batch.
    pub offset: Offset,
    /// Largest time stamp in the batch.
    pub timestamp: TimestampMs,
}

enum Plan {
    Nothing,
    Memory(ReadData),
    Disk(DiskPlan),
}

/// What is taken of the batches that pass by.
struct Selection {
    offset: Offset,
    max_bytes: usize,
    limit: Offset,
    taken_bytes: usize,
}

impl Selection {
    fn new(request: &ReadRequest) -> Self {
        Self {
            offset: request.offset,
            max_bytes: request.max_bytes,
            limit: request.limit,
            taken_bytes: 0,
        }
    }

    fn is_before(&self, batch: &BatchView<'_>) -> bool {
        batch.last_offset() < self.offset
    }

    /// Takes the batch if it belongs to what is read; the first that is not taken ends the read.
    fn take(&mut self, batch: &BatchView<'_>) -> bool {
        let fits = self.taken_bytes == 0 || self.taken_bytes + batch.len_bytes() <= self.max_bytes;
        let takes = fits && batch.last_offset() < self.limit;
        if takes {
            self.taken_bytes += batch.len_bytes();
        }
        takes
    }
}

impl LogInner {
    pub(crate) async fn read(&self, request: ReadRequest) -> Result<ReadData, ReadError> {
        match self.plan(&request)? {
            Plan::Nothing => Ok(ReadData::default()),
            Plan::Memory(data) => {
                self.env.counters.reads_from_memory.add(1);
                Ok(data)
            }
            Plan::Disk(plan) => {
                self.env.counters.reads_from_disk.add(1);
                match self.read_disk(plan, &request).await {
                    Ok(data) => Ok(data),
                    Err(error) => self.look_again(&request, error).await,
                }
            }
        }
    }

    fn plan(&self, request: &ReadRequest) -> Result<Plan, ReadError> {
        let state = &mut *self.state.borrow_mut();
        let (requested, log_start, log_end) = (request.offset, state.log_start(), state.log_end);
        if requested < log_start || requested > log_end {
            return Err(ReadError::OffsetOutOfRange {
                requested,
                log_start,
                log_end,
            });
        }
        if requested >= log_end || requested >= request.limit {
            return Ok(Plan::Nothing);
        }
        if requested >= state.tail.first_offset() {
            return Ok(Plan::Memory(read_memory(state, request)));
        }
        let Some(segment) = state.segment_of(requested) else {
            return Ok(Plan::Nothing);
        };
        Ok(Plan::Disk(self.disk_plan(
            segment,
            segment.position_at_or_before(requested),
        )))
    }

    pub(crate) async fn offset_for_timestamp(
        &self,
        timestamp: TimestampMs,
        limit: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let Some(mut offset) = self.first_offset_by_time(timestamp) else {
            return Ok(None);
        };
        loop {
            let request = ReadRequest {
                offset,
                max_bytes: DISK_READ_BYTES_MAX / 2,
                limit,
            };
            let data = match self.read(request).await {
                Err(ReadError::OffsetOutOfRange { log_start, .. }) if log_start > offset => {
                    // It has left meanwhile: what there is now begins there.
                    offset = log_start;
                    continue;
                }
                read => read?,
            };
            if data.slices.is_empty() {
                return Ok(None);
            }
            for batch in data
                .slices
                .iter()
                .flat_map(|slice| batches(slice))
                .flatten()
            {
                if batch.max_timestamp() >= timestamp {
                    let (offset, timestamp) = (batch.base_offset(), batch.max_timestamp());
                    return Ok(Some(TimestampOffset { offset, timestamp }));
                }
                offset = batch.last_offset().next();
            }
        }
    }

    /// An offset before which no time stamp reaches `timestamp`; none when none in the log does.
    fn first_offset_by_time(&self, timestamp: TimestampMs) -> Option<Offset> {
        let state = &*self.state.borrow();
        let segment = state
            .segments
            .values()
            .find(|segment| segment.max_timestamp >= timestamp)?;
        let offset = segment
            .index
            .before_time(timestamp)
            .map_or(segment.base, |entry| entry.offset);
        Some(offset.max(state.log_start()))
    }
}

impl LogState {
    /// Bytes of the open chunk from which on a reader gets its memory, so that the next append needs another one. Where
    /// chunks are all that there is, one is not given up half empty.
    fn share_from_bytes(&self) -> u64 {
        let half = match self.memory {
            Some(_) => self.tail.open_capacity_bytes() as u64 / 2,
            None => 0,
        };
        half.max(SHARE_FROM_BYTES)
    }
}

fn read_memory(state: &mut LogState, request: &ReadRequest) -> ReadData {
    let mut selection = Selection::new(request);
    let mut slices = Slices::new();
    let share_from_bytes = state.share_from_bytes();
    for (_, data) in state.tail.chunks_from(request.offset, share_from_bytes) {
        let (mut from, mut to, mut is_done) = (0, 0, false);
        for batch in batches(&data).flatten() {
            if selection.is_before(&batch) {
                from += batch.len_bytes();
                to = from;
            } else if selection.take(&batch) {
                to += batch.len_bytes();
            } else {
                is_done = true;
                break;
            }
        }
        if to > from {
            slices.push(data.slice(from..to));
        }
        if is_done {
            break;
        }
    }
    ReadData {
        slices,
        bytes: selection.taken_bytes,
    }
}
