//! Describe cluster: brokers and totals, from the picture of the cluster that every shard has.

use ringlog_wire::{DescribeClusterRequest, DescribeClusterResponse, DescribedBroker};

use super::{Outcome, Request};
use crate::shard::Shard;

pub(super) fn handle(shard: &Shard, request: &Request) -> Outcome {
    DescribeClusterRequest::decode(request.body())?;
    let view = shard.view();
    let partitions = || view.topics.values().flat_map(|topic| &topic.partitions);
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let brokers = view.brokers.iter().map(|broker| DescribedBroker {
        broker: broker.broker,
        address: broker.address.clone(),
        shard_count: broker.shards,
        rack: broker.rack.clone(),
        broker_epoch: broker.broker_epoch,
        software: broker.software.clone(),
        state: Some(broker.state.to_owned()),
        leaders: count(
            partitions()
                .filter(|partition| partition.leader == Some(broker.broker))
                .count(),
        ),
    });
    let response = DescribeClusterResponse {
        cluster_id: view.cluster_id.clone(),
        controller: view.controller,
        brokers: brokers.collect(),
        topics: count(view.topics.len()),
        partitions: count(partitions().count()),
        controller_epoch: view.controller_epoch,
        revision: view.revision,
    };
    shard.respond(request, &response)
}
