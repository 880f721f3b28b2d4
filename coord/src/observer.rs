//! What a broker sees of its cluster: who is there, who is the controller, which topics there are and who leads them.
//!
//! Three one-shot watches, however many partitions there are: on `/changes`, `/controller` and the children of
//! `/brokers/ids`. After each the observer reads what may have changed: of topics those that `/changes` names, or all
//! when it has missed too much. What it knows is complete up to its revision, and may be newer in parts.

use std::collections::BTreeMap;

use ringlog_record::BrokerId;

use crate::controller::{ControllerError, Image, LiveBroker, read, registered_brokers, since};
use crate::ids::Revision;
use crate::paths;
use crate::records::{ChangesRecord, ControllerRecord};
use crate::store::{MetadataStore, WatchKind};
use crate::watcher::Watcher;

/// What is known of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// Topics, their partitions, and the states of brokers.
    pub image: Image,
    /// Complete up to here.
    pub revision: Revision,
    /// The controller.
    pub controller: Option<ControllerRecord>,
    /// The brokers that are registered.
    pub brokers: BTreeMap<BrokerId, LiveBroker>,
}

/// Looks at a cluster.
#[derive(Debug)]
pub struct Observer<S> {
    store: S,
    watcher: Watcher<S>,
    sight: Sight,
    /// Nothing that is known can be trusted to be complete.
    is_blind: bool,
}

impl<S: MetadataStore + Clone> Observer<S> {
    /// One that has seen nothing yet.
    pub fn new(store: S) -> Self {
        Self {
            watcher: Watcher::new(store.clone()),
            store,
            sight: Sight::default(),
            is_blind: true,
        }
    }

    /// What was last seen.
    #[must_use]
    pub fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Waits until there is something to look at. May be dropped and waited for again.
    pub async fn changed(&mut self) {
        self.watcher.fired().await;
    }

    /// Looks again.
    ///
    /// # Errors
    /// [`ControllerError`] when the store cannot be read, or holds what cannot be understood: what is known is not
    /// complete then, and the next look reads everything.
    pub async fn look(&mut self) -> Result<(), ControllerError> {
        let was_blind = std::mem::replace(&mut self.is_blind, true);
        self.watcher.add(&paths::changes(), WatchKind::Node).await?;
        self.watcher
            .add(&paths::controller(), WatchKind::Node)
            .await?;
        self.watcher
            .add(&paths::broker_ids(), WatchKind::Children)
            .await?;
        let controller = read::<ControllerRecord, S>(&self.store, &paths::controller()).await?;
        self.sight.controller = controller.map(|stored| stored.record.body);
        self.sight.brokers = registered_brokers(&self.store).await?;
        let changes = read::<ChangesRecord, S>(&self.store, &paths::changes()).await?;
        let changes = changes.map(|stored| stored.record.body);
        let revision = changes
            .as_ref()
            .map_or(Revision::default(), |one| one.revision);
        let topics = match &changes {
            Some(changes) if !was_blind => since(changes, self.sight.revision),
            None if !was_blind => Some(Default::default()),
            _ => None,
        };
        match topics {
            None => self.sight.image = Image::load(&self.store).await?,
            Some(topics) => {
                for name in topics {
                    self.sight.image.reload(&self.store, name).await?;
                }
                if revision != self.sight.revision {
                    self.sight.image.reload_states(&self.store).await?;
                }
            }
        }
        self.sight.revision = revision;
        self.is_blind = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
