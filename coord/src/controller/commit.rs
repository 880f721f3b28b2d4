//! Writing under the controller's fence.
//!
//! Every multi of a controller checks the version of `/controller_epoch`, so that one that was deposed
//! writes nothing. A multi whose outcome is unknown is tried again as it is: either it is done now, and the
//! first, should it come late, finds its versions gone; or it conflicts, and the nodes show whether that is
//! because the first one was done. That the first one never comes later than something else that this session writes is
//! the store's order: ZooKeeper carries out what a session asks in the order in which it was asked.

use std::collections::BTreeMap;

use super::error::ControllerError;
use super::image::read;
use super::machine::Op;
use crate::ids::ControllerEpoch;
use crate::limits;
use crate::omit::Step;
use crate::paths;
use crate::records::ControllerEpochRecord;
use crate::store::{Conflict, MetaOp, MetadataStore, MultiError, NodePath, StoreError, Version};

/// What makes the writes of one controller fail once there is another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fence {
    pub(super) epoch: ControllerEpoch,
    /// The version of `/controller_epoch` since this controller set it.
    pub(super) version: Version,
}

impl Fence {
    pub(super) fn check(self) -> MetaOp {
        MetaOp::Check {
            path: paths::controller_epoch(),
            version: Some(self.version).filter(|_| !Step::ControllerFence.is_omitted()),
        }
    }

    /// Sets `/controller_epoch` again: whatever was written under the fence before, and is still on its way,
    /// fails from now on.
    pub(super) async fn renew<S: MetadataStore>(
        &mut self,
        store: &S,
    ) -> Result<(), ControllerError> {
        let path = paths::controller_epoch();
        for _attempt in 0..=limits::UNKNOWN_RETRIES_MAX {
            let stored = read::<ControllerEpochRecord, S>(store, &path).await?;
            let Some(stored) = stored.filter(|stored| stored.record.body.epoch == self.epoch)
            else {
                return Err(ControllerError::Deposed { epoch: self.epoch });
            };
            let set = MetaOp::Set {
                path: path.clone(),
                data: stored.record.encode(&path)?,
                version: Some(stored.version),
            };
            match store.multi(vec![set]).await {
                Ok(_) => {
                    self.version = stored.version.next();
                    return Ok(());
                }
                Err(MultiError::Unknown { .. } | MultiError::Conflict { .. }) => {}
                Err(error) => return Err(ControllerError::from_multi("renewing the fence", error)),
            }
        }
        Err(ControllerError::UnknownOutcome {
            what: "renewing the fence",
            reason: "no attempt was answered".to_owned(),
        })
    }

    /// Writes operations in one multi.
    pub(super) async fn write<S: MetadataStore>(
        self,
        store: &S,
        what: &'static str,
        mut ops: Vec<MetaOp>,
    ) -> Result<(), ControllerError> {
        ops.insert(0, self.check());
        self.write_checked(store, what, ops).await
    }

    async fn write_checked<S: MetadataStore>(
        self,
        store: &S,
        what: &'static str,
        ops: Vec<MetaOp>,
    ) -> Result<(), ControllerError> {
        let mut unknown = None;
        for _attempt in 0..=limits::UNKNOWN_RETRIES_MAX {
            match store.multi(ops.clone()).await {
                Ok(_) => return Ok(()),
                Err(MultiError::Unknown { reason }) => unknown = Some(reason),
                Err(MultiError::Conflict { .. })
                    if unknown.is_some() && is_done(store, &ops).await? =>
                {
                    return Ok(());
                }
                Err(MultiError::Conflict {
                    path,
                    conflict: Conflict::BadVersion | Conflict::NoNode,
                    ..
                }) if path == paths::controller_epoch() => {
                    return Err(ControllerError::Deposed { epoch: self.epoch });
                }
                // What was not done now may have been done before.
                Err(MultiError::NotDone(error)) if unknown.is_some() => {
                    unknown = Some(error.to_string())
                }
                Err(error) => return Err(ControllerError::from_multi(what, error)),
            }
        }
        Err(ControllerError::UnknownOutcome {
            what,
            reason: unknown.unwrap_or_default(),
        })
    }
}

/// Whether the nodes are as the operations leave them.
async fn is_done<S: MetadataStore>(store: &S, ops: &[MetaOp]) -> Result<bool, StoreError> {
    enum Left<'a> {
        Data(&'a [u8]),
        Nothing,
    }
    let mut left: BTreeMap<&NodePath, Left<'_>> = BTreeMap::new();
    for op in ops {
        match op {
            MetaOp::Create { path, data }
            | MetaOp::CreateEphemeral { path, data }
            | MetaOp::Set { path, data, .. } => {
                left.insert(path, Left::Data(data));
            }
            MetaOp::Delete { path, .. } => {
                left.insert(path, Left::Nothing);
            }
            MetaOp::Check { .. } => {}
        }
    }
    for (path, left) in left {
        let found = store.read(path).await?;
        let as_left = match (&found, left) {
            (Some(node), Left::Data(data)) => node.data == data,
            (None, Left::Nothing) => true,
            (Some(_), Left::Nothing) | (None, Left::Data(_)) => false,
        };
        if !as_left {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Packs operations into multis within the bounds, with room for the check and for `/changes` in each.
pub(super) fn batches(ops: Vec<Op>, check: &MetaOp) -> Vec<Vec<Op>> {
    let ops_max = limits::MULTI_OPS_MAX - 2;
    let taken_bytes = check.size_bytes() + limits::OP_OVERHEAD_BYTES + limits::CHANGES_BYTES_MAX;
    let mut batches = Vec::new();
    let mut batch: Vec<Op> = Vec::new();
    let mut bytes = taken_bytes;
    for op in ops {
        let op_bytes = op.op.size_bytes();
        let full = batch.len() == ops_max || bytes + op_bytes > limits::MULTI_BYTES_MAX;
        if full && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch));
            bytes = taken_bytes;
        }
        bytes += op_bytes;
        batch.push(op);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests;
