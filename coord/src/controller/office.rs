//! The office of controller: taken in one write, with a new epoch that fences whoever had it before.

use ringlog_record::BrokerId;

use super::commit::Fence;
use super::error::ControllerError;
use super::image::{Stored, read};
use super::registration::replace;
use crate::ids::{BrokerEpoch, ControllerEpoch};
use crate::limits;
use crate::paths;
use crate::records::{ChangesRecord, ControllerEpochRecord, ControllerRecord, Payload};
use crate::store::{MetaOp, MetadataStore, MultiError, Version};

/// Makes a registered broker the controller, in a new epoch; none while another broker is.
pub(super) async fn take<S: MetadataStore>(
    store: &S,
    broker: BrokerId,
    broker_epoch: BrokerEpoch,
) -> Result<Option<Fence>, ControllerError> {
    let (office, counter) = (paths::controller(), paths::controller_epoch());
    for _attempt in 0..=limits::UNKNOWN_RETRIES_MAX {
        let mut ops = Vec::new();
        let last = read::<ControllerEpochRecord, S>(store, &counter).await?;
        let last_epoch = last.as_ref().map_or(0, |last| last.record.body.epoch.get());
        let last_version = last.as_ref().map(|last| last.version);
        if let Some(incumbent) = read::<ControllerRecord, S>(store, &office).await? {
            let record = &incumbent.record.body;
            let fence = last_version.map(|version| Fence {
                epoch: record.controller_epoch,
                version,
            });
            match fence {
                // An earlier attempt, whose outcome was unknown, was done.
                Some(fence)
                    if record.broker == broker
                        && record.broker_epoch == broker_epoch
                        && record.controller_epoch.get() == last_epoch =>
                {
                    return Ok(Some(fence));
                }
                _ if record.broker != broker => return Ok(None),
                // An earlier run of this broker, whose session has not ended yet.
                _ => ops.push(MetaOp::Delete {
                    path: office.clone(),
                    version: Some(incumbent.version),
                }),
            }
        }
        let epoch = ControllerEpoch::new(last_epoch + 1);
        let version = last_version.map_or(Version::FIRST, Version::next);
        ops.push(replace(&counter, last, ControllerEpochRecord { epoch })?);
        let record = Payload::new(ControllerRecord {
            broker,
            broker_epoch,
            controller_epoch: epoch,
        });
        ops.push(MetaOp::CreateEphemeral {
            data: record.encode(&office)?,
            path: office.clone(),
        });
        let told: Option<Stored<ChangesRecord>> = read(store, &paths::changes()).await?;
        if told.is_none() {
            ops.push(replace(&paths::changes(), told, ChangesRecord::default())?);
        }
        match store.multi(ops).await {
            Ok(_) => return Ok(Some(Fence { epoch, version })),
            Err(MultiError::Unknown { .. } | MultiError::Conflict { .. }) => {}
            Err(error) => return Err(ControllerError::from_multi("taking office", error)),
        }
    }
    Err(ControllerError::UnknownOutcome {
        what: "taking office",
        reason: "the node changes again and again".to_owned(),
    })
}
