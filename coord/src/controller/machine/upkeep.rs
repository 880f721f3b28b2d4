//! What is not as it should be: found by comparing what is with what should be, one thing after the other.

use std::time::Duration;

use ringlog_record::BrokerId;

use super::{Action, Job, Machine, Next, Tell, Write, life_of};
use crate::controller::election::{self, settle};
use crate::controller::error::ControllerError;
use crate::controller::image::Topic;
use crate::controller::reassignment;
use crate::limits::{PREFERRED_MOVES_INTERVAL, PREFERRED_MOVES_MAX};
use crate::omit::Step;
use crate::paths;
use crate::records::{BrokerLife, BrokerState};
use crate::topic_name::TopicName;

impl Machine {
    /// What is not as it should be, the first thing of it.
    pub(super) fn next(&mut self, now: Duration) -> Result<Option<Action>, ControllerError> {
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
                        BrokerLife::Active if wants_out => Some(BrokerState {
                            state: BrokerLife::Draining,
                            ..state.clone()
                        }),
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
    pub(super) fn preferred(
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
}
