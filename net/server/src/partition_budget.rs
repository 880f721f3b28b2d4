//! What the partitions of a broker may take together: of its memory, and of the descriptors that the system gives it.
//!
//! Both are declared before the first partition is there, so that a topic which cannot be served is refused when it is
//! made, with the arithmetic, and not when the broker is busy.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use ringlog_coord::controller::PartitionAssignment;
use ringlog_log::limits::SEALED_FILES_MAX;
use ringlog_log::{Durability, LogConfig};
use ringlog_record::ShardId;

use crate::broker::BrokerConfig;
use crate::limits::{
    DESCRIPTORS_OF_BROKER, DESCRIPTORS_OF_PARTITION, PARTITION_BYTES, PARTITIONS_PART, part_of,
};
use crate::shard::log_config;

/// What the partitions of a broker may take together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionBudget {
    shards: NonZeroU16,
    /// Memory for the partitions of one shard.
    shard_bytes: u64,
    /// Descriptors for the files of all partitions; without a bound when it is not known.
    descriptors: Option<u64>,
}

/// Why partitions are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OverBudget {
    /// The memory does not suffice.
    #[error(
        "the memory of the broker does not suffice: {partitions} new or changed partition(s) on shard {shard} need {needed_bytes} bytes more, the largest of them {largest_bytes}; of the {shard_bytes} bytes that a shard has for partitions, {taken_bytes} are taken. Give the broker more memory (--memory), or the topic fewer partitions, or less retention_bytes where it is in memory"
    )]
    Memory {
        partitions: u64,
        shard: ShardId,
        needed_bytes: u64,
        largest_bytes: u64,
        shard_bytes: u64,
        taken_bytes: u64,
    },
    /// The descriptors do not suffice.
    #[error(
        "the open files that the system allows do not suffice: {partitions} partitions with {each} files each need {needed}, and {available} are left beside those of connections, readers and the broker itself. Raise the hard limit (ulimit -Hn, LimitNOFILE=), allow fewer connections (--connections-max), or use fewer partitions"
    )]
    Descriptors {
        partitions: u64,
        each: u64,
        needed: u64,
        available: u64,
    },
}

/// Bytes that a partition with these settings needs.
fn partition_bytes(config: &LogConfig) -> u64 {
    let records_bytes = match config.durability {
        Durability::Memory => config.memory_bytes(),
        Durability::Sync | Durability::Async => 0,
    };
    PARTITION_BYTES as u64 + records_bytes
}

fn bytes_of(assignment: &PartitionAssignment) -> u64 {
    partition_bytes(&log_config(&assignment.config))
}

impl PartitionBudget {
    /// The budget of a broker.
    pub fn of(config: &BrokerConfig) -> Self {
        let shards = u64::from(config.shards.get());
        let memory_bytes = config.memory_bytes / usize::from(config.shards.get());
        let descriptors = config.descriptors_max.map(|all| {
            let connections = (config.connections_max as u64).min(all / 2);
            let sealed = SEALED_FILES_MAX as u64 * shards;
            all.saturating_sub(connections + sealed + DESCRIPTORS_OF_BROKER)
        });
        Self {
            shards: config.shards,
            shard_bytes: part_of(memory_bytes, PARTITIONS_PART, 0) as u64,
            descriptors,
        }
    }

    /// How many partitions on the device the broker serves, spread evenly over its shards.
    pub fn partitions_max(&self) -> u64 {
        let by_memory = self.partitions_by_memory();
        let by_descriptors = self.partitions_by_descriptors();
        by_descriptors.map_or(by_memory, |count| count.min(by_memory))
    }

    /// As many as the memory serves.
    pub fn partitions_by_memory(&self) -> u64 {
        self.shard_bytes / PARTITION_BYTES as u64 * u64::from(self.shards.get())
    }

    /// As many as the descriptors serve, if that is known.
    pub fn partitions_by_descriptors(&self) -> Option<u64> {
        self.descriptors.map(|all| all / DESCRIPTORS_OF_PARTITION)
    }

    /// Whether `added` can be served beside `present`, which are those of all other partitions.
    pub(crate) fn check(
        &self,
        present: &[PartitionAssignment],
        added: &[PartitionAssignment],
    ) -> Result<(), OverBudget> {
        let mut taken: BTreeMap<ShardId, u64> = BTreeMap::new();
        for one in present {
            *taken.entry(one.shard(self.shards)).or_default() += bytes_of(one);
        }
        let mut needed: BTreeMap<ShardId, Vec<u64>> = BTreeMap::new();
        for one in added {
            needed
                .entry(one.shard(self.shards))
                .or_default()
                .push(bytes_of(one));
        }
        for (shard, needs) in needed {
            let taken_bytes = taken.get(&shard).copied().unwrap_or(0);
            let needed_bytes = needs.iter().sum();
            if taken_bytes + needed_bytes > self.shard_bytes {
                return Err(OverBudget::Memory {
                    partitions: needs.len() as u64,
                    shard,
                    needed_bytes,
                    largest_bytes: needs.into_iter().max().unwrap_or(0),
                    shard_bytes: self.shard_bytes,
                    taken_bytes,
                });
            }
        }
        let partitions = (present.len() + added.len()) as u64;
        let fits = |available| partitions * DESCRIPTORS_OF_PARTITION <= available;
        match self.descriptors.filter(|&available| !fits(available)) {
            None => Ok(()),
            Some(available) => Err(OverBudget::Descriptors {
                partitions,
                each: DESCRIPTORS_OF_PARTITION,
                needed: partitions * DESCRIPTORS_OF_PARTITION,
                available,
            }),
        }
    }
}
