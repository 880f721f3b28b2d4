//! The wire protocol: frames, FlatBuffers messages, error codes.
//!
//! **Duty.** Bytes to typed requests and responses and back, the same code for broker and client. A frame is a
//! [`FrameHeader`], a body (one FlatBuffers message) and a payload (record batches, which never pass through a
//! builder). [`frame::parse`] checks lengths and checksum; the `decode` of each message verifies its body once,
//! with tight limits, and what it returns needs no further checks; [`Encoder::encode`] writes a message.
//! PROTOCOL.md beside this crate's manifest is the same for those who implement it in another language.
//!
//! **Thread.** Any: nothing here is shared, blocks, or knows a clock. One [`Encoder`] serves one thread.
//!
//! **Invariants.** Values of [`Api`] and [`ErrorCode`] are permanent. Tables only grow at their end. The slices
//! that a message names fill the payload exactly. No input panics.
//!
//! **Must not know.** Sockets, runtimes, logs, who handles a request. Nobody outside may know FlatBuffers.
//!
//! ```
//! use ringlog_wire::{frame, Acks, Api, CorrelationId, Encoder, ProducePartition, ProduceReceipt, ProduceRequest, ProduceRequestDraft};
//! # use ringlog_record::{PartitionIndex, TopicId, TopicPartition};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let id = TopicPartition { topic: TopicId::new(7), partition: PartitionIndex::new(0) };
//! let mut encoder = Encoder::new();
//! let partitions = [ProducePartition::new(id, 61)];
//! let draft = ProduceRequestDraft {
//!     acks: Acks::All, timeout_ms: 30_000, partitions: &partitions, wants_receipt: false,
//! };
//! let bytes = encoder.encode(CorrelationId::new(1), &draft)?; // the 61 bytes of payload are sent behind it
//!
//! let (header, body) = frame::parse(&bytes)?;
//! match header.api()? {
//!     Api::Produce => {
//!         let request = ProduceRequest::decode(body)?;
//!         for (partition, range) in request.slices() {
//!             assert_eq!((partition.id, range), (id, 0..61));
//!         }
//!     }
//!     _ => unreachable!(),
//! }
//! # Ok(()) }
//! ```
#![deny(unsafe_code)]

pub mod frame;
pub mod limits;

mod api;
mod decode;
mod encoder;
mod error_code;
mod generated;
mod messages;

pub use api::{Api, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN, VersionRange};
pub use decode::DecodeError;
pub use encoder::{EncodeError, Encoder, Message};
pub use error_code::ErrorCode;
pub use frame::{Body, CheckedHead, CorrelationId, Direction, FrameError, FrameHeader};
pub use messages::alter_partition_reassignment::{
    AlterPartitionReassignmentRequest, AlterPartitionReassignmentResponse,
};
pub use messages::alter_topic::{AlterTopicRequest, AlterTopicResponse};
pub use messages::create_topic::{CreateTopicRequest, CreateTopicResponse};
pub use messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeletedRecords,
};
pub use messages::delete_topic::{DeleteTopicRequest, DeleteTopicResponse};
pub use messages::describe_cluster::{
    DescribeClusterRequest, DescribeClusterResponse, DescribedBroker,
};
pub use messages::describe_topic::{
    DescribeTopicRequest, DescribeTopicResponse, DescribedPartition,
};
pub use messages::drain_broker::{DrainBrokerRequest, DrainBrokerResponse};
pub use messages::elect_leaders::{ElectLeadersRequest, ElectLeadersResponse};
pub use messages::error::ErrorResponse;
pub use messages::fetch::{
    FetchPartition, FetchRequest, FetchRequestDraft, FetchResponse, FetchResponseDraft,
    FetchedPartition,
};
pub use messages::hello::{HelloRequest, HelloResponse};
pub use messages::init_producer::{InitProducerRequest, InitProducerResponse};
pub use messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListedOffset, OffsetPosition,
};
pub use messages::metadata::{
    BrokerMetadata, MetadataRequest, MetadataResponse, PartitionMetadata, TopicMetadata,
    TopicSelection,
};
pub use messages::offset_commit::{
    OffsetCommitPartition, OffsetCommitRequest, OffsetCommitResponse, OffsetCommitted,
};
pub use messages::offset_fetch::{CommittedOffset, OffsetFetchRequest, OffsetFetchResponse};
pub use messages::partition::{PartitionState, Setting};
pub use messages::produce::{
    AckLevel, Acks, ProducePartition, ProduceReceipt, ProduceRequest, ProduceRequestDraft,
    ProduceResponse, ProduceResponseDraft, ProducedPartition,
};
pub use messages::watch_cluster::{WatchClusterRequest, WatchClusterResponse};
