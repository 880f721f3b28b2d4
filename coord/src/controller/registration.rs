//! How a broker joins: it registers, and reports what it serves.
//!
//! A registration is ephemeral, and the write that created it is the broker's epoch. A broker takes the place of its own
//! earlier run, which it knows by the data directory, never that of another broker.

use std::num::NonZeroU16;

use ringlog_record::BrokerId;

use super::error::{ControllerError, StartError};
use super::image::{Image, Stored, read};
use crate::ids::{BrokerEpoch, DirectoryId, Incarnation, Revision};
use crate::limits;
use crate::paths;
use crate::records::{BrokerLease, BrokerRegistration, BrokerReport, Payload};
use crate::store::{Conflict, MetaOp, MetadataStore, MultiError, NodePath};

/// Whether a broker may come back with another data directory than its partitions are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplacedDirectory {
    /// No: the data may still be there, somewhere.
    #[default]
    Refuse,
    /// Yes: what was only in the old one is lost.
    Accept,
}

/// A broker about to join.
#[derive(Debug, Clone)]
pub struct BrokerStart {
    /// Its id.
    pub broker: BrokerId,
    /// This run of its process.
    pub incarnation: Incarnation,
    /// Where clients reach it, `host:port`.
    pub addresses: Vec<String>,
    /// How many shards it has.
    pub shards: NonZeroU16,
    /// Where it stands.
    pub rack: Option<String>,
    /// Its data directory.
    pub directory: DirectoryId,
    /// Name and version of its program.
    pub software: String,
    /// What to do when its partitions are in another one.
    pub replaced_directory: ReplacedDirectory,
}

/// Refuses a data directory that is not the one with the broker's partitions.
///
/// # Errors
/// [`StartError::DirectoryReplaced`].
pub fn check_directory(image: &Image, start: &BrokerStart) -> Result<(), StartError> {
    let state = image.states.get(&start.broker);
    let directories = state.map_or(&[][..], |state| &state.record.body.directories);
    let Some(expected) = directories.first() else {
        return Ok(());
    };
    if directories.contains(&start.directory)
        || start.replaced_directory == ReplacedDirectory::Accept
    {
        return Ok(());
    }
    let placed = image
        .placements()
        .filter(|one| one.replicas.contains(&start.broker));
    match placed.count() {
        0 => Ok(()),
        partitions => Err(StartError::DirectoryReplaced {
            broker: start.broker,
            partitions,
            expected: *expected,
            found: start.directory,
        }),
    }
}

/// Makes the nodes that hold only others, as far as they are missing.
pub(super) async fn ensure_layout<S: MetadataStore>(store: &S) -> Result<(), ControllerError> {
    for path in paths::layout() {
        if store.read(&path).await?.is_some() {
            continue;
        }
        let create = MetaOp::Create {
            path,
            data: Vec::new(),
        };
        match store.multi(vec![create]).await {
            Ok(_) => {}
            Err(MultiError::Conflict {
                conflict: Conflict::NodeExists,
                ..
            }) => {}
            Err(error) => {
                return Err(ControllerError::from_multi(
                    "the layout of the metadata store",
                    error,
                ));
            }
        }
    }
    Ok(())
}

/// Registers a broker. It is `fenced` until the controller has taken it in.
///
/// # Errors
/// [`StartError::DuplicateBroker`], or the store cannot be written.
pub async fn register<S: MetadataStore>(
    store: &S,
    start: &BrokerStart,
) -> Result<BrokerEpoch, StartError> {
    ensure_layout(store).await?;
    let path = paths::broker_id(start.broker);
    let registration = Payload::new(BrokerRegistration {
        incarnation: start.incarnation,
        addresses: start.addresses.clone(),
        cores: start.shards.get(),
        rack: start.rack.clone(),
        directories: vec![start.directory],
        software: start.software.clone(),
    });
    let registration = registration.encode(&path).map_err(ControllerError::from)?;
    for _attempt in 0..=limits::UNKNOWN_RETRIES_MAX + 1 {
        let mut ops = Vec::new();
        if let Some(node) = store.read(&path).await.map_err(ControllerError::from)? {
            let old = Payload::<BrokerRegistration>::decode(&path, &node.data)
                .map_err(ControllerError::from)?;
            let mine = store.session().id;
            if old.body.incarnation == start.incarnation && node.stat.ephemeral_owner == Some(mine)
            {
                return Ok(node.stat.czxid.into());
            }
            // The lock of a data directory is held by one process: whoever had it has stopped.
            if !old.body.directories.contains(&start.directory) {
                return Err(StartError::DuplicateBroker {
                    broker: start.broker,
                    addresses: old.body.addresses.join(", "),
                });
            }
            ops.push(MetaOp::Delete {
                path: path.clone(),
                version: Some(node.stat.version),
            });
        }
        ops.push(MetaOp::CreateEphemeral {
            path: path.clone(),
            data: registration.clone(),
        });
        ops.extend(companions(store, start.broker).await?);
        match store.multi(ops).await {
            // Look again: it was done, and the node tells its epoch; or the old one went by itself meanwhile.
            Ok(_) | Err(MultiError::Unknown { .. } | MultiError::Conflict { .. }) => {}
            Err(error) => return Err(ControllerError::from_multi("the registration", error).into()),
        }
    }
    Err(StartError::Controller(ControllerError::UnknownOutcome {
        what: "the registration",
        reason: "the node changes again and again".to_owned(),
    }))
}

/// The other nodes of a broker that live with its registration: made anew with it, for those that are there would go
/// with the session before.
async fn companions<S: MetadataStore>(
    store: &S,
    broker: BrokerId,
) -> Result<Vec<MetaOp>, ControllerError> {
    let (report, lease) = (paths::broker_report(broker), paths::broker_lease(broker));
    let nothing = BrokerReport {
        broker_epoch: BrokerEpoch::new(0),
        applied: Revision::new(0),
        draining: false,
        unremoved: Vec::new(),
    };
    let nodes = [
        (report.clone(), Payload::new(nothing).encode(&report)?),
        (
            lease.clone(),
            Payload::new(BrokerLease { counter: 0 }).encode(&lease)?,
        ),
    ];
    let mut ops = Vec::new();
    for (path, data) in nodes {
        if store.read(&path).await?.is_some() {
            ops.push(MetaOp::Delete {
                path: path.clone(),
                version: None,
            });
        }
        ops.push(MetaOp::CreateEphemeral { path, data });
    }
    Ok(ops)
}

/// Tells the controller what a broker serves.
///
/// # Errors
/// [`ControllerError`]: it was not told, or may not have been. Tell it again.
pub async fn report<S: MetadataStore>(
    store: &S,
    broker: BrokerId,
    report: &BrokerReport,
) -> Result<(), ControllerError> {
    let path = paths::broker_report(broker);
    let stored = read::<BrokerReport, S>(store, &path).await?;
    let Some(stored) = stored else {
        return Err(ControllerError::inconsistent(&path, "it does not exist"));
    };
    if stored.record.body == *report {
        return Ok(());
    }
    let op = replace(&path, Some(stored), report.clone())?;
    store
        .multi(vec![op])
        .await
        .map(drop)
        .map_err(|error| ControllerError::from_multi("the report of a broker", error))
}

/// Creates a node, or sets it to another record with the unknown fields it has.
pub(super) fn replace<T: serde::Serialize>(
    path: &NodePath,
    stored: Option<Stored<T>>,
    body: T,
) -> Result<MetaOp, ControllerError> {
    Ok(match stored {
        None => MetaOp::Create {
            data: Payload::new(body).encode(path)?,
            path: path.clone(),
        },
        Some(Stored {
            mut record,
            version,
        }) => {
            record.body = body;
            MetaOp::Set {
                data: record.encode(path)?,
                path: path.clone(),
                version: Some(version),
            }
        }
    })
}
