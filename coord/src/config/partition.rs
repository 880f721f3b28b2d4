//! What a partition has differently from its topic: its durability, and nothing else.

use std::collections::BTreeMap;

use ringlog_record::PartitionIndex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ConfigChanges, ConfigError, TopicConfig, TopicOverrides};

/// The one setting that a partition can have for itself.
const KEY: &str = "durability";

/// What one partition sets differently from its topic, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionOverrides {
    /// Which partition.
    pub partition: u32,
    /// What it sets.
    pub config: TopicOverrides,
}

impl PartitionOverrides {
    /// The overrides of all partitions of a topic, with changes made to those of one.
    ///
    /// # Errors
    /// [`ConfigError::NotOfPartition`] for a setting that a partition cannot have for itself.
    pub fn changed_by(
        all: &[Self],
        partition: PartitionIndex,
        changes: &ConfigChanges,
    ) -> Result<Vec<Self>, ConfigError> {
        if let Some(&key) = changes.0.keys().find(|key| **key != KEY) {
            return Err(ConfigError::NotOfPartition { key });
        }
        let of_others = all.iter().filter(|one| one.partition != partition.get());
        let before = all.iter().find(|one| one.partition == partition.get());
        let before = before.map(|one| one.config.clone()).unwrap_or_default();
        let changed = Self {
            partition: partition.get(),
            config: before.changed_by(changes),
        };
        let changed = Some(changed).filter(|changed| !changed.config.is_empty());
        let mut all: Vec<Self> = of_others.cloned().chain(changed).collect();
        all.sort_by_key(|one| one.partition);
        Ok(all)
    }

    /// The durability that the partition sets for itself, if it does.
    #[must_use]
    pub fn durability(&self) -> Option<&str> {
        self.config.0.get(KEY).and_then(Value::as_str)
    }
}

/// The settings of a topic and of those of its partitions that have their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfigs {
    /// Those of the topic.
    pub topic: TopicConfig,
    partitions: BTreeMap<PartitionIndex, TopicConfig>,
}

impl TopicConfigs {
    /// The settings that follow from overrides, of a topic with this many replicas.
    ///
    /// # Errors
    /// As for [`TopicOverrides::resolve`].
    pub fn resolve(
        topic: &TopicOverrides,
        partitions: &[PartitionOverrides],
        replicas: u16,
    ) -> Result<Self, ConfigError> {
        let of_partition = |one: &PartitionOverrides| {
            let mut both = topic.clone();
            both.0.extend(one.config.0.clone());
            Ok((PartitionIndex::new(one.partition), both.resolve(replicas)?))
        };
        Ok(Self {
            topic: topic.resolve(replicas)?,
            partitions: partitions
                .iter()
                .map(of_partition)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The settings of a partition.
    #[must_use]
    pub fn of(&self, partition: PartitionIndex) -> TopicConfig {
        self.partitions
            .get(&partition)
            .copied()
            .unwrap_or(self.topic)
    }
}
