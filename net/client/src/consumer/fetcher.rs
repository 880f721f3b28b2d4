//! Fetches ahead of the reader: one request at a time to the shard that owns the partitions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use ringlog_record::batch::batches;
use ringlog_record::{BrokerId, LeaderEpoch, Offset, ShardId, TopicPartition};
use ringlog_wire::{
    ErrorCode, FetchPartition, FetchRequestDraft, FetchResponse, FetchedPartition, OffsetPosition,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::marks::Marks;
use super::{ConsumerConfig, OffsetReset, Source};
use crate::admin::Admin;
use crate::client::{Client, PartitionInfo};
use crate::core::backoff::Backoff;
use crate::error::{ClientError, ConsumeError};
use crate::limits::ANSWER_GRACE;
use crate::transport::chance;

/// Where a reader is in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The partition. A topic that is deleted and made anew has the same name and is another one.
    pub(super) id: TopicPartition,
    /// The offset of the next record.
    pub(super) offset: Offset,
    /// The leader epoch of the last record that was read.
    pub(super) last_epoch: Option<LeaderEpoch>,
}

impl Position {
    pub(super) fn at(id: TopicPartition, offset: Offset) -> Self {
        Self {
            id,
            offset,
            last_epoch: None,
        }
    }
}

/// Who is asked for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    leader: Option<BrokerId>,
    shard: ShardId,
}

impl Owner {
    pub(super) fn of(info: &PartitionInfo) -> Self {
        Self {
            leader: info.leader,
            shard: info.shard,
        }
    }
}

/// A batch that was fetched.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) source: Source,
    /// The first record that is wanted of it.
    pub(super) from: Offset,
    pub(super) last_offset: Offset,
    pub(super) leader_epoch: Option<LeaderEpoch>,
    pub(super) high_watermark: Offset,
    pub(super) bytes: Bytes,
}

/// What a fetcher has to say.
#[derive(Debug)]
pub(super) enum Event {
    /// A batch, and the room that it takes until it is polled.
    Batch(Fetched, OwnedSemaphorePermit),
    /// A partition could not be read at its position, and goes on at this one, as the reader has asked.
    Reset(Source, Position),
    /// A partition cannot be read; the fetcher has ended.
    Failed(ConsumeError),
    /// A partition has another owner; the fetcher has ended.
    Moved,
}

/// Fetches the partitions of one shard.
pub(super) struct Fetcher {
    pub(super) client: Client,
    pub(super) config: ConsumerConfig,
    pub(super) owner: Owner,
    pub(super) positions: BTreeMap<Source, Position>,
    /// Which partition comes first in the next request: what an answer has room for, it fills in this order.
    pub(super) turn: usize,
    pub(super) marks: Marks,
    pub(super) room: Arc<Semaphore>,
    pub(super) events: mpsc::Sender<Event>,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Fetch,
    End,
}

impl Fetcher {
    /// Fetches until nobody reads any more, or something cannot be read.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut is_well = true;
        loop {
            match self.fetch().await {
                Ok(Next::Fetch) => {
                    backoff.reset();
                    is_well = true;
                }
                Ok(Next::End) => return,
                Err(ConsumeError::Client(error)) if may_pass(&error) => {
                    if std::mem::take(&mut is_well) {
                        tracing::warn!(%error, "a fetch failed and is tried again until it succeeds");
                    }
                    tokio::time::sleep(backoff.next_pause(chance())).await;
                    self.refresh().await;
                }
                Err(error) => {
                    // Nobody may be there any more.
                    self.events.send(Event::Failed(error)).await.ok();
                    return;
                }
            }
        }
    }

    /// Leaders and shards may have moved.
    async fn refresh(&self) {
        let topics: BTreeSet<_> = self.positions.keys().map(|source| &source.topic).collect();
        for topic in topics {
            // A failure shows in the next fetch.
            self.client.refresh_topic(topic).await.ok();
        }
    }

    /// Fetches once.
    async fn fetch(&mut self) -> Result<Next, ConsumeError> {
        let mut partitions = Vec::with_capacity(self.positions.len());
        let mut sources: HashMap<TopicPartition, Source> = HashMap::new();
        let mut connection = None;
        for (source, position) in &self.positions {
            let topic = self.client.topic(&source.topic).await?;
            let info = topic.partition(source.partition)?;
            if info.id != position.id {
                return Err(made_anew(source));
            }
            if Owner::of(info) != self.owner {
                self.events.send(Event::Moved).await.ok();
                return Ok(Next::End);
            }
            if connection.is_none() {
                connection = Some(self.client.leader_connection(&topic.name, info).await?);
            }
            partitions.push(FetchPartition {
                id: info.id,
                offset: position.offset,
                max_bytes: self.config.partition_max_bytes,
                last_epoch: position.last_epoch,
            });
            sources.insert(info.id, source.clone());
        }
        let Some(connection) = connection else {
            return Ok(Next::End);
        };
        let first = self.turn % partitions.len().max(1);
        partitions.rotate_left(first);
        self.turn = first + 1;
        let draft = FetchRequestDraft {
            max_wait_ms: u32::try_from(self.config.max_wait.as_millis()).unwrap_or(u32::MAX),
            min_bytes: self.config.min_bytes,
            max_bytes: self.config.max_bytes,
            partitions: &partitions,
        };
        let timeout = self.config.max_wait + ANSWER_GRACE;
        let frame = connection.call(&draft, Vec::new(), timeout).await?;
        let address = connection.address();
        let body = frame.body();
        let response = FetchResponse::decode(body).map_err(ClientError::decode(address))?;
        // The answer is taken as a whole before anything that may fail is said of it.
        let mut failed = Vec::new();
        for (partition, range) in response.slices() {
            let Some(source) = sources.get(&partition.id) else {
                continue;
            };
            if partition.error != ErrorCode::None {
                failed.push((source.clone(), Refusal::new(&partition)));
                continue;
            }
            self.marks.set(source, partition.state.high_watermark);
            let payload = frame.payload.slice(range);
            if self.take(source, &partition, payload).await? == Next::End {
                return Ok(Next::End);
            }
        }
        for (source, refusal) in failed {
            self.recover(&source, refusal).await?;
        }
        Ok(Next::Fetch)
    }

    /// Gives the batches of a partition to the reader, waiting while it has enough.
    async fn take(
        &mut self,
        source: &Source,
        partition: &FetchedPartition<'_>,
        payload: Bytes,
    ) -> Result<Next, ConsumeError> {
        let unreadable = |offset: Offset, reason: &dyn std::fmt::Display| ConsumeError::Batch {
            topic: source.topic.to_string(),
            partition: source.partition,
            offset,
            reason: reason.to_string(),
        };
        for batch in batches(&payload) {
            let Some(position) = self.positions.get_mut(source) else {
                return Ok(Next::Fetch);
            };
            let from = position.offset;
            let batch = batch.map_err(|error| unreadable(from, &error))?;
            if !batch.crc_is_valid() {
                return Err(unreadable(from, &"its checksum does not match"));
            }
            if batch.last_offset() < from {
                continue;
            }
            let epoch = batch.header().leader_epoch();
            position.offset = batch.last_offset().next();
            position.last_epoch = epoch;
            if batch.header().attributes().is_control() {
                // Not for readers.
                continue;
            }
            let most = self.config.prefetch_bytes.max(1);
            let bytes = u32::try_from(batch.len_bytes().min(most)).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
            let Ok(room) = room else {
                return Ok(Next::End);
            };
            let fetched = Fetched {
                source: source.clone(),
                from,
                last_offset: batch.last_offset(),
                leader_epoch: epoch,
                high_watermark: partition.state.high_watermark,
                bytes: payload.slice_ref(batch.bytes()),
            };
            let event = Event::Batch(fetched, room);
            if self.events.send(event).await.is_err() {
                return Ok(Next::End);
            }
        }
        Ok(Next::Fetch)
    }

    /// Does what was asked for when a partition cannot be read at its position.
    async fn recover(&mut self, source: &Source, refusal: Refusal) -> Result<(), ConsumeError> {
        let Some(position) = self.positions.get(source).copied() else {
            return Ok(());
        };
        let topic_name = source.topic.to_string();
        match (refusal.code, self.config.offset_reset) {
            (ErrorCode::LogTruncated, _) => Err(ConsumeError::LogTruncated {
                topic: topic_name,
                partition: source.partition,
                offset: position.offset,
                agreed_end: refusal.agreed_end.unwrap_or(Offset::ZERO),
            }),
            (ErrorCode::OffsetOutOfRange, OffsetReset::Error) => {
                Err(ConsumeError::OffsetOutOfRange {
                    topic: topic_name,
                    partition: source.partition,
                    offset: position.offset,
                    message: refusal.message,
                })
            }
            (ErrorCode::OffsetOutOfRange, reset) => {
                let to = if reset == OffsetReset::Earliest {
                    OffsetPosition::Earliest
                } else {
                    OffsetPosition::Latest
                };
                let topic = self.client.topic(&source.topic).await?;
                let admin = Admin::new(&self.client);
                if let Some((offset, _)) = admin.offset(&topic, source.partition, to).await? {
                    let position = Position::at(position.id, offset);
                    self.positions.insert(source.clone(), position);
                    // Behind the batches that were read before. If nobody listens any more the fetcher is ended.
                    let reset = Event::Reset(source.clone(), position);
                    self.events.send(reset).await.ok();
                }
                Ok(())
            }
            _ if may_pass(&refusal.error()) => Err(refusal.error().into()),
            (code, _) => Err(ConsumeError::Partition {
                topic: topic_name,
                partition: source.partition,
                code,
                message: refusal.message,
            }),
        }
    }
}

/// Why a partition was not read.
struct Refusal {
    code: ErrorCode,
    message: String,
    agreed_end: Option<Offset>,
}

impl Refusal {
    fn new(partition: &FetchedPartition<'_>) -> Self {
        let message = partition.message.unwrap_or(partition.error.sentence());
        Self {
            code: partition.error,
            message: message.to_owned(),
            agreed_end: partition.agreed_end,
        }
    }

    fn error(&self) -> ClientError {
        ClientError::Refused {
            code: self.code,
            message: self.message.clone(),
        }
    }
}

fn made_anew(source: &Source) -> ConsumeError {
    ConsumeError::Partition {
        topic: source.topic.to_string(),
        partition: source.partition,
        code: ErrorCode::UnknownTopic,
        message: "the topic was deleted, and made anew under the same name".to_owned(),
    }
}

/// Whether a fetch that failed like this is tried again: reading twice does no harm.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Lost { .. } => true,
        error => error.is_retriable() || error.is_elsewhere(),
    }
}
