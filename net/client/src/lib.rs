//! Producer, consumer and admin.
//!
//! **Duty.** Everything that a program needs to use a broker. [`core`] decides, without a runtime and with time
//! passed in; [`transport`] moves bytes with tokio; [`Producer`], [`Consumer`] and [`Admin`] join the two.
//!
//! **Promise.** A caller sees an acknowledgement, a definite error, or [`DeliveryError::UnknownOutcome`]. What may
//! have been appended is never sent again, since produces are not idempotent yet; what surely was not, is, as long
//! as its time-out allows, without changing the order within its partition.
//!
//! **Must not know.** How a broker stores or replicates.
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
mod partition;
mod producer;
pub mod transport;

pub use admin::{
    Admin, AlteredTopic, CreatedTopic, DescribedPartition, DescribedTopic, TopicSetting,
};
pub use client::{Client, ClientConfig, PartitionInfo, TopicInfo};
pub use consumer::{Assignment, Consumer, ConsumerConfig, FetchedBatch, OffsetReset, StartAt};
pub use error::{AdminError, ClientError, ConnectError, ConsumeError, DeliveryError, SendError};
pub use partition::{PartitionClient, ReadBatches, StoredBatches};
pub use producer::{
    Delivered, Delivery, PartitionFn, Partitioner, Producer, ProducerConfig, ProducerRecord,
    ProducerStats, StageStats,
};
pub use ringlog_wire::{AckLevel, Acks, ErrorCode, ProduceReceipt};
