//! The identity of a data directory: `format.json`, and what may be done with a directory that was found.
//!
//! Duty: the decision that a lost, empty or foreign metadata store never costs data. Pure: the broker's
//! assembly reads and writes the file and lists the directory, through the reactor.

use ringlog_record::{BrokerId, TopicId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use thiserror::Error;

use crate::ids::{ClusterId, DirectoryId};

/// The format of a data directory that this program writes.
pub const FORMAT_VERSION: u32 = 1;

/// The name of the file in the data directory.
pub const FORMAT_FILE: &str = "format.json";

/// What is put behind the name of a topic directory that nobody knows.
pub const UNKNOWN_SUFFIX: &str = ".unknown";

/// `format.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormatJson {
    /// The format of everything in the directory.
    pub format_version: u32,
    /// The cluster that the data belongs to.
    pub cluster_id: ClusterId,
    /// The broker that serves it.
    pub broker_id: BrokerId,
    /// The directory itself.
    pub directory_id: DirectoryId,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl FormatJson {
    /// The identity of a new directory.
    #[must_use]
    pub fn new(cluster_id: ClusterId, broker_id: BrokerId, directory_id: DirectoryId) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            cluster_id,
            broker_id,
            directory_id,
            unknown: Map::new(),
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`DataDirError::NewerFormat`], whatever else the file holds, or [`DataDirError::Malformed`].
    pub fn decode(data: &[u8]) -> Result<Self, DataDirError> {
        let malformed = |error: serde_json::Error| DataDirError::Malformed {
            reason: error.to_string(),
        };
        let value: Value = serde_json::from_slice(data).map_err(malformed)?;
        if let Some(found) = value.get("format_version").and_then(Value::as_u64)
            && found > u64::from(FORMAT_VERSION)
        {
            return Err(DataDirError::NewerFormat {
                found,
                supported: FORMAT_VERSION,
            });
        }
        Self::deserialize(value).map_err(malformed)
    }

    /// What the file is to hold, for people too.
    ///
    /// # Errors
    /// [`DataDirError::Malformed`] when there is no JSON form, which there always is.
    pub fn encode(&self) -> Result<Vec<u8>, DataDirError> {
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|error| DataDirError::Malformed {
                reason: error.to_string(),
            })?;
        text.push(b'\n');
        Ok(text)
    }
}

/// Why a data directory is not served. Nothing in it was touched.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DataDirError {
    /// A newer program wrote it.
    #[error(
        "the data directory has format {found}, this program reads up to {supported}: use a newer program"
    )]
    NewerFormat {
        /// Its format.
        found: u64,
        /// The newest that is understood.
        supported: u32,
    },
    /// `format.json` is not what belongs there.
    #[error(
        "format.json of the data directory cannot be understood: {reason}; restore it from a copy"
    )]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// Topics, but no identity.
    #[error(
        "the data directory holds topics but no format.json, so nobody can say whose they are; restore the file, or move the topics away"
    )]
    MissingFormat,
    /// Topics, but nothing that describes them.
    #[error(
        "the data directory holds topics of cluster {cluster_id}, but its metadata store is missing or empty; nothing was deleted: restore the metadata store, or use another data directory"
    )]
    StoreMissing {
        /// The cluster of the data.
        cluster_id: ClusterId,
    },
    /// Topics of one cluster, the metadata store of another.
    #[error(
        "the data directory belongs to cluster {directory}, the metadata store to cluster {store}; nothing was deleted: use the store or the directory that belongs to the other"
    )]
    OtherCluster {
        /// The cluster of the data.
        directory: ClusterId,
        /// The cluster of the store.
        store: ClusterId,
    },
    /// Topics of another broker.
    #[error(
        "the data directory belongs to broker {directory}, and this is broker {configured}: give this broker its own directory, or that id"
    )]
    OtherBroker {
        /// The broker of the data.
        directory: u32,
        /// The broker that was started.
        configured: u32,
    },
}

/// What to do with a data directory that may be served.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Serve it.
    Use(FormatJson),
    /// There is no topic data: write a new `format.json`. The cluster is the store's if that has one;
    /// otherwise the one that the directory had, or else a new one, is written to the store first.
    Initialise {
        /// The cluster to be of, if there is one to join.
        cluster_id: Option<ClusterId>,
    },
}

/// Decides whether a data directory may be served.
///
/// `found` is its `format.json`, `store_cluster_id` the cluster of the metadata store (none: the store is
/// missing or empty), `topic_data_exists` whether any topic directory is there.
///
/// # Errors
/// [`DataDirError`]: data would be served under another identity, or taken for deleted.
pub fn check_identity(
    found: Option<FormatJson>,
    store_cluster_id: Option<ClusterId>,
    topic_data_exists: bool,
) -> Result<Action, DataDirError> {
    let Some(found) = found else {
        return if topic_data_exists {
            Err(DataDirError::MissingFormat)
        } else {
            Ok(Action::Initialise {
                cluster_id: store_cluster_id,
            })
        };
    };
    if found.format_version > FORMAT_VERSION {
        return Err(DataDirError::NewerFormat {
            found: found.format_version.into(),
            supported: FORMAT_VERSION,
        });
    }
    match store_cluster_id {
        Some(store) if store == found.cluster_id => Ok(Action::Use(found)),
        Some(store) if topic_data_exists => Err(DataDirError::OtherCluster {
            directory: found.cluster_id,
            store,
        }),
        None if topic_data_exists => Err(DataDirError::StoreMissing {
            cluster_id: found.cluster_id,
        }),
        store => Ok(Action::Initialise {
            cluster_id: Some(store.unwrap_or(found.cluster_id)),
        }),
    }
}

/// Checks that a directory is the broker's own.
///
/// # Errors
/// [`DataDirError::OtherBroker`] with both ids.
pub fn check_broker(found: &FormatJson, configured: BrokerId) -> Result<(), DataDirError> {
    if found.broker_id == configured {
        return Ok(());
    }
    Err(DataDirError::OtherBroker {
        directory: found.broker_id.get(),
        configured: configured.get(),
    })
}

/// What to do with each entry of `topics/` at start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicDirectories {
    /// Topics that the metadata store has.
    pub known: Vec<TopicId>,
    /// Topics whose deletion is not finished: remove their data.
    pub deleting: Vec<TopicId>,
    /// Nobody knows these: rename each from the first to the second name and report it. Never remove them.
    pub set_aside: Vec<(String, String)>,
    /// Set aside by an earlier start: report them again.
    pub aside: Vec<String>,
}

/// Sorts the entries of `topics/` by what the metadata store knows about them.
#[must_use]
pub fn sort_topic_directories<'a>(
    names: impl IntoIterator<Item = &'a str>,
    known: &BTreeSet<TopicId>,
    deleting: &BTreeSet<TopicId>,
) -> TopicDirectories {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    let mut sorted = TopicDirectories::default();
    for name in &names {
        // A name in another spelling is not the directory that the broker would open.
        let topic = name
            .parse::<TopicId>()
            .ok()
            .filter(|topic| topic.to_string() == **name);
        match topic {
            Some(topic) if known.contains(&topic) => sorted.known.push(topic),
            Some(topic) if deleting.contains(&topic) => sorted.deleting.push(topic),
            _ if name.ends_with(UNKNOWN_SUFFIX) => sorted.aside.push((*name).to_owned()),
            _ => {
                let aside = free_name(name, &names);
                sorted.set_aside.push(((*name).to_owned(), aside));
            }
        }
    }
    sorted
}

/// A name to set `name` aside under, that none of the names has already.
fn free_name(name: &str, names: &[&str]) -> String {
    let mut aside = format!("{name}{UNKNOWN_SUFFIX}");
    let mut attempt = 1_u32;
    while names.contains(&aside.as_str()) {
        attempt += 1;
        aside = format!("{name}.{attempt}{UNKNOWN_SUFFIX}");
    }
    aside
}

#[cfg(test)]
mod tests;
