//! Metadata: from the picture of the cluster that every shard has.

use ringlog_coord::topic_name::is_internal;
use ringlog_wire::{
    BrokerMetadata, ErrorCode, MetadataRequest, MetadataResponse, PartitionMetadata, TopicMetadata,
    TopicSelection,
};

use super::{Outcome, Request};
use crate::cluster_view::{ClusterView, TopicView};
use crate::shard::Shard;

pub(super) fn handle(shard: &Shard, request: &Request) -> Outcome {
    let wanted = MetadataRequest::decode(request.body())?;
    let view = shard.view();
    let topics = match &wanted.topics {
        TopicSelection::All => listed(&view, |name| !is_internal(name)),
        TopicSelection::AllAndInternal => listed(&view, |_| true),
        TopicSelection::Named(names) => names
            .iter()
            .map(|name| match view.topics.get(name) {
                Some(topic) => describe(name, topic),
                None => TopicMetadata::refused(name, ErrorCode::UnknownTopic),
            })
            .collect(),
    };
    let brokers = view.brokers.iter().map(|broker| BrokerMetadata {
        broker: broker.broker,
        address: broker.address.clone(),
        shard_count: broker.shards,
        rack: broker.rack.clone(),
    });
    let response = MetadataResponse {
        cluster_id: view.cluster_id.clone(),
        controller: view.controller,
        brokers: brokers.collect(),
        topics,
    };
    shard.respond(request, &response)
}

fn listed(view: &ClusterView, is_wanted: impl Fn(&str) -> bool) -> Vec<TopicMetadata> {
    let topics = view.topics.iter();
    let wanted = topics.filter(|(name, _)| is_wanted(name));
    wanted.map(|(name, topic)| describe(name, topic)).collect()
}

fn describe(name: &str, topic: &TopicView) -> TopicMetadata {
    let partitions = topic.partitions.iter().map(|one| PartitionMetadata {
        partition: one.partition,
        leader: one.leader,
        shard: one.shard,
        leader_epoch: one.leader_epoch,
        replicas: one.replicas.clone(),
        isr: one.isr.clone(),
    });
    TopicMetadata {
        name: name.to_owned(),
        error: ErrorCode::None,
        topic: topic.topic,
        partitions: partitions.collect(),
    }
}
