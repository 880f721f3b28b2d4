//! One partition over a connection: whole batches in and out, nothing collected, nothing tried again.
//!
//! For those who have batches already, such as a gateway, or who measure requests, such as a load generator.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_record::{Offset, PartitionIndex, TopicPartition};
use ringlog_wire::{
    AckLevel, Acks, ErrorCode, FetchPartition, FetchRequestDraft, FetchResponse, PartitionState,
    ProducePartition, ProduceReceipt, ProduceRequestDraft, ProduceResponse,
};

use crate::client::{Client, PartitionInfo};
use crate::error::ClientError;
use crate::limits::ANSWER_GRACE;
use crate::transport::{Call, Connection};

/// Batches that were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBatches {
    /// Offset of the first record; 0 with [`Acks::None`], which is not answered.
    pub base_offset: Offset,
    /// What the acknowledgement is worth.
    pub level: AckLevel,
    /// Where the partition stands: high watermark, log start, leader epoch; all zero with [`Acks::None`].
    pub state: PartitionState,
    /// Where the broker's time went, if that was asked for and the broker knows receipts.
    pub receipt: Option<ProduceReceipt>,
}

impl StoredBatches {
    /// What is known of batches that are not acknowledged.
    pub(crate) fn unacknowledged() -> Self {
        Self {
            base_offset: Offset::ZERO,
            level: AckLevel::None,
            state: PartitionState::default(),
            receipt: None,
        }
    }
}

/// Batches that were read, as they lie in the log.
#[derive(Clone, Debug)]
pub struct ReadBatches {
    /// The batches, one behind the other.
    pub bytes: Bytes,
    /// Where the partition stands: high watermark, log start, leader epoch.
    pub state: PartitionState,
}

/// A partition.
#[derive(Debug)]
pub struct PartitionClient {
    connection: Arc<Connection>,
    id: TopicPartition,
    timeout: Duration,
    wants_receipts: bool,
}

impl PartitionClient {
    /// Connects to the shard that owns the partition.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn connect(
        client: &Client,
        topic: &str,
        partition: PartitionIndex,
    ) -> Result<Self, ClientError> {
        let topic = client.topic(topic).await?;
        let info = topic.partition(partition)?;
        Ok(Self {
            connection: Arc::new(client.new_leader_connection(&topic.name, info).await?),
            id: info.id,
            timeout: client.config().request_timeout,
            wants_receipts: false,
        })
    }

    /// Another partition over the same connection. The broker passes on what another of its shards owns, at the cost of
    /// a hop between cores; a partition that another broker leads is refused.
    #[must_use]
    pub fn same_connection(&self, id: TopicPartition) -> Self {
        Self {
            connection: Arc::clone(&self.connection),
            id,
            timeout: self.timeout,
            wants_receipts: self.wants_receipts,
        }
    }

    /// Asks for a receipt with every acknowledgement: [`StoredBatches::receipt`].
    #[must_use]
    pub fn with_receipts(mut self) -> Self {
        self.wants_receipts = true;
        self
    }

    /// Stores batches, all or none.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; it tells whether they may have been stored.
    pub async fn produce(&self, batches: Bytes, acks: Acks) -> Result<StoredBatches, ClientError> {
        let produce = Produce {
            id: self.id,
            acks,
            batches,
            timeout: self.timeout,
            wants_receipt: self.wants_receipts,
        };
        begin_produce(&self.connection, produce)
            .await?
            .answer()
            .await
    }

    /// Reads batches from the one that holds `offset`, waiting up to `max_wait` for there to be any.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn fetch(
        &self,
        offset: Offset,
        max_bytes: u32,
        max_wait: Duration,
    ) -> Result<ReadBatches, ClientError> {
        fetch_once(&self.connection, self.id, offset, max_bytes, max_wait).await
    }
}

/// Reads batches of one partition, and takes the answer apart.
pub(crate) async fn fetch_once(
    connection: &Connection,
    id: TopicPartition,
    offset: Offset,
    max_bytes: u32,
    max_wait: Duration,
) -> Result<ReadBatches, ClientError> {
    let partitions = [FetchPartition {
        id,
        offset,
        max_bytes,
        last_epoch: None,
    }];
    let draft = FetchRequestDraft {
        max_wait_ms: u32::try_from(max_wait.as_millis()).unwrap_or(u32::MAX),
        min_bytes: 1,
        max_bytes,
        partitions: &partitions,
    };
    let answer = connection.call(&draft, Vec::new(), max_wait + ANSWER_GRACE);
    let frame = answer.await?;
    let address = connection.address();
    let body = frame.body();
    let response = FetchResponse::decode(body).map_err(ClientError::decode(address))?;
    let found = response.slices().find(|(one, _)| one.id == id);
    let (found, range) =
        found.ok_or_else(|| ClientError::bad_answer(address, "the partition is missing"))?;
    check(found.error, found.message)?;
    Ok(ReadBatches {
        bytes: frame.payload.slice(range),
        state: found.state,
    })
}

/// A produce for one partition.
pub(crate) struct Produce {
    pub(crate) id: TopicPartition,
    pub(crate) acks: Acks,
    pub(crate) batches: Bytes,
    /// How long the broker may take.
    pub(crate) timeout: Duration,
    pub(crate) wants_receipt: bool,
}

/// A produce that was begun; requests of one connection are carried out in the order in which they were begun.
pub(crate) enum BegunProduce {
    /// It is not answered.
    Told,
    /// It is answered.
    Asked(Call, TopicPartition),
}

/// Begins a produce.
pub(crate) async fn begin_produce(
    connection: &Connection,
    produce: Produce,
) -> Result<BegunProduce, ClientError> {
    let Produce {
        id,
        acks,
        batches,
        timeout,
        wants_receipt,
    } = produce;
    let len_bytes = u32::try_from(batches.len()).unwrap_or(u32::MAX);
    let partitions = [ProducePartition::new(id, len_bytes)];
    let draft = ProduceRequestDraft {
        acks,
        timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
        partitions: &partitions,
        wants_receipt,
    };
    let payload = vec![batches];
    if acks == Acks::None {
        connection.tell(&draft, payload).await?;
        return Ok(BegunProduce::Told);
    }
    let call = connection
        .begin(&draft, payload, timeout + ANSWER_GRACE)
        .await?;
    Ok(BegunProduce::Asked(call, id))
}

impl BegunProduce {
    /// Waits for the answer, and takes it apart.
    pub(crate) async fn answer(self) -> Result<StoredBatches, ClientError> {
        let Self::Asked(call, id) = self else {
            return Ok(StoredBatches::unacknowledged());
        };
        let address = call.address();
        let frame = call.answer().await?;
        let body = frame.body();
        let response = ProduceResponse::decode(body).map_err(ClientError::decode(&address))?;
        let produced = response.partitions().find(|one| one.id == id);
        let produced = produced
            .ok_or_else(|| ClientError::bad_answer(&address, "the partition is missing"))?;
        check(produced.error, produced.message)?;
        Ok(StoredBatches {
            base_offset: produced.base_offset,
            level: produced.level,
            state: produced.state,
            receipt: response.receipt(),
        })
    }
}

pub(crate) fn check(code: ErrorCode, message: Option<&str>) -> Result<(), ClientError> {
    if code == ErrorCode::None {
        return Ok(());
    }
    Err(ClientError::Refused {
        code,
        message: message.unwrap_or(code.sentence()).to_owned(),
    })
}

impl Client {
    /// A connection to the leader of a partition that nobody shares.
    async fn new_leader_connection(
        &self,
        topic: &str,
        partition: &PartitionInfo,
    ) -> Result<Connection, ClientError> {
        let address = self.leader_address(topic, partition)?;
        let config = &self.config().connection;
        Ok(Connection::connect(&address, Some(partition.shard), config).await?)
    }
}
