//! Metadata: who leads which partition, on which shard, and where brokers are reached.

use flatbuffers::{ForwardsUOffset, Vector, WIPOffset};
use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, ShardId, TopicId};

use crate::api::Api;
use crate::decode::{DecodeError, Shape, root};
use crate::encoder::{Build, Message, Writer};
use crate::error_code::ErrorCode;
use crate::frame::{Body, Direction};
use crate::generated as fbs;
use crate::limits::METADATA_TABLES_MAX;
use crate::messages::partition::{topic_from_wire, topic_to_wire};

const REQUEST: Shape = Shape {
    api: Api::Metadata,
    direction: Direction::Request,
    tables_max: 1,
};

const RESPONSE: Shape = Shape {
    api: Api::Metadata,
    direction: Direction::Response,
    tables_max: METADATA_TABLES_MAX,
};

/// Which topics are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicSelection {
    /// All of them, but for those that the broker keeps for itself.
    All,
    /// All of them, those that the broker keeps for itself included: their names begin with `__`.
    AllAndInternal,
    /// Those of these names; with none, brokers only.
    Named(Vec<String>),
}

/// Asks for topics and brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataRequest {
    /// The topics asked for.
    pub topics: TopicSelection,
}

impl MetadataRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::MetadataRequest<'_>>(body, REQUEST)?;
        let topics = match request.topics() {
            Some(names) => TopicSelection::Named(names.iter().map(str::to_owned).collect()),
            None if request.include_internal() => TopicSelection::AllAndInternal,
            None => TopicSelection::All,
        };
        Ok(Self { topics })
    }
}

impl Message for MetadataRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for MetadataRequest {
    fn build(&self, writer: &mut Writer) {
        let topics = match &self.topics {
            TopicSelection::All | TopicSelection::AllAndInternal => None,
            TopicSelection::Named(names) => Some(writer.strings(names)),
        };
        let args = fbs::MetadataRequestArgs {
            topics,
            include_internal: self.topics == TopicSelection::AllAndInternal,
        };
        let root = fbs::MetadataRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// Topics and brokers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetadataResponse {
    /// The cluster.
    pub cluster_id: String,
    /// The broker that is the controller, if one is known.
    pub controller: Option<BrokerId>,
    /// The brokers that are alive.
    pub brokers: Vec<BrokerMetadata>,
    /// The topics asked for.
    pub topics: Vec<TopicMetadata>,
}

/// Where a broker is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerMetadata {
    /// Which.
    pub broker: BrokerId,
    /// `host:port` that clients connect to.
    pub address: String,
    /// Its shards, numbered from 0.
    pub shard_count: u16,
    /// Where it stands, if the operator said so.
    pub rack: Option<String>,
}

/// A topic and its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: String,
    /// `None`, or why the rest is missing.
    pub error: ErrorCode,
    /// Its id, zero when there is no such topic.
    pub topic: TopicId,
    /// Its partitions, in order.
    pub partitions: Vec<PartitionMetadata>,
}

impl TopicMetadata {
    /// A topic about which there is nothing to say but this.
    #[must_use]
    pub fn refused(name: impl Into<String>, error: ErrorCode) -> Self {
        Self {
            name: name.into(),
            error,
            topic: TopicId::new(0),
            partitions: Vec::new(),
        }
    }
}

/// Who leads a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Which.
    pub partition: PartitionIndex,
    /// The broker that leads it; `None` while nobody does.
    pub leader: Option<BrokerId>,
    /// The shard of the leader that owns it.
    pub shard: ShardId,
    /// The epoch of the leader.
    pub leader_epoch: LeaderEpoch,
    /// The brokers that hold it.
    pub replicas: Vec<BrokerId>,
    /// The brokers that hold all of it.
    pub isr: Vec<BrokerId>,
}

impl MetadataResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::MetadataResponse<'_>>(body, RESPONSE)?;
        Ok(Self {
            cluster_id: response.cluster_id().to_owned(),
            controller: response.controller().map(BrokerId::new),
            brokers: response.brokers().iter().map(read_broker).collect(),
            topics: response.topics().iter().map(read_topic).collect(),
        })
    }
}

fn read_broker(broker: fbs::BrokerMetadata<'_>) -> BrokerMetadata {
    BrokerMetadata {
        broker: BrokerId::new(broker.broker()),
        address: broker.address().to_owned(),
        shard_count: broker.shard_count(),
        rack: broker.rack().map(str::to_owned),
    }
}

fn read_topic(topic: fbs::TopicMetadata<'_>) -> TopicMetadata {
    TopicMetadata {
        name: topic.name().to_owned(),
        error: ErrorCode::from_wire(topic.error()),
        topic: topic.topic().map_or(TopicId::new(0), topic_from_wire),
        partitions: topic.partitions().iter().map(read_partition).collect(),
    }
}

fn read_partition(partition: fbs::PartitionMetadata<'_>) -> PartitionMetadata {
    PartitionMetadata {
        partition: PartitionIndex::new(partition.partition()),
        leader: partition.leader().map(BrokerId::new),
        shard: ShardId::new(partition.shard()),
        leader_epoch: LeaderEpoch::new(partition.leader_epoch()),
        replicas: read_brokers(partition.replicas()),
        isr: read_brokers(partition.isr()),
    }
}

pub(crate) fn read_brokers(brokers: Option<Vector<'_, u32>>) -> Vec<BrokerId> {
    brokers.into_iter().flatten().map(BrokerId::new).collect()
}

pub(crate) fn write_brokers(
    builder: &mut flatbuffers::FlatBufferBuilder<'static>,
    brokers: &[BrokerId],
) -> WIPOffset<Vector<'static, u32>> {
    builder.create_vector_from_iter(brokers.iter().map(|broker| broker.get()))
}

impl Message for MetadataResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for MetadataResponse {
    fn build(&self, writer: &mut Writer) {
        let topics: Vec<_> = self
            .topics
            .iter()
            .map(|topic| write_topic(writer, topic))
            .collect();
        let topics = writer.builder.create_vector(&topics);
        let brokers = writer.tables(&self.brokers, |builder, broker| {
            let address = builder.create_string(&broker.address);
            let rack = broker.rack.as_ref().map(|rack| builder.create_string(rack));
            let args = fbs::BrokerMetadataArgs {
                broker: broker.broker.get(),
                address: Some(address),
                shard_count: broker.shard_count,
                rack,
            };
            fbs::BrokerMetadata::create(builder, &args)
        });
        let cluster_id = writer.builder.create_string(&self.cluster_id);
        let args = fbs::MetadataResponseArgs {
            cluster_id: Some(cluster_id),
            controller: self.controller.map(BrokerId::get),
            brokers: Some(brokers),
            topics: Some(topics),
        };
        let root = fbs::MetadataResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

fn write_topic(
    writer: &mut Writer,
    topic: &TopicMetadata,
) -> WIPOffset<fbs::TopicMetadata<'static>> {
    let partitions = write_partitions(writer, &topic.partitions);
    let name = writer.builder.create_string(&topic.name);
    let args = fbs::TopicMetadataArgs {
        name: Some(name),
        error: topic.error.to_wire(),
        topic: Some(&topic_to_wire(topic.topic)),
        partitions: Some(partitions),
    };
    fbs::TopicMetadata::create(&mut writer.builder, &args)
}

fn write_partitions(
    writer: &mut Writer,
    partitions: &[PartitionMetadata],
) -> WIPOffset<Vector<'static, ForwardsUOffset<fbs::PartitionMetadata<'static>>>> {
    writer.tables(partitions, |builder, partition| {
        let replicas = write_brokers(builder, &partition.replicas);
        let isr = write_brokers(builder, &partition.isr);
        let args = fbs::PartitionMetadataArgs {
            partition: partition.partition.get(),
            leader: partition.leader.map(BrokerId::get),
            shard: partition.shard.get(),
            leader_epoch: partition.leader_epoch.get(),
            replicas: Some(replicas),
            isr: Some(isr),
        };
        fbs::PartitionMetadata::create(builder, &args)
    })
}
