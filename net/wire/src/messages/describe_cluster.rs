//! Describe cluster: brokers and totals.

use ringlog_record::BrokerId;

use crate::api::Api;
use crate::decode::{DecodeError, Shape, root};
use crate::encoder::{Build, Message, Writer};
use crate::frame::{Body, Direction};
use crate::generated as fbs;
use crate::limits::ADMIN_TABLES_MAX;

const REQUEST: Shape = Shape {
    api: Api::DescribeCluster,
    direction: Direction::Request,
    tables_max: 1,
};

const RESPONSE: Shape = Shape {
    api: Api::DescribeCluster,
    direction: Direction::Response,
    tables_max: ADMIN_TABLES_MAX,
};

/// Asks about the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DescribeClusterRequest;

impl DescribeClusterRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        root::<fbs::DescribeClusterRequest<'_>>(body, REQUEST)?;
        Ok(Self)
    }
}

impl Message for DescribeClusterRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for DescribeClusterRequest {
    fn build(&self, writer: &mut Writer) {
        let args = fbs::DescribeClusterRequestArgs {};
        let root = fbs::DescribeClusterRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// The cluster in full.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DescribeClusterResponse {
    /// The cluster.
    pub cluster_id: String,
    /// The broker that is the controller, if one is known.
    pub controller: Option<BrokerId>,
    /// The brokers that are alive.
    pub brokers: Vec<DescribedBroker>,
    /// How many topics there are.
    pub topics: u32,
    /// How many partitions they have in all.
    pub partitions: u32,
    /// The epoch of the controller.
    pub controller_epoch: u64,
    /// How many changes of topics, partitions and brokers the cluster has seen.
    pub revision: u64,
}

/// A broker in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedBroker {
    /// Which.
    pub broker: BrokerId,
    /// `host:port` that clients connect to.
    pub address: String,
    /// Its shards, numbered from 0.
    pub shard_count: u16,
    /// Where it stands, if the operator said so.
    pub rack: Option<String>,
    /// Tells one start of the broker from another.
    pub broker_epoch: u64,
    /// Name and version of its software.
    pub software: String,
    /// Partitions that it leads.
    pub leaders: u32,
    /// `fenced`, `active` or `draining`; none from a broker that does not say.
    pub state: Option<String>,
}

impl DescribeClusterResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::DescribeClusterResponse<'_>>(body, RESPONSE)?;
        let brokers = response.brokers().iter().map(|broker| DescribedBroker {
            broker: BrokerId::new(broker.broker()),
            address: broker.address().to_owned(),
            shard_count: broker.shard_count(),
            rack: broker.rack().map(str::to_owned),
            broker_epoch: broker.broker_epoch(),
            software: broker.software().to_owned(),
            leaders: broker.leaders(),
            state: broker.state().map(str::to_owned),
        });
        Ok(Self {
            cluster_id: response.cluster_id().to_owned(),
            controller: response.controller().map(BrokerId::new),
            brokers: brokers.collect(),
            topics: response.topics(),
            partitions: response.partitions(),
            controller_epoch: response.controller_epoch(),
            revision: response.revision(),
        })
    }
}

impl Message for DescribeClusterResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for DescribeClusterResponse {
    fn build(&self, writer: &mut Writer) {
        let brokers = writer.tables(&self.brokers, |builder, broker| {
            let address = builder.create_string(&broker.address);
            let rack = broker.rack.as_ref().map(|rack| builder.create_string(rack));
            let software = builder.create_string(&broker.software);
            let state = broker
                .state
                .as_ref()
                .map(|state| builder.create_string(state));
            let args = fbs::DescribedBrokerArgs {
                broker: broker.broker.get(),
                address: Some(address),
                shard_count: broker.shard_count,
                rack,
                broker_epoch: broker.broker_epoch,
                software: Some(software),
                leaders: broker.leaders,
                state,
            };
            fbs::DescribedBroker::create(builder, &args)
        });
        let cluster_id = writer.builder.create_string(&self.cluster_id);
        let args = fbs::DescribeClusterResponseArgs {
            cluster_id: Some(cluster_id),
            controller: self.controller.map(BrokerId::get),
            brokers: Some(brokers),
            topics: self.topics,
            partitions: self.partitions,
            controller_epoch: self.controller_epoch,
            revision: self.revision,
        };
        let root = fbs::DescribeClusterResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
