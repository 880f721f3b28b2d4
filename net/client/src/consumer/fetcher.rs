//! Fetches ahead of the reader: one request at a time to the shard that owns the partitions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ringlog_record::batch::batches;
use ringlog_record::{LeaderEpoch, Offset, TopicPartition};
use ringlog_wire::{
    ErrorCode, FetchPartition, FetchRequestDraft, FetchResponse, FetchedPartition, OffsetPosition,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{ConsumerConfig, OffsetReset, Source};
use crate::admin::Admin;
use crate::client::Client;
use crate::core::backoff::Backoff;
use crate::error::{ClientError, ConsumeError};
use crate::limits::ANSWER_GRACE;

/// Where a reader is in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The offset of the next record.
    pub(super) offset: Offset,
    /// The leader epoch of the last record that was read.
    pub(super) last_epoch: Option<LeaderEpoch>,
}

impl Position {
    pub(super) fn at(offset: Offset) -> Self {
        Self {
            offset,
            last_epoch: None,
        }
    }
}

/// A batch that was fetched; it takes room until it is dropped.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) source: Source,
    /// The first record that is wanted of it.
    pub(super) from: Offset,
    pub(super) last_offset: Offset,
    pub(super) leader_epoch: Option<LeaderEpoch>,
    pub(super) high_watermark: Offset,
    pub(super) bytes: Bytes,
    pub(super) _room: Arc<OwnedSemaphorePermit>,
}

/// Fetches the partitions of one shard.
pub(super) struct Fetcher {
    pub(super) client: Client,
    pub(super) config: ConsumerConfig,
    pub(super) positions: BTreeMap<Source, Position>,
    pub(super) room: Arc<Semaphore>,
    pub(super) fetched: mpsc::Sender<Result<Fetched, ConsumeError>>,
}

impl Fetcher {
    /// Fetches until nobody reads any more, or something cannot be read.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            match self.fetch().await {
                Ok(true) => backoff.reset(),
                Ok(false) => return,
                Err(ConsumeError::Client(error)) if may_pass(&error) => {
                    tracing::debug!(%error, "a fetch is tried again");
                    let chance = u64::from(began.elapsed().subsec_nanos());
                    tokio::time::sleep(backoff.next_pause(chance)).await;
                    self.refresh().await;
                }
                Err(error) => {
                    // Nobody may be there any more.
                    self.fetched.send(Err(error)).await.ok();
                    return;
                }
            }
        }
    }

    /// Leaders and shards may have moved.
    async fn refresh(&self) {
        for source in self.positions.keys() {
            self.client.refresh_topic(&source.topic).await.ok();
        }
    }

    /// Fetches once; false when nobody reads any more.
    async fn fetch(&mut self) -> Result<bool, ConsumeError> {
        let mut partitions = Vec::with_capacity(self.positions.len());
        let mut sources: HashMap<TopicPartition, Source> = HashMap::new();
        let mut connection = None;
        for (source, position) in &self.positions {
            let topic = self.client.topic(&source.topic).await?;
            let info = topic.partition(source.partition)?;
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
            return Ok(false);
        };
        let draft = FetchRequestDraft {
            max_wait_ms: u32::try_from(self.config.max_wait.as_millis()).unwrap_or(u32::MAX),
            min_bytes: self.config.min_bytes,
            max_bytes: self.config.max_bytes,
            partitions: &partitions,
        };
        let timeout = self.config.max_wait + ANSWER_GRACE;
        let frame = connection.call(&draft, Vec::new(), timeout).await?;
        let address = connection.address();
        let body = frame.body().map_err(ClientError::frame(address))?;
        let response = FetchResponse::decode(body).map_err(ClientError::decode(address))?;
        // The answer is taken as a whole before anything that may fail is said of it.
        let mut failed = Vec::new();
        for (partition, range) in response.slices() {
            let Some(source) = sources.get(&partition.id) else {
                continue;
            };
            if partition.error != ErrorCode::None {
                failed.push((source.clone(), Refusal::new(&partition)));
            } else if !self
                .take(source, &partition, frame.payload.slice(range))
                .await?
            {
                return Ok(false);
            }
        }
        for (source, refusal) in failed {
            self.recover(&source, refusal).await?;
        }
        Ok(true)
    }

    /// Gives the batches of a partition to the reader, waiting while it has enough; false when it is gone.
    async fn take(
        &mut self,
        source: &Source,
        partition: &FetchedPartition<'_>,
        payload: Bytes,
    ) -> Result<bool, ConsumeError> {
        let unreadable = |offset: Offset, reason: &dyn std::fmt::Display| ConsumeError::Batch {
            topic: source.topic.to_string(),
            partition: source.partition,
            offset,
            reason: reason.to_string(),
        };
        for batch in batches(&payload) {
            let Some(position) = self.positions.get_mut(source) else {
                return Ok(true);
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
            *position = Position {
                offset: batch.last_offset().next(),
                last_epoch: epoch,
            };
            let most = self.config.prefetch_bytes.max(1);
            let bytes = u32::try_from(batch.len_bytes().min(most)).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
            let Ok(room) = room else { return Ok(false) };
            let fetched = Fetched {
                source: source.clone(),
                from,
                last_offset: batch.last_offset(),
                leader_epoch: epoch,
                high_watermark: partition.state.high_watermark,
                bytes: payload.slice_ref(batch.bytes()),
                _room: Arc::new(room),
            };
            if self.fetched.send(Ok(fetched)).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
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
                    self.positions.insert(source.clone(), Position::at(offset));
                }
                Ok(())
            }
            (code, _) if code.is_retriable() || is_elsewhere(code) => {
                Err(ConsumeError::Client(ClientError::Refused {
                    code,
                    message: refusal.message,
                }))
            }
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
}

/// Whether the partition is to be looked for elsewhere.
fn is_elsewhere(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::UnknownPartition | ErrorCode::NotLeader)
}

/// Whether a fetch that failed like this is tried again: reading twice does no harm.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Lost { .. } => true,
        ClientError::Refused { code, .. } => code.is_retriable() || is_elsewhere(*code),
        error => error.is_retriable(),
    }
}
