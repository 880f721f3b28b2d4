//! What shards, and whoever started the broker, ask of the control task.

use futures_channel::oneshot;
use ringlog_wire::{
    AlterTopicRequest, AlterTopicResponse, CreateTopicRequest, CreateTopicResponse,
    DeleteTopicResponse, DescribeTopicResponse,
};

use crate::broker::Health;
use crate::failure::Failure;
use crate::metrics::ShardMetrics;

type Answer<T> = oneshot::Sender<Result<T, Failure>>;

/// A request to the control task.
#[derive(Debug)]
pub(crate) enum ControlRequest {
    /// Make a topic.
    CreateTopic(CreateTopicRequest, Answer<CreateTopicResponse>),
    /// Remove the topic of this name.
    DeleteTopic(String, Answer<DeleteTopicResponse>),
    /// Change settings.
    AlterTopic(AlterTopicRequest, Answer<AlterTopicResponse>),
    /// Describe the topic of this name.
    DescribeTopic(String, Answer<DescribeTopicResponse>),
    /// What the shards have counted.
    Metrics(oneshot::Sender<Vec<ShardMetrics>>),
    /// Whether all is well.
    Health(oneshot::Sender<Health>),
    /// Stop.
    Shutdown(oneshot::Sender<()>),
}
