//! The settings of a topic.
//!
//! Duty: one table (`setting.rs`) of every key with its kind, range and default; texts (`retention_ms=7d`) are
//! checked against it once and become typed. What is stored are the overrides only, in milliseconds and
//! bytes; defaults are applied when they are read, so that a better default reaches old topics too.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

mod error;
mod partition;
mod setting;

pub use error::ConfigError;
pub use partition::{PartitionOverrides, TopicConfigs};
pub use setting::{SETTINGS, Setting};

/// When an append is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the device.
    Sync,
    /// When it is in memory; written within `flush_ms`.
    Async,
    /// When it is in memory, never written.
    Memory,
}

/// How old records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Whole segments, by age and size.
    Delete,
    /// The last value of each key stays. Reserved.
    Compact,
}

/// Whose clock a record's timestamp is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    Create,
    /// The broker's, when it appends.
    Append,
}

/// The settings of a topic, defaults applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicConfig {
    /// When an append is acknowledged.
    pub durability: Durability,
    /// How long records are kept; `None` is for ever.
    pub retention_ms: Option<u64>,
    /// How many bytes a partition keeps; `None` is without a bound.
    pub retention_bytes: Option<u64>,
    /// At which size a segment is sealed.
    pub segment_bytes: u64,
    /// At which age a segment is sealed.
    pub segment_ms: u64,
    /// Within which time an `async` append is written.
    pub flush_ms: u64,
    /// How old records go.
    pub cleanup: Cleanup,
    /// How long a tombstone is kept by compaction.
    pub delete_retention_ms: u64,
    /// The largest batch that is taken.
    pub max_batch_bytes: u32,
    /// Whose clock a record's timestamp is.
    pub timestamp_type: TimestampType,
    /// How many replicas must have a record before it is acknowledged to `acks=all`.
    pub min_isr: u16,
    /// Whether a replica that may have lost acknowledged records may lead when no other is there.
    pub unclean_election: bool,
    /// Whether reads prove by the lease that the leader is still the leader.
    pub fresh_reads: bool,
}

impl TopicConfig {
    /// What a topic with this many replicas has when nothing is overridden.
    #[must_use]
    pub fn defaults(replicas: u16) -> Self {
        Self {
            durability: Durability::Sync,
            retention_ms: Some(setting::RETENTION_MS_DEFAULT),
            retention_bytes: None,
            segment_bytes: setting::SEGMENT_BYTES_DEFAULT,
            segment_ms: setting::SEGMENT_MS_DEFAULT,
            flush_ms: setting::FLUSH_MS_DEFAULT,
            cleanup: Cleanup::Delete,
            delete_retention_ms: setting::DELETE_RETENTION_MS_DEFAULT,
            max_batch_bytes: setting::MAX_BATCH_BYTES_DEFAULT,
            timestamp_type: TimestampType::Create,
            min_isr: min_isr_default(replicas),
            unclean_election: false,
            fresh_reads: false,
        }
    }

    fn set(&mut self, key: &'static str, value: &Value) {
        // Negative is the stored form of "without a bound".
        let bound = || value.as_i64().and_then(|number| u64::try_from(number).ok());
        let number = |current: u64| value.as_u64().unwrap_or(current);
        let word = value.as_str().unwrap_or_default();
        match key {
            "durability" => {
                self.durability = match word {
                    "async" => Durability::Async,
                    "memory" => Durability::Memory,
                    _ => Durability::Sync,
                }
            }
            "cleanup" if word == "compact" => self.cleanup = Cleanup::Compact,
            "cleanup" => self.cleanup = Cleanup::Delete,
            "timestamp_type" if word == "append" => self.timestamp_type = TimestampType::Append,
            "timestamp_type" => self.timestamp_type = TimestampType::Create,
            "retention_ms" => self.retention_ms = bound(),
            "retention_bytes" => self.retention_bytes = bound(),
            "segment_bytes" => self.segment_bytes = number(self.segment_bytes),
            "segment_ms" => self.segment_ms = number(self.segment_ms),
            "flush_ms" => self.flush_ms = number(self.flush_ms),
            "delete_retention_ms" => self.delete_retention_ms = number(self.delete_retention_ms),
            "max_batch_bytes" => {
                let bytes = number(self.max_batch_bytes.into());
                self.max_batch_bytes = u32::try_from(bytes).unwrap_or(self.max_batch_bytes);
            }
            "min_isr" => {
                self.min_isr = u16::try_from(number(self.min_isr.into())).unwrap_or(self.min_isr)
            }
            "unclean_election" => self.unclean_election = value.as_bool().unwrap_or(false),
            "fresh_reads" => self.fresh_reads = value.as_bool().unwrap_or(false),
            _ => debug_assert!(false, "{key} is in the table and not here"),
        }
    }

    /// Every setting with its value as it is stored, in the order of the table.
    #[must_use]
    pub fn entries(&self, overrides: &TopicOverrides) -> Vec<ConfigEntry> {
        SETTINGS
            .iter()
            .map(|setting| ConfigEntry {
                key: setting.key,
                value: self.text(setting.key),
                overridden: overrides.0.contains_key(setting.key),
            })
            .collect()
    }

    fn text(&self, key: &'static str) -> String {
        let bound = |bound: Option<u64>| bound.map_or("-1".to_owned(), |bound| bound.to_string());
        match key {
            "durability" => match self.durability {
                Durability::Sync => "sync".to_owned(),
                Durability::Async => "async".to_owned(),
                Durability::Memory => "memory".to_owned(),
            },
            "cleanup" => match self.cleanup {
                Cleanup::Delete => "delete".to_owned(),
                Cleanup::Compact => "compact".to_owned(),
            },
            "timestamp_type" => match self.timestamp_type {
                TimestampType::Create => "create".to_owned(),
                TimestampType::Append => "append".to_owned(),
            },
            "retention_ms" => bound(self.retention_ms),
            "retention_bytes" => bound(self.retention_bytes),
            "segment_bytes" => self.segment_bytes.to_string(),
            "segment_ms" => self.segment_ms.to_string(),
            "flush_ms" => self.flush_ms.to_string(),
            "delete_retention_ms" => self.delete_retention_ms.to_string(),
            "max_batch_bytes" => self.max_batch_bytes.to_string(),
            "min_isr" => self.min_isr.to_string(),
            "unclean_election" => self.unclean_election.to_string(),
            "fresh_reads" => self.fresh_reads.to_string(),
            _ => String::new(),
        }
    }
}

fn min_isr_default(replicas: u16) -> u16 {
    if replicas >= 3 { 2 } else { 1 }
}

/// One setting as it is shown: [`TopicConfig::entries`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub key: &'static str,
    /// Its value, in milliseconds and bytes.
    pub value: String,
    /// Whether the topic sets it; otherwise it is the default.
    pub overridden: bool,
}

impl fmt::Display for ConfigEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// What a topic sets differently from the defaults, as stored: numbers in milliseconds and bytes. Keys that
/// this program does not know are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicOverrides(BTreeMap<String, Value>);

impl TopicOverrides {
    /// These overrides with changes made to them.
    #[must_use]
    pub fn changed_by(&self, changes: &ConfigChanges) -> Self {
        let mut overrides = self.clone();
        for (key, value) in &changes.0 {
            match value {
                Some(value) => overrides.0.insert((*key).to_owned(), value.clone()),
                None => overrides.0.remove(*key),
            };
        }
        overrides
    }

    /// The settings of a topic with this many replicas.
    ///
    /// # Errors
    /// [`ConfigError`] when a value is out of its range (a node edited by hand), or when two settings, or a
    /// setting and the number of replicas, do not go together.
    pub fn resolve(&self, replicas: u16) -> Result<TopicConfig, ConfigError> {
        let mut config = TopicConfig::defaults(replicas);
        for setting in &SETTINGS {
            if let Some(value) = self.0.get(setting.key) {
                setting.check(value)?;
                config.set(setting.key, value);
            }
        }
        check_relations(&config, replicas)?;
        Ok(config)
    }

    /// Whether nothing is overridden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn check_relations(config: &TopicConfig, replicas: u16) -> Result<(), ConfigError> {
    if config.durability == Durability::Memory && config.retention_bytes.is_none() {
        return Err(ConfigError::Unfit {
            key: "durability",
            value: "memory".to_owned(),
            reason: "retention_bytes has to say how much memory each partition may take, such as retention_bytes=64MiB"
                .to_owned(),
        });
    }
    if config.min_isr > replicas {
        return Err(ConfigError::Unfit {
            key: "min_isr",
            value: config.min_isr.to_string(),
            reason: format!(
                "the topic has {replicas} replica(s), nothing could ever be acknowledged"
            ),
        });
    }
    if u64::from(config.max_batch_bytes) > config.segment_bytes {
        return Err(ConfigError::Unfit {
            key: "max_batch_bytes",
            value: config.max_batch_bytes.to_string(),
            reason: format!(
                "a batch must fit a segment, and segment_bytes is {}",
                config.segment_bytes
            ),
        });
    }
    Ok(())
}

/// Changes that a user asks for: a value for a key, or its default back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigChanges(BTreeMap<&'static str, Option<Value>>);

impl ConfigChanges {
    /// No change.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads `key=value` texts; `key=default` takes an override back.
    ///
    /// # Errors
    /// [`ConfigError`] names the key, the value and what is allowed.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        let pairs = texts.into_iter().map(|text| {
            text.split_once('=')
                .ok_or_else(|| ConfigError::NotKeyValue {
                    text: text.to_owned(),
                })
        });
        Self::collect(pairs)
    }

    /// Reads keys and values.
    ///
    /// # Errors
    /// [`ConfigError`] names the key, the value and what is allowed.
    pub fn parse_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ConfigError> {
        Self::collect(pairs.into_iter().map(Ok))
    }

    fn collect<'a>(
        pairs: impl Iterator<Item = Result<(&'a str, &'a str), ConfigError>>,
    ) -> Result<Self, ConfigError> {
        let mut changes = BTreeMap::new();
        for pair in pairs {
            let (key, value) = pair?;
            let (key, value) = (key.trim(), value.trim());
            let setting = Setting::find(key)?;
            let value = match value {
                "default" => None,
                _ => Some(setting.parse(value)?),
            };
            if changes.insert(setting.key, value).is_some() {
                return Err(ConfigError::Twice { key: setting.key });
            }
        }
        Ok(Self(changes))
    }

    /// Whether nothing is to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests;
