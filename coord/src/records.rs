//! What the nodes of the metadata store hold: JSON with `"v":1`.
//!
//! People read these with a ZooKeeper shell, and other programs watch them, so they change by growing only.
//! Fields that this program does not know are kept when it writes a node again: a newer broker may have
//! written them. A larger `v` means that the meaning changed, and is refused.

use std::collections::BTreeMap;

use ringlog_record::{BrokerId, LeaderEpoch, TopicId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::config::{PartitionOverrides, TopicOverrides};
use crate::ids::{
    BrokerEpoch, ClusterId, ControllerEpoch, DirectoryId, Incarnation, Revision, Slot,
};
use crate::store::NodePath;

/// The version that this program writes.
pub const RECORD_VERSION: u32 = 1;

/// Why a node cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// A newer program wrote it.
    #[error(
        "{path} has version {found}, this program understands up to {supported}: use a newer program"
    )]
    Newer {
        /// The node.
        path: NodePath,
        /// Its version.
        found: u64,
        /// The newest that is understood.
        supported: u32,
    },
    /// It is not what belongs there.
    #[error("{path} in the metadata store cannot be understood: {reason}")]
    Malformed {
        /// The node.
        path: NodePath,
        /// What is wrong with it.
        reason: String,
    },
}

/// A record as it lies in its node: its version, the record, and fields from the future.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payload<T> {
    v: u32,
    /// The record.
    #[serde(flatten)]
    pub body: T,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl<T> Payload<T> {
    /// A record to be written for the first time.
    #[must_use]
    pub fn new(body: T) -> Self {
        Self {
            v: RECORD_VERSION,
            body,
            unknown: Map::new(),
        }
    }
}

impl<T: Serialize> Payload<T> {
    /// What the node is to hold.
    ///
    /// # Errors
    /// [`RecordError::Malformed`] when the record has no JSON form, which none of this module is without.
    pub fn encode(&self, path: &NodePath) -> Result<Vec<u8>, RecordError> {
        serde_json::to_vec(self).map_err(|error| RecordError::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        })
    }
}

impl<T: DeserializeOwned> Payload<T> {
    /// Reads what a node holds.
    ///
    /// # Errors
    /// [`RecordError`] with the path of the node.
    pub fn decode(path: &NodePath, data: &[u8]) -> Result<Self, RecordError> {
        let malformed = |error: serde_json::Error| RecordError::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        };
        let value: Value = serde_json::from_slice(data).map_err(malformed)?;
        match value.get("v").and_then(Value::as_u64) {
            Some(found) if found > u64::from(RECORD_VERSION) => Err(RecordError::Newer {
                path: path.clone(),
                found,
                supported: RECORD_VERSION,
            }),
            _ => Self::deserialize(value).map_err(malformed),
        }
    }
}

/// `/cluster`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// The cluster that the store belongs to.
    pub cluster_id: ClusterId,
}

/// `/controller`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControllerRecord {
    /// Who is the controller.
    pub broker: BrokerId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// Its epoch.
    pub controller_epoch: ControllerEpoch,
}

/// `/controller_epoch`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControllerEpochRecord {
    /// The epoch of the last controller.
    pub epoch: ControllerEpoch,
}

/// `/pid_block`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProducerIdBlock {
    /// The first producer id that no block has.
    pub next: u64,
}

/// `/brokers/ids/{id}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrokerRegistration {
    /// Which run of the process.
    pub incarnation: Incarnation,
    /// Where clients reach it, `host:port`.
    pub addresses: Vec<String>,
    /// How many shards it has.
    pub cores: u16,
    /// Where it stands, for placement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<String>,
    /// Its data directories.
    pub directories: Vec<DirectoryId>,
    /// Name and version of its program.
    #[serde(default)]
    pub software: String,
}

/// `/brokers/lease/{id}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrokerLease {
    /// One more for each renewal.
    pub counter: u64,
}

/// `/brokers/report/{id}`: what a broker tells the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerReport {
    /// The registration that reports.
    pub broker_epoch: BrokerEpoch,
    /// It serves what the cluster was to be at this revision, and has removed what was deleted until then.
    pub applied: Revision,
    /// It is about to stop, and wants to lead nothing any more.
    #[serde(default)]
    pub draining: bool,
    /// Deleted topics whose data it could not remove; its next start tries again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unremoved: Vec<TopicId>,
}

/// `/changes`: what tells brokers to read again.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesRecord {
    /// The last change.
    pub revision: Revision,
    /// The last changes, oldest first. Who knows none of them, nor the one before, reads everything again.
    #[serde(default)]
    pub recent: Vec<Change>,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its number.
    pub revision: Revision,
    /// The names of the topics to read again; everything without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
}

/// Where a broker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrokerLife {
    /// Registered, but joins no ISR yet.
    Fenced,
    /// At work.
    Active,
    /// About to leave.
    Draining,
}

/// `/brokers/state/{id}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrokerState {
    /// Where it is in its life.
    pub state: BrokerLife,
    /// The registration that this is about.
    pub broker_epoch: BrokerEpoch,
    /// The data directories that its partitions are in: another one has lost them.
    #[serde(default)]
    pub directories: Vec<DirectoryId>,
    /// An administrator wants it to lead nothing, until its next start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drain: bool,
}

/// Whether a topic is there or about to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicState {
    /// In use.
    Active,
    /// Deleted for its users; its data may still have to be removed.
    Deleting,
}

/// `/topics/{name}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopicRecord {
    /// Under which id its partitions are.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// What it sets differently from the defaults.
    #[serde(default)]
    pub config: TopicOverrides,
    /// What some of its partitions set differently from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_config: Vec<PartitionOverrides>,
    /// Whether it is there or about to go.
    pub state: TopicState,
}

/// Where one partition lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Replicas that are being added.
    #[serde(default)]
    pub adding: Vec<BrokerId>,
    /// Replicas that are to go.
    #[serde(default)]
    pub removing: Vec<BrokerId>,
    /// While there are such: the replicas as they were before, which it has again when that is cancelled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<BrokerId>,
    /// Where on each broker: shard = slot % shards.
    pub slot: Slot,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl Placement {
    /// Whether other replicas are on their way.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// A placement that nothing is about to change.
    #[must_use]
    pub fn settled(replicas: Vec<BrokerId>, slot: Slot) -> Self {
        Self {
            replicas,
            adding: Vec::new(),
            removing: Vec::new(),
            before: Vec::new(),
            slot,
            unknown: Map::new(),
        }
    }
}

/// `/t/{topic_id}/a/{chunk}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssignmentChunk {
    /// The partitions of the chunk, in order.
    pub partitions: Vec<Placement>,
}

/// An in-sync replica: a broker in one registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsrMember {
    /// The broker.
    pub id: BrokerId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
}

/// `/t/{topic_id}/p/{n}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartitionState {
    /// Who leads; none while the partition is offline.
    pub leader: Option<BrokerId>,
    /// The epoch of the last leader.
    pub leader_epoch: LeaderEpoch,
    /// The in-sync replicas.
    pub isr: Vec<IsrMember>,
    /// Replicas out of the ISR that may still lead.
    #[serde(default)]
    pub elr: Vec<BrokerId>,
    /// How many in-sync replicas an acknowledgement needs.
    pub min_isr: u16,
    /// Whether an unclean election left the replicas with different histories.
    #[serde(default)]
    pub recovery: bool,
    /// The controller that wrote this.
    pub controller_epoch: ControllerEpoch,
}

/// `/pid_block`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PidBlock {
    /// The first producer id that nobody was given.
    pub next: u64,
}

/// `/config/{scope}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigRecord {
    /// Key and value.
    pub config: BTreeMap<String, Value>,
}

#[cfg(test)]
mod tests;
