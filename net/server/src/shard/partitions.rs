//! Opening, closing and describing the partitions of a shard.

use std::collections::BTreeSet;
use std::rc::Rc;

use futures_util::StreamExt;
use futures_util::{future, stream};
use ringlog_coord::config::{self, TopicConfig, TopicConfigs};
use ringlog_coord::controller::PartitionAssignment;
use ringlog_coord::groups::GROUPS_TOPIC;
use ringlog_log::{Durability, LogConfig, delete_directory};
use ringlog_record::batch::TimestampType;
use ringlog_record::{BrokerId, PartitionIndex, TopicId, TopicPartition};
use ringlog_replication::{Partition, PartitionSpec};

use super::Shard;
use super::command::{PartitionReport, partition_directory, topic_directory};
use super::directory::make_directory;
use crate::limits::OPENS_AT_ONCE_MAX;
use crate::metrics::{Gauges, ShardMetrics};

/// The settings of a topic as its logs know them.
pub(crate) fn log_config(config: &TopicConfig) -> LogConfig {
    LogConfig {
        durability: match config.durability {
            config::Durability::Sync => Durability::Sync,
            config::Durability::Async => Durability::Async,
            config::Durability::Memory => Durability::Memory,
        },
        retention_ms: config.retention_ms,
        retention_bytes: config.retention_bytes,
        segment_bytes: config.segment_bytes,
        segment_ms: config.segment_ms,
        flush_ms: config.flush_ms,
        max_batch_bytes: config.max_batch_bytes,
        timestamp_type: match config.timestamp_type {
            config::TimestampType::Create => TimestampType::Create,
            config::TimestampType::Append => TimestampType::Append,
        },
    }
}

impl Shard {
    /// Opens partitions, several at a time. Those that cannot be opened are offline, and given with the reason.
    pub(crate) async fn open_partitions(
        self: Rc<Self>,
        broker: BrokerId,
        partitions: Vec<PartitionAssignment>,
    ) -> Vec<(TopicPartition, String)> {
        let opened = stream::iter(partitions).map(|assignment| {
            let shard = Rc::clone(&self);
            async move { shard.open_partition(broker, assignment).await }
        });
        opened
            .buffer_unordered(OPENS_AT_ONCE_MAX)
            .filter_map(future::ready)
            .collect()
            .await
    }

    async fn open_partition(
        &self,
        broker: BrokerId,
        assignment: PartitionAssignment,
    ) -> Option<(TopicPartition, String)> {
        let id = TopicPartition {
            topic: assignment.topic_id,
            partition: assignment.partition,
        };
        let spec = PartitionSpec {
            id,
            directory: partition_directory(&self.data_dir, id),
            leader: broker,
            leader_epoch: assignment.leader_epoch,
            isr: BTreeSet::from([broker]),
            min_isr: assignment.config.min_isr.into(),
            config: log_config(&assignment.config),
        };
        let topic = &assignment.topic;
        let made = make_directory(&self.reactor, &topic_directory(&self.data_dir, id.topic)).await;
        let opened = match made {
            Ok(()) if self.unclosed.borrow().contains(&id) => {
                Err("its log did not close when it was to be led anew: restart the broker, which recovers it".to_owned())
            }
            Ok(()) => Partition::open(spec, self.env.clone())
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match opened {
            Ok((partition, report)) => {
                if let Some(torn) = report.torn_tail {
                    tracing::info!(%topic, partition = %id.partition, bytes = torn.bytes, log_end = %report.log_end, "a torn tail was cut off: it had not been acknowledged");
                }
                if topic.as_str() == GROUPS_TOPIC
                    && let Err(error) = self.open_groups(partition.clone()).await
                {
                    let reason = error.to_string();
                    tracing::error!(%topic, partition = %id.partition, reason, "the groups of a partition cannot be served, and it is offline");
                    self.offline.borrow_mut().insert(id, reason.clone());
                    return Some((id, reason));
                }
                tracing::debug!(%topic, partition = %id.partition, log_start = %report.log_start, log_end = %report.log_end, scanned_bytes = report.scanned_bytes, is_clean = report.is_clean, "a log is open");
                self.offline.borrow_mut().remove(&id);
                self.partitions.borrow_mut().insert(id, partition);
                None
            }
            Err(reason) => {
                tracing::error!(%topic, partition = %id.partition, reason, "a partition could not be opened and is offline");
                self.offline.borrow_mut().insert(id, reason.clone());
                Some((id, reason))
            }
        }
    }

    /// Closes partitions, several at a time. What waits there is told that the broker does not lead them any more.
    pub(crate) async fn close_partitions(&self, partitions: &[TopicPartition]) {
        let closed = stream::iter(partitions.iter().map(|id| async move {
            self.offline.borrow_mut().remove(id);
            self.groups.borrow_mut().remove(id);
            let open = self.partitions.borrow_mut().remove(id);
            let Some(partition) = open else { return };
            if let Err(error) = partition.close().await {
                self.unclosed.borrow_mut().insert(*id);
                tracing::error!(partition = %id, %error, "a log was not closed, and is not opened again before the broker's next start");
            }
        }));
        closed
            .buffer_unordered(OPENS_AT_ONCE_MAX)
            .collect::<Vec<()>>()
            .await;
    }

    /// Ids of the partitions of a topic, open or not.
    fn ids_of(&self, topic: TopicId) -> BTreeSet<TopicPartition> {
        let partitions = self.partitions.borrow();
        let offline = self.offline.borrow();
        let all = partitions.keys().chain(offline.keys());
        all.filter(|id| id.topic == topic).copied().collect()
    }

    /// Closes the partitions of a topic and removes their directories.
    pub(crate) async fn delete_topic(&self, topic: TopicId) -> Result<(), String> {
        let removals = self.ids_of(topic).into_iter();
        // Several at a time: on a full device each may take as long as a close may. One that fails stops no other.
        let removed: Vec<_> = stream::iter(removals.map(|id| self.delete_partition(id)))
            .buffer_unordered(OPENS_AT_ONCE_MAX)
            .collect()
            .await;
        removed.into_iter().collect()
    }

    async fn delete_partition(&self, id: TopicPartition) -> Result<(), String> {
        self.offline.borrow_mut().remove(&id);
        let open = self.partitions.borrow_mut().remove(&id);
        let removed = match open {
            Some(partition) => partition.delete().await,
            None => delete_directory(&self.reactor, &partition_directory(&self.data_dir, id)).await,
        };
        removed.map_err(|error| error.to_string())
    }

    /// Uses other settings for the partitions of a topic. Gives those that hold records which keep them from their new
    /// durability.
    pub(crate) async fn set_config(
        &self,
        topic: TopicId,
        configs: &TopicConfigs,
    ) -> Vec<PartitionIndex> {
        let set = self.ids_of(topic).into_iter().map(async |id| {
            let open = self.partitions.borrow().get(&id).cloned();
            let config = log_config(&configs.of(id.partition));
            let in_force = match open?.set_config(config).await {
                Ok(in_force) => in_force,
                Err(error) => {
                    tracing::warn!(partition = %id, %error, "a partition does not have its new durability yet");
                    false
                }
            };
            (!in_force).then_some(id.partition)
        });
        // Several at a time: each may write and sync.
        stream::iter(set)
            .buffered(OPENS_AT_ONCE_MAX)
            .filter_map(future::ready)
            .collect()
            .await
    }

    /// The state of the partitions of a topic, or of all.
    pub(crate) fn describe(&self, topic: Option<TopicId>) -> Vec<PartitionReport> {
        let is_wanted = |id: &TopicPartition| topic.is_none_or(|topic| id.topic == topic);
        let partitions = self.partitions.borrow();
        let offline = self.offline.borrow();
        let open = partitions.iter().map(|(&id, partition)| PartitionReport {
            id,
            state: Ok(partition.status()),
        });
        let closed = offline.iter().map(|(&id, reason)| PartitionReport {
            id,
            state: Err(reason.clone()),
        });
        open.chain(closed)
            .filter(|report| is_wanted(&report.id))
            .collect()
    }

    /// What was counted, and what is now.
    pub(crate) fn measure(&self, commands_waiting: usize) -> ShardMetrics {
        let partitions = self.partitions.borrow();
        let failed = partitions.values().filter(|one| one.has_ended()).count();
        let statuses: Vec<_> = partitions.values().map(Partition::status).collect();
        let gauges = Gauges {
            partitions: (partitions.len() - failed) as u64,
            partitions_offline: (self.offline.borrow().len() + failed) as u64,
            partitions_in_memory: (statuses.iter())
                .filter(|status| status.durability == Durability::Memory)
                .count() as u64,
            memory_bytes: statuses.iter().map(|status| status.memory_bytes).sum(),
            produces_waiting: (statuses.iter())
                .map(|status| status.produces_waiting as u64)
                .sum(),
            fetches_waiting: partitions
                .values()
                .map(|partition| partition.fetches_waiting() as u64)
                .sum(),
            pool_bytes: self.reactor.pool().allocated_bytes() as u64,
            cache_bytes: self.env.cache.used_bytes() as u64,
            read_ahead_bytes: self.env.cold.read_ahead_bytes() as u64,
            commands_waiting: commands_waiting as u64,
        };
        let loops = self.reactor.loop_counts();
        self.metrics
            .snapshot(self.me, gauges, &self.env.counters, loops)
    }

    /// The partitions that are served.
    pub(crate) fn open_now(&self) -> Vec<Partition> {
        self.partitions.borrow().values().cloned().collect()
    }
}
