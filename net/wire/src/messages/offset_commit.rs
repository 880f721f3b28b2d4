//! Offset commit: how far a group has read, to be found again.

use ringlog_record::{LeaderEpoch, Offset, TopicPartition};

use crate::api::Api;
use crate::decode::{DecodeError, Shape, check_len, check_partition_count, root};
use crate::encoder::{Build, Message, Writer};
use crate::error_code::ErrorCode;
use crate::frame::{Body, Direction};
use crate::generated as fbs;
use crate::limits::{COMMIT_METADATA_BYTES_MAX, GROUP_ID_BYTES_MAX, PARTITION_TABLES_MAX};
use crate::messages::partition::{ErrorTexts, PartitionState, id_from_wire, topic_to_wire};

const REQUEST: Shape = Shape {
    api: Api::OffsetCommit,
    direction: Direction::Request,
    tables_max: PARTITION_TABLES_MAX,
};

const RESPONSE: Shape = Shape {
    api: Api::OffsetCommit,
    direction: Direction::Response,
    tables_max: PARTITION_TABLES_MAX,
};

/// How far a group has read a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitPartition {
    /// Which.
    pub id: TopicPartition,
    /// The offset that the group wants to read next.
    pub offset: Offset,
    /// Leader epoch of the last record that was read; `None` when none was.
    pub leader_epoch: Option<LeaderEpoch>,
    /// Whatever the group wants to find beside it again.
    pub metadata: String,
}

/// Commits offsets of a group: all that can be committed are, together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetCommitRequest {
    /// The group: 1 to 255 bytes.
    pub group: String,
    /// The partitions, each once.
    pub partitions: Vec<OffsetCommitPartition>,
}

impl OffsetCommitRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, one that does not verify, or texts of a length that they must not have.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::OffsetCommitRequest<'_>>(body, REQUEST)?;
        check_partition_count(request.partitions().len())?;
        check_len("group", request.group(), 1..=GROUP_ID_BYTES_MAX)?;
        let read = |partition: fbs::OffsetCommitPartition<'_>| {
            let metadata = partition.metadata().unwrap_or_default();
            check_len("metadata", metadata, 0..=COMMIT_METADATA_BYTES_MAX)?;
            Ok(OffsetCommitPartition {
                id: id_from_wire(partition.topic(), partition.partition()),
                offset: Offset::new(partition.offset()),
                leader_epoch: partition.leader_epoch().map(LeaderEpoch::new),
                metadata: metadata.to_owned(),
            })
        };
        let partitions = request.partitions().iter().map(read);
        Ok(Self {
            group: request.group().to_owned(),
            partitions: partitions.collect::<Result<_, _>>()?,
        })
    }
}

impl Message for OffsetCommitRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for OffsetCommitRequest {
    fn build(&self, writer: &mut Writer) {
        let partitions = writer.tables(&self.partitions, |builder, partition| {
            let metadata = Some(&partition.metadata).filter(|metadata| !metadata.is_empty());
            let metadata = metadata.map(|metadata| builder.create_string(metadata));
            let args = fbs::OffsetCommitPartitionArgs {
                topic: Some(&topic_to_wire(partition.id.topic)),
                partition: partition.id.partition.get(),
                offset: partition.offset.get(),
                leader_epoch: partition.leader_epoch.map(LeaderEpoch::get),
                metadata,
            };
            fbs::OffsetCommitPartition::create(builder, &args)
        });
        let args = fbs::OffsetCommitRequestArgs {
            group: Some(writer.builder.create_string(&self.group)),
            partitions: Some(partitions),
        };
        let root = fbs::OffsetCommitRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// What became of one partition of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitted {
    /// Which.
    pub id: TopicPartition,
    /// `None` when its offset is committed.
    pub error: ErrorCode,
    /// What went wrong, in a sentence. Long ones are cut, and only the first few of a response are sent.
    pub message: Option<String>,
    /// Where the partition stands.
    pub state: PartitionState,
}

/// What became of a commit, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetCommitResponse {
    /// The partitions.
    pub partitions: Vec<OffsetCommitted>,
}

impl OffsetCommitResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::OffsetCommitResponse<'_>>(body, RESPONSE)?;
        let partitions = response
            .partitions()
            .iter()
            .map(|partition| OffsetCommitted {
                id: id_from_wire(partition.topic(), partition.partition()),
                error: ErrorCode::from_wire(partition.error()),
                message: partition.message().map(str::to_owned),
                state: PartitionState::from_wire(partition.state()),
            });
        Ok(Self {
            partitions: partitions.collect(),
        })
    }
}

impl Message for OffsetCommitResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for OffsetCommitResponse {
    fn build(&self, writer: &mut Writer) {
        let mut texts = ErrorTexts::default();
        let partitions = writer.tables(&self.partitions, |builder, partition| {
            let message = texts.write(builder, partition.error, partition.message.as_deref());
            let args = fbs::OffsetCommittedArgs {
                topic: Some(&topic_to_wire(partition.id.topic)),
                partition: partition.id.partition.get(),
                error: partition.error.to_wire(),
                message,
                state: Some(&partition.state.to_wire()),
            };
            fbs::OffsetCommitted::create(builder, &args)
        });
        let args = fbs::OffsetCommitResponseArgs {
            partitions: Some(partitions),
        };
        let root = fbs::OffsetCommitResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
