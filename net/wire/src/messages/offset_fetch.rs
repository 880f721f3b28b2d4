//! Offset fetch: how far a group has read, as it committed it.

use ringlog_record::{LeaderEpoch, Offset, TimestampMs, TopicPartition};

use crate::api::Api;
use crate::decode::{DecodeError, Shape, check_len, check_partition_count, root};
use crate::encoder::{Build, Message, Writer};
use crate::error_code::ErrorCode;
use crate::frame::{Body, Direction};
use crate::generated as fbs;
use crate::limits::{GROUP_ID_BYTES_MAX, PARTITION_TABLES_MAX};
use crate::messages::partition::{ErrorTexts, PartitionState, id_from_wire, topic_to_wire};

const REQUEST: Shape = Shape {
    api: Api::OffsetFetch,
    direction: Direction::Request,
    tables_max: PARTITION_TABLES_MAX,
};

const RESPONSE: Shape = Shape {
    api: Api::OffsetFetch,
    direction: Direction::Response,
    tables_max: PARTITION_TABLES_MAX,
};

/// Asks what a group has committed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetFetchRequest {
    /// The group: 1 to 255 bytes.
    pub group: String,
    /// The partitions; `None` = all for which the group has committed an offset.
    pub partitions: Option<Vec<TopicPartition>>,
}

impl OffsetFetchRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, one that does not verify, or a group of a length that it must not have.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::OffsetFetchRequest<'_>>(body, REQUEST)?;
        check_len("group", request.group(), 1..=GROUP_ID_BYTES_MAX)?;
        check_partition_count(request.partitions().map_or(0, |some| some.len()))?;
        let partitions = request.partitions().map(|partitions| {
            let ids = partitions.iter();
            ids.map(|one| id_from_wire(one.topic(), one.partition()))
                .collect()
        });
        Ok(Self {
            group: request.group().to_owned(),
            partitions,
        })
    }
}

impl Message for OffsetFetchRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for OffsetFetchRequest {
    fn build(&self, writer: &mut Writer) {
        let partitions = self.partitions.as_ref().map(|partitions| {
            writer.tables(partitions, |builder, id| {
                let args = fbs::OffsetFetchPartitionArgs {
                    topic: Some(&topic_to_wire(id.topic)),
                    partition: id.partition.get(),
                };
                fbs::OffsetFetchPartition::create(builder, &args)
            })
        });
        let args = fbs::OffsetFetchRequestArgs {
            group: Some(writer.builder.create_string(&self.group)),
            partitions,
        };
        let root = fbs::OffsetFetchRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// What a group has committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// Which.
    pub id: TopicPartition,
    /// `None` when the rest is valid.
    pub error: ErrorCode,
    /// What went wrong, in a sentence. Long ones are cut, and only the first few of a response are sent.
    pub message: Option<String>,
    /// Where the partition stands.
    pub state: PartitionState,
    /// The offset to read next; `None` when the group has committed none.
    pub offset: Option<Offset>,
    /// Leader epoch of the last record that was read, if one was.
    pub leader_epoch: Option<LeaderEpoch>,
    /// What the group put beside it.
    pub metadata: String,
    /// When it was committed, by the broker's clock.
    pub committed_at: Option<TimestampMs>,
}

impl CommittedOffset {
    /// A partition for which the group has committed nothing.
    #[must_use]
    pub fn none(id: TopicPartition) -> Self {
        Self {
            id,
            error: ErrorCode::None,
            message: None,
            state: PartitionState::default(),
            offset: None,
            leader_epoch: None,
            metadata: String::new(),
            committed_at: None,
        }
    }
}

/// What a group has committed: in the order of the request, or by topic and partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetFetchResponse {
    /// The partitions.
    pub partitions: Vec<CommittedOffset>,
}

impl OffsetFetchResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::OffsetFetchResponse<'_>>(body, RESPONSE)?;
        let partitions = response
            .partitions()
            .iter()
            .map(|partition| CommittedOffset {
                id: id_from_wire(partition.topic(), partition.partition()),
                error: ErrorCode::from_wire(partition.error()),
                message: partition.message().map(str::to_owned),
                state: PartitionState::from_wire(partition.state()),
                offset: partition.offset().map(Offset::new),
                leader_epoch: partition.leader_epoch().map(LeaderEpoch::new),
                metadata: partition.metadata().unwrap_or_default().to_owned(),
                committed_at: partition.committed_at_ms().map(TimestampMs::new),
            });
        Ok(Self {
            partitions: partitions.collect(),
        })
    }
}

impl Message for OffsetFetchResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for OffsetFetchResponse {
    fn build(&self, writer: &mut Writer) {
        let mut texts = ErrorTexts::default();
        let partitions = writer.tables(&self.partitions, |builder, partition| {
            let message = texts.write(builder, partition.error, partition.message.as_deref());
            let metadata = Some(&partition.metadata).filter(|metadata| !metadata.is_empty());
            let metadata = metadata.map(|metadata| builder.create_string(metadata));
            let args = fbs::CommittedOffsetArgs {
                topic: Some(&topic_to_wire(partition.id.topic)),
                partition: partition.id.partition.get(),
                error: partition.error.to_wire(),
                message,
                state: Some(&partition.state.to_wire()),
                offset: partition.offset.map(Offset::get),
                leader_epoch: partition.leader_epoch.map(LeaderEpoch::get),
                metadata,
                committed_at_ms: partition.committed_at.map(TimestampMs::get),
            };
            fbs::CommittedOffset::create(builder, &args)
        });
        let args = fbs::OffsetFetchResponseArgs {
            partitions: Some(partitions),
        };
        let root = fbs::OffsetFetchResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
