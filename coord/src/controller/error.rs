//! What the controller answers when it cannot do what was asked: one error for each operation, and
//! [`ControllerError`] for what can befall all of them.

use ringlog_record::{BrokerId, PartitionIndex, TopicId};
use thiserror::Error;

use crate::config::ConfigError;
use crate::ids::{ControllerEpoch, DirectoryId};
use crate::records::RecordError;
use crate::store::{MultiError, NodePath, StoreError};
use crate::topic_name::TopicName;

/// What can befall every operation of the controller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ControllerError {
    /// Another controller has taken office: this one must stop.
    #[error("this broker is no longer the controller: another one took over from epoch {epoch}")]
    Deposed {
        /// The epoch of this controller.
        epoch: ControllerEpoch,
    },
    /// Nobody can say whether the write was done. The next operation of the controller finds out.
    #[error("nobody can say whether {what} was done: {reason}")]
    UnknownOutcome {
        /// What was tried.
        what: &'static str,
        /// What came in between.
        reason: String,
    },
    /// The store was not asked or did not answer; nothing was written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A node holds what cannot be understood.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Nodes do not fit each other, or what this controller knows: somebody else has written them.
    #[error("the metadata store is not as the controller left it: {path}: {reason}")]
    Inconsistent {
        /// The node.
        path: NodePath,
        /// What is wrong with it.
        reason: String,
    },
}

impl ControllerError {
    pub(crate) fn inconsistent(path: &NodePath, reason: impl Into<String>) -> Self {
        Self::Inconsistent {
            path: path.clone(),
            reason: reason.into(),
        }
    }

    /// From a multi that was tried once, by an epoch's holder or somebody about to be one.
    pub(crate) fn from_multi(what: &'static str, error: MultiError) -> Self {
        match error {
            MultiError::Conflict { path, conflict, .. } => {
                Self::inconsistent(&path, conflict.to_string())
            }
            MultiError::Unknown { reason } => Self::UnknownOutcome { what, reason },
            MultiError::NotDone(error) => Self::Store(error),
            error @ (MultiError::TooManyOps { .. } | MultiError::TooLarge { .. }) => {
                Self::inconsistent(&NodePath::root(), error.to_string())
            }
        }
    }
}

/// Why a broker cannot start.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StartError {
    /// A live broker has this id.
    #[error(
        "broker {broker} is already running, at {addresses}: stop it, or give this broker another id"
    )]
    DuplicateBroker {
        /// The id.
        broker: BrokerId,
        /// Where the other one is.
        addresses: String,
    },
    /// The partitions of this broker are in another data directory.
    #[error(
        "the {partitions} partition(s) of broker {broker} are in data directory {expected}, and this one is {found}: \
         start it with its own directory, or accept that what was only there is lost"
    )]
    DirectoryReplaced {
        /// The broker.
        broker: BrokerId,
        /// How many partitions it has.
        partitions: usize,
        /// Where they are.
        expected: DirectoryId,
        /// What the broker was started with.
        found: DirectoryId,
    },
    /// Whatever can befall all operations.
    #[error(transparent)]
    Controller(#[from] ControllerError),
}

/// Why a topic is not created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreateTopicError {
    /// There is one of that name.
    #[error("the topic {name} exists already")]
    AlreadyExists {
        /// The name.
        name: TopicName,
        /// Its id.
        topic_id: TopicId,
    },
    /// One of that name is about to go.
    #[error(
        "a topic {name} is being deleted, broker(s) {} still have to remove its data; try again once that is done",
        list(brokers)
    )]
    BeingDeleted {
        /// The name.
        name: TopicName,
        /// Who had data of it.
        brokers: Vec<BrokerId>,
    },
    /// A topic has at least one partition.
    #[error("a topic needs at least one partition")]
    NoPartitions,
    /// More partitions than the brokers take.
    #[error(
        "{asked} partition(s) more than the {existing} that exist would be too many, the brokers take {partitions_max}"
    )]
    TooManyPartitions {
        /// How many were asked for.
        asked: u32,
        /// How many there are.
        existing: u32,
        /// The bound.
        partitions_max: u32,
    },
    /// More replicas than brokers.
    #[error(
        "{asked} replica(s) of each partition were asked for; with {brokers} broker(s) it must be 1 to {brokers}"
    )]
    ReplicationFactor {
        /// How many were asked for.
        asked: u16,
        /// How many brokers there are.
        brokers: u16,
    },
    /// A setting is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Whatever can befall all operations.
    #[error(transparent)]
    Controller(#[from] ControllerError),
}

/// Why a topic is not deleted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeleteTopicError {
    /// There is none.
    #[error("there is no topic {name}")]
    NotFound {
        /// The name.
        name: TopicName,
    },
    /// Whatever can befall all operations.
    #[error(transparent)]
    Controller(#[from] ControllerError),
}

/// Why the settings of a topic are not changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlterTopicError {
    /// There is none.
    #[error("there is no topic {name}")]
    NotFound {
        /// The name.
        name: TopicName,
    },
    /// The topic has no such partition.
    #[error(
        "topic {name} has {partitions} partition(s), counted from 0, and none with number {partition}"
    )]
    NoSuchPartition {
        /// The name.
        name: TopicName,
        /// What was asked for.
        partition: PartitionIndex,
        /// How many there are.
        partitions: u32,
    },
    /// A setting is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Whatever can befall all operations.
    #[error(transparent)]
    Controller(#[from] ControllerError),
}

/// Why a broker is not drained.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DrainError {
    /// It is not there.
    #[error("broker {broker} is not running")]
    NotThere {
        /// Which.
        broker: BrokerId,
    },
    /// Whatever can befall all operations.
    #[error(transparent)]
    Controller(#[from] ControllerError),
}

/// Why a partition is not reassigned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReassignError {
    /// There is none.
    #[error("there is no topic {name}")]
    NotFound {
        /// The name.
        name: TopicName,
    },
    /// The topic has no such partition.
    #[error(
        "topic {name} has {partitions} partition(s), counted from 0, and none with number {partition}"
    )]
    NoSuchPartition {
        /// The name.
        name: TopicName,
        /// What was asked for.
        partition: PartitionIndex,
        /// How many there are.
        partitions: u32,
    },
    /// Too many replicas, or none.
    #[error("{asked} replicas were asked for; a partition has 1 to {replicas_max}")]
    Replicas {
        /// How many were asked for.
        asked: usize,
        /// How many it may have.
        replicas_max: u16,
    },
    /// Two replicas on one broker.
    #[error("broker {broker} is named twice; each replica is on a broker of its own")]
    Twice {
        /// Which.
        broker: BrokerId,
    },
    /// With so few nothing could be acknowledged.
    #[error(
        "the topic needs {min_isr} replicas in sync (its setting min_isr), and only {asked} were asked for"
    )]
    MinIsr {
        /// How many were asked for.
        asked: usize,
        /// How many it needs.
        min_isr: u16,
    },
    /// A broker that is not there cannot take a replica.
    #[error("broker {broker} is not running")]
    NotThere {
        /// Which.
        broker: BrokerId,
    },
    /// One that is about to leave gets none.
    #[error(
        "broker {broker} is drained: it gets nothing new until it registers anew, which it does when it is started again"
    )]
    Draining {
        /// Which.
        broker: BrokerId,
    },
    /// There is no reassignment to cancel.
    #[error("no reassignment of partition {partition} of topic {name} is under way")]
    NothingToCancel {
        /// The topic.
        name: TopicName,
        /// The partition.
        partition: PartitionIndex,
    },
    /// The records are only where the partition would not be any more.
    #[error(
        "none of the brokers that the partition would be on has all of its records; {} has them: wait until the reassignment that is under way is done",
        match in_sync.is_empty() {
            true => "no broker that is known".to_owned(),
            false => format!("broker {}", list(in_sync)),
        }
    )]
    NobodyInSync {
        /// Who has them.
        in_sync: Vec<BrokerId>,
    },
    /// Whatever can befall all operations.
    #[error(transparent)]
    Controller(#[from] ControllerError),
}

fn list(brokers: &[BrokerId]) -> String {
    let ids: Vec<String> = brokers.iter().map(|one| one.get().to_string()).collect();
    ids.join(", ")
}
