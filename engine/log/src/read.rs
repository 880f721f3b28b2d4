//! Reading: whole batches, from memory where the tail reaches, else from disk.

use std::path::PathBuf;

use bytes::Bytes;
use ringlog_reactor::File;
use ringlog_record::batch::{BatchError, BatchView, batches};
use ringlog_record::{Offset, TimestampMs};

use crate::directory::Mode;
use crate::epochs::EpochCache;
use crate::error::{BatchProblem, FileError, ReadError};
use crate::limits::{DISK_READ_BYTES_MAX, INDEX_INTERVAL_BYTES, SCAN_BYTES};
use crate::log::{LogInner, LogState};
use crate::segment::{Segment, SegmentFile, SegmentName};
use crate::tail::{block_ceil, block_floor};

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

/// What was read: whole batches as they were appended, in order, without gaps. A batch never spans two slices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadData {
    /// The batches.
    pub slices: Vec<Bytes>,
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

/// Where to read on disk.
struct DiskPlan {
    segment: Offset,
    path: PathBuf,
    file: Option<File>,
    /// Where a batch begins at or before what is wanted, and its base offset.
    position: u64,
    offset: Offset,
    /// The end of what the file holds.
    data_end: u64,
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
                let read = self.read_disk(plan, &request).await;
                if read.is_err() {
                    // The segment may have been removed meanwhile; that is no error of the device.
                    self.plan(&request)?;
                }
                read
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

    fn disk_plan(&self, segment: &Segment, (offset, position): (Offset, u64)) -> DiskPlan {
        let file = match &segment.file {
            SegmentFile::Open { file, .. } => Some(file.clone()),
            SegmentFile::Awaited | SegmentFile::Closed => None,
        };
        let (path, data_end) = (
            self.directory.segment_path(segment.base),
            segment.durable_bytes,
        );
        DiskPlan {
            segment: segment.base,
            path,
            file,
            position,
            offset,
            data_end,
        }
    }

    /// The file of a plan; that of a sealed segment is opened when it is first read and stays open.
    async fn file_of(&self, plan: &DiskPlan) -> Result<File, ReadError> {
        if let Some(file) = &plan.file {
            return Ok(file.clone());
        }
        let file = self.directory.open(&plan.path, Mode::Existing).await?;
        if let Some(segment) = self.state.borrow_mut().segments.get_mut(&plan.segment)
            && matches!(segment.file, SegmentFile::Closed)
        {
            segment.file = SegmentFile::Open {
                file: file.clone(),
                name: SegmentName::BaseOffset,
            };
        }
        Ok(file)
    }

    async fn read_disk(
        &self,
        mut plan: DiskPlan,
        request: &ReadRequest,
    ) -> Result<ReadData, ReadError> {
        let file = self.file_of(&plan).await?;
        let interval = usize::try_from(INDEX_INTERVAL_BYTES).unwrap_or(0);
        let mut wanted = interval + request.max_bytes.min(DISK_READ_BYTES_MAX - interval);
        loop {
            let start = block_floor(plan.position);
            let end = (plan.position + wanted as u64).min(plan.data_end);
            let len = usize::try_from(block_ceil(end) - start)
                .unwrap_or(SCAN_BYTES)
                .min(SCAN_BYTES);
            let buf = self.env.reactor.buffer(len).ok_or(ReadError::Throttled)?;
            let (read, buf) = file.read_at(start, buf, len).await;
            let read = read.map_err(|error| FileError::new("read", &plan.path, error))?;
            let skip = usize::try_from(plan.position - start).unwrap_or(0);
            let missing = plan
                .data_end
                .min(start + len as u64)
                .saturating_sub(start + read as u64);
            if missing > 0 {
                let (position, offset) = (start + read as u64, plan.offset);
                let problem = BatchError::Truncated {
                    available_bytes: read,
                    needed_bytes: len,
                }
                .into();
                return Err(ReadError::Corrupt {
                    path: plan.path,
                    position,
                    offset,
                    problem,
                });
            }
            let data_len = usize::try_from(plan.data_end - start)
                .unwrap_or(usize::MAX)
                .min(read);
            let found = select(
                &buf[..data_len],
                skip,
                &plan,
                request,
                &self.state.borrow().epochs,
            )?;
            if found.range.is_empty() && found.needed_bytes > 0 {
                // What is wanted begins further on, or its first batch is larger than what was read.
                (plan.position, plan.offset) = (found.position, found.offset);
                wanted = wanted.max(found.needed_bytes);
                continue;
            }
            let bytes = found.range.len();
            if bytes == 0 {
                return Ok(ReadData::default());
            }
            return Ok(ReadData {
                slices: vec![buf.freeze(read).slice(found.range)],
                bytes,
            });
        }
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
            let data = self
                .read(ReadRequest {
                    offset,
                    max_bytes: DISK_READ_BYTES_MAX / 2,
                    limit,
                })
                .await?;
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

fn read_memory(state: &mut LogState, request: &ReadRequest) -> ReadData {
    let mut selection = Selection::new(request);
    let mut slices = Vec::new();
    for (_, data) in state.tail.chunks_from(request.offset, SHARE_FROM_BYTES) {
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

/// What a piece of a file holds of what is wanted.
struct Selected {
    range: std::ops::Range<usize>,
    /// Where to go on when there is nothing yet, and how much to read there at least; 0 when there is nothing more.
    position: u64,
    offset: Offset,
    needed_bytes: usize,
}

/// Finds the wanted batches in `bytes`, where the batch of the plan begins at `skip`. Each batch is checked against
/// the offset that is expected there, and those that are given against their CRC and the epoch of their leader too.
fn select(
    bytes: &[u8],
    skip: usize,
    plan: &DiskPlan,
    request: &ReadRequest,
    epochs: &EpochCache,
) -> Result<Selected, ReadError> {
    let mut selection = Selection::new(request);
    let (mut at, mut offset) = (skip, plan.offset);
    let mut range = skip..skip;
    let position_of = |at: usize| plan.position + (at - skip) as u64;
    let corrupt = |at: usize, offset, problem| {
        let position = plan.position + (at - skip) as u64;
        ReadError::Corrupt {
            path: plan.path.clone(),
            position,
            offset,
            problem,
        }
    };
    loop {
        let batch = match BatchView::parse(&bytes[at..]) {
            Ok(batch) => batch,
            Err(BatchError::Truncated { needed_bytes, .. }) => {
                let is_whole = position_of(at) + needed_bytes as u64 <= plan.data_end;
                let is_at_end = position_of(at) == plan.data_end;
                if !is_whole && !is_at_end {
                    let available_bytes = bytes.len() - at;
                    let error = BatchError::Truncated {
                        available_bytes,
                        needed_bytes,
                    };
                    return Err(corrupt(at, offset, error.into()));
                }
                let needed_bytes = if is_at_end { 0 } else { needed_bytes };
                return Ok(Selected {
                    range,
                    position: position_of(at),
                    offset,
                    needed_bytes,
                });
            }
            Err(error) => return Err(corrupt(at, offset, error.into())),
        };
        if batch.base_offset() != offset {
            return Err(corrupt(
                at,
                offset,
                BatchProblem::Offset {
                    found: batch.base_offset(),
                },
            ));
        }
        let len_bytes = batch.len_bytes();
        if selection.is_before(&batch) {
            range = at + len_bytes..at + len_bytes;
        } else if selection.take(&batch) {
            batch
                .check_crc()
                .map_err(|error| corrupt(at, offset, error.into()))?;
            let found = batch.header().leader_epoch();
            if let Some(expected) = epochs
                .epoch_at(offset)
                .filter(|&known| found != Some(known))
            {
                let problem = BatchProblem::Epoch { found, expected };
                return Err(corrupt(at, offset, problem));
            }
            range.end = at + len_bytes;
        } else {
            return Ok(Selected {
                range,
                position: position_of(at),
                offset,
                needed_bytes: 0,
            });
        }
        at += len_bytes;
        offset = batch.last_offset().next();
    }
}
