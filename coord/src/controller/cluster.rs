//! What exists once for a cluster: its id, and the nodes that hold the others.

use std::collections::BTreeMap;

use ringlog_record::BrokerId;

use super::error::ControllerError;
use super::image::{broker_named, children, read};
use super::machine::LiveBroker;
use crate::ids::ClusterId;
use crate::paths;
use crate::records::{BrokerRegistration, ClusterRecord, Payload};
use crate::store::{Conflict, MetaOp, MetadataStore, MultiError};

/// The cluster that a metadata store belongs to; `None` for a store that is empty.
///
/// # Errors
/// [`ControllerError`] when the store cannot be read.
pub async fn cluster_id<S: MetadataStore>(store: &S) -> Result<Option<ClusterId>, ControllerError> {
    let record = read::<ClusterRecord, S>(store, &paths::cluster()).await?;
    Ok(record.map(|stored| stored.record.body.cluster_id))
}

/// Makes an empty store the store of a cluster, in one write, and returns the cluster that it belongs to then:
/// another one when somebody else was faster.
///
/// # Errors
/// [`ControllerError`] when the store cannot be read or written.
pub async fn init_cluster<S: MetadataStore>(
    store: &S,
    proposed: ClusterId,
) -> Result<ClusterId, ControllerError> {
    if let Some(existing) = cluster_id(store).await? {
        return Ok(existing);
    }
    let record = Payload::new(ClusterRecord {
        cluster_id: proposed,
    });
    let mut ops = vec![MetaOp::Create {
        data: record.encode(&paths::cluster())?,
        path: paths::cluster(),
    }];
    ops.extend(paths::layout().into_iter().map(|path| MetaOp::Create {
        path,
        data: Vec::new(),
    }));
    match store.multi(ops).await {
        Ok(_) => Ok(proposed),
        Err(error) => {
            let lost_race = matches!(
                error,
                MultiError::Unknown { .. }
                    | MultiError::Conflict {
                        conflict: Conflict::NodeExists,
                        ..
                    }
            );
            match cluster_id(store).await? {
                Some(existing) if lost_race => Ok(existing),
                _ => Err(ControllerError::from_multi(
                    "the first write to the metadata store",
                    error,
                )),
            }
        }
    }
}

/// The brokers that are registered now, without their reports.
///
/// # Errors
/// [`ControllerError`] when the store cannot be read.
pub async fn registered_brokers<S: MetadataStore>(
    store: &S,
) -> Result<BTreeMap<BrokerId, LiveBroker>, ControllerError> {
    let mut brokers = BTreeMap::new();
    for name in children(store, &paths::broker_ids()).await? {
        let broker = broker_named(&paths::broker_ids(), &name)?;
        let path = paths::broker_id(broker);
        if let Some(node) = store.read(&path).await? {
            let registration = Payload::<BrokerRegistration>::decode(&path, &node.data)?;
            let live = LiveBroker {
                epoch: node.stat.czxid.into(),
                registration: registration.body,
                report: None,
            };
            brokers.insert(broker, live);
        }
    }
    Ok(brokers)
}
