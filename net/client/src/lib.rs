//! Producer, consumer and admin.
//!
//! **Duty.** Everything that a program needs to use a broker. [`core`] decides, without a runtime and with time
//! passed in; [`transport`] moves bytes with tokio; [`Producer`], [`Consumer`], [`Admin`], [`RawClient`] join the two.
//!
//! **Promise.** A caller sees an acknowledgement, a definite error, or [`DeliveryError::UnknownOutcome`]; never a failure
//! for what may have been stored. Records of a partition are stored in the order in which they were sent, each once: the
//! producer numbers its batches, and sends again what had no answer until the broker says that it has it or the delivery
//! time-out is over.
//!
//! **Must not know.** How a broker stores or replicates.
//!
//! # Which part for what
//!
//! | you have | use |
//! | --- | --- |
//! | records to store | [`Producer`]: batches, compression, partitioners, retries, back-pressure |
//! | partitions to read | [`Consumer`]: prefetching over all shards, positions, seeking, lag, commits for a group |
//! | how far a group has read | [`GroupOffsets`] |
//! | whole batches to pass on, as a gateway has | [`RawClient`]: many partitions a request, nothing decoded |
//! | one partition and a connection of its own | [`PartitionClient`] |
//! | topics, settings, offsets, brokers | [`Admin`] |
//! | requests of your own over the wire protocol | [`transport::Connection`] |
//!
//! The examples in `net/client/examples` show each of them, an HTTP gateway included.
//!
//! # Runtime
//!
//! All of it runs within tokio, on one thread or many. A [`Client`] holds one connection for each shard of each broker that
//! it talks to, made when it is needed and again when it was lost; clones share it. A [`Producer`] has a task for each
//! partition with records on their way; a [`Consumer`] one for each shard that it reads from, while it is polled. Closing
//! or dropping them ends their tasks.
//!
//! # Giving up
//!
//! Futures may be dropped before they are done:
//!
//! | future | when it is dropped |
//! | --- | --- |
//! | [`Producer::send`] | the record was not taken |
//! | [`Delivery`] | the record is sent all the same, nobody learns the outcome |
//! | [`Producer::flush`] | records are sent all the same |
//! | [`Producer::close`] | records without an outcome are abandoned, as when the producer is dropped |
//! | [`Consumer::poll`], [`Consumer::seek_to`], [`Consumer::end_offsets`] | nothing is lost, positions are as before |
//! | [`Consumer::assign`], [`Consumer::assign_committed`] | the consumer has no partitions |
//! | [`Consumer::commit`], [`GroupOffsets::commit`] | it may or may not be committed |
//! | [`RawClient::fetch`], questions of [`Admin`] | nothing |
//! | [`RawClient::append`], [`PartitionClient::produce`], changes by [`Admin`] | it may or may not have been done |
//!
//! # Errors
//!
//! There is one type for each operation. [`ClientError::is_definite`] tells whether a request surely was not carried out, and
//! [`ClientError::is_retriable`] whether it is worth a try later. Of a record:
//!
//! | [`DeliveryError`] | is it stored? | what to do |
//! | --- | --- | --- |
//! | [`Refused`](DeliveryError::Refused) | no | the code says why; another attempt as it is will be refused too |
//! | [`Expired`](DeliveryError::Expired) | no | send it again when the broker is well |
//! | [`UnknownOutcome`](DeliveryError::UnknownOutcome) | perhaps | read the partition, or live with a record that is there twice or not at all |
//! | [`StoredBefore`](DeliveryError::StoredBefore) | yes | nothing; only its offset is not known |
//! | [`Closed`](DeliveryError::Closed) | perhaps | as for an unknown outcome |
//!
//! A producer goes on after each of them. Those behind a record that was given up are stored without it; who cannot bear
//! that stops at the first error.
//!
//! # Memory
//!
//! Everything is bounded: a producer holds [`ProducerConfig::buffer_bytes`] of records, then [`Producer::send`] waits; a
//! consumer fetches [`ConsumerConfig::prefetch_bytes`] ahead, and one answer for each shard; a compressed batch becomes
//! [`ConsumerConfig::decompressed_bytes_max`] at most.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use ringlog_client::{Client, ClientConfig, Producer, ProducerConfig, ProducerRecord};
//!
//! let client = Client::connect(&["127.0.0.1:9400".to_owned()], ClientConfig::default()).await?;
//! let producer = Producer::new(&client, ProducerConfig::default());
//! let delivery = producer.send(ProducerRecord::value("events", "hello")).await?;
//! println!("offset {}", delivery.await?.offset);
//! producer.close().await;
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

mod admin;
mod client;
mod consumer;
pub mod core;
mod error;
pub mod limits;
mod offsets;
mod partition;
mod producer;
mod raw;
pub mod transport;

pub use admin::{
    Admin, AlteredTopic, CreatedTopic, DescribedPartition, DescribedTopic, ReassignedPartition,
    TopicSetting,
};
pub use client::{Client, ClientConfig, PartitionInfo, TopicInfo};
pub use consumer::{Assignment, Consumer, ConsumerConfig, FetchedBatch, OffsetReset, StartAt};
pub use error::{AdminError, ClientError, ConnectError, ConsumeError, DeliveryError, SendError};
pub use offsets::{GroupOffset, GroupOffsets};
pub use partition::{PartitionClient, ReadBatches, StoredBatches};
pub use producer::{
    Delivered, Delivery, PartitionFn, Partitioner, Producer, ProducerConfig, ProducerRecord,
    ProducerStats, StageStats,
};
pub use raw::{RawAppend, RawAppended, RawClient, RawFetch, RawFetchLimits, RawFetched};
pub use ringlog_record::batch::Compression;
pub use ringlog_wire::{AckLevel, Acks, ErrorCode, PartitionState, ProduceReceipt};
