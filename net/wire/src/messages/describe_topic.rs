//! Describe topic: settings, and the state of each partition.

use ringlog_record::{BrokerId, Offset, PartitionIndex, ShardId, TopicId};

use crate::api::Api;
use crate::decode::{DecodeError, Shape, root};
use crate::encoder::{Build, Message, Writer};
use crate::error_code::ErrorCode;
use crate::frame::{Body, Direction};
use crate::generated as fbs;
use crate::limits::METADATA_TABLES_MAX;
use crate::messages::metadata::{read_brokers, write_brokers};
use crate::messages::partition::{
    ErrorTexts, PartitionState, Setting, read_settings, topic_from_wire, topic_to_wire,
    write_settings,
};

const REQUEST: Shape = Shape {
    api: Api::DescribeTopic,
    direction: Direction::Request,
    tables_max: 1,
};

const RESPONSE: Shape = Shape {
    api: Api::DescribeTopic,
    direction: Direction::Response,
    tables_max: METADATA_TABLES_MAX,
};

/// Asks about a topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DescribeTopicRequest {
    /// Its name.
    pub name: String,
}

impl DescribeTopicRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::DescribeTopicRequest<'_>>(body, REQUEST)?;
        Ok(Self {
            name: request.name().to_owned(),
        })
    }
}

impl Message for DescribeTopicRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for DescribeTopicRequest {
    fn build(&self, writer: &mut Writer) {
        let name = writer.builder.create_string(&self.name);
        let args = fbs::DescribeTopicRequestArgs { name: Some(name) };
        let root = fbs::DescribeTopicRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// A topic in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeTopicResponse {
    /// Its name.
    pub name: String,
    /// Its id.
    pub topic: TopicId,
    /// Every setting with the value in force.
    pub settings: Vec<Setting>,
    /// Its partitions, in order.
    pub partitions: Vec<DescribedPartition>,
}

/// A partition in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedPartition {
    /// Which.
    pub partition: PartitionIndex,
    /// `None`, or why it is not served.
    pub error: ErrorCode,
    /// What is wrong, in a sentence. Long ones are cut, and only the first few of a response are sent.
    pub message: Option<String>,
    /// Where it stands.
    pub state: PartitionState,
    /// The broker that leads it; `None` while nobody does.
    pub leader: Option<BrokerId>,
    /// The shard of the leader that owns it.
    pub shard: ShardId,
    /// The brokers that hold it.
    pub replicas: Vec<BrokerId>,
    /// The brokers that hold all of it.
    pub isr: Vec<BrokerId>,
    /// The offset that the next record gets.
    pub log_end: Offset,
    /// Length of its segments.
    pub size_bytes: u64,
    /// Number of its segments.
    pub segments: u32,
    /// The durability in force, if it is known: it can be another than that of the settings until the partition is empty.
    pub durability: Option<String>,
    /// The durability that the partition has for itself; that of the topic without.
    pub own_durability: Option<String>,
    /// Replicas that are being added by a reassignment.
    pub adding: Vec<BrokerId>,
    /// Replicas that are to go once those are in sync.
    pub removing: Vec<BrokerId>,
}

impl DescribeTopicResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::DescribeTopicResponse<'_>>(body, RESPONSE)?;
        Ok(Self {
            name: response.name().to_owned(),
            topic: topic_from_wire(response.topic()),
            settings: read_settings(response.settings()),
            partitions: response.partitions().iter().map(read_partition).collect(),
        })
    }
}

fn read_partition(partition: fbs::DescribedPartition<'_>) -> DescribedPartition {
    DescribedPartition {
        partition: PartitionIndex::new(partition.partition()),
        error: ErrorCode::from_wire(partition.error()),
        message: partition.message().map(str::to_owned),
        state: PartitionState::from_wire(partition.state()),
        leader: partition.leader().map(BrokerId::new),
        shard: ShardId::new(partition.shard()),
        replicas: read_brokers(partition.replicas()),
        isr: read_brokers(partition.isr()),
        log_end: Offset::new(partition.log_end()),
        size_bytes: partition.size_bytes(),
        segments: partition.segments(),
        durability: partition.durability().map(str::to_owned),
        own_durability: partition.own_durability().map(str::to_owned),
        adding: read_brokers(partition.adding()),
        removing: read_brokers(partition.removing()),
    }
}

impl Message for DescribeTopicResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for DescribeTopicResponse {
    fn build(&self, writer: &mut Writer) {
        let mut texts = ErrorTexts::default();
        let partitions = writer.tables(&self.partitions, |builder, partition| {
            let message = texts.write(builder, partition.error, partition.message.as_deref());
            let replicas = write_brokers(builder, &partition.replicas);
            let isr = write_brokers(builder, &partition.isr);
            let mut shared = |text: &Option<String>| {
                let text = text.as_deref();
                text.map(|text| builder.create_shared_string(text))
            };
            let durability = shared(&partition.durability);
            let own_durability = shared(&partition.own_durability);
            let mut brokers = |brokers: &[BrokerId]| {
                (!brokers.is_empty()).then(|| write_brokers(builder, brokers))
            };
            let adding = brokers(&partition.adding);
            let removing = brokers(&partition.removing);
            let args = fbs::DescribedPartitionArgs {
                partition: partition.partition.get(),
                error: partition.error.to_wire(),
                message,
                state: Some(&partition.state.to_wire()),
                leader: partition.leader.map(BrokerId::get),
                shard: partition.shard.get(),
                replicas: Some(replicas),
                isr: Some(isr),
                log_end: partition.log_end.get(),
                size_bytes: partition.size_bytes,
                segments: partition.segments,
                durability,
                own_durability,
                adding,
                removing,
            };
            fbs::DescribedPartition::create(builder, &args)
        });
        let settings = write_settings(writer, &self.settings);
        let name = writer.builder.create_string(&self.name);
        let args = fbs::DescribeTopicResponseArgs {
            name: Some(name),
            topic: Some(&topic_to_wire(self.topic)),
            settings: Some(settings),
            partitions: Some(partitions),
        };
        let root = fbs::DescribeTopicResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
