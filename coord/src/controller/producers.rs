//! Ids of idempotent producers: handed out in blocks, each noted in the store before the first id of it is used, so
//! that none is ever given twice. A broker that stops leaves the rest of its block unused. Any broker takes blocks: the
//! version of the node is fence enough.

use std::ops::Range;

use super::error::ControllerError;
use super::image::read;
use super::registration::replace;
use crate::limits::{PRODUCER_ID_BLOCK, UNKNOWN_RETRIES_MAX};
use crate::paths;
use crate::records::ProducerIdBlock;
use crate::store::{MetadataStore, MultiError};

/// A block of producer ids that nobody was given and nobody will be.
///
/// # Errors
/// [`ControllerError`]; a block may be lost then, which does no harm: ask again.
pub async fn allocate_producer_ids<S: MetadataStore>(
    store: &S,
) -> Result<Range<u64>, ControllerError> {
    let path = paths::pid_block();
    let mut attempts_left = UNKNOWN_RETRIES_MAX;
    loop {
        let stored = read::<ProducerIdBlock, S>(store, &path).await?;
        let first = stored.as_ref().map_or(0, |stored| stored.record.body.next);
        let next = first
            .checked_add(PRODUCER_ID_BLOCK)
            .filter(|&next| i64::try_from(next).is_ok())
            .ok_or_else(|| {
                ControllerError::inconsistent(&path, "there are no producer ids behind the last")
            })?;
        let op = replace(&path, stored, ProducerIdBlock { next })?;
        match store.multi(vec![op]).await {
            Ok(_) => return Ok(first..next),
            // Somebody else may have taken it, or this broker without knowing: the next one is free.
            Err(MultiError::Conflict { .. } | MultiError::Unknown { .. }) if attempts_left > 0 => {
                attempts_left -= 1;
            }
            Err(error) => {
                return Err(ControllerError::from_multi(
                    "a block of producer ids",
                    error,
                ));
            }
        }
    }
}
