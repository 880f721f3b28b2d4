//! Reading from disk: where a fetch finds its batches, and what it takes of a window of the file.

use std::path::PathBuf;

use ringlog_reactor::File;
use ringlog_record::Offset;
use ringlog_record::batch::{BatchError, BatchView};

use super::{ReadData, ReadRequest, Selection, Slices};
use crate::cold::{Ahead, Stream, Window, Windows};
use crate::directory::Mode;
use crate::epochs::EpochCache;
use crate::error::{BatchProblem, ReadError};
use crate::limits::{
    BLOCK_BYTES, DISK_READ_BYTES_MAX, INDEX_INTERVAL_BYTES, READ_AHEAD_BYTES_MIN, SCAN_BYTES,
};
use crate::log::LogInner;
use crate::omit::Step;
use crate::segment::{Segment, SegmentFile};
use crate::tail::{block_ceil, block_floor};

/// Where to read on disk.
#[derive(Clone)]
pub(crate) struct DiskPlan {
    /// Base offset of the segment.
    pub(crate) segment: Offset,
    pub(crate) path: PathBuf,
    file: Option<File>,
    /// Where a batch begins at or before what is wanted, and its base offset.
    pub(crate) position: u64,
    pub(crate) offset: Offset,
    /// The end of what the file holds.
    pub(crate) data_end: u64,
}

impl DiskPlan {
    /// The block where to begin, and whole blocks up to `wanted` bytes of what is there.
    pub(crate) fn blocks(&self, wanted: usize) -> (u64, usize) {
        let start = block_floor(self.position);
        let end = (self.position + wanted as u64).min(self.data_end);
        let len = usize::try_from(block_ceil(end) - start).unwrap_or(SCAN_BYTES);
        (start, len.min(SCAN_BYTES))
    }
}

impl LogInner {
    pub(crate) fn disk_plan(
        &self,
        segment: &Segment,
        (offset, position): (Offset, u64),
    ) -> DiskPlan {
        let file = match &segment.file {
            SegmentFile::Open { file, .. } => Some(file.clone()),
            SegmentFile::Awaited | SegmentFile::Closed | SegmentFile::Nowhere => None,
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

    /// The file of a plan; that of a sealed segment is opened when it is not open.
    pub(crate) async fn file_of(&self, plan: &DiskPlan) -> Result<File, ReadError> {
        if let Some(file) = &plan.file {
            return Ok(file.clone());
        }
        if let Some(file) = self.env.files.get(&self.me, plan.segment) {
            return Ok(file);
        }
        let file = self.directory.open(&plan.path, Mode::Existing).await?;
        // It may have left the log meanwhile.
        if self.state.borrow().segments.contains_key(&plan.segment) {
            self.env.files.keep(&self.me, plan.segment, &file);
        }
        Ok(file)
    }

    pub(super) async fn read_disk(
        &self,
        mut plan: DiskPlan,
        request: &ReadRequest,
    ) -> Result<ReadData, ReadError> {
        let cold = &self.env.cold;
        let stream = cold.take_stream(&self.me, plan.segment, request.offset);
        let goes_on = stream.is_some();
        let (mut window, mut behind) = (None, Windows::new());
        if let Some(stream) = stream {
            // It knows to the byte what the index knows only roughly.
            (plan.position, plan.offset) = (stream.position, stream.offset);
            (window, behind) = stream.windows().await;
            if window.is_some() {
                self.env.counters.reads_from_read_ahead.add(1);
            }
        }
        // Without a stream the index has an entry at most this far before what is wanted.
        let interval = usize::try_from(INDEX_INTERVAL_BYTES).unwrap_or(0);
        let mut wanted = interval + request.max_bytes.min(DISK_READ_BYTES_MAX - interval);
        loop {
            let window = match window.take() {
                Some(window) => window,
                None => self.read_window(&plan, wanted).await?,
            };
            let found = {
                let epochs = &self.state.borrow().epochs;
                select(&window, &plan, request, epochs)?
            };
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
            let slices = Slices::from([window.bytes.slice(found.range.clone())]);
            let taken_bytes = bytes.max(request.max_bytes.min(DISK_READ_BYTES_MAX));
            let going_on = goes_on.then_some(GoingOn {
                window,
                behind,
                taken_bytes,
            });
            self.expect_next(&plan, &found, going_on);
            return Ok(ReadData { slices, bytes });
        }
    }

    /// Remembers where a reader goes on. For one that has gone on before, the next windows are read ahead, as far as they
    /// are not there.
    fn expect_next(&self, plan: &DiskPlan, found: &Selected, going_on: Option<GoingOn>) {
        let Some(next) = self.plan_next(plan, found) else {
            return;
        };
        let mut stream = Stream::new(&self.me, next.segment, next.offset, next.position);
        if let Some(going_on) = going_on {
            let GoingOn {
                window,
                behind,
                taken_bytes,
            } = going_on;
            let holds = |ahead: &Ahead, bytes: usize| {
                next.segment == plan.segment && ahead.holds(next.position, bytes)
            };
            let needed_bytes = found.needed_bytes.max(1);
            let window = window.is_read_ahead().then_some(Ahead::Read(window));
            // What little is left of a window would make an answer of its own, where another one holds as much and more.
            let enough_bytes = match behind.first() {
                Some(behind) if holds(behind, needed_bytes) => needed_bytes.max(taken_bytes / 2),
                _ => needed_bytes,
            };
            let window = window.filter(|window| holds(window, enough_bytes));
            let is_next = |behind: &Ahead| window.is_some() || holds(behind, needed_bytes);
            let behind = behind.first().is_some_and(is_next).then_some(behind);
            window
                .into_iter()
                .chain(behind.into_iter().flatten())
                .for_each(|ahead| stream.keep(ahead));
            let wanted = taken_bytes.max(READ_AHEAD_BYTES_MIN);
            stream.read_ahead(self, &next, wanted);
        }
        self.env.cold.remember(&self.env.reactor, stream);
    }

    /// Where to go on behind a window of a segment that ends at `end`: the last batch that the index knows to begin in it,
    /// which need not be whole there. Nothing when the window holds all there is.
    pub(crate) fn plan_behind(&self, segment: Offset, end: u64) -> Option<DiskPlan> {
        let state = self.state.borrow();
        let segment = state.segments.get(&segment)?;
        if end >= segment.durable_bytes || state.is_ended() {
            return None;
        }
        // Within the last block what was wanted may have ended.
        let entry = segment
            .index
            .at_or_before_position(end.saturating_sub(BLOCK_BYTES))?;
        Some(self.disk_plan(segment, (entry.offset, entry.position)))
    }

    /// Where what follows lies on disk; nothing when the reader has come to what is in memory.
    fn plan_next(&self, plan: &DiskPlan, found: &Selected) -> Option<DiskPlan> {
        let state = self.state.borrow();
        if found.offset >= state.tail.first_offset() || state.is_ended() {
            return None;
        }
        let segment = state.segment_of(found.offset)?;
        let place = if segment.base == plan.segment {
            (found.offset, found.position)
        } else {
            segment.position_at_or_before(found.offset)
        };
        (place.1 < segment.durable_bytes).then(|| self.disk_plan(segment, place))
    }
}

/// What a reader that goes on has.
struct GoingOn {
    /// What it has just been given a part of.
    window: Window,
    /// What was read ahead behind that.
    behind: Windows,
    /// What it takes at a time.
    taken_bytes: usize,
}

/// What a piece of a file holds of what is wanted.
struct Selected {
    range: std::ops::Range<usize>,
    /// Where to go on, and how much to read there at least; 0 when what comes next is in the window and not wanted, or
    /// when nothing comes.
    position: u64,
    offset: Offset,
    needed_bytes: usize,
}

/// Finds the wanted batches in a window that holds the position of the plan. Each batch is checked against
/// the offset that is expected there, and those that are given against their CRC and the epoch of their leader too.
fn select(
    window: &Window,
    plan: &DiskPlan,
    request: &ReadRequest,
    epochs: &EpochCache,
) -> Result<Selected, ReadError> {
    let bytes: &[u8] = &window.bytes;
    let skip = usize::try_from(plan.position - window.start).unwrap_or(usize::MAX);
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
        let batch = match BatchView::parse(bytes.get(at..).unwrap_or_default()) {
            Ok(batch) => batch,
            Err(BatchError::Truncated { needed_bytes, .. }) => {
                let is_whole = position_of(at) + needed_bytes as u64 <= plan.data_end;
                // What is wanted lies before the end: damage has hidden it when nothing was found.
                let is_at_end = position_of(at) == plan.data_end && !range.is_empty();
                if !is_whole && !is_at_end {
                    let available_bytes = bytes.len().saturating_sub(at);
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
            at += len_bytes;
            offset = batch.last_offset().next();
            continue;
        }
        let is_taken = selection.take(&batch);
        // One that lies beyond the limit by its header alone may be what is wanted, and damaged.
        if is_taken || range.is_empty() {
            if !Step::CrcOnRead.is_omitted() {
                batch
                    .check_crc()
                    .map_err(|error| corrupt(at, offset, error.into()))?;
            }
            let found = batch.header().leader_epoch();
            if let Some(expected) = epochs
                .epoch_at(offset)
                .filter(|&known| found != Some(known))
            {
                let problem = BatchProblem::Epoch { found, expected };
                return Err(corrupt(at, offset, problem));
            }
        }
        if !is_taken {
            return Ok(Selected {
                range,
                position: position_of(at),
                offset,
                needed_bytes: 0,
            });
        }
        range.end = at + len_bytes;
        at += len_bytes;
        offset = batch.last_offset().next();
    }
}
