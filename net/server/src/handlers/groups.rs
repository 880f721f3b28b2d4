//! What requests about groups share: the name, the coordinator, where the partitions stand.

use std::rc::Rc;

use ringlog_coord::groups::{GROUPS_TOPIC, GroupId, partition_of_group};
use ringlog_record::{PartitionIndex, TopicPartition};
use ringlog_wire::{ErrorCode, ListOffsetsPartition, OffsetPosition, PartitionState};

use super::list_offsets;
use crate::failure::Failure;
use crate::shard::Shard;

/// The group of this name.
pub(super) fn group_of(name: &str) -> Result<GroupId, Failure> {
    let message = "the name of a group has 1 to 255 bytes";
    GroupId::new(name).ok_or_else(|| Failure::new(ErrorCode::InvalidRequest, message))
}

/// The partition in which a group is kept; `None` while no group is.
pub(super) fn coordinator_of(shard: &Shard, group: &GroupId) -> Option<TopicPartition> {
    let view = shard.view();
    let topic = view.topics.get(GROUPS_TOPIC)?;
    let partitions = u32::try_from(topic.partitions.len()).ok()?;
    Some(TopicPartition {
        topic: topic.topic,
        partition: PartitionIndex::new(partition_of_group(group, partitions)),
    })
}

/// Refuses a group that another broker keeps.
pub(super) fn check_here(shard: &Shard, coordinator: TopicPartition) -> Result<(), Failure> {
    if shard.owner(coordinator).is_some() {
        return Ok(());
    }
    let message = "another broker keeps this group; ask the others";
    Err(Failure::new(ErrorCode::NotLeader, message))
}

/// Where partitions stand, from the shards that own them.
pub(super) async fn states_of(shard: &Rc<Shard>, ids: &[TopicPartition]) -> Vec<PartitionState> {
    let wanted = ids.iter().map(|&id| ListOffsetsPartition {
        id,
        position: OffsetPosition::Latest,
    });
    let listed = list_offsets::look_up(shard, wanted.collect()).await;
    listed.into_iter().map(|one| one.state).collect()
}
