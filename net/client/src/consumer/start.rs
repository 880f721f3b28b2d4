//! Where to begin: the broker finds the batch of a time, the client the record within it.

use std::time::Duration;

use ringlog_record::batch::{BatchView, batches};
use ringlog_record::{Offset, PartitionIndex, TimestampMs};
use ringlog_wire::OffsetPosition;

use super::{Assignment, StartAt};
use crate::admin::Admin;
use crate::client::TopicInfo;
use crate::core::compression::decompress_batch;
use crate::error::{ClientError, ConsumeError};
use crate::limits::{DECOMPRESSED_BYTES_MAX, TIME_SCAN_BYTES};
use crate::partition::fetch_once;

/// The offset to begin at.
pub(super) async fn find_start(
    admin: &Admin,
    topic: &TopicInfo,
    assignment: &Assignment,
) -> Result<Offset, ConsumeError> {
    let partition = assignment.partition;
    let found = match assignment.start {
        StartAt::Offset(offset) => Some(offset),
        StartAt::Earliest => end(admin, topic, partition, OffsetPosition::Earliest).await?,
        StartAt::Latest => None,
        StartAt::Timestamp(time) => {
            let found = offset_of_time(admin, topic, partition, time).await?;
            found.map(|(offset, _)| offset)
        }
    };
    if let Some(offset) = found {
        return Ok(offset);
    }
    let latest = end(admin, topic, partition, OffsetPosition::Latest).await?;
    Ok(latest.unwrap_or(Offset::ZERO))
}

async fn end(
    admin: &Admin,
    topic: &TopicInfo,
    partition: PartitionIndex,
    position: OffsetPosition,
) -> Result<Option<Offset>, ClientError> {
    let found = admin.offset(topic, partition, position).await?;
    Ok(found.map(|(offset, _)| offset))
}

/// The first record of a partition that is not older than `time`, and its time; none when all are older.
pub(crate) async fn offset_of_time(
    admin: &Admin,
    topic: &TopicInfo,
    partition: PartitionIndex,
    time: TimestampMs,
) -> Result<Option<(Offset, TimestampMs)>, ConsumeError> {
    let position = OffsetPosition::Timestamp(time);
    let Some((mut from, _)) = admin.offset(topic, partition, position).await? else {
        return Ok(None);
    };
    let info = topic.partition(partition)?;
    let connection = admin.client().leader_connection(&topic.name, info);
    let connection = connection.await?;
    loop {
        let no_wait = Duration::ZERO;
        let read = fetch_once(&connection, info.id, from, TIME_SCAN_BYTES, no_wait).await?;
        let mut next = from;
        for batch in batches(&read.bytes) {
            let unreadable = |reason: &dyn std::fmt::Display| ConsumeError::Batch {
                topic: topic.name.clone(),
                partition,
                offset: from,
                reason: reason.to_string(),
            };
            let batch = batch.map_err(|error| unreadable(&error))?;
            batch.check_crc().map_err(|error| unreadable(&error))?;
            if let Some(found) = first_not_older(&batch, from, time) {
                return Ok(Some(found));
            }
            next = batch.last_offset().next();
        }
        if next <= from {
            return Ok(None);
        }
        from = next;
    }
}

/// The first record from `from` on that is not older than `time`. Of a batch whose records cannot be told apart here
/// (it cannot be decompressed) its first offset, if it holds such a record.
fn first_not_older(
    batch: &BatchView<'_>,
    from: Offset,
    time: TimestampMs,
) -> Option<(Offset, TimestampMs)> {
    if batch.max_timestamp() < time {
        return None;
    }
    let decompressed = decompress_batch(batch, DECOMPRESSED_BYTES_MAX);
    let records = match &decompressed {
        Ok(Some(records)) => batch.decompressed_records(records),
        _ => batch.records(),
    };
    for record in records {
        match record {
            Ok(record) if record.offset < from || record.timestamp < time => {}
            Ok(record) => return Some((record.offset, record.timestamp)),
            Err(_) => return Some((from.max(batch.base_offset()), batch.max_timestamp())),
        }
    }
    None
}
