//! A log that is in memory only: `durability = memory`.
//!
//! Its records are in the chunks of the tail and nowhere else, up to [`LogConfig::memory_bytes`], the oldest leaving first.
//! Its segments have no files: they tell what was appended when, and where to look for a time.
//!
//! **No offset is ever given out twice.** The checkpoint on the device holds an offset above all that may have been given
//! out: the log appends below it only, and raises it in advance. Opened anew, the log begins there, empty. So who has read
//! from it knows more than it, and is told what is missing ([`LogState::lost_below`]).
//!
//! **Where a log is changes only while it is empty.** One with records on the device would lose them, or leave a hole between
//! them and those in memory, at the next crash; and one with records in memory has promised nothing that the device could
//! keep. Until it is empty it stays where it is, and says so ([`LogState::durability`]).
//!
//! [`LogConfig::memory_bytes`]: crate::LogConfig::memory_bytes

use std::collections::BTreeMap;

use ringlog_record::{Offset, TimestampMs};

use crate::checkpoint::Checkpoint;
use crate::config::{Durability, LogConfig, chunk_capacity_bytes};
use crate::error::{AppendError, ChangeError, FileError};
use crate::index::SparseIndex;
use crate::limits::{
    CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CHUNKS_IN_MEMORY_MIN, OFFSETS_RESERVED, SEGMENT_CLASSES_BYTES,
};
use crate::log::{LogInner, LogState};
use crate::names::{NEXT, NEXT_TEMPORARY};
use crate::next_file::{NextFile, SpareFile};
use crate::omit::Step;
use crate::retention::age;
use crate::roll::create_first_segment;
use crate::segment::{Segment, SegmentFile};
use crate::tail::Tail;

/// What is different where a log is in memory only.
pub(crate) struct MemoryState {
    /// The first offset that can be read.
    pub(crate) log_start: Offset,
    /// Offsets below may be given out: that they were is durable.
    pub(crate) reserved: Offset,
    /// How many are reserved at a time.
    pub(crate) ahead: u64,
}

/// A segment of a log in memory.
pub(crate) fn segment_in_memory(base: Offset, config: &LogConfig) -> Segment {
    let [smallest, middling, _] = SEGMENT_CLASSES_BYTES;
    let bytes = (config.memory_bytes() / CHUNKS_IN_MEMORY_MIN).clamp(smallest, middling);
    Segment::new(base, bytes, SegmentFile::Nowhere)
}

impl LogInner {
    /// Makes sure that the open chunk has room for `len` bytes: the oldest ones leave for it.
    pub(crate) fn make_room_in_memory(&self, len: usize) -> Result<(), AppendError> {
        let chunk = {
            let state = &mut *self.state.borrow_mut();
            let memory_bytes = state.config.memory_bytes();
            if chunk_capacity_bytes(len as u64) > memory_bytes {
                let (bytes, bytes_max) = (len, memory_bytes);
                return Err(AppendError::TooLarge { bytes, bytes_max });
            }
            state.roll_in_memory_for(len as u64);
            let chunk_bytes_max = usize::try_from(memory_bytes / CHUNKS_IN_MEMORY_MIN)
                .unwrap_or(CHUNK_BYTES_MAX)
                .clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
            let Some(chunk) = state.tail.chunk_for(len, chunk_bytes_max) else {
                return Ok(());
            };
            state.tail.seal();
            let room_bytes = memory_bytes.saturating_sub(chunk_capacity_bytes(chunk.wanted as u64));
            while state.tail.held_bytes() as u64 > room_bytes && self.drop_oldest_in_memory(state) {
            }
            chunk
        };
        loop {
            if let Some(buf) = self.chunk_buffer(chunk) {
                self.state.borrow_mut().tail.begin_chunk(buf);
                return Ok(());
            }
            // Others hold what was meant for this log: it makes do with less.
            if !self.drop_oldest_in_memory(&mut self.state.borrow_mut()) {
                return Err(self.throttled());
            }
        }
    }

    /// Drops the oldest chunk; false when there is none but the open one.
    fn drop_oldest_in_memory(&self, state: &mut LogState) -> bool {
        let before_bytes = state.tail.held_bytes();
        let Some(end) = state.tail.drop_oldest() else {
            return false;
        };
        let dropped_bytes = before_bytes - state.tail.held_bytes();
        self.env
            .counters
            .memory_dropped_bytes
            .add(dropped_bytes as u64);
        state.start_in_memory_at(end);
        true
    }

    /// Whether so many more offsets may be given out; if not, they will be soon.
    pub(crate) fn check_reserved(&self, records: u64) -> Result<(), AppendError> {
        let state = &mut *self.state.borrow_mut();
        let Some(memory) = &mut state.memory else {
            return Ok(());
        };
        let log_end = state.log_end.checked_add(records);
        let fits = log_end.ok_or(AppendError::OffsetsExhausted)? <= memory.reserved;
        if fits || Step::OffsetReservation.is_omitted() {
            return Ok(());
        }
        // An append of many small batches may need more than are reserved as a rule.
        memory.ahead = memory.ahead.max(records.saturating_mul(2));
        self.start_checkpoint(state);
        Err(self.throttled())
    }

    /// Reserves offsets in advance.
    pub(crate) fn reserve_offsets_if_due(&self) {
        let state = &mut *self.state.borrow_mut();
        let Some(memory) = &state.memory else { return };
        let left = memory.reserved.get().saturating_sub(state.log_end.get());
        if left < OFFSETS_RESERVED / 2 {
            self.start_checkpoint(state);
        }
    }

    /// Drops what is too old. Gives how many segments have left.
    pub(crate) fn apply_retention_in_memory(
        &self,
        state: &mut LogState,
        now: TimestampMs,
    ) -> usize {
        if state.active_is_due(now) {
            state.roll_in_memory();
        }
        // The bound may be lower than it was.
        let memory_bytes = state.config.memory_bytes();
        while state.tail.held_bytes() as u64 > memory_bytes && self.drop_oldest_in_memory(state) {}
        let is_old = |segment: &&Segment| {
            let last = segment.last_append.zip(state.config.retention_ms);
            last.is_some_and(|(last, age_ms)| age(now, last).as_millis() >= age_ms.into())
        };
        let sealed = state.segments.len().saturating_sub(1);
        let old = state.segments.values().take(sealed).take_while(is_old);
        let log_start = old.last().map_or(state.log_start(), |last| last.end);
        self.move_log_start_in_memory(state, log_start)
    }

    /// Moves the log start and drops the chunks below. Gives how many segments have left.
    pub(crate) fn move_log_start_in_memory(
        &self,
        state: &mut LogState,
        log_start: Offset,
    ) -> usize {
        let before = state.segments.len();
        state.start_in_memory_at(log_start);
        if state.log_start() == state.log_end {
            state.tail.seal();
        }
        while state
            .tail
            .oldest_end()
            .is_some_and(|end| end <= state.log_start())
        {
            self.drop_oldest_in_memory(state);
        }
        let removed = before - state.segments.len();
        self.env.counters.segments_removed.add(removed as u64);
        removed
    }

    /// Takes an empty log to where its durability wants it.
    pub(crate) async fn settle_medium(&self) -> Result<bool, ChangeError> {
        let to_memory = {
            let state = &mut *self.state.borrow_mut();
            let to_memory = state.config.durability == Durability::Memory;
            if to_memory == state.memory.is_some() {
                return Ok(true);
            }
            let is_empty = state.log_start() == state.log_end;
            if !is_empty || state.is_moving || state.is_ended() {
                return Ok(false);
            }
            state.is_moving = true;
            to_memory
        };
        let moved = match to_memory {
            true => self.move_to_memory().await,
            false => self.move_to_device().await,
        };
        self.state.borrow_mut().is_moving = false;
        self.changed.notify();
        moved?;
        let stable_end = self.state.borrow().stable_end();
        // What stable means has changed, before anything is appended.
        self.call_on_stable(Ok(stable_end));
        tracing::info!(directory = %self.directory.path().display(), to_memory, "a log has moved");
        Ok(true)
    }

    /// The same, where nobody is to be told when it cannot be done now: it is tried again.
    pub(crate) async fn settle_medium_or_later(&self) {
        if let Err(error) = self.settle_medium().await {
            let directory = self.directory.path().display();
            tracing::warn!(%directory, %error, "a log is not where its durability wants it yet");
        }
    }

    /// Waits until no checkpoint is being written that speaks of where the log was.
    async fn await_checkpoint(&self) -> Result<(), ChangeError> {
        self.changed
            .wait(|| (!self.state.borrow().checkpoint.is_busy).then_some(()))
            .await;
        Ok(self.check_failure()?)
    }

    /// The checkpoint comes first: from then on the files are not needed, and are removed by recovery too.
    async fn move_to_memory(&self) -> Result<(), ChangeError> {
        self.state.borrow().hurry_spare();
        self.changed.wait(|| self.is_at_rest().then_some(())).await;
        self.await_checkpoint().await?;
        {
            let state = &mut *self.state.borrow_mut();
            let log_end = state.log_end;
            state.memory = Some(MemoryState {
                log_start: log_end,
                reserved: log_end,
                ahead: OFFSETS_RESERVED,
            });
        }
        if let Err(error) = self.write_checkpoint().await {
            self.state.borrow_mut().memory = None;
            return Err(error);
        }
        let gone = {
            let state = &mut *self.state.borrow_mut();
            let log_end = state.log_end;
            let segment = segment_in_memory(log_end, &state.config);
            state.tail = Tail::new(log_end, 0, log_end, Vec::new());
            state.next = NextFile::Absent;
            state.spare = SpareFile::Absent;
            std::mem::replace(&mut state.segments, BTreeMap::from([(log_end, segment)]))
        };
        self.env.cache.forget(&self.me);
        self.env.cold.forget(&self.me);
        self.env.files.forget(&self.me);
        for base in gone.into_keys() {
            self.remove_or_leave(&self.directory.segment_path(base))
                .await;
            self.remove_or_leave(&self.directory.index_path(base)).await;
        }
        for name in [NEXT, NEXT_TEMPORARY] {
            self.remove_or_leave(&self.directory.join(name)).await;
        }
        Ok(())
    }

    async fn remove_or_leave(&self, path: &std::path::Path) {
        if let Err(error) = self.directory.remove(path).await {
            tracing::warn!(%error, "a file of a log that is in memory now was not removed");
        }
    }

    /// The segment comes first: without it the checkpoint would speak of a log that is not there.
    async fn move_to_device(&self) -> Result<(), ChangeError> {
        let (base, file_bytes) = {
            let state = self.state.borrow();
            (state.log_end, state.config.file_bytes(0, 0))
        };
        let segment = match create_first_segment(&self.directory, base, file_bytes).await {
            Ok(segment) => segment,
            Err(FileError { source, .. }) if source.kind() == std::io::ErrorKind::StorageFull => {
                return Err(ChangeError::NoSpace);
            }
            Err(error) => {
                self.fail(error.operation, &error.source);
                return Ok(self.check_failure()?);
            }
        };
        self.await_checkpoint().await?;
        {
            let state = &mut *self.state.borrow_mut();
            state.memory = None;
            state.next = NextFile::Absent;
            state.spare = SpareFile::Absent;
            state.tail = Tail::new(base, 0, base, Vec::new());
            state.segments = BTreeMap::from([(base, segment)]);
            state.durable_end = base;
            state.stable_floor = base;
            state.wanted_log_start = base;
            state.durable_bytes = state.appended_bytes;
            // The checkpoint on the device says that the log is in memory: nothing is written before the next one.
            state.checkpoint.log_start = base;
            state.checkpoint.is_clean = true;
            state.checkpoint.durable_bytes = state.durable_bytes;
        }
        self.write_checkpoint().await
    }
}

impl LogState {
    /// Goes on in another segment when the active one is full.
    fn roll_in_memory_for(&mut self, len_bytes: u64) {
        let is_full = self.active().is_none_or(|active| {
            active.len_bytes > 0 && active.len_bytes + len_bytes > active.capacity_bytes
        });
        if is_full {
            self.roll_in_memory();
        }
    }

    fn roll_in_memory(&mut self) {
        let base = self.log_end;
        self.tail.roll(base);
        self.segments
            .insert(base, segment_in_memory(base, &self.config));
    }

    /// The log starts at `offset`, if not behind it; segments below leave.
    fn start_in_memory_at(&mut self, offset: Offset) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        memory.log_start = memory.log_start.max(offset);
        let log_start = memory.log_start;
        while self.segments.len() > 1
            && self
                .segments
                .first_key_value()
                .is_some_and(|(_, first)| first.end <= log_start)
        {
            self.segments.pop_first();
        }
        self.epochs.forget_below(log_start);
    }

    /// What is found when the log is opened anew: nothing, from an offset on that was never given out.
    pub(crate) fn to_checkpoint_in_memory(&self, sequence: u64) -> Checkpoint {
        let ahead = match &self.memory {
            Some(memory) if !self.is_closed && !Step::OffsetReservation.is_omitted() => {
                memory.ahead
            }
            _ => 0,
        };
        let reserved = self.log_end.checked_add(ahead).unwrap_or(Offset::MAX);
        let mut epochs = self.epochs.clone();
        epochs.forget_below(reserved);
        Checkpoint {
            is_clean: self.is_closed,
            has_producers: false,
            is_memory: true,
            sequence,
            durable_end: reserved,
            durable_position: 0,
            active_base: reserved,
            log_start: reserved,
            high_watermark: reserved,
            first_append: None,
            last_append: None,
            max_timestamp: TimestampMs::NONE,
            epochs,
            index: SparseIndex::default(),
        }
    }
}
