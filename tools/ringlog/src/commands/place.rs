//! Places in partitions, found out.

use ringlog_client::{Admin, Client, ClientError, ConsumeError, StartAt, TopicInfo};
use ringlog_record::{Offset, PartitionIndex, TimestampMs};

use crate::error::CommandError;

/// Where a place is in a partition.
pub(super) struct Found {
    pub(super) partition: PartitionIndex,
    pub(super) offset: Offset,
    /// Of the record there, when it was looked for by time.
    pub(super) timestamp: Option<TimestampMs>,
}

/// Finds a place in partitions of a topic; behind the last record when all records are older than a time.
pub(super) async fn find(
    client: &Client,
    topic: &TopicInfo,
    partitions: &[PartitionIndex],
    place: StartAt,
) -> Result<Vec<Found>, ConsumeError> {
    let admin = Admin::new(client);
    let described = admin.describe_topic(&topic.name).await?;
    let mut all = Vec::new();
    for one in &described.partitions {
        let partition = one.partition;
        if !partitions.contains(&partition) {
            continue;
        }
        let found = |offset, timestamp| Found {
            partition,
            offset,
            timestamp,
        };
        all.push(match place {
            StartAt::Earliest => found(one.state.log_start, None),
            StartAt::Latest => found(one.state.high_watermark, None),
            StartAt::Offset(offset) => found(offset, None),
            StartAt::Timestamp(time) => match admin.offset_of_time(topic, partition, time).await? {
                Some((offset, time)) => found(offset, Some(time)),
                None => found(one.state.high_watermark, None),
            },
        });
    }
    Ok(all)
}

/// An offset is refused unless exactly one partition is named.
pub(super) fn needs_one_partition(place: StartAt, named: &[u32]) -> Result<(), CommandError> {
    if matches!(place, StartAt::Offset(_)) && named.len() != 1 {
        let message = "an offset is a place in one partition: say which with --partition N";
        return Err(CommandError::Usage(message.to_owned()));
    }
    Ok(())
}

/// The partitions that are named, or all.
pub(super) fn chosen(topic: &TopicInfo, named: &[u32]) -> Result<Vec<PartitionIndex>, ClientError> {
    if named.is_empty() {
        let all = topic.partitions.iter().map(|one| one.id.partition);
        return Ok(all.collect());
    }
    let named = named.iter().map(|&number| {
        let partition = PartitionIndex::new(number);
        topic.partition(partition).map(|_| partition)
    });
    named.collect()
}
