//! A log: the handle that its owner holds, and the state behind it.
//!
//! All of a log lives on one core and is changed by that core alone, between awaits. What the disk has is told by
//! `durable_end` and the `durable_bytes` of the segments, which move only when a flush group or the recovery has
//! ended; everything behind them is in the [`Tail`].

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};

use ringlog_record::{LeaderEpoch, Offset, TimestampMs};

use crate::checkpoint::CheckpointState;
use crate::config::{Durability, LogConfig};
use crate::directory::Directory;
use crate::env::LogEnv;
use crate::epochs::EpochCache;
use crate::error::{AppendError, ChangeError, LogFailure, OpenError, ReadError};
use crate::flush::GroupEnd;
use crate::memory::MemoryState;
use crate::next_file::{NextFile, SpareFile};
use crate::producers::Producers;
use crate::read::{ReadData, ReadRequest, TimestampOffset};
use crate::recovery::{self, RecoveryReport};
use crate::segment::Segment;
use crate::tail::Tail;
use ringlog_reactor::Signal;

/// What a log calls when its stable end moves, or when it fails.
type StableCallback = Rc<dyn Fn(Result<Offset, LogFailure>)>;

/// What an append came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// The log end behind it.
    pub log_end: Offset,
    /// Whether it had been appended before, by the same idempotent producer: nothing was appended now, and the offsets
    /// are those of then.
    pub is_duplicate: bool,
}

/// The log of a partition. Clones are handles to the same one.
#[derive(Clone)]
pub struct Log(Rc<LogInner>);

impl Log {
    /// Opens the log in `directory`, which is made when it is missing, and recovers it.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; a damaged log is left as it is.
    pub async fn open(
        env: LogEnv,
        directory: PathBuf,
        config: LogConfig,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let directory = Directory::new(env.reactor.clone(), directory);
        let (state, report) = recovery::recover(&env, &directory, config).await?;
        let id = env.flusher.register();
        let inner = Rc::new_cyclic(|me| LogInner {
            id,
            env,
            directory,
            me: Weak::clone(me),
            state: RefCell::new(state),
            changed: Signal::default(),
            on_stable: RefCell::default(),
        });
        // A log that has nothing on the device may be meant to be in memory now.
        inner.settle_medium_or_later().await;
        Ok((Self(inner), report))
    }

    /// Appends one or more batches, all or none: checks them, gives them offsets and the leader's epoch, and copies
    /// them into memory. They are stable once [`Log::stable_end`] has passed them. A batch of an idempotent producer
    /// that is among its last is not appended again ([`Appended::is_duplicate`]); it may not be stable yet.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; nothing was appended then.
    pub fn append(&self, batches: &[u8], epoch: LeaderEpoch) -> Result<Appended, AppendError> {
        self.0.append(batches, epoch, None)
    }

    /// The same, but only if the log ends at `expected`. A batch that an idempotent producer sends again is a duplicate
    /// wherever the log ends by now.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; nothing was appended then.
    pub fn append_at(
        &self,
        expected: Offset,
        batches: &[u8],
        epoch: LeaderEpoch,
    ) -> Result<Appended, AppendError> {
        self.0.append(batches, epoch, Some(expected))
    }

    /// The first offset that can be read.
    pub fn log_start(&self) -> Offset {
        self.0.state.borrow().log_start()
    }

    /// The offset behind the last record.
    pub fn log_end(&self) -> Offset {
        self.0.state.borrow().log_end
    }

    /// The offset behind the last stable record: on the device for `sync`, the log end for the others. Never goes back.
    pub fn stable_end(&self) -> Offset {
        self.0.state.borrow().stable_end()
    }

    /// What stable means now. It is what the settings say, unless they ask for a log in memory to be on the device or the
    /// other way round while it holds records: see [`Log::settle_medium`].
    pub fn durability(&self) -> Durability {
        self.0.state.borrow().durability()
    }

    /// Records below were in memory only and are gone: a reader that has not come so far has missed some. Zero for a log
    /// that lost none.
    pub fn lost_below(&self) -> Offset {
        self.0.state.borrow().lost_below
    }

    /// The offset behind the last record that is on the device. For a log in memory, where it was put there.
    pub fn durable_end(&self) -> Offset {
        self.0.state.borrow().durable_end
    }

    /// Has `callback` called each time the stable end has moved by itself (not from within [`Log::append`], which
    /// under `async` moves it at once), and once when the log fails. Replaces the callback before it.
    pub fn on_stable(&self, callback: impl Fn(Result<Offset, LogFailure>) + 'static) {
        *self.0.on_stable.borrow_mut() = Some(Rc::new(callback));
    }

    /// Reads whole batches: the first one holds the requested offset and comes even when it is larger than
    /// `max_bytes`; none reaches `limit`. Nothing comes when the offset is at the log end or not below `limit`.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn read(&self, request: ReadRequest) -> Result<ReadData, ReadError> {
        self.0.read(request).await
    }

    /// The first batch below `limit` with a time stamp at or above `timestamp`, if any.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn offset_for_timestamp(
        &self,
        timestamp: TimestampMs,
        limit: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        self.0.offset_for_timestamp(timestamp, limit).await
    }

    /// Bytes of batches from `offset` to the offset `limit`, as far as the sparse index tells without reading: off
    /// by up to 64 KiB and a batch at both ends.
    pub fn bytes_between(&self, offset: Offset, limit: Offset) -> u64 {
        self.0.state.borrow().bytes_between(offset, limit)
    }

    /// Moves the log start to `before`, durably, and removes the segments below it. Gives the log start.
    ///
    /// # Errors
    ///
    /// [`ChangeError`].
    pub async fn delete_records(&self, before: Offset) -> Result<Offset, ChangeError> {
        self.0.delete_records(before).await
    }

    /// Begins the epoch of a new leader at the log end; durable when this returns. Everything appended before is
    /// made durable first.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; `StaleEpoch` unless it is newer than all before.
    pub async fn begin_epoch(&self, epoch: LeaderEpoch) -> Result<(), ChangeError> {
        self.0.begin_epoch(epoch).await
    }

    /// Which leader epoch begins where.
    pub fn epochs(&self) -> EpochCache {
        self.0.state.borrow().epochs.clone()
    }

    /// Where the records of `epoch`, and of all epochs before it, end in this log.
    pub fn end_of_epoch(&self, epoch: LeaderEpoch) -> Offset {
        let state = self.0.state.borrow();
        let log_end = state.log_end;
        match state.epochs.end_of(epoch, log_end) {
            Some(found) => found.end,
            // It is older than what is remembered.
            None => {
                let first = state.epochs.entries().first();
                first.map_or(log_end, |first| first.start)
            }
        }
    }

    /// Has the next checkpoint hold this high watermark. It does not go back.
    pub fn set_high_watermark(&self, high_watermark: Offset) {
        let state = &mut *self.0.state.borrow_mut();
        state.high_watermark = state.high_watermark.max(high_watermark);
    }

    /// Replaces the settings. Whether the log is in memory or on the device is changed by [`Log::settle_medium`].
    pub fn set_config(&self, config: LogConfig) {
        self.0.set_config(config);
    }

    /// Takes a log to where its durability wants it, to memory or to the device, if it holds no records; one that holds
    /// some stays where it is, since they would be lost or have to be told apart. Tells whether it is where it should be.
    /// Appends are throttled meanwhile.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; the log stays where it is.
    pub async fn settle_medium(&self) -> Result<bool, ChangeError> {
        self.0.settle_medium().await
    }

    /// Rolls the active segment when it is due, and removes segments that are too old or too many. Gives how many
    /// were removed.
    ///
    /// # Errors
    ///
    /// [`ChangeError`].
    pub async fn apply_retention(&self) -> Result<usize, ChangeError> {
        self.0.apply_retention().await
    }

    /// Waits until everything appended so far is on the device.
    ///
    /// # Errors
    ///
    /// The failure, if the log fails before.
    pub async fn flush(&self) -> Result<(), LogFailure> {
        self.0.flush_all().await
    }

    /// Makes everything durable and closes the log in a way that the next open need not scan.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; the log is closed all the same and the next open recovers it.
    pub async fn close(&self) -> Result<(), ChangeError> {
        self.0.close().await
    }

    /// Bytes of batches in the log, those below the log start in its first segment included.
    pub fn size_bytes(&self) -> u64 {
        let state = self.0.state.borrow();
        if state.memory.is_some() {
            return state.tail.data_bytes();
        }
        let segments = state.segments.values();
        segments.map(|segment| segment.len_bytes).sum()
    }

    /// What the records of a log in memory hold of the pool of buffers.
    pub fn memory_bytes(&self) -> u64 {
        let state = self.0.state.borrow();
        match state.memory {
            Some(_) => state.tail.held_bytes() as u64,
            None => 0,
        }
    }

    /// Number of segments, the active one included.
    pub fn segment_count(&self) -> usize {
        self.0.state.borrow().segments.len()
    }

    /// Why the log is offline, if it is.
    pub fn failure(&self) -> Option<LogFailure> {
        self.0.state.borrow().failure.clone()
    }

    /// The directory of the log.
    pub fn directory(&self) -> &Path {
        self.0.directory.path()
    }
}

/// A log, shared by its handles, the flusher and the tasks that work for it.
pub(crate) struct LogInner {
    /// Names the log to the flusher of its shard.
    pub(crate) id: u64,
    pub(crate) env: LogEnv,
    pub(crate) directory: Directory,
    pub(crate) me: Weak<Self>,
    pub(crate) state: RefCell<LogState>,
    /// Notified when the durable end, a file, the checkpoint or the life of the log has changed.
    pub(crate) changed: Signal,
    pub(crate) on_stable: RefCell<Option<StableCallback>>,
}

impl Drop for LogInner {
    fn drop(&mut self) {
        // Its chunks go back to the pool with it.
        self.env.cache.forget(&self.me);
        self.env.cold.forget(&self.me);
        self.env.files.forget(&self.me);
    }
}

/// A flush group in flight.
pub(crate) struct InFlight {
    pub(crate) end: GroupEnd,
    pub(crate) is_durable: bool,
}

/// What changes of a log.
pub(crate) struct LogState {
    pub(crate) config: LogConfig,
    /// What is different where the log is in memory only.
    pub(crate) memory: Option<MemoryState>,
    /// It is on its way to memory or to the device: nothing is appended.
    pub(crate) is_moving: bool,
    /// Records below were in memory only and are gone.
    pub(crate) lost_below: Offset,
    /// Where the log starts once the next checkpoint is durable; see [`LogState::log_start`].
    pub(crate) wanted_log_start: Offset,
    pub(crate) log_end: Offset,
    pub(crate) durable_end: Offset,
    /// Somebody waits until everything below is durable: it is written without delay.
    pub(crate) flush_wanted: Offset,
    /// The stable end does not go below this when the durability is raised.
    pub(crate) stable_floor: Offset,
    pub(crate) high_watermark: Offset,
    pub(crate) epochs: EpochCache,
    pub(crate) producers: Producers,
    /// By base offset; the last one is active.
    pub(crate) segments: BTreeMap<Offset, Segment>,
    pub(crate) tail: Tail,
    pub(crate) in_flight: VecDeque<InFlight>,
    /// Bytes appended, and bytes that became durable, since the log was opened.
    pub(crate) appended_bytes: u64,
    pub(crate) durable_bytes: u64,
    /// How many wait for the file system to have room.
    pub(crate) waiting_for_space: u32,
    pub(crate) is_closed: bool,
    pub(crate) failure: Option<LogFailure>,
    pub(crate) checkpoint: CheckpointState,
    pub(crate) next: NextFile,
    pub(crate) spare: SpareFile,
    /// Rolls without a next file since the last one with it.
    pub(crate) missed_rolls: u32,
}

impl LogState {
    /// The first offset that can be read. It moves when that is durable, so that it never goes back.
    pub(crate) fn log_start(&self) -> Offset {
        match &self.memory {
            Some(memory) => memory.log_start,
            None => self.checkpoint.log_start,
        }
    }

    pub(crate) fn stable_end(&self) -> Offset {
        match self.durability() {
            Durability::Async | Durability::Memory => self.log_end,
            Durability::Sync => self.durable_end.max(self.stable_floor),
        }
    }

    /// What stable means now.
    pub(crate) fn durability(&self) -> Durability {
        match (&self.memory, self.config.durability) {
            (Some(_), _) => Durability::Memory,
            // It is to be in memory once it is empty, and promises no less until then.
            (None, Durability::Memory) => Durability::Sync,
            (None, durability) => durability,
        }
    }

    /// The offset behind the last record that the log is done with: nothing has to be done for it any more.
    pub(crate) fn kept_end(&self) -> Offset {
        match self.memory {
            Some(_) => self.log_end,
            None => self.durable_end,
        }
    }

    /// The active segment. A log always has one.
    pub(crate) fn active(&self) -> Option<&Segment> {
        self.segments.values().next_back()
    }

    /// The segment that holds `offset`.
    pub(crate) fn segment_of(&self, offset: Offset) -> Option<&Segment> {
        self.segments
            .range(..=offset)
            .next_back()
            .map(|(_, segment)| segment)
    }

    /// Whether nothing may be changed any more.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_closed || self.failure.is_some()
    }

    fn bytes_between(&self, offset: Offset, limit: Offset) -> u64 {
        let limit = limit.min(self.log_end);
        if offset >= limit {
            return 0;
        }
        let position_of = |offset: Offset| {
            self.segment_of(offset).map(|segment| {
                let inside = if offset >= segment.end {
                    segment.len_bytes
                } else {
                    segment.position_at_or_before(offset).1
                };
                (segment.base, inside)
            })
        };
        let (Some((first, from)), Some((last, to))) = (position_of(offset), position_of(limit))
        else {
            return 0;
        };
        let before_last: u64 = self
            .segments
            .range(first..last)
            .map(|(_, segment)| segment.len_bytes)
            .sum();
        (before_last + to).saturating_sub(from).max(1)
    }
}

impl LogInner {
    /// Whether nothing may be changed any more.
    pub(crate) fn is_ended(&self) -> bool {
        self.state.borrow().is_ended()
    }

    /// The failure, if there is one.
    pub(crate) fn check_failure(&self) -> Result<(), LogFailure> {
        self.state.borrow().failure.clone().map_or(Ok(()), Err)
    }

    /// Now, by the clock of the broker.
    pub(crate) fn now_ms(&self) -> TimestampMs {
        TimestampMs::new(self.env.reactor.unix_time_ms())
    }

    /// Takes the log offline for good.
    pub(crate) fn fail(&self, operation: &'static str, error: &impl std::fmt::Display) {
        let failure = LogFailure {
            directory: self.directory.path().to_owned(),
            operation,
            message: error.to_string(),
        };
        {
            let state = &mut *self.state.borrow_mut();
            if state.failure.is_some() {
                return;
            }
            state.failure = Some(failure.clone());
        }
        let directory = self.directory.path().display();
        tracing::error!(%directory, operation, %error, "a log failed and is offline");
        self.env.counters.failures.add(1);
        self.changed.notify();
        self.call_on_stable(Err(failure));
    }

    pub(crate) fn call_on_stable(&self, result: Result<Offset, LogFailure>) {
        let callback = self.on_stable.borrow().clone();
        if let Some(callback) = callback {
            callback(result);
        }
    }

    /// Drops the oldest chunk in memory, if it is durable.
    pub(crate) fn evict_oldest_chunk(&self) {
        let state = &mut *self.state.borrow_mut();
        state.tail.evict_oldest(state.durable_end);
    }

    /// Runs work for this log that nobody waits for, as long as the log is there.
    pub(crate) fn spawn<F>(&self, name: &'static str, work: impl FnOnce(Rc<Self>) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        if let Some(me) = self.me.upgrade() {
            self.env.reactor.spawn(name, work(me)).detach();
        }
    }

    fn set_config(&self, config: LogConfig) {
        let state = &mut *self.state.borrow_mut();
        state.stable_floor = state.stable_end();
        state.config = config;
    }
}
