//! Delete records: moves the log start. What lies before it is no longer served and leaves the disk by segments.

use ringlog_record::{Offset, TopicPartition};

use crate::api::Api;
use crate::decode::{DecodeError, Shape, check_partition_count, root};
use crate::encoder::{Build, Message, Writer};
use crate::error_code::ErrorCode;
use crate::frame::{Body, Direction};
use crate::generated as fbs;
use crate::limits::PARTITION_TABLES_MAX;
use crate::messages::partition::{ErrorTexts, PartitionState, id_from_wire, topic_to_wire};

const REQUEST: Shape = Shape {
    api: Api::DeleteRecords,
    direction: Direction::Request,
    tables_max: PARTITION_TABLES_MAX,
};

const RESPONSE: Shape = Shape {
    api: Api::DeleteRecords,
    direction: Direction::Response,
    tables_max: PARTITION_TABLES_MAX,
};

/// A partition whose log start is to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteRecordsPartition {
    /// Which.
    pub id: TopicPartition,
    /// The new log start, at most the high watermark.
    pub before: Offset,
}

/// Asks for log starts to move.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteRecordsRequest {
    /// The partitions.
    pub partitions: Vec<DeleteRecordsPartition>,
}

impl DeleteRecordsRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::DeleteRecordsRequest<'_>>(body, REQUEST)?;
        check_partition_count(request.partitions().len())?;
        let partitions = request.partitions().iter();
        let partitions = partitions.map(|partition| DeleteRecordsPartition {
            id: id_from_wire(partition.topic(), partition.partition()),
            before: Offset::new(partition.before()),
        });
        Ok(Self {
            partitions: partitions.collect(),
        })
    }
}

impl Message for DeleteRecordsRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for DeleteRecordsRequest {
    fn build(&self, writer: &mut Writer) {
        let partitions = writer.tables(&self.partitions, |builder, partition| {
            let args = fbs::DeleteRecordsPartitionArgs {
                topic: Some(&topic_to_wire(partition.id.topic)),
                partition: partition.id.partition.get(),
                before: partition.before.get(),
            };
            fbs::DeleteRecordsPartition::create(builder, &args)
        });
        let args = fbs::DeleteRecordsRequestArgs {
            partitions: Some(partitions),
        };
        let root = fbs::DeleteRecordsRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// What became of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedRecords {
    /// Which.
    pub id: TopicPartition,
    /// `None` when the log start has moved.
    pub error: ErrorCode,
    /// What went wrong, in a sentence. Long ones are cut, and only the first few of a response are sent.
    pub message: Option<String>,
    /// Where the partition stands now.
    pub state: PartitionState,
}

/// What became of the partitions, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteRecordsResponse {
    /// The partitions.
    pub partitions: Vec<DeletedRecords>,
}

impl DeleteRecordsResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::DeleteRecordsResponse<'_>>(body, RESPONSE)?;
        let partitions = response.partitions().iter();
        let partitions = partitions.map(|partition| DeletedRecords {
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

impl Message for DeleteRecordsResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for DeleteRecordsResponse {
    fn build(&self, writer: &mut Writer) {
        let mut texts = ErrorTexts::default();
        let partitions = writer.tables(&self.partitions, |builder, partition| {
            let message = texts.write(builder, partition.error, partition.message.as_deref());
            let args = fbs::DeletedRecordsArgs {
                topic: Some(&topic_to_wire(partition.id.topic)),
                partition: partition.id.partition.get(),
                error: partition.error.to_wire(),
                message,
                state: Some(&partition.state.to_wire()),
            };
            fbs::DeletedRecords::create(builder, &args)
        });
        let args = fbs::DeleteRecordsResponseArgs {
            partitions: Some(partitions),
        };
        let root = fbs::DeleteRecordsResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
