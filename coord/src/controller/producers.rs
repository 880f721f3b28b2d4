//! Ids of idempotent producers: handed out in blocks, each noted in the store before the first id of it is used, so
//! that none is ever given twice. A broker that stops leaves the rest of its block unused.

use std::ops::Range;

use super::Controller;
use super::error::ControllerError;
use super::image::read;
use super::start::replace;
use crate::limits::PRODUCER_ID_BLOCK;
use crate::paths;
use crate::records::ProducerIdBlock;
use crate::store::MetadataStore;

impl<S: MetadataStore> Controller<S> {
    /// A block of producer ids that nobody was given and nobody will be.
    ///
    /// # Errors
    /// [`ControllerError`]; a block may be lost then, which does no harm: ask again.
    pub async fn allocate_producer_ids(&mut self) -> Result<Range<u64>, ControllerError> {
        let path = paths::pid_block();
        let stored = read::<ProducerIdBlock, S>(&self.store, &path).await?;
        let first = stored.as_ref().map_or(0, |stored| stored.record.body.next);
        let next = first
            .checked_add(PRODUCER_ID_BLOCK)
            .filter(|&next| i64::try_from(next).is_ok())
            .ok_or_else(|| {
                ControllerError::inconsistent(&path, "there are no producer ids behind the last")
            })?;
        let op = replace(&path, stored, ProducerIdBlock { next })?;
        self.fence
            .write(&self.store, "a block of producer ids", vec![op])
            .await?;
        Ok(first..next)
    }
}
