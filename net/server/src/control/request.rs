//! What shards, and whoever started the broker, ask of the control task.

use futures_channel::oneshot;
use ringlog_record::BrokerId;
use ringlog_wire::{
    AlterPartitionReassignmentRequest, AlterPartitionReassignmentResponse, AlterTopicRequest,
    AlterTopicResponse, CreateTopicRequest, CreateTopicResponse, DeleteTopicResponse,
    DescribeTopicResponse, DrainBrokerResponse, ElectLeadersResponse, InitProducerResponse,
};

use crate::broker::{Health, ShardSlow};
use crate::failure::Failure;
use crate::metrics::ShardMetrics;

type Stopped = oneshot::Sender<()>;
pub(super) type Answer<T> = oneshot::Sender<Result<T, Failure>>;

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
    /// Make the topic in which groups are kept, if it is not there.
    MakeGroups(Answer<()>),
    /// Say whether what this broker has seen of the cluster is all that there is.
    CheckSight(Answer<()>),
    /// Have a broker lead nothing that another one can.
    DrainBroker(BrokerId, Answer<DrainBrokerResponse>),
    /// Have the preferred brokers lead, of one topic or of all.
    ElectLeaders(Option<String>, Answer<ElectLeadersResponse>),
    /// Give a partition other replicas, or stop doing so.
    Reassign(
        AlterPartitionReassignmentRequest,
        Answer<AlterPartitionReassignmentResponse>,
    ),
    /// Hand out the id of an idempotent producer.
    InitProducer(Answer<InitProducerResponse>),
    /// What the shards have counted.
    Metrics(oneshot::Sender<Vec<ShardMetrics>>),
    /// Which requests were the slowest of late, by shard.
    Slow(oneshot::Sender<Vec<ShardSlow>>),
    /// Whether all is well.
    Health(oneshot::Sender<Health>),
    /// Stop.
    Shutdown(Stopped),
}

impl ControlRequest {
    /// Answers that the broker stops and did nothing; gives whom to tell when it has stopped.
    pub(crate) fn refuse(self) -> Option<Stopped> {
        let failure = Failure::shutting_down();
        // Who does not wait any more is not missed.
        match self {
            Self::CreateTopic(_, answer) => drop(answer.send(Err(failure))),
            Self::DeleteTopic(_, answer) => drop(answer.send(Err(failure))),
            Self::AlterTopic(_, answer) => drop(answer.send(Err(failure))),
            Self::DescribeTopic(_, answer) => drop(answer.send(Err(failure))),
            Self::MakeGroups(answer) => drop(answer.send(Err(failure))),
            Self::CheckSight(answer) => drop(answer.send(Err(failure))),
            Self::DrainBroker(_, answer) => drop(answer.send(Err(failure))),
            Self::ElectLeaders(_, answer) => drop(answer.send(Err(failure))),
            Self::Reassign(_, answer) => drop(answer.send(Err(failure))),
            Self::InitProducer(answer) => drop(answer.send(Err(failure))),
            // Without an answer, the handle says that the broker has stopped.
            Self::Metrics(_) | Self::Slow(_) | Self::Health(_) => {}
            Self::Shutdown(answer) => return Some(answer),
        }
        None
    }
}
