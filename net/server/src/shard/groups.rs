//! The groups whose coordinator is on this shard: the shell around [`Coordinator`], on the core that owns its log.
//!
//! What a commit says is appended before [`Shard::begin_commit`] returns, and answered when the high watermark has passed it.

use std::cell::RefCell;
use std::rc::Rc;

use ringlog_coord::groups::{
    Change, CommitError, Committed, Coordinator, Entry, GroupId, RecordFault, SnapshotStep,
    batch_of, changes_of,
};
use ringlog_log::ReadError;
use ringlog_reactor::Reactor;
use ringlog_record::batch::batches;
use ringlog_record::{Offset, TimestampMs, TopicPartition};
use ringlog_replication::{Acks, FetchError, FetchSpec, Partition, PendingProduce};
use ringlog_wire::ErrorCode;

use super::Shard;
use crate::failure::Failure;
use crate::limits::{BUFFER_RETRY, GROUPS_READ_BYTES};

/// What a group wants to commit.
#[derive(Debug)]
pub(crate) struct GroupCommit {
    /// The partition in which the group is kept.
    pub(crate) coordinator: TopicPartition,
    pub(crate) group: GroupId,
    pub(crate) entries: Vec<Entry>,
}

/// What of a group is to be read.
#[derive(Debug)]
pub(crate) struct OffsetsWanted {
    /// The partition in which the group is kept.
    pub(crate) coordinator: TopicPartition,
    pub(crate) group: GroupId,
    /// `None`: all that it has committed.
    pub(crate) partitions: Option<Vec<TopicPartition>>,
}

/// What a group has committed for partitions.
pub(crate) type OffsetsRead = Vec<(TopicPartition, Option<Committed>)>;

/// A commit that was begun: what became of its entries, once the append that some of them wait for is stable.
pub(crate) struct BegunCommit {
    results: Vec<Result<(), Failure>>,
    pending: Option<(Rc<Groups>, PendingProduce)>,
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        let code = match error {
            CommitError::Throttled => ErrorCode::Throttled,
            _ => ErrorCode::OffsetsFull,
        };
        Self::new(code, error)
    }
}

/// Why the groups of a partition cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenGroupsError {
    /// Its log cannot be read.
    #[error("its offsets cannot be read: {0}")]
    Fetch(#[from] FetchError),
    /// What it says cannot be understood.
    #[error("its offsets cannot be understood: {0}")]
    Record(#[from] RecordFault),
    /// There is nothing where something must be.
    #[error("nothing can be read at offset {next} of a log that goes to {end}")]
    Missing { next: Offset, end: Offset },
}

/// The groups of one partition of `__groups`.
pub(crate) struct Groups {
    partition: Partition,
    machine: RefCell<Coordinator>,
}

impl Groups {
    /// Reads the log of the partition from its start. A single replica leads with all that its log holds stable.
    pub(crate) async fn open(
        partition: Partition,
        reactor: &Reactor,
    ) -> Result<Rc<Self>, OpenGroupsError> {
        let mut machine = Coordinator::default();
        let mut next = partition.ends().log_start;
        while next < partition.ends().high_watermark {
            let spec = FetchSpec {
                offset: next,
                max_bytes: GROUPS_READ_BYTES,
                last_epoch: None,
            };
            let fetched = match partition.fetch(spec).await {
                Err(FetchError::Read(ReadError::Throttled)) => {
                    // Others are being opened; they give their memory back.
                    reactor.sleep(BUFFER_RETRY).await;
                    continue;
                }
                fetched => fetched?,
            };
            if fetched.bytes == 0 {
                let end = fetched.ends.high_watermark;
                return Err(OpenGroupsError::Missing { next, end });
            }
            for batch in fetched.slices.iter().flat_map(|slice| batches(slice)) {
                let batch = batch.map_err(RecordFault::from)?;
                next = batch.last_offset().next();
                machine.replay(changes_of(&batch)?, next, batch.len_bytes() as u64);
            }
        }
        Ok(Rc::new(Self {
            partition,
            machine: RefCell::new(machine),
        }))
    }

    /// Appends changes.
    fn append(&self, changes: Vec<Change>, now: TimestampMs) -> Result<PendingProduce, Failure> {
        let batch = batch_of(&changes, now);
        let batch = batch.map_err(|error| Failure::new(ErrorCode::Internal, error))?;
        let pending = self.partition.produce(&batch, Acks::All)?;
        let end = pending.appended().log_end;
        let mut machine = self.machine.borrow_mut();
        machine.appended(changes, end, batch.len() as u64);
        Ok(pending)
    }

    /// Takes into the state what is stable by now.
    fn settle(&self) {
        let high_watermark = self.partition.ends().high_watermark;
        self.machine.borrow_mut().stable(high_watermark);
    }

    /// Waits until an append is stable.
    async fn stable(&self, pending: PendingProduce) -> Result<(), Failure> {
        pending.await?;
        self.settle();
        Ok(())
    }

    /// Makes the log shorter, when it is long enough.
    fn shorten(self: &Rc<Self>, reactor: &Reactor) {
        if !self.machine.borrow_mut().begin_snapshot() {
            return;
        }
        let (me, clock) = (Rc::clone(self), reactor.clone());
        let work = async move {
            if let Err(failure) = me.snapshot(&clock).await {
                me.machine.borrow_mut().give_up_snapshot();
                tracing::debug!(partition = %me.partition.id(), reason = %failure.message, "the log of groups is not made shorter now");
            }
        };
        reactor.spawn("groups snapshot", work).detach();
    }

    async fn snapshot(&self, reactor: &Reactor) -> Result<(), Failure> {
        loop {
            self.settle();
            let step = self.machine.borrow_mut().next_step();
            match step {
                None => return Ok(()),
                Some(SnapshotStep::AwaitStable(offset)) => {
                    let below = offset.checked_sub(1).unwrap_or(Offset::ZERO);
                    self.partition.moved_above(below).await;
                    if self.partition.has_ended() {
                        return Err(Failure::shutting_down());
                    }
                }
                Some(SnapshotStep::Append(changes)) => {
                    let pending = self.append(changes, now_of(reactor))?;
                    self.stable(pending).await?;
                }
                Some(SnapshotStep::Trim(offset)) => {
                    let log_start = self.partition.delete_records(offset).await?;
                    self.machine.borrow_mut().trimmed();
                    tracing::debug!(partition = %self.partition.id(), %log_start, "the log of groups was made shorter");
                }
            }
        }
    }
}

fn now_of(reactor: &Reactor) -> TimestampMs {
    TimestampMs::new(reactor.unix_time_ms())
}

impl Shard {
    /// Serves the groups of a partition that is open.
    pub(crate) async fn open_groups(&self, partition: Partition) -> Result<(), OpenGroupsError> {
        let id = partition.id();
        let groups = Groups::open(partition, &self.reactor).await?;
        self.groups.borrow_mut().insert(id, groups);
        Ok(())
    }

    /// Whether a client may change a partition: those of groups are the broker's own.
    pub(crate) fn check_not_internal(&self, id: TopicPartition) -> Result<(), Failure> {
        if !self.groups.borrow().contains_key(&id) {
            return Ok(());
        }
        let message = "this topic is the broker's own: offsets are committed with offset_commit";
        Err(Failure::new(ErrorCode::Unsupported, message))
    }

    /// The groups of a partition that is served.
    fn groups_of(&self, id: TopicPartition) -> Result<Rc<Groups>, Failure> {
        if self.is_draining() {
            return Err(Failure::shutting_down());
        }
        // It tells why, when it is not.
        let partition = self.partition(id)?;
        let groups = self.groups.borrow().get(&id).cloned();
        match groups {
            Some(groups) if !partition.has_ended() => Ok(groups),
            Some(_) => Err(Failure::new(
                ErrorCode::StorageFailed,
                "the log in which this group is kept has failed; see the broker's log",
            )),
            None => Err(Failure::unknown_partition(id)),
        }
    }

    /// Memory that is left for offsets.
    fn groups_bytes_free(&self) -> usize {
        let groups = self.groups.borrow();
        let used = groups.values().map(|one| one.machine.borrow().bytes());
        self.groups_bytes_max.saturating_sub(used.sum())
    }

    /// Appends what a group commits before it returns.
    pub(crate) fn begin_commit(&self, commit: GroupCommit) -> BegunCommit {
        let view = self.view();
        let there: Vec<_> = (commit.entries.iter())
            .map(|entry| view.has(entry.id))
            .collect();
        let mut results: Vec<_> = (commit.entries.iter().zip(&there))
            .map(|(entry, is_there)| match is_there {
                true => Ok(()),
                false => Err(Failure::unknown_partition(entry.id)),
            })
            .collect();
        let entries = commit.entries.into_iter().zip(there);
        let entries: Vec<_> = entries
            .filter_map(|(entry, is_there)| is_there.then_some(entry))
            .collect();
        if entries.is_empty() {
            let pending = None;
            return BegunCommit { results, pending };
        }
        let begun = self.groups_of(commit.coordinator).and_then(|groups| {
            let (now, bytes_free) = (now_of(&self.reactor), self.groups_bytes_free());
            let changes =
                (groups.machine.borrow()).commit(&commit.group, entries, now, bytes_free)?;
            let pending = groups.append(changes, now)?;
            Ok((groups, pending))
        });
        let pending = match begun {
            Ok(pending) => Some(pending),
            Err(failure) => {
                refuse(&mut results, &failure);
                None
            }
        };
        BegunCommit { results, pending }
    }

    /// Waits for what a commit came to: a result for each entry.
    pub(crate) async fn finish_commit(&self, begun: BegunCommit) -> Vec<Result<(), Failure>> {
        let mut results = begun.results;
        if let Some((groups, pending)) = begun.pending {
            match groups.stable(pending).await {
                Ok(()) => groups.shorten(&self.reactor),
                Err(failure) => refuse(&mut results, &failure),
            }
        }
        results
    }

    /// What a group has committed. Offsets of topics that were deleted are not shown, although they may be there yet.
    pub(crate) fn read_offsets(&self, wanted: OffsetsWanted) -> Result<OffsetsRead, Failure> {
        let groups = self.groups_of(wanted.coordinator)?;
        groups.settle();
        let machine = groups.machine.borrow();
        let offsets = machine.offsets();
        let view = self.view();
        Ok(match wanted.partitions {
            Some(ids) => ids
                .into_iter()
                .map(|id| (id, offsets.get(&wanted.group, id).cloned()))
                .collect(),
            None => offsets
                .of_group(&wanted.group)
                .filter(|(id, _)| view.has(*id))
                .map(|(id, committed)| (id, Some(committed.clone())))
                .collect(),
        })
    }

    /// Forgets offsets of topics that are gone, and of groups that were idle for too long.
    pub(crate) async fn forget_stale_offsets(&self) {
        let groups: Vec<_> = self.groups.borrow().values().cloned().collect();
        for groups in groups {
            loop {
                groups.settle();
                let (view, now) = (self.view(), now_of(&self.reactor));
                // Before the first picture of the cluster has come, nothing seems to be there.
                if groups.partition.has_ended() || !view.has(groups.partition.id()) {
                    break;
                }
                let changes = groups.machine.borrow().stale(now, |id| view.has(id));
                if changes.is_empty() {
                    break;
                }
                let offsets = changes.len();
                let forgotten = match groups.append(changes, now) {
                    Ok(pending) => groups.stable(pending).await,
                    Err(failure) => Err(failure),
                };
                if let Err(failure) = forgotten {
                    tracing::debug!(partition = %groups.partition.id(), reason = %failure.message, "stale offsets are not forgotten now");
                    break;
                }
                tracing::debug!(partition = %groups.partition.id(), offsets, "stale offsets are forgotten");
            }
        }
    }
}

/// Gives all entries that were not refused so far this reason.
fn refuse(results: &mut [Result<(), Failure>], failure: &Failure) {
    for result in results.iter_mut().filter(|result| result.is_ok()) {
        *result = Err(failure.clone());
    }
}
