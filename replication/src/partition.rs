//! The partition actor: the shell that joins the leader machine to a log, on the core that owns both.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::{Rc, Weak};

use ringlog_log::{
    ChangeError, Durability, FileError, Log, LogConfig, LogEnv, OpenError, ReadError,
    RecoveryReport, TimestampOffset, delete_directory,
};
use ringlog_reactor::{Instant, Reactor};
use ringlog_record::{BrokerId, LeaderEpoch, Offset, TimestampMs, TopicPartition};

use crate::closing::{CloseError, Closing};
use crate::error::{FetchError, ProduceError};
use crate::fetch::{FetchSpec, Fetched};
use crate::leader::{Acks, Action, Event, LeaderMachine, LeaderStart, Stability, Ticket};
use crate::marks::StableMarks;
use crate::produce::{Outcome, PendingProduce, Tickets};
use crate::recent::RecentEnds;
use crate::status::{PartitionEnds, PartitionStatus};
use crate::waiters::{Moved, Waiters};

/// What a partition is opened with.
#[derive(Clone, Debug)]
pub struct PartitionSpec {
    /// Which partition.
    pub id: TopicPartition,
    /// The directory of its log.
    pub directory: PathBuf,
    /// The broker that leads it: this one.
    pub leader: BrokerId,
    /// The epoch of this leader; newer than any that the log has seen.
    pub leader_epoch: LeaderEpoch,
    /// The in-sync set.
    pub isr: BTreeSet<BrokerId>,
    /// Fewer in-sync replicas than this refuse `acks = all`, and hold the high watermark where it is.
    pub min_isr: usize,
    /// The settings of its log.
    pub config: LogConfig,
}

/// A partition that this broker leads. Clones are handles to the same one.
#[derive(Clone)]
pub struct Partition(Rc<Inner>);

pub(crate) struct Inner {
    id: TopicPartition,
    pub(crate) reactor: Reactor,
    pub(crate) log: Log,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) machine: RefCell<LeaderMachine>,
    pub(crate) tickets: RefCell<Tickets>,
    pub(crate) waiters: RefCell<Waiters>,
    pub(crate) recent_ends: RefCell<RecentEnds>,
    pub(crate) stable_marks: RefCell<StableMarks>,
    pub(crate) closing: Closing,
    /// What the machine asked for last; kept for its memory.
    actions: RefCell<Vec<Action>>,
}

impl Partition {
    /// Opens the log, recovers it, and begins the leader epoch durably.
    ///
    /// # Errors
    ///
    /// [`OpenPartitionError`]; what is on disk is left as it is.
    pub async fn open(
        spec: PartitionSpec,
        env: LogEnv,
    ) -> Result<(Self, RecoveryReport), OpenPartitionError> {
        let reactor = env.reactor.clone();
        let (log, report) = Log::open(env, spec.directory, spec.config).await?;
        log.begin_epoch(spec.leader_epoch).await?;
        let machine = LeaderMachine::new(LeaderStart {
            me: spec.leader,
            leader_epoch: spec.leader_epoch,
            isr: spec.isr,
            min_isr: spec.min_isr,
            stability: stability_of(log.durability()),
            high_watermark: report.high_watermark,
            stable_end: log.stable_end(),
        });
        log.set_high_watermark(machine.high_watermark());
        let recent_ends = RecentEnds::new(log.log_end());
        let inner = Rc::new(Inner {
            id: spec.id,
            reactor,
            log,
            leader_epoch: spec.leader_epoch,
            machine: RefCell::new(machine),
            tickets: RefCell::default(),
            waiters: RefCell::default(),
            recent_ends: RefCell::new(recent_ends),
            stable_marks: RefCell::default(),
            closing: Closing::default(),
            actions: RefCell::default(),
        });
        let weak = Rc::downgrade(&inner);
        inner
            .log
            .on_stable(move |result| on_stable(&weak, result.ok()));
        Ok((Self(inner), report))
    }

    /// Which partition this is.
    pub fn id(&self) -> TopicPartition {
        self.0.id
    }

    /// Appends batches, all or none, before it returns: two produces are appended in the order of their calls. The
    /// future gives the answer when `acks` is met. A batch that an idempotent producer sends again is not appended again:
    /// its answer is that of the first, and waits for the same.
    ///
    /// # Errors
    ///
    /// [`ProduceError`]; nothing was appended then.
    pub fn produce(&self, batches: &[u8], acks: Acks) -> Result<PendingProduce, ProduceError> {
        self.0.produce(batches, acks, None)
    }

    /// The same, but only if the log ends at `expected`: the first record gets this offset, or nothing is appended. A
    /// batch that is sent again is answered as the first time, wherever the log ends by now.
    ///
    /// # Errors
    ///
    /// [`ProduceError`]; nothing was appended then.
    pub fn produce_at(
        &self,
        expected: Offset,
        batches: &[u8],
        acks: Acks,
    ) -> Result<PendingProduce, ProduceError> {
        self.0.produce(batches, acks, Some(expected))
    }

    /// Reads what is there now below the high watermark; never waits for more.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn fetch(&self, spec: FetchSpec) -> Result<Fetched, FetchError> {
        self.0.fetch(spec).await
    }

    /// Bytes from `offset` to the high watermark: exact for a reader that keeps up, else as far as the sparse index
    /// tells. Never 0 when there is something.
    pub fn readable_bytes(&self, offset: Offset) -> u64 {
        let high_watermark = self.0.high_watermark();
        if offset >= high_watermark {
            return 0;
        }
        let recent = self.0.recent_ends.borrow();
        let exact = recent.bytes_between(offset, high_watermark);
        exact
            .unwrap_or_else(|| self.0.log.bytes_between(offset, high_watermark))
            .max(1)
    }

    /// Waits until the high watermark is above `above`, or the partition has ended.
    pub fn moved_above(&self, above: Offset) -> Moved {
        Moved::new(Rc::clone(&self.0), above)
    }

    /// Where the partition begins and ends.
    pub fn ends(&self) -> PartitionEnds {
        self.0.ends()
    }

    /// The first batch that readers may see with a time stamp at or above `timestamp`.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn offset_for_timestamp(
        &self,
        timestamp: TimestampMs,
    ) -> Result<Option<TimestampOffset>, FetchError> {
        self.0.check_readable()?;
        let limit = self.0.high_watermark();
        let found = self.0.log.offset_for_timestamp(timestamp, limit).await;
        found.map_err(|error| match error {
            ReadError::Closed => FetchError::Closed,
            error => error.into(),
        })
    }

    /// Moves the log start to `before`, at most the high watermark, durably. Gives the log start.
    ///
    /// # Errors
    ///
    /// [`ChangeError`].
    pub async fn delete_records(&self, before: Offset) -> Result<Offset, ChangeError> {
        let ends = self.ends();
        if before > ends.high_watermark {
            return Err(ChangeError::OffsetOutOfRange {
                requested: before,
                log_start: ends.log_start,
                log_end: ends.high_watermark,
            });
        }
        self.0.log.delete_records(before).await
    }

    /// Replaces the settings of the log. Whether all of them are in force then: from memory to the device or the other way
    /// round a log goes only while it holds no records, see [`Log::settle_medium`].
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; what can be in force is.
    pub async fn set_config(&self, config: LogConfig) -> Result<bool, ChangeError> {
        self.0.log.set_config(config);
        on_stable(&Rc::downgrade(&self.0), Some(self.0.log.stable_end()));
        self.0.log.settle_medium().await
    }

    /// Removes segments that are too old or too many, and rolls the active one when it is due. Gives how many were
    /// removed.
    ///
    /// # Errors
    ///
    /// [`ChangeError`].
    pub async fn apply_retention(&self) -> Result<usize, ChangeError> {
        self.0.log.apply_retention().await
    }

    /// The state of the partition.
    pub fn status(&self) -> PartitionStatus {
        let log = &self.0.log;
        PartitionStatus {
            ends: self.ends(),
            durable_end: log.durable_end(),
            durability: log.durability(),
            memory_bytes: log.memory_bytes(),
            size_bytes: log.size_bytes(),
            segments: log.segment_count(),
            produces_waiting: self.0.machine.borrow().waiting(),
            failure: log.failure(),
        }
    }

    /// Whether nothing will move any more: the partition is closed, or its log has failed.
    pub fn has_ended(&self) -> bool {
        self.0.has_ended()
    }

    /// Fetches that wait for records.
    pub fn fetches_waiting(&self) -> usize {
        self.0.waiters.borrow().len()
    }

    /// Ends the partition: no more produces, what was appended is made durable and answered, fetches that wait go
    /// on, and the log is closed so that the next open need not scan. Whoever asks again waits for the same end.
    ///
    /// # Errors
    ///
    /// [`CloseError`]; the partition is closed all the same, and what was not stable by then has an unknown outcome.
    pub async fn close(&self) -> Result<(), CloseError> {
        self.0.close().await
    }

    /// Closes the partition and removes its directory: see [`delete_directory`] for when it is durable.
    ///
    /// # Errors
    ///
    /// [`FileError`]; it can be tried again with [`delete_directory`].
    pub async fn delete(&self) -> Result<(), FileError> {
        if let Err(error) = self.close().await {
            // What cannot be flushed is about to be removed.
            tracing::debug!(partition = %self.0.id, %error, "a log to be removed did not close");
        }
        delete_directory(&self.0.reactor, self.0.log.directory()).await
    }
}

/// Why a partition could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenPartitionError {
    /// The log could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The leader epoch could not be begun.
    #[error("cannot begin the leader epoch: {0}")]
    Epoch(#[from] ChangeError),
}

fn stability_of(durability: Durability) -> Stability {
    match durability {
        Durability::Sync => Stability::Durable,
        Durability::Async | Durability::Memory => Stability::Memory,
    }
}

fn on_stable(partition: &Weak<Inner>, stable_end: Option<Offset>) {
    let Some(partition) = partition.upgrade() else {
        return;
    };
    match stable_end {
        Some(stable_end) => {
            let now = partition.reactor.now();
            // Before what is stable by it: the log may have moved between memory and the device.
            let stability = stability_of(partition.log.durability());
            if partition.machine.borrow().stability() != stability {
                partition.step_at(Some(now), Event::StabilityChanged(stability));
            }
            partition.stable_marks.borrow_mut().note(stable_end, now);
            partition.step_at(Some(now), Event::LocalStable(stable_end));
        }
        None => partition.end(),
    }
}

impl Inner {
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.has_begun()
    }

    /// Whether nothing will move any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_closed() || self.log.failure().is_some()
    }

    pub(crate) fn high_watermark(&self) -> Offset {
        self.machine.borrow().high_watermark()
    }

    pub(crate) fn ends(&self) -> PartitionEnds {
        PartitionEnds {
            log_start: self.log.log_start(),
            high_watermark: self.high_watermark(),
            log_end: self.log.log_end(),
            leader_epoch: self.leader_epoch,
        }
    }

    pub(crate) fn check_readable(&self) -> Result<(), FetchError> {
        if self.is_closed() {
            return Err(FetchError::Closed);
        }
        self.log
            .failure()
            .map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Shows the machine an event and does what it says.
    pub(crate) fn step(&self, event: Event) {
        self.step_at(None, event);
    }

    /// The same, where the clock was read already.
    pub(crate) fn step_at(&self, mut now: Option<Instant>, event: Event) {
        let mut actions = self.actions.take();
        self.machine.borrow_mut().step(event, &mut actions);
        for action in actions.drain(..) {
            self.act(action, &mut now);
        }
        self.actions.replace(actions);
    }

    /// Carries an action out; the clock is read once for all actions of a step.
    fn act(&self, action: Action, now: &mut Option<Instant>) {
        match action {
            Action::Acknowledge { ticket, level } => {
                let now = *now.get_or_insert_with(|| self.reactor.now());
                self.settle(ticket, Outcome::Acknowledged(level, now));
            }
            Action::Abandon(ticket) => self.settle(ticket, Outcome::Abandoned),
            Action::HighWatermark(high_watermark) => {
                self.log.set_high_watermark(high_watermark);
                self.wake_below(high_watermark);
            }
        }
    }

    fn settle(&self, ticket: Ticket, outcome: Outcome) {
        // Out of the cell first: who is woken may look in here.
        let waker = self.tickets.borrow_mut().settle(ticket, outcome);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Leadership is over: nobody waits any longer.
    pub(crate) fn end(&self) {
        self.step(Event::Ended);
        self.wake_all();
    }
}
