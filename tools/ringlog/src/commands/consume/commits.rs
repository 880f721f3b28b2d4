//! Where a group goes on: `consume --group`.
//!
//! **Promise.** At least once: an offset is committed when all records before it were written to standard output, and
//! not before. It is committed every second, at the end, and on a signal; what was written behind the last commit before
//! a crash is printed again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringlog_client::{Client, ClientError, GroupOffset, GroupOffsets, TopicInfo};
use ringlog_record::{Offset, PartitionIndex, TopicPartition};

/// How often it is committed.
const INTERVAL: Duration = Duration::from_secs(1);

/// What a group has committed of a topic.
pub(super) struct Commits {
    group: GroupOffsets,
    topic: Arc<TopicInfo>,
    committed: BTreeMap<PartitionIndex, Offset>,
    last: Instant,
}

impl Commits {
    /// Asks what the group has committed for these partitions.
    pub(super) async fn find(
        client: &Client,
        group: &str,
        topic: Arc<TopicInfo>,
        partitions: &[PartitionIndex],
    ) -> Result<Self, ClientError> {
        let group = GroupOffsets::new(client, group);
        let ids: Vec<TopicPartition> = partitions
            .iter()
            .map(|&partition| TopicPartition {
                topic: topic.id,
                partition,
            })
            .collect();
        let found = group.committed(&ids).await?;
        let committed = found.into_iter().flatten();
        Ok(Self {
            group,
            committed: committed
                .map(|one| (one.id.partition, one.offset))
                .collect(),
            topic,
            last: Instant::now(),
        })
    }

    /// Where the group goes on in a partition, if it has committed anything.
    pub(super) fn get(&self, partition: PartitionIndex) -> Option<Offset> {
        self.committed.get(&partition).copied()
    }

    /// Whether the next commit is due.
    pub(super) fn is_due(&self) -> bool {
        self.last.elapsed() >= INTERVAL
    }

    /// Commits what has changed.
    pub(super) async fn commit(
        &mut self,
        next: &BTreeMap<PartitionIndex, Offset>,
    ) -> Result<(), ClientError> {
        self.last = Instant::now();
        let changed = next
            .iter()
            .filter(|&(partition, offset)| self.committed.get(partition) != Some(offset));
        let offsets: Vec<GroupOffset> = changed
            .map(|(&partition, &offset)| {
                let id = TopicPartition {
                    topic: self.topic.id,
                    partition,
                };
                GroupOffset::new(id, offset)
            })
            .collect();
        if offsets.is_empty() {
            return Ok(());
        }
        self.group.commit(&offsets).await?;
        self.committed
            .extend(offsets.iter().map(|one| (one.id.partition, one.offset)));
        Ok(())
    }
}
