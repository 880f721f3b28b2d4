//! What the controller tells brokers: `/changes` counts its writes and names the topics that the last ones were about.
//!
//! It is set in the same multi as the change itself, so that nobody is told of what is not so, and nothing is changed
//! that nobody is told of. A broker watches this one node.

use std::collections::BTreeSet;

use super::error::ControllerError;
use super::image::read;
use crate::ids::Revision;
use crate::limits::{CHANGE_TOPICS_MAX, CHANGES_MAX};
use crate::omit::Step;
use crate::paths;
use crate::records::{Change, ChangesRecord, Payload};
use crate::store::{MetaOp, MetadataStore};
use crate::topic_name::TopicName;

/// What a write is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Touched {
    /// Nothing that brokers know of.
    Nothing,
    /// These topics, or, without any, the states of brokers.
    Topics(BTreeSet<TopicName>),
}

/// `/changes` as the controller last wrote it.
#[derive(Debug, Clone)]
pub(super) struct Changes(Payload<ChangesRecord>);

impl Changes {
    pub(super) async fn load<S: MetadataStore>(store: &S) -> Result<Self, ControllerError> {
        let stored = read(store, &paths::changes()).await?;
        let none = || Payload::new(ChangesRecord::default());
        Ok(Self(stored.map_or_else(none, |stored| stored.record)))
    }

    /// The last change.
    pub(super) fn revision(&self) -> Revision {
        self.0.body.revision
    }

    /// After one more change.
    pub(super) fn after(&self, touched: &Touched) -> Self {
        let mut next = self.clone();
        let topics = match touched {
            Touched::Nothing => return next,
            Touched::Topics(names) if names.len() <= CHANGE_TOPICS_MAX => {
                Some(names.iter().map(ToString::to_string).collect())
            }
            // More than can be named.
            Touched::Topics(_) => None,
        };
        if Step::TellOfChanges.is_omitted() {
            return next;
        }
        let body = &mut next.0.body;
        body.revision = body.revision.next();
        body.recent.push(Change {
            revision: body.revision,
            topics,
        });
        let excess = body.recent.len().saturating_sub(CHANGES_MAX);
        body.recent.drain(..excess);
        next
    }

    /// Writes it.
    pub(super) fn set(&self) -> Result<MetaOp, ControllerError> {
        let path = paths::changes();
        Ok(MetaOp::Set {
            data: self.0.encode(&path)?,
            path,
            // The controller is the only writer, and each multi is fenced.
            version: None,
        })
    }
}

/// Which topics a broker that knows all up to `seen` must read again: none stands for all.
pub(crate) fn since(changes: &ChangesRecord, seen: Revision) -> Option<BTreeSet<&str>> {
    if changes.revision == seen {
        return Some(BTreeSet::new());
    }
    let oldest = changes.recent.first().map(|change| change.revision)?;
    if changes.revision < seen || oldest > seen.next() {
        return None;
    }
    let mut topics = BTreeSet::new();
    for change in changes
        .recent
        .iter()
        .filter(|change| change.revision > seen)
    {
        topics.extend(change.topics.as_ref()?.iter().map(String::as_str));
    }
    Some(topics)
}
