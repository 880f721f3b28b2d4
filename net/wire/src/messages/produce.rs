//! Produce: record batches in. The payload holds the slices of the partitions, one behind the other, in order.

use std::ops::Range;

use ringlog_record::{Offset, TopicPartition};

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

/// When a produce is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Acks {
    /// Never: no response is sent.
    None = 0,
    /// Once the leader has it stably.
    Leader = 1,
    /// Once every replica in sync has it stably.
    #[default]
    All = 2,
}

impl Acks {
    const fn from_wire(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            2 => Some(Self::All),
            _ => None,
        }
    }
}

/// What an acknowledgement is worth: the level that was really reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum AckLevel {
    /// Nothing was appended.
    #[default]
    None = 0,
    /// A topic that never goes to disk.
    Memory = 1,
    /// In the leader's memory, to be written soon.
    LeaderMemory = 2,
    /// On the leader's device.
    LeaderDurable = 3,
    /// In the memory of every replica in sync.
    AllMemory = 4,
    /// On the device of every replica in sync.
    AllDurable = 5,
}

impl AckLevel {
    const fn from_wire(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::None),
            1 => Some(Self::Memory),
            2 => Some(Self::LeaderMemory),
            3 => Some(Self::LeaderDurable),
            4 => Some(Self::AllMemory),
            5 => Some(Self::AllDurable),
            _ => None,
        }
    }

    /// The name shown to people: snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Memory => "memory",
            Self::LeaderMemory => "leader_memory",
            Self::LeaderDurable => "leader_durable",
            Self::AllMemory => "all_memory",
            Self::AllDurable => "all_durable",
        }
    }
}

impl std::fmt::Display for AckLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A partition of a produce request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducePartition {
    /// Which.
    pub id: TopicPartition,
    /// Length of its slice of the payload: one or more whole batches.
    pub len_bytes: u32,
    /// Append only if the log ends here; `None` = wherever it ends.
    pub expected_offset: Option<Offset>,
}

impl ProducePartition {
    /// A slice that is appended wherever the log ends.
    #[must_use]
    pub const fn new(id: TopicPartition, len_bytes: u32) -> Self {
        Self {
            id,
            len_bytes,
            expected_offset: None,
        }
    }
}

/// What a produce request is made from.
#[derive(Debug, Clone, Copy)]
pub struct ProduceRequestDraft<'a> {
    /// When to answer.
    pub acks: Acks,
    /// How long the broker may take before it answers.
    pub timeout_ms: u32,
    /// The partitions, in the order of their slices.
    pub partitions: &'a [ProducePartition],
    /// Whether the answer is to carry a [`ProduceReceipt`].
    pub wants_receipt: bool,
}

/// A verified produce request.
#[derive(Debug, Clone, Copy)]
pub struct ProduceRequest<'a> {
    request: fbs::ProduceRequest<'a>,
    acks: Acks,
}

const REQUEST: Shape = Shape {
    api: Api::Produce,
    direction: Direction::Request,
    tables_max: PARTITION_TABLES_MAX,
};

const RESPONSE: Shape = Shape {
    api: Api::Produce,
    direction: Direction::Response,
    // The receipt is one more.
    tables_max: PARTITION_TABLES_MAX + 1,
};

impl<'a> ProduceRequest<'a> {
    /// Verifies the body of a request; its slices fill the payload exactly.
    ///
    /// # Errors
    ///
    /// Another message, one that does not verify, or slices that do not tile the payload.
    pub fn decode(body: Body<'a>) -> Result<Self, DecodeError> {
        let request = root_with_payload::<fbs::ProduceRequest<'_>>(body, REQUEST)?;
        check_partition_count(request.partitions().len())?;
        tiles(
            request
                .partitions()
                .iter()
                .map(|partition| partition.len_bytes()),
            body.header().payload_len(),
        )?;
        let acks = Acks::from_wire(request.acks()).ok_or(DecodeError::BadValue {
            field: "acks",
            value: request.acks().into(),
        })?;
        Ok(Self { request, acks })
    }

    /// When to answer.
    #[must_use]
    pub fn acks(&self) -> Acks {
        self.acks
    }

    /// How long the broker may take before it answers.
    #[must_use]
    pub fn timeout_ms(&self) -> u32 {
        self.request.timeout_ms()
    }

    /// Whether the answer is to carry a [`ProduceReceipt`].
    #[must_use]
    pub fn wants_receipt(&self) -> bool {
        self.request.wants_receipt()
    }

    /// The partitions, in the order of their slices.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = ProducePartition> + use<'a> {
        self.request
            .partitions()
            .iter()
            .map(|partition| ProducePartition {
                id: id_from_wire(partition.topic(), partition.partition()),
                len_bytes: partition.len_bytes(),
                expected_offset: partition.expected_offset().map(Offset::new),
            })
    }

    /// The partitions, each with the range of the payload that is its slice.
    pub fn slices(
        &self,
    ) -> impl ExactSizeIterator<Item = (ProducePartition, Range<usize>)> + use<'a> {
        ranges(self.partitions(), |partition| partition.len_bytes)
    }
}

impl Message for ProduceRequestDraft<'_> {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for ProduceRequestDraft<'_> {
    fn build(&self, writer: &mut Writer) {
        let partitions = writer.tables(self.partitions, |builder, partition| {
            let args = fbs::ProducePartitionArgs {
                topic: Some(&topic_to_wire(partition.id.topic)),
                partition: partition.id.partition.get(),
                len_bytes: partition.len_bytes,
                expected_offset: partition.expected_offset.map(Offset::get),
            };
            fbs::ProducePartition::create(builder, &args)
        });
        let args = fbs::ProduceRequestArgs {
            acks: self.acks as u8,
            timeout_ms: self.timeout_ms,
            partitions: Some(partitions),
            wants_receipt: self.wants_receipt,
        };
        let root = fbs::ProduceRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }

    fn payload_bytes(&self) -> u64 {
        let lengths = self.partitions.iter();
        lengths
            .map(|partition| u64::from(partition.len_bytes))
            .sum()
    }
}

/// What became of one partition of a produce request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducedPartition<'a> {
    /// Which.
    pub id: TopicPartition,
    /// `None` when it was acknowledged.
    pub error: ErrorCode,
    /// What went wrong, in a sentence. Long ones are cut, and only the first few of a response are sent.
    pub message: Option<&'a str>,
    /// Where the partition stands.
    pub state: PartitionState,
    /// Offset given to the first record of the slice.
    pub base_offset: Offset,
    /// What the acknowledgement is worth.
    pub level: AckLevel,
    /// Whether the request came in on another shard than the owner's: correct, but slower than need be.
    pub forwarded: bool,
    /// With `UnexpectedOffset`: where the log ends.
    pub log_end: Option<Offset>,
}

impl<'a> ProducedPartition<'a> {
    /// A partition that was refused.
    #[must_use]
    pub fn refused(id: TopicPartition, error: ErrorCode, message: &'a str) -> Self {
        Self {
            id,
            error,
            message: Some(message),
            state: PartitionState::default(),
            base_offset: Offset::new(0),
            level: AckLevel::None,
            forwarded: false,
            log_end: None,
        }
    }
}

/// How long the broker took for a produce, stage by stage: each from the end of the one before, in nanoseconds of the
/// broker's monotonic clock. Of several partitions it is that of the one that was acknowledged last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProduceReceipt {
    /// From the last byte of the request to the beginning of the append: behind other requests, or on the way to the
    /// core that owns the partition.
    pub queued_ns: u64,
    /// The append itself: checks, offsets, the copy.
    pub appended_ns: u64,
    /// Until stable on the leader: on the device with `durability = sync`, in memory otherwise.
    pub flushed_ns: u64,
    /// Until the other replicas in sync had it too, where `acks` asked for that.
    pub replicated_ns: u64,
    /// Until the answer was written, its way from the core that owns the partition included.
    pub replied_ns: u64,
}

impl ProduceReceipt {
    /// Names of the stages, in their order.
    pub const STAGES: [&'static str; 5] =
        ["queued", "appended", "flushed", "replicated", "replied"];

    /// The stages in their order, in nanoseconds.
    #[must_use]
    pub const fn stages_ns(&self) -> [u64; 5] {
        [
            self.queued_ns,
            self.appended_ns,
            self.flushed_ns,
            self.replicated_ns,
            self.replied_ns,
        ]
    }

    /// All stages together, in nanoseconds.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        self.stages_ns().into_iter().fold(0, u64::saturating_add)
    }
}

/// What a produce response is made from.
#[derive(Debug, Clone, Copy)]
pub struct ProduceResponseDraft<'a> {
    /// The partitions, in the order of the request.
    pub partitions: &'a [ProducedPartition<'a>],
    /// Where the time went, for those who asked.
    pub receipt: Option<ProduceReceipt>,
    /// How long the broker has held the connection back since an answer said so last.
    pub throttle_ms: u32,
}

/// A verified produce response.
#[derive(Debug, Clone, Copy)]
pub struct ProduceResponse<'a> {
    response: fbs::ProduceResponse<'a>,
}

impl<'a> ProduceResponse<'a> {
    /// Verifies the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'a>) -> Result<Self, DecodeError> {
        let response = root::<fbs::ProduceResponse<'_>>(body, RESPONSE)?;
        for partition in response.partitions() {
            level_of(partition)?;
        }
        Ok(Self { response })
    }

    /// How long the broker has held the connection back since an answer said so last.
    #[must_use]
    pub fn throttle_ms(&self) -> u32 {
        self.response.throttle_ms()
    }

    /// Where the time went; `None` unless it was asked for and the broker knows receipts.
    #[must_use]
    pub fn receipt(&self) -> Option<ProduceReceipt> {
        self.response.receipt().map(|receipt| ProduceReceipt {
            queued_ns: receipt.queued_ns(),
            appended_ns: receipt.appended_ns(),
            flushed_ns: receipt.flushed_ns(),
            replicated_ns: receipt.replicated_ns(),
            replied_ns: receipt.replied_ns(),
        })
    }

    /// The partitions, in the order of the request.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = ProducedPartition<'a>> + use<'a> {
        self.response
            .partitions()
            .iter()
            .map(|partition| ProducedPartition {
                id: id_from_wire(partition.topic(), partition.partition()),
                error: ErrorCode::from_wire(partition.error()),
                message: partition.message(),
                state: PartitionState::from_wire(partition.state()),
                base_offset: Offset::new(partition.base_offset()),
                level: level_of(partition).unwrap_or_default(),
                forwarded: partition.forwarded(),
                log_end: partition.log_end().map(Offset::new),
            })
    }
}

fn level_of(partition: fbs::ProducedPartition<'_>) -> Result<AckLevel, DecodeError> {
    AckLevel::from_wire(partition.level()).ok_or(DecodeError::BadValue {
        field: "level",
        value: partition.level().into(),
    })
}

impl Message for ProduceResponseDraft<'_> {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for ProduceResponseDraft<'_> {
    fn build(&self, writer: &mut Writer) {
        let mut texts = ErrorTexts::default();
        let partitions = writer.tables(self.partitions, |builder, partition| {
            let message = texts.write(builder, partition.error, partition.message);
            let args = fbs::ProducedPartitionArgs {
                topic: Some(&topic_to_wire(partition.id.topic)),
                partition: partition.id.partition.get(),
                error: partition.error.to_wire(),
                message,
                state: Some(&partition.state.to_wire()),
                base_offset: partition.base_offset.get(),
                level: partition.level as u8,
                forwarded: partition.forwarded,
                log_end: partition.log_end.map(Offset::get),
            };
            fbs::ProducedPartition::create(builder, &args)
        });
        let receipt = self.receipt.map(|receipt| {
            let args = fbs::ProduceReceiptArgs {
                queued_ns: receipt.queued_ns,
                appended_ns: receipt.appended_ns,
                flushed_ns: receipt.flushed_ns,
                replicated_ns: receipt.replicated_ns,
                replied_ns: receipt.replied_ns,
            };
            fbs::ProduceReceipt::create(&mut writer.builder, &args)
        });
        let args = fbs::ProduceResponseArgs {
            partitions: Some(partitions),
            receipt,
            throttle_ms: self.throttle_ms,
        };
        let root = fbs::ProduceResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
