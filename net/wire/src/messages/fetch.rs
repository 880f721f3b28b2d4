//! Fetch: record batches out, as payload of the response, sliced as in produce. A fetch waits until it has enough.

use std::ops::Range;

use ringlog_record::{LeaderEpoch, Offset, TopicPartition};

use crate::api::Api;
use crate::decode::{
    DecodeError, Shape, check_partition_count, ranges, root, root_with_payload, tiles,
};
use crate::encoder::{Build, Message, Writer};
use crate::error_code::ErrorCode;
use crate::frame::{Body, Direction};
use crate::generated as fbs;
use crate::limits::PARTITION_TABLES_MAX;
use crate::messages::partition::{ErrorTexts, PartitionState, id_from_wire, topic_to_wire};

/// A partition of a fetch request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPartition {
    /// Which.
    pub id: TopicPartition,
    /// The first offset wanted; the batch that comes may begin before it.
    pub offset: Offset,
    /// At most this much of this partition; the first batch comes even when it is larger.
    pub max_bytes: u32,
    /// Leader epoch of the last record that the reader saw; `None` when it saw none.
    pub last_epoch: Option<LeaderEpoch>,
}

/// What a fetch request is made from.
#[derive(Debug, Clone, Copy)]
pub struct FetchRequestDraft<'a> {
    /// Answer at the latest after this long, with what there is.
    pub max_wait_ms: u32,
    /// Answer as soon as this much is there; 0 = at once.
    pub min_bytes: u32,
    /// At most this much in the whole response; the first batch comes even when it is larger.
    pub max_bytes: u32,
    /// The partitions.
    pub partitions: &'a [FetchPartition],
}

/// A verified fetch request.
#[derive(Debug, Clone, Copy)]
pub struct FetchRequest<'a> {
    request: fbs::FetchRequest<'a>,
}

const REQUEST: Shape = Shape {
    api: Api::Fetch,
    direction: Direction::Request,
    tables_max: PARTITION_TABLES_MAX,
};

const RESPONSE: Shape = Shape {
    api: Api::Fetch,
    direction: Direction::Response,
    tables_max: PARTITION_TABLES_MAX,
};

impl<'a> FetchRequest<'a> {
    /// Verifies the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, one that does not verify, or a payload.
    pub fn decode(body: Body<'a>) -> Result<Self, DecodeError> {
        let request = root::<fbs::FetchRequest<'_>>(body, REQUEST)?;
        check_partition_count(request.partitions().len())?;
        Ok(Self { request })
    }

    /// Answer at the latest after this long, with what there is.
    #[must_use]
    pub fn max_wait_ms(&self) -> u32 {
        self.request.max_wait_ms()
    }

    /// Answer as soon as this much is there; 0 = at once.
    #[must_use]
    pub fn min_bytes(&self) -> u32 {
        self.request.min_bytes()
    }

    /// At most this much in the whole response; the first batch comes even when it is larger.
    #[must_use]
    pub fn max_bytes(&self) -> u32 {
        self.request.max_bytes()
    }

    /// The partitions.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = FetchPartition> + use<'a> {
        self.request
            .partitions()
            .iter()
            .map(|partition| FetchPartition {
                id: id_from_wire(partition.topic(), partition.partition()),
                offset: Offset::new(partition.offset()),
                max_bytes: partition.max_bytes(),
                last_epoch: partition.last_epoch().map(LeaderEpoch::new),
            })
    }
}

impl Message for FetchRequestDraft<'_> {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for FetchRequestDraft<'_> {
    fn build(&self, writer: &mut Writer) {
        let partitions = writer.tables(self.partitions, |builder, partition| {
            let args = fbs::FetchPartitionArgs {
                topic: Some(&topic_to_wire(partition.id.topic)),
                partition: partition.id.partition.get(),
                offset: partition.offset.get(),
                max_bytes: partition.max_bytes,
                last_epoch: partition.last_epoch.map(LeaderEpoch::get),
            };
            fbs::FetchPartition::create(builder, &args)
        });
        let args = fbs::FetchRequestArgs {
            max_wait_ms: self.max_wait_ms,
            min_bytes: self.min_bytes,
            max_bytes: self.max_bytes,
            partitions: Some(partitions),
        };
        let root = fbs::FetchRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// What was found of one partition of a fetch request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchedPartition<'a> {
    /// Which.
    pub id: TopicPartition,
    /// `None` when its slice is valid, be it empty.
    pub error: ErrorCode,
    /// What went wrong, in a sentence. Long ones are cut, and only the first few of a response are sent.
    pub message: Option<&'a str>,
    /// Where the partition stands.
    pub state: PartitionState,
    /// Length of its slice of the payload: whole batches.
    pub len_bytes: u32,
    /// With `LogTruncated`: the end of what the reader and the log agree on, where it may go on.
    pub agreed_end: Option<Offset>,
    /// Whether the request came in on another shard than the owner's: correct, but slower than need be.
    pub forwarded: bool,
}

impl<'a> FetchedPartition<'a> {
    /// A partition that cannot be read.
    #[must_use]
    pub fn refused(id: TopicPartition, error: ErrorCode, message: &'a str) -> Self {
        Self {
            id,
            error,
            message: Some(message),
            state: PartitionState::default(),
            len_bytes: 0,
            agreed_end: None,
            forwarded: false,
        }
    }
}

/// What a fetch response is made from.
#[derive(Debug, Clone, Copy)]
pub struct FetchResponseDraft<'a> {
    /// The partitions, in the order of their slices.
    pub partitions: &'a [FetchedPartition<'a>],
    /// How long the broker has held the connection back since an answer said so last.
    pub throttle_ms: u32,
}

/// A verified fetch response.
#[derive(Debug, Clone, Copy)]
pub struct FetchResponse<'a> {
    response: fbs::FetchResponse<'a>,
}

impl<'a> FetchResponse<'a> {
    /// Verifies the body of a response; its slices fill the payload exactly.
    ///
    /// # Errors
    ///
    /// Another message, one that does not verify, or slices that do not tile the payload.
    pub fn decode(body: Body<'a>) -> Result<Self, DecodeError> {
        let response = root_with_payload::<fbs::FetchResponse<'_>>(body, RESPONSE)?;
        tiles(
            response
                .partitions()
                .iter()
                .map(|partition| partition.len_bytes()),
            body.header().payload_len(),
        )?;
        Ok(Self { response })
    }

    /// How long the broker has held the connection back since an answer said so last.
    #[must_use]
    pub fn throttle_ms(&self) -> u32 {
        self.response.throttle_ms()
    }

    /// The partitions, in the order of their slices.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = FetchedPartition<'a>> + use<'a> {
        self.response
            .partitions()
            .iter()
            .map(|partition| FetchedPartition {
                id: id_from_wire(partition.topic(), partition.partition()),
                error: ErrorCode::from_wire(partition.error()),
                message: partition.message(),
                state: PartitionState::from_wire(partition.state()),
                len_bytes: partition.len_bytes(),
                agreed_end: partition.agreed_end().map(Offset::new),
                forwarded: partition.forwarded(),
            })
    }

    /// The partitions, each with the range of the payload that is its slice.
    pub fn slices(
        &self,
    ) -> impl ExactSizeIterator<Item = (FetchedPartition<'a>, Range<usize>)> + use<'a> {
        ranges(self.partitions(), |partition| partition.len_bytes)
    }
}

impl Message for FetchResponseDraft<'_> {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for FetchResponseDraft<'_> {
    fn build(&self, writer: &mut Writer) {
        let mut texts = ErrorTexts::default();
        let partitions = writer.tables(self.partitions, |builder, partition| {
            let message = texts.write(builder, partition.error, partition.message);
            let args = fbs::FetchedPartitionArgs {
                topic: Some(&topic_to_wire(partition.id.topic)),
                partition: partition.id.partition.get(),
                error: partition.error.to_wire(),
                message,
                state: Some(&partition.state.to_wire()),
                len_bytes: partition.len_bytes,
                agreed_end: partition.agreed_end.map(Offset::get),
                forwarded: partition.forwarded,
            };
            fbs::FetchedPartition::create(builder, &args)
        });
        let args = fbs::FetchResponseArgs {
            partitions: Some(partitions),
            throttle_ms: self.throttle_ms,
        };
        let root = fbs::FetchResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }

    fn payload_bytes(&self) -> u64 {
        let lengths = self.partitions.iter();
        lengths
            .map(|partition| u64::from(partition.len_bytes))
            .sum()
    }
}
