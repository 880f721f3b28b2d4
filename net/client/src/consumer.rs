//! The consumer: records out, by offset, at the reader's own pace.

mod batch;
mod fetcher;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringlog_record::{Offset, PartitionIndex, TimestampMs};
use ringlog_wire::OffsetPosition;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

pub use self::batch::FetchedBatch;
use self::fetcher::{Fetched, Fetcher, Position};
use crate::admin::Admin;
use crate::client::{Client, TopicInfo};
use crate::error::{ClientError, ConsumeError};
use crate::limits::FETCHED_QUEUED_MAX;

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

/// Consumes partitions.
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    config: ConsumerConfig,
    positions: BTreeMap<Source, Position>,
    /// Records older than this are passed over, where the start was a time.
    floors: BTreeMap<Source, TimestampMs>,
    fetching: Option<Fetching>,
}

#[derive(Debug)]
struct Fetching {
    fetched: mpsc::Receiver<Result<Fetched, ConsumeError>>,
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
            floors: BTreeMap::new(),
            fetching: None,
        }
    }

    /// Consumes these partitions from now on, and no others.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when a start cannot be found out; the consumer has no partitions then.
    pub async fn assign(&mut self, assignments: Vec<Assignment>) -> Result<(), ClientError> {
        self.fetching = None;
        self.positions.clear();
        self.floors.clear();
        let admin = Admin::new(&self.client);
        for assignment in assignments {
            let topic = self.client.topic(&assignment.topic).await?;
            let source = Source {
                topic: topic.name.as_str().into(),
                partition: assignment.partition,
            };
            let (offset, floor) = find_start(&admin, &topic, &assignment).await?;
            self.positions.insert(source.clone(), Position::at(offset));
            if let Some(floor) = floor {
                self.floors.insert(source, floor);
            }
        }
        Ok(())
    }

    /// Goes on at another offset of a partition that is consumed; nothing happens for one that is not.
    pub fn seek(&mut self, topic: &str, partition: PartitionIndex, offset: Offset) {
        let source = Source {
            topic: topic.into(),
            partition,
        };
        if let Some(position) = self.positions.get_mut(&source) {
            *position = Position::at(offset);
            self.floors.remove(&source);
            // What was fetched ahead is of the old position.
            self.fetching = None;
        }
    }

    /// The offset of the next record of each partition.
    pub fn positions(&self) -> impl Iterator<Item = (&str, PartitionIndex, Offset)> {
        let positions = self.positions.iter();
        positions.map(|(source, position)| (&*source.topic, source.partition, position.offset))
    }

    /// The next batch; `None` when none came within `timeout`.
    ///
    /// # Errors
    ///
    /// [`ConsumeError`]. Other partitions can be polled on; the one concerned goes on from its position.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Option<FetchedBatch>, ConsumeError> {
        if self.positions.is_empty() {
            tokio::time::sleep(timeout).await;
            return Ok(None);
        }
        let fetching = match &mut self.fetching {
            Some(fetching) => fetching,
            None => {
                let started = Self::start(&self.client, &self.config, &self.positions).await?;
                self.fetching.insert(started)
            }
        };
        let fetched = match tokio::time::timeout(timeout, fetching.fetched.recv()).await {
            Err(_) => return Ok(None),
            Ok(Some(Ok(fetched))) => fetched,
            Ok(Some(Err(error))) => {
                self.fetching = None;
                return Err(error);
            }
            Ok(None) => {
                self.fetching = None;
                return Ok(None);
            }
        };
        let Some(position) = self.positions.get_mut(&fetched.source) else {
            return Ok(None);
        };
        let floor = self.floors.get(&fetched.source).copied();
        let batch = FetchedBatch::new(fetched, floor);
        *position = Position {
            offset: batch.next_offset(),
            last_epoch: batch.leader_epoch(),
        };
        Ok(Some(batch))
    }

    /// Starts a fetcher for each shard that owns partitions.
    async fn start(
        client: &Client,
        config: &ConsumerConfig,
        positions: &BTreeMap<Source, Position>,
    ) -> Result<Fetching, ConsumeError> {
        let (sender, fetched) = mpsc::channel(FETCHED_QUEUED_MAX);
        let room = config.prefetch_bytes.clamp(1, Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(room));
        let mut groups: BTreeMap<_, BTreeMap<Source, Position>> = BTreeMap::new();
        for (source, position) in positions {
            let topic = client.topic(&source.topic).await?;
            let info = topic.partition(source.partition)?;
            let group = groups.entry((info.leader, info.shard)).or_default();
            group.insert(source.clone(), *position);
        }
        let tasks = groups.into_values().map(|positions| {
            let fetcher = Fetcher {
                client: client.clone(),
                config: config.clone(),
                positions,
                room: Arc::clone(&room),
                fetched: sender.clone(),
            };
            tokio::spawn(fetcher.run())
        });
        Ok(Fetching {
            fetched,
            tasks: tasks.collect(),
        })
    }
}

/// The offset to begin at; with a time also the time, since the broker finds the batch and the client the record.
async fn find_start(
    admin: &Admin,
    topic: &TopicInfo,
    assignment: &Assignment,
) -> Result<(Offset, Option<TimestampMs>), ClientError> {
    let position = match assignment.start {
        StartAt::Offset(offset) => {
            topic.partition(assignment.partition)?;
            return Ok((offset, None));
        }
        StartAt::Earliest => OffsetPosition::Earliest,
        StartAt::Latest => OffsetPosition::Latest,
        StartAt::Timestamp(timestamp) => OffsetPosition::Timestamp(timestamp),
    };
    if let Some((offset, _)) = admin.offset(topic, assignment.partition, position).await? {
        let floor = match assignment.start {
            StartAt::Timestamp(timestamp) => Some(timestamp),
            _ => None,
        };
        return Ok((offset, floor));
    }
    let latest = admin
        .offset(topic, assignment.partition, OffsetPosition::Latest)
        .await?;
    Ok((latest.map_or(Offset::ZERO, |(offset, _)| offset), None))
}
