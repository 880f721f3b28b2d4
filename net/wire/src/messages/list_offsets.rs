//! List offsets: where a partition begins and ends, and what came when.

use ringlog_record::{Offset, TimestampMs, TopicPartition};

use crate::api::Api;
use crate::decode::{DecodeError, Shape, check_partition_count, root};
use crate::encoder::{Build, Message, Writer};
use crate::error_code::ErrorCode;
use crate::frame::{Body, Direction};
use crate::generated as fbs;
use crate::limits::PARTITION_TABLES_MAX;
use crate::messages::partition::{ErrorTexts, PartitionState, id_from_wire, topic_to_wire};

const REQUEST: Shape = Shape {
    api: Api::ListOffsets,
    direction: Direction::Request,
    tables_max: PARTITION_TABLES_MAX,
};

const RESPONSE: Shape = Shape {
    api: Api::ListOffsets,
    direction: Direction::Response,
    tables_max: PARTITION_TABLES_MAX,
};

const POSITION_EARLIEST: u8 = 0;
const POSITION_LATEST: u8 = 1;
const POSITION_TIMESTAMP: u8 = 2;

/// Which offset is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetPosition {
    /// The log start.
    Earliest,
    /// The high watermark.
    Latest,
    /// A batch that holds the first record at or after this time; the client looks into the batch.
    Timestamp(TimestampMs),
}

/// A partition of a request for offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListOffsetsPartition {
    /// Which.
    pub id: TopicPartition,
    /// The offset asked for.
    pub position: OffsetPosition,
}

/// Asks for offsets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListOffsetsRequest {
    /// The partitions.
    pub partitions: Vec<ListOffsetsPartition>,
}

impl ListOffsetsRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, one that does not verify, or an unknown position.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::ListOffsetsRequest<'_>>(body, REQUEST)?;
        check_partition_count(request.partitions().len())?;
        let partitions = request.partitions().iter().map(read_partition);
        Ok(Self {
            partitions: partitions.collect::<Result<_, _>>()?,
        })
    }
}

fn read_partition(
    partition: fbs::ListOffsetsPartition<'_>,
) -> Result<ListOffsetsPartition, DecodeError> {
    let position = match partition.position() {
        POSITION_EARLIEST => OffsetPosition::Earliest,
        POSITION_LATEST => OffsetPosition::Latest,
        POSITION_TIMESTAMP => OffsetPosition::Timestamp(TimestampMs::new(partition.timestamp_ms())),
        unknown => {
            return Err(DecodeError::BadValue {
                field: "position",
                value: unknown.into(),
            });
        }
    };
    Ok(ListOffsetsPartition {
        id: id_from_wire(partition.topic(), partition.partition()),
        position,
    })
}

impl Message for ListOffsetsRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for ListOffsetsRequest {
    fn build(&self, writer: &mut Writer) {
        let partitions = writer.tables(&self.partitions, |builder, partition| {
            let (position, timestamp_ms) = match partition.position {
                OffsetPosition::Earliest => (POSITION_EARLIEST, 0),
                OffsetPosition::Latest => (POSITION_LATEST, 0),
                OffsetPosition::Timestamp(time) => (POSITION_TIMESTAMP, time.get()),
            };
            let args = fbs::ListOffsetsPartitionArgs {
                topic: Some(&topic_to_wire(partition.id.topic)),
                partition: partition.id.partition.get(),
                position,
                timestamp_ms,
            };
            fbs::ListOffsetsPartition::create(builder, &args)
        });
        let args = fbs::ListOffsetsRequestArgs {
            partitions: Some(partitions),
        };
        let root = fbs::ListOffsetsRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// An offset of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOffset {
    /// Which.
    pub id: TopicPartition,
    /// `None` when the rest is valid.
    pub error: ErrorCode,
    /// What went wrong, in a sentence. Long ones are cut, and only the first few of a response are sent.
    pub message: Option<String>,
    /// Where the partition stands.
    pub state: PartitionState,
    /// The offset; `None` when no record is that late.
    pub offset: Option<Offset>,
    /// Largest timestamp of the batch that was found; `None` for earliest and latest.
    pub timestamp: Option<TimestampMs>,
}

/// The offsets asked for, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListOffsetsResponse {
    /// The partitions.
    pub partitions: Vec<ListedOffset>,
}

impl ListOffsetsResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::ListOffsetsResponse<'_>>(body, RESPONSE)?;
        let partitions = response.partitions().iter().map(|partition| ListedOffset {
            id: id_from_wire(partition.topic(), partition.partition()),
            error: ErrorCode::from_wire(partition.error()),
            message: partition.message().map(str::to_owned),
            state: PartitionState::from_wire(partition.state()),
            offset: partition.offset().map(Offset::new),
            timestamp: partition.timestamp_ms().map(TimestampMs::new),
        });
        Ok(Self {
            partitions: partitions.collect(),
        })
    }
}

impl Message for ListOffsetsResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for ListOffsetsResponse {
    fn build(&self, writer: &mut Writer) {
        let mut texts = ErrorTexts::default();
        let partitions = writer.tables(&self.partitions, |builder, partition| {
            let message = texts.write(builder, partition.error, partition.message.as_deref());
            let args = fbs::ListedOffsetArgs {
                topic: Some(&topic_to_wire(partition.id.topic)),
                partition: partition.id.partition.get(),
                error: partition.error.to_wire(),
                message,
                state: Some(&partition.state.to_wire()),
                offset: partition.offset.map(Offset::get),
                timestamp_ms: partition.timestamp.map(TimestampMs::get),
            };
            fbs::ListedOffset::create(builder, &args)
        });
        let args = fbs::ListOffsetsResponseArgs {
            partitions: Some(partitions),
        };
        let root = fbs::ListOffsetsResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
