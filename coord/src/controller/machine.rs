//! What the controller decides: `step(now, event) -> action`. Pure: no store, no clock, no chance.
//!
//! The machine knows the whole of the metadata (its [`Image`]) and which brokers are registered. An event makes it want
//! one thing at a time: a write that its shell does and then confirms, or an answer. What is not so yet, such as a
//! partition whose leader has gone, is found by comparing what is with what should be, never remembered: so a
//! controller that takes over between any two writes goes on where the last one stopped.
//!
//! Invariants: one write under way; the image changes only when a write is confirmed; after one that failed nothing is
//! decided before everything was read again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringlog_record::{BrokerId, PartitionIndex, TopicId};

use super::alterations::{AlterationRefused, PartitionAlteration};
use super::election::{self, Standing, settle};
use super::error::{
    AlterTopicError, ControllerError, CreateTopicError, DeleteTopicError, DrainError, ReassignError,
};
use super::image::{Deleting, Image, Stored, Topic};
use super::topics::{self, CreatedTopic, NewTopic};
use super::{DeletingTopic, PartitionAssignment, reassignment};
use crate::config::{ConfigChanges, TopicConfigs};
use crate::ids::{BrokerEpoch, ControllerEpoch, Revision};
use crate::limits::{PREFERRED_MOVES_INTERVAL, PREFERRED_MOVES_MAX};
use crate::omit::Step;
use crate::paths;
use crate::records::{
    BrokerLife, BrokerRegistration, BrokerReport, BrokerState, PartitionState, Payload,
    TopicRecord, TopicState,
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
    Reassign(TopicName, PartitionIndex, Vec<BrokerId>),
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
            Event::Reassign(name, partition, replicas) => {
                Some(self.reassign(&name, partition, replicas)?)
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

    /// What is not as it should be, the first thing of it.
    fn next(&mut self, now: Duration) -> Result<Option<Action>, ControllerError> {
        if let Some(action) = self.next_life()? {
            return Ok(Some(action));
        }
        if let Some(action) = self.next_states()? {
            return Ok(Some(action));
        }
        if let Some(action) = self.next_reassignment()? {
            return Ok(Some(action));
        }
        if let Some(action) = self.next_removal() {
            return Ok(Some(action));
        }
        self.next_preferred(now)
    }

    /// Takes brokers in, and lets them go.
    fn next_life(&mut self) -> Result<Option<Action>, ControllerError> {
        for (broker, live) in &self.live {
            let stored = self.image.states.get(broker);
            let known = stored.map(|stored| &stored.record.body);
            let directories = &live.registration.directories;
            let draining = live.report.as_ref().is_some_and(|report| report.draining);
            let next = match known {
                Some(state) if state.broker_epoch == live.epoch => {
                    let wants_out = draining || state.drain;
                    match state.state {
                        BrokerLife::Fenced => {
                            if !state
                                .directories
                                .iter()
                                .all(|one| directories.contains(one))
                            {
                                let lost = self.states_without(*broker)?;
                                if !lost.is_empty() {
                                    return Ok(Some(self.write_states(lost)?));
                                }
                            }
                            Some(BrokerState {
                                state: BrokerLife::Active,
                                directories: directories.clone(),
                                ..state.clone()
                            })
                        }
                        BrokerLife::Active if wants_out => {
                            Some(BrokerLife::Draining).map(|life| BrokerState {
                                state: life,
                                ..state.clone()
                            })
                        }
                        BrokerLife::Draining if !wants_out => Some(BrokerState {
                            state: BrokerLife::Active,
                            ..state.clone()
                        }),
                        BrokerLife::Active | BrokerLife::Draining => None,
                    }
                }
                _ => Some(BrokerState {
                    state: BrokerLife::Fenced,
                    broker_epoch: live.epoch,
                    directories: known
                        .map_or_else(|| directories.clone(), |state| state.directories.clone()),
                    drain: false,
                }),
            };
            let Some(next) = next else { continue };
            let (op, stored) = life_of(*broker, stored, next)?;
            let write = Write {
                what: "the state of a broker",
                ops: vec![op],
                tell: Tell::Brokers,
            };
            return Ok(Some(self.begin(Job::Life(*broker, stored), write)));
        }
        Ok(None)
    }

    /// Partitions that would still count on a broker whose data is lost.
    fn states_without(&self, lost: BrokerId) -> Result<Vec<Next>, ControllerError> {
        let mut next = Vec::new();
        for topic in self.image.topics.values() {
            for (partition, _, stored) in topic.rows() {
                if let Some(state) = election::without(&stored.record.body, lost) {
                    next.push((topic.name.clone(), partition, self.next_of(stored, state)));
                }
            }
        }
        Ok(next)
    }

    /// Leaders and ISRs that do not fit the brokers that are there.
    fn next_states(&mut self) -> Result<Option<Action>, ControllerError> {
        let mut next = Vec::new();
        for topic in self.image.topics.values() {
            for (partition, placement, stored) in topic.rows() {
                let path = paths::partition_state(topic.id(), partition);
                let state = &stored.record.body;
                if let Some(state) = settle(
                    &path,
                    placement,
                    state,
                    &topic.config.topic,
                    self.standing(),
                )? {
                    next.push((topic.name.clone(), partition, self.next_of(stored, state)));
                }
            }
        }
        if next.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.write_states(next)?))
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

    fn next_reassignment(&mut self) -> Result<Option<Action>, ControllerError> {
        let step = reassignment::next(&self.image, self.standing())?;
        Ok(match step {
            None => None,
            Some(reassignment::Step::State(name, partition, state)) => {
                let stored = self
                    .image
                    .topics
                    .get(&name)
                    .and_then(|topic| topic.state(partition));
                let next = stored.map(|stored| self.next_of(stored, state));
                match next {
                    Some(next) => Some(self.write_states(vec![(name, partition, next)])?),
                    None => None,
                }
            }
            Some(reassignment::Step::Placement(moved)) => {
                let write = moved.write()?;
                Some(self.begin(Job::Chunk(moved), write))
            }
        })
    }

    /// Deleted topics whose data is gone.
    fn next_removal(&mut self) -> Option<Action> {
        let ready = self.image.deleting.iter().find(|(topic_id, deleting)| {
            let since = self.deleted_at.get(topic_id).copied();
            let has_removed = |broker: &BrokerId| {
                let live = self.live.get(broker);
                let report = live.and_then(|live| live.report.as_ref());
                report.zip(since).is_some_and(|(report, since)| {
                    report.applied >= since && !report.unremoved.contains(topic_id)
                })
            };
            Step::DeletionAwaited.is_omitted() || deleting.brokers.iter().all(has_removed)
        });
        let (topic_id, deleting) = ready?;
        let topic_id = *topic_id;
        let action = Action::Remove {
            topic_id,
            name: deleting.name.clone(),
            version: deleting.record.version,
        };
        self.image.deleting.remove(&topic_id);
        self.job = Some(Job::Removed);
        Some(action)
    }

    /// Moves some leaders back to where they are wanted.
    fn next_preferred(&mut self, now: Duration) -> Result<Option<Action>, ControllerError> {
        if now < self.preferred_not_before {
            return Ok(None);
        }
        let moves = self.preferred(None, PREFERRED_MOVES_MAX)?;
        if moves.is_empty() {
            return Ok(None);
        }
        self.preferred_not_before = now + PREFERRED_MOVES_INTERVAL;
        Ok(Some(self.write_states(moves)?))
    }

    /// Partitions that their preferred broker could lead and does not.
    fn preferred(
        &self,
        only: Option<&TopicName>,
        moves_max: usize,
    ) -> Result<Vec<Next>, ControllerError> {
        let mut moves = Vec::new();
        let standing = self.standing();
        let wanted = |topic: &&Topic| only.is_none_or(|name| *name == topic.name);
        for topic in self.image.topics.values().filter(wanted) {
            for (partition, placement, stored) in topic.rows() {
                if moves.len() == moves_max {
                    return Ok(moves);
                }
                let path = paths::partition_state(topic.id(), partition);
                if let Some(state) =
                    election::prefer(&path, placement, &stored.record.body, standing)?
                {
                    moves.push((topic.name.clone(), partition, self.next_of(stored, state)));
                }
            }
        }
        Ok(moves)
    }

    fn create(&mut self, new: NewTopic) -> Result<Action, ControllerError> {
        let standing = Standing {
            live: &self.live,
            states: &self.image.states,
        };
        if let Some(created) = topics::adopt(&self.image, &mut self.unsettled, &new) {
            return Ok(Action::Answer(Answer::Created(Ok(created))));
        }
        let topic = match topics::plan(&self.image, standing, self.epoch, &new) {
            Ok(topic) => topic,
            Err(refused) => return Ok(Action::Answer(Answer::Created(Err(refused)))),
        };
        if Step::CommitLast.is_omitted() {
            let mut ops = vec![topics::commit_of_creation(&topic)?];
            ops.extend(topics::creation(&topic)?);
            let write = Write {
                what: "creating the topic",
                ops,
                tell: Tell::Brokers,
            };
            return Ok(self.begin(Job::Commit(topic), write));
        }
        let ops = topics::creation(&topic)?;
        let write = Write {
            what: "creating the topic",
            ops,
            tell: Tell::Nobody,
        };
        Ok(self.begin(Job::Nodes(topic), write))
    }

    fn delete(&mut self, name: &TopicName) -> Result<Action, ControllerError> {
        let mut deleting = self.image.deleting.iter();
        if let Some((topic_id, deleting)) = deleting.find(|(_, one)| one.name == *name) {
            let answer = deleting.describe(*topic_id);
            return Ok(Action::Answer(Answer::Deleting(Ok(answer))));
        }
        let Some(topic) = self.image.topics.get(name) else {
            let refused = DeleteTopicError::NotFound { name: name.clone() };
            return Ok(Action::Answer(Answer::Deleting(Err(refused))));
        };
        let mut record = topic.record.clone();
        record.record.body.state = TopicState::Deleting;
        let replicas = topic.placements.iter().flat_map(|one| &one.replicas);
        let brokers: BTreeSet<BrokerId> = replicas.copied().collect();
        let (op, record) = topics::set_topic(name, record)?;
        let write = Write {
            what: "deleting the topic",
            ops: vec![op],
            tell: Tell::Brokers,
        };
        let deleting = Deleting {
            name: name.clone(),
            record,
            brokers,
        };
        Ok(self.begin(Job::Mark(deleting), write))
    }

    fn alter(
        &mut self,
        name: &TopicName,
        partition: Option<PartitionIndex>,
        changes: &ConfigChanges,
    ) -> Result<Action, ControllerError> {
        let (record, configs) = match topics::altered(&self.image, name, partition, changes) {
            Ok(altered) => altered,
            Err(refused) => return Ok(Action::Answer(Answer::Altered(Err(refused)))),
        };
        let topic_id = record.record.body.topic_id;
        let is_same = |topic: &Topic| topic.record.record == record.record;
        if self.image.topics.get(name).is_some_and(is_same) {
            return Ok(Action::Answer(Answer::Altered(Ok((topic_id, configs)))));
        }
        let (op, record) = topics::set_topic(name, record)?;
        let write = Write {
            what: "changing the topic",
            ops: vec![op],
            tell: Tell::Brokers,
        };
        Ok(self.begin(Job::Settings(name.clone(), record, configs), write))
    }

    /// The partitions that a broker would lead of a new topic.
    pub(super) fn plan_topic(
        &self,
        broker: BrokerId,
        new: &NewTopic,
    ) -> Result<Vec<PartitionAssignment>, CreateTopicError> {
        let topic = topics::plan(&self.image, self.standing(), self.epoch, new)?;
        let epoch = self.live.get(&broker).map(|live| live.epoch);
        let assignment = epoch.map(|epoch| topic.assignment_of(broker, epoch).collect());
        Ok(assignment.unwrap_or_default())
    }

    /// The partitions of a topic that a broker leads, as they would be with changes.
    pub(super) fn plan_change(
        &self,
        broker: BrokerId,
        name: &TopicName,
        partition: Option<PartitionIndex>,
        changes: &ConfigChanges,
    ) -> Result<Vec<PartitionAssignment>, AlterTopicError> {
        let (_, configs) = topics::altered(&self.image, name, partition, changes)?;
        let epoch = self.live.get(&broker).map(|live| live.epoch);
        let topic = self.image.topics.get(name).zip(epoch);
        let led = topic.map(|(topic, epoch)| topic.assignment_of(broker, epoch));
        let changed = led.into_iter().flatten().map(|one| PartitionAssignment {
            config: configs.of(one.partition),
            ..one
        });
        Ok(changed.collect())
    }

    fn elect_leaders(&mut self, topic: Option<TopicName>) -> Result<Action, ControllerError> {
        if let Some(name) = &topic
            && !self.image.topics.contains_key(name)
        {
            return Ok(Action::Answer(Answer::Elected(None)));
        }
        let moves = self.preferred(topic.as_ref(), usize::MAX)?;
        if moves.is_empty() {
            return Ok(Action::Answer(Answer::Elected(Some(0))));
        }
        let write = self.states_write(&moves)?;
        Ok(self.begin(Job::Elected(moves), write))
    }

    fn drain(&mut self, broker: BrokerId) -> Result<Action, ControllerError> {
        let is_there = self.standing().life(broker).is_some();
        let stored = self.image.states.get(&broker).filter(|_| is_there);
        let Some(stored) = stored else {
            let refused = DrainError::NotThere { broker };
            return Ok(Action::Answer(Answer::Drained(Err(refused))));
        };
        if stored.record.body.drain {
            return Ok(Action::Answer(Answer::Drained(Ok(()))));
        }
        let state = BrokerState {
            drain: true,
            ..stored.record.body.clone()
        };
        let (op, stored) = life_of(broker, Some(stored), state)?;
        let write = Write {
            what: "the state of a broker",
            ops: vec![op],
            tell: Tell::Brokers,
        };
        Ok(self.begin(Job::DrainNoted(broker, stored), write))
    }

    fn reassign(
        &mut self,
        name: &TopicName,
        partition: PartitionIndex,
        replicas: Vec<BrokerId>,
    ) -> Result<Action, ControllerError> {
        match reassignment::begin(&self.image, self.standing(), name, partition, replicas) {
            Ok(Some(moved)) => {
                let write = moved.write()?;
                Ok(self.begin(Job::Reassigned(moved), write))
            }
            Ok(None) => Ok(Action::Answer(Answer::Reassigned(Ok(())))),
            Err(refused) => Ok(Action::Answer(Answer::Reassigned(Err(refused)))),
        }
    }

    fn alter_partitions(
        &mut self,
        wanted: &[PartitionAlteration],
    ) -> Result<Action, ControllerError> {
        let mut next: Vec<Next> = Vec::new();
        let mut results = Vec::new();
        for one in wanted {
            let judged = one.judge(&self.image, self.standing());
            results.push(judged.and_then(|(name, stored, state)| {
                let is_first = !next
                    .iter()
                    .any(|(known, index, _)| *known == name && *index == one.partition);
                if !is_first {
                    return Err(AlterationRefused::OldPartitionEpoch);
                }
                next.push((name, one.partition, self.next_of(stored, state)));
                Ok(())
            }));
        }
        if next.is_empty() {
            return Ok(Action::Answer(Answer::PartitionsAltered(results)));
        }
        let write = self.states_write(&next)?;
        Ok(self.begin(Job::Altered(next, results), write))
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
