//! What the controller decides: `step(now, event) -> action`. Pure: no store, no clock, no chance.
//!
//! The machine knows the whole of the metadata (its [`Image`]) and which brokers are registered. An event makes it want
//! one thing at a time: a write that its shell does and then confirms, or an answer. What is not so yet, such as a
//! partition whose leader has gone, is found by comparing what is with what should be, never remembered: so a
//! controller that takes over between any two writes goes on where the last one stopped.
//!
//! Invariants: one write under way; the image changes only when a write is confirmed; after one that failed nothing is
//! decided before everything was read again.

mod requests;
mod upkeep;

use std::collections::BTreeMap;
use std::time::Duration;

use ringlog_record::{BrokerId, PartitionIndex, TopicId};

use super::DeletingTopic;
use super::alterations::{AlterationRefused, PartitionAlteration};
use super::election::Standing;
use super::error::{
    AlterTopicError, ControllerError, CreateTopicError, DeleteTopicError, DrainError, ReassignError,
};
use super::image::{Deleting, Image, Stored, Topic};
use super::reassignment::{self, Reassignment};
use super::topics::{self, CreatedTopic, NewTopic};
use crate::config::{ConfigChanges, TopicConfigs};
use crate::ids::{BrokerEpoch, ControllerEpoch, Revision};
use crate::omit::Step;
use crate::paths;
use crate::records::{
    BrokerRegistration, BrokerReport, BrokerState, PartitionState, Payload, TopicRecord,
};
use crate::store::{MetaOp, Version};
use crate::topic_name::TopicName;

/// A broker that is registered.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveBroker {
    /// Its registration's epoch.
    pub epoch: BrokerEpoch,
    /// What it says about itself.
    pub registration: BrokerRegistration,
    /// What it last reported in this registration.
    pub report: Option<BrokerReport>,
}

/// What happens to the controller.
#[derive(Debug)]
pub(super) enum Event {
    /// Everything was read, at this revision at the latest.
    Loaded(Box<Image>, Revision),
    /// These brokers are registered.
    Live(BTreeMap<BrokerId, LiveBroker>),
    /// A topic is wanted.
    Create(NewTopic),
    /// A topic is to go.
    Delete(TopicName),
    /// Settings are to change.
    Alter(TopicName, Option<PartitionIndex>, ConfigChanges),
    /// Leaders are to be the preferred ones again, of one topic or of all.
    ElectLeaders(Option<TopicName>),
    /// A broker is to lead nothing any more.
    Drain(BrokerId),
    /// A partition is to have other replicas.
    Reassign(TopicName, PartitionIndex, Reassignment),
    /// Leaders want their ISRs changed.
    AlterPartitions(Vec<PartitionAlteration>),
    /// The write was done; the changes are at this revision now.
    Written(Revision),
    /// Nobody knows whether the write was done.
    Failed,
    /// Time has passed.
    Tick,
}

/// What the machine wants.
#[derive(Debug)]
pub(super) enum Action {
    /// Operations in their order, in as many multis as it takes.
    Write(Write),
    /// The removal of all nodes of a topic, its name last.
    Remove {
        topic_id: TopicId,
        name: TopicName,
        version: Version,
    },
    /// The request came to this.
    Answer(Answer),
}

/// A write.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) what: &'static str,
    pub(super) ops: Vec<Op>,
    pub(super) tell: Tell,
}

/// An operation, and the topic that it is about.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) op: MetaOp,
    pub(super) about: Option<TopicName>,
}

/// Whether brokers must know of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tell {
    Nobody,
    Brokers,
}

/// What a request came to.
#[derive(Debug)]
pub(super) enum Answer {
    Created(Result<CreatedTopic, CreateTopicError>),
    Deleting(Result<DeletingTopic, DeleteTopicError>),
    Altered(Result<(TopicId, TopicConfigs), AlterTopicError>),
    Drained(Result<(), DrainError>),
    Reassigned(Result<(), ReassignError>),
    /// How many leaders were moved.
    Elected(Option<usize>),
    PartitionsAltered(Vec<Result<(), AlterationRefused>>),
}

/// A partition's next state.
pub(super) type Next = (TopicName, PartitionIndex, Stored<PartitionState>);

/// What a write under way is for: how the image changes when it is done, and what follows.
#[derive(Debug)]
enum Job {
    Nodes(Topic),
    Commit(Topic),
    Mark(Deleting),
    Settings(TopicName, Stored<TopicRecord>, TopicConfigs),
    Life(BrokerId, Stored<BrokerState>),
    DrainNoted(BrokerId, Stored<BrokerState>),
    States(Vec<Next>),
    Elected(Vec<Next>),
    Altered(Vec<Next>, Vec<Result<(), AlterationRefused>>),
    Chunk(reassignment::Moved),
    Reassigned(reassignment::Moved),
    Removed,
}

/// The controller's decisions.
#[derive(Debug)]
pub(super) struct Machine {
    epoch: ControllerEpoch,
    image: Image,
    live: BTreeMap<BrokerId, LiveBroker>,
    /// From which revision on a broker that reports it has removed the data of a topic being deleted.
    deleted_at: BTreeMap<TopicId, Revision>,
    job: Option<Job>,
    stale: bool,
    /// Topics whose commit may or may not have been done: given to whoever asks for the same again.
    unsettled: BTreeMap<TopicName, TopicId>,
    preferred_not_before: Duration,
}

impl Machine {
    /// A controller that has just taken office and knows nothing yet.
    pub(super) fn new(epoch: ControllerEpoch) -> Self {
        Self {
            epoch,
            image: Image::default(),
            live: BTreeMap::new(),
            deleted_at: BTreeMap::new(),
            job: None,
            stale: true,
            unsettled: BTreeMap::new(),
            preferred_not_before: Duration::ZERO,
        }
    }

    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    pub(super) fn live(&self) -> &BTreeMap<BrokerId, LiveBroker> {
        &self.live
    }

    /// Whether everything has to be read again ([`Event::Loaded`]) before anything else.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether a write was given out and not confirmed.
    pub(super) fn is_writing(&self) -> bool {
        self.job.is_some()
    }

    /// Takes an event in; gives what is wanted next, nothing when all is as it should be.
    pub(super) fn step(
        &mut self,
        now: Duration,
        event: Event,
    ) -> Result<Option<Action>, ControllerError> {
        let action = match event {
            Event::Loaded(image, revision) => {
                self.load(*image, revision);
                None
            }
            Event::Live(live) => {
                self.live = live;
                None
            }
            Event::Create(new) => Some(self.create(new)?),
            Event::Delete(name) => Some(self.delete(&name)?),
            Event::Alter(name, partition, changes) => Some(self.alter(&name, partition, &changes)?),
            Event::ElectLeaders(topic) => Some(self.elect_leaders(topic)?),
            Event::Drain(broker) => Some(self.drain(broker)?),
            Event::Reassign(name, partition, wanted) => {
                Some(self.reassign(&name, partition, wanted)?)
            }
            Event::AlterPartitions(wanted) => Some(self.alter_partitions(&wanted)?),
            Event::Written(revision) => self.written(revision)?,
            Event::Failed => {
                self.failed();
                return Ok(None);
            }
            Event::Tick => None,
        };
        match action {
            Some(action) => Ok(Some(action)),
            None if self.stale => Ok(None),
            None => self.next(now),
        }
    }

    fn load(&mut self, image: Image, revision: Revision) {
        let deleting = image.deleting.keys();
        self.deleted_at = deleting
            .map(|topic| {
                (
                    *topic,
                    self.deleted_at.get(topic).copied().unwrap_or(revision),
                )
            })
            .collect();
        let is_there = |name: &TopicName, id: &TopicId| {
            image
                .topics
                .get(name)
                .is_some_and(|topic| topic.id() == *id)
        };
        self.unsettled.retain(|name, id| is_there(name, id));
        self.image = image;
        self.stale = false;
    }

    fn failed(&mut self) {
        if let Some(Job::Commit(topic)) = self.job.take() {
            self.unsettled.insert(topic.name.clone(), topic.id());
        }
        self.stale = true;
    }

    fn standing(&self) -> Standing<'_> {
        Standing {
            live: &self.live,
            states: &self.image.states,
        }
    }

    fn begin(&mut self, job: Job, write: Write) -> Action {
        self.job = Some(job);
        Action::Write(write)
    }

    /// A write was done.
    fn written(&mut self, revision: Revision) -> Result<Option<Action>, ControllerError> {
        Ok(match self.job.take() {
            None | Some(Job::Removed) => None,
            Some(Job::Nodes(topic)) => {
                let ops = vec![topics::commit_of_creation(&topic)?];
                let write = Write {
                    what: "creating the topic",
                    ops,
                    tell: Tell::Brokers,
                };
                Some(self.begin(Job::Commit(topic), write))
            }
            Some(Job::Commit(topic)) => {
                let created = topics::created(&topic);
                self.image.topics.insert(topic.name.clone(), topic);
                Some(Action::Answer(Answer::Created(Ok(created))))
            }
            Some(Job::Mark(deleting)) => {
                let topic_id = deleting.record.record.body.topic_id;
                let answer = deleting.describe(topic_id);
                self.image.topics.remove(&deleting.name);
                self.image.deleting.insert(topic_id, deleting);
                self.deleted_at.insert(topic_id, revision);
                Some(Action::Answer(Answer::Deleting(Ok(answer))))
            }
            Some(Job::Settings(name, record, config)) => {
                let topic_id = record.record.body.topic_id;
                if let Some(topic) = self.image.topics.get_mut(&name) {
                    topic.record = record;
                    topic.config = config.clone();
                }
                Some(Action::Answer(Answer::Altered(Ok((topic_id, config)))))
            }
            Some(Job::Life(broker, state)) => {
                self.image.states.insert(broker, state);
                None
            }
            Some(Job::DrainNoted(broker, state)) => {
                self.image.states.insert(broker, state);
                Some(Action::Answer(Answer::Drained(Ok(()))))
            }
            Some(Job::States(states)) => {
                self.apply(states);
                None
            }
            Some(Job::Elected(states)) => {
                let moved = states.len();
                self.apply(states);
                Some(Action::Answer(Answer::Elected(Some(moved))))
            }
            Some(Job::Altered(states, results)) => {
                self.apply(states);
                Some(Action::Answer(Answer::PartitionsAltered(results)))
            }
            Some(Job::Chunk(moved)) => {
                moved.apply(&mut self.image);
                None
            }
            Some(Job::Reassigned(moved)) => {
                moved.apply(&mut self.image);
                Some(Action::Answer(Answer::Reassigned(Ok(()))))
            }
        })
    }

    fn apply(&mut self, states: Vec<Next>) {
        for (name, partition, stored) in states {
            if let Some(state) = self.image.partition_mut(&name, partition) {
                *state = stored;
            }
        }
    }

    fn next_of(
        &self,
        stored: &Stored<PartitionState>,
        state: PartitionState,
    ) -> Stored<PartitionState> {
        let mut record = stored.record.clone();
        record.body = PartitionState {
            controller_epoch: self.epoch,
            ..state
        };
        Stored {
            record,
            version: stored.version.next(),
        }
    }

    fn write_states(&mut self, next: Vec<Next>) -> Result<Action, ControllerError> {
        let write = self.states_write(&next)?;
        Ok(self.begin(Job::States(next), write))
    }

    /// The write of partition states; `next` has the versions that they get.
    fn states_write(&self, next: &[Next]) -> Result<Write, ControllerError> {
        let mut ops = Vec::new();
        for (name, partition, stored) in next {
            let Some(topic) = self.image.topics.get(name) else {
                continue;
            };
            let path = paths::partition_state(topic.id(), *partition);
            let known = topic.state(*partition).map(|known| known.version);
            ops.push(Op {
                op: MetaOp::Set {
                    data: stored.record.encode(&path)?,
                    path,
                    version: known.filter(|_| !Step::PartitionVersion.is_omitted()),
                },
                about: Some(name.clone()),
            });
        }
        Ok(Write {
            what: "leaders and in-sync replicas",
            ops,
            tell: Tell::Brokers,
        })
    }
}

/// The write of a broker's state, and the state as it is then.
fn life_of(
    broker: BrokerId,
    stored: Option<&Stored<BrokerState>>,
    state: BrokerState,
) -> Result<(Op, Stored<BrokerState>), ControllerError> {
    let path = paths::broker_state(broker);
    let (record, version) = match stored {
        None => (Payload::new(state), None),
        Some(stored) => {
            let mut record = stored.record.clone();
            record.body = state;
            (record, Some(stored.version))
        }
    };
    let data = record.encode(&path)?;
    let op = match version {
        None => MetaOp::Create { path, data },
        Some(_) => MetaOp::Set {
            path,
            data,
            version,
        },
    };
    let version = version.map_or(Version::FIRST, Version::next);
    Ok((Op { op, about: None }, Stored { record, version }))
}
