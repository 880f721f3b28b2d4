//! The consumer: records out, by offset, at the reader's own pace.

mod batch;
mod fetcher;
mod marks;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringlog_record::{Offset, PartitionIndex, TimestampMs, TopicPartition};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

pub use self::batch::FetchedBatch;
use self::fetcher::{Event, Fetcher, Owner, Position};
use self::marks::Marks;
pub(crate) use self::start::offset_of_time;
use crate::admin::Admin;
use crate::client::Client;
use crate::error::{ClientError, ConsumeError};
use crate::limits::{DECOMPRESSED_BYTES_MAX, FETCHED_QUEUED_MAX};
use crate::offsets::{GroupOffset, GroupOffsets};

/// What to do when a position is outside of its partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OffsetReset {
    /// Go on at the first record.
    Earliest,
    /// Go on behind the last record.
    Latest,
    /// Say so.
    #[default]
    Error,
}

/// How a consumer behaves.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// How long the broker waits for `min_bytes`.
    pub max_wait: Duration,
    /// With how many bytes the broker answers before that.
    pub min_bytes: u32,
    /// Bytes of an answer at most, unless its first batch alone is larger.
    pub max_bytes: u32,
    /// Bytes of a partition in an answer at most, likewise.
    pub partition_max_bytes: u32,
    /// Bytes that are fetched ahead of the reader.
    pub prefetch_bytes: usize,
    /// What to do when a position is outside of its partition.
    pub offset_reset: OffsetReset,
    /// Bytes that the records of a batch may have when decompressed: more is an error of that batch, so that a small one
    /// cannot fill the memory.
    pub decompressed_bytes_max: usize,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 8 << 20,
            partition_max_bytes: 1 << 20,
            prefetch_bytes: 16 << 20,
            offset_reset: OffsetReset::Error,
            decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
        }
    }
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the first record.
    Earliest,
    /// Behind the last record.
    Latest,
    /// At an offset.
    Offset(Offset),
    /// At the first record that is not older; behind the last one when all are.
    Timestamp(TimestampMs),
}

/// A partition to be consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Name of the topic.
    pub topic: String,
    /// Which partition.
    pub partition: PartitionIndex,
    /// Where to begin.
    pub start: StartAt,
}

/// A partition of a topic that is consumed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Source {
    topic: Arc<str>,
    partition: PartitionIndex,
}

impl Source {
    fn new(topic: &str, partition: PartitionIndex) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

/// Consumes partitions.
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    config: ConsumerConfig,
    positions: BTreeMap<Source, Position>,
    /// Those of them that are not read for now.
    paused: BTreeSet<Source>,
    marks: Marks,
    fetching: Option<Fetching>,
}

#[derive(Debug)]
struct Fetching {
    events: mpsc::Receiver<Event>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Consumer {
    /// A consumer without partitions.
    pub fn new(client: &Client, config: ConsumerConfig) -> Self {
        Self {
            client: client.clone(),
            config,
            positions: BTreeMap::new(),
            paused: BTreeSet::new(),
            marks: Marks::default(),
            fetching: None,
        }
    }

    /// Consumes these partitions from now on, and no others.
    ///
    /// # Errors
    ///
    /// [`ConsumeError`] when a start cannot be found out; the consumer has no partitions then.
    pub async fn assign(&mut self, assignments: Vec<Assignment>) -> Result<(), ConsumeError> {
        self.leave_all();
        self.begin(assignments, &BTreeMap::new()).await
    }

    /// As [`Consumer::assign`], but goes on in each partition where the group has committed; only where it has committed
    /// nothing does the start of the assignment count.
    ///
    /// # Errors
    ///
    /// [`ConsumeError`] when a start cannot be found out; the consumer has no partitions then.
    pub async fn assign_committed(
        &mut self,
        group: &GroupOffsets,
        assignments: Vec<Assignment>,
    ) -> Result<(), ConsumeError> {
        self.leave_all();
        let mut ids = Vec::with_capacity(assignments.len());
        for assignment in &assignments {
            let topic = self.client.topic(&assignment.topic).await?;
            ids.push(topic.partition(assignment.partition)?.id);
        }
        let found = group.committed(&ids).await?.into_iter().flatten();
        let committed = found.map(|one| (one.id, one)).collect();
        self.begin(assignments, &committed).await
    }

    fn leave_all(&mut self) {
        self.fetching = None;
        self.positions.clear();
        self.paused.clear();
    }

    /// Where the group of `committed` goes on, or the assignments begin.
    async fn begin(
        &mut self,
        assignments: Vec<Assignment>,
        committed: &BTreeMap<TopicPartition, GroupOffset>,
    ) -> Result<(), ConsumeError> {
        let admin = Admin::new(&self.client);
        let mut positions = BTreeMap::new();
        for assignment in assignments {
            let topic = self.client.topic(&assignment.topic).await?;
            let id = topic.partition(assignment.partition)?.id;
            let position = match committed.get(&id) {
                Some(committed) => Position {
                    id,
                    offset: committed.offset,
                    last_epoch: committed.leader_epoch,
                },
                None => Position::at(id, start::find_start(&admin, &topic, &assignment).await?),
            };
            let source = Source::new(&topic.name, assignment.partition);
            positions.insert(source, position);
        }
        self.positions = positions;
        Ok(())
    }

    /// Commits for a group that it goes on behind the last batch of each partition that was polled. They are durable when
    /// this returns. Call it when what was polled is done with: what is not committed is read again after a crash.
    ///
    /// A failure that [`ClientError::is_retriable`] or whose outcome is unknown may be tried again.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: the first that was refused; others may be committed.
    pub async fn commit(&self, group: &GroupOffsets) -> Result<(), ClientError> {
        let positions = self.positions.values();
        let offsets: Vec<GroupOffset> = positions
            .map(|position| GroupOffset {
                leader_epoch: position.last_epoch,
                ..GroupOffset::new(position.id, position.offset)
            })
            .collect();
        if offsets.is_empty() {
            return Ok(());
        }
        group.commit(&offsets).await
    }

    /// Goes on at another offset of a partition that is consumed; nothing happens for one that is not.
    pub fn seek(&mut self, topic: &str, partition: PartitionIndex, offset: Offset) {
        if let Some(position) = self.positions.get_mut(&Source::new(topic, partition)) {
            *position = Position::at(position.id, offset);
            // What was fetched ahead is of the old position.
            self.fetching = None;
        }
    }

    /// Goes on where `start` says in a partition that is consumed, such as at a time; gives the offset. Nothing happens for
    /// a partition that is not.
    ///
    /// May be given up at any time: the position is the old one then.
    ///
    /// # Errors
    ///
    /// [`ConsumeError`] when the start cannot be found out; the position is the old one.
    pub async fn seek_to(
        &mut self,
        topic: &str,
        partition: PartitionIndex,
        start: StartAt,
    ) -> Result<Option<Offset>, ConsumeError> {
        if self.position(topic, partition).is_none() {
            return Ok(None);
        }
        let info = self.client.topic(topic).await?;
        let assignment = Assignment {
            topic: topic.to_owned(),
            partition,
            start,
        };
        let admin = Admin::new(&self.client);
        let offset = start::find_start(&admin, &info, &assignment).await?;
        self.seek(topic, partition, offset);
        Ok(Some(offset))
    }

    /// Reads no more of a partition until [`Consumer::resume`]; its position is kept. What was fetched ahead, of others
    /// too, is fetched again.
    pub fn pause(&mut self, topic: &str, partition: PartitionIndex) {
        let source = Source::new(topic, partition);
        if self.positions.contains_key(&source) && self.paused.insert(source) {
            self.fetching = None;
        }
    }

    /// Reads a partition on that was paused.
    pub fn resume(&mut self, topic: &str, partition: PartitionIndex) {
        if self.paused.remove(&Source::new(topic, partition)) {
            self.fetching = None;
        }
    }

    /// Whether a partition is paused.
    pub fn is_paused(&self, topic: &str, partition: PartitionIndex) -> bool {
        self.paused.contains(&Source::new(topic, partition))
    }

    /// The offset of the next record of a partition that is consumed.
    pub fn position(&self, topic: &str, partition: PartitionIndex) -> Option<Offset> {
        let position = self.positions.get(&Source::new(topic, partition));
        position.map(|position| position.offset)
    }

    /// The offset of the next record of each partition.
    pub fn positions(&self) -> impl Iterator<Item = (&str, PartitionIndex, Offset)> {
        let positions = self.positions.iter();
        positions.map(|(source, position)| (&*source.topic, source.partition, position.offset))
    }

    /// The offset behind the last record of a partition that could be read, as the broker said last; none before it
    /// said anything.
    pub fn high_watermark(&self, topic: &str, partition: PartitionIndex) -> Option<Offset> {
        self.marks.get(&Source::new(topic, partition))
    }

    /// How many offsets lie between the position in a partition and its end, as the broker said last; none before it said
    /// anything. Offsets without a record count as well.
    pub fn lag(&self, topic: &str, partition: PartitionIndex) -> Option<u64> {
        let end = self.high_watermark(topic, partition)?;
        let position = self.position(topic, partition)?;
        Some(end.get().saturating_sub(position.get()))
    }

    /// Asks for the end of each partition that is consumed: the offset behind the last record that can be read.
    /// [`Consumer::high_watermark`] and [`Consumer::lag`] know them from then on.
    ///
    /// # Errors
    ///
    /// [`ConsumeError`].
    pub async fn end_offsets(&self) -> Result<Vec<(String, PartitionIndex, Offset)>, ConsumeError> {
        let mut topics: BTreeMap<&str, Vec<PartitionIndex>> = BTreeMap::new();
        for source in self.positions.keys() {
            topics
                .entry(&source.topic)
                .or_default()
                .push(source.partition);
        }
        let admin = Admin::new(&self.client);
        let mut ends = Vec::new();
        for (name, partitions) in topics {
            let topic = self.client.topic(name).await?;
            for (partition, end) in admin.end_offsets(&topic, &partitions).await? {
                self.marks.set(&Source::new(name, partition), end);
                ends.push((name.to_owned(), partition, end));
            }
        }
        Ok(ends)
    }

    /// The next batch; `None` when none came within `timeout`. All partitions that are not paused take turns.
    ///
    /// May be given up at any time: nothing is lost, and the position is behind the last batch that was given out.
    ///
    /// # Errors
    ///
    /// [`ConsumeError`]. Other partitions can be polled on; the one concerned goes on from its position.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Option<FetchedBatch>, ConsumeError> {
        let in_time = tokio::time::timeout(timeout, self.next_batch()).await;
        in_time.map_or(Ok(None), |batch| batch.map(Some))
    }

    /// The next batch, however long it takes. May be given up at any time: nothing is lost.
    async fn next_batch(&mut self) -> Result<FetchedBatch, ConsumeError> {
        if self.positions.len() == self.paused.len() {
            return std::future::pending().await;
        }
        loop {
            let fetching = match &mut self.fetching {
                Some(fetching) => fetching,
                None => {
                    let started = self.start().await?;
                    self.fetching.insert(started)
                }
            };
            match fetching.events.recv().await {
                Some(Event::Batch(fetched, _room)) => {
                    if let Some(position) = self.positions.get_mut(&fetched.source) {
                        position.offset = fetched.last_offset.next();
                        position.last_epoch = fetched.leader_epoch;
                        let most = self.config.decompressed_bytes_max;
                        return Ok(FetchedBatch::new(fetched, most));
                    }
                }
                Some(Event::Reset(source, reset)) => {
                    if let Some(position) = self.positions.get_mut(&source) {
                        *position = reset;
                    }
                }
                Some(Event::Failed(error)) => {
                    self.fetching = None;
                    return Err(error);
                }
                // Each partition is fetched from its owner of now.
                Some(Event::Moved) | None => self.fetching = None,
            }
        }
    }

    /// Starts a fetcher for each shard that owns partitions.
    async fn start(&self) -> Result<Fetching, ConsumeError> {
        let (sender, events) = mpsc::channel(FETCHED_QUEUED_MAX);
        let room = self.config.prefetch_bytes.clamp(1, Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(room));
        let mut groups: BTreeMap<Owner, BTreeMap<Source, Position>> = BTreeMap::new();
        let read = self.positions.iter();
        for (source, position) in read.filter(|(source, _)| !self.paused.contains(*source)) {
            let topic = self.client.topic(&source.topic).await?;
            let info = topic.partition(source.partition)?;
            let group = groups.entry(Owner::of(info)).or_default();
            group.insert(source.clone(), *position);
        }
        let tasks = groups.into_iter().map(|(owner, positions)| {
            let fetcher = Fetcher {
                client: self.client.clone(),
                config: self.config.clone(),
                owner,
                positions,
                turn: 0,
                marks: self.marks.clone(),
                room: Arc::clone(&room),
                events: sender.clone(),
            };
            tokio::spawn(fetcher.run())
        });
        Ok(Fetching {
            events,
            tasks: tasks.collect(),
        })
    }
}
