//! What others want of the controller: each request is answered at once, or begins the write that it asks for.

use std::collections::BTreeSet;

use ringlog_record::{BrokerId, PartitionIndex};

use super::{Action, Answer, Job, Machine, Next, Tell, Write, life_of};
use crate::config::ConfigChanges;
use crate::controller::PartitionAssignment;
use crate::controller::alterations::{AlterationRefused, PartitionAlteration};
use crate::controller::error::{
    AlterTopicError, ControllerError, CreateTopicError, DeleteTopicError, DrainError,
};
use crate::controller::image::{Deleting, Topic};
use crate::controller::reassignment::{self, Reassignment};
use crate::controller::topics::{self, NewTopic};
use crate::omit::Step;
use crate::records::{BrokerState, TopicState};
use crate::topic_name::TopicName;

impl Machine {
    pub(super) fn create(&mut self, new: NewTopic) -> Result<Action, ControllerError> {
        if let Some(created) = topics::adopt(&self.image, &mut self.unsettled, &new) {
            return Ok(Action::Answer(Answer::Created(Ok(created))));
        }
        let topic = match topics::plan(&self.image, self.standing(), self.epoch, &new) {
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

    pub(super) fn delete(&mut self, name: &TopicName) -> Result<Action, ControllerError> {
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

    pub(super) fn alter(
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
    pub(in crate::controller) fn plan_topic(
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
    pub(in crate::controller) fn plan_change(
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

    pub(super) fn elect_leaders(
        &mut self,
        topic: Option<TopicName>,
    ) -> Result<Action, ControllerError> {
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

    pub(super) fn drain(&mut self, broker: BrokerId) -> Result<Action, ControllerError> {
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

    pub(super) fn reassign(
        &mut self,
        name: &TopicName,
        partition: PartitionIndex,
        wanted: Reassignment,
    ) -> Result<Action, ControllerError> {
        match reassignment::begin(&self.image, self.standing(), name, partition, wanted) {
            Ok(Some(moved)) => {
                let write = moved.write()?;
                Ok(self.begin(Job::Reassigned(moved), write))
            }
            Ok(None) => Ok(Action::Answer(Answer::Reassigned(Ok(())))),
            Err(refused) => Ok(Action::Answer(Answer::Reassigned(Err(refused)))),
        }
    }

    pub(super) fn alter_partitions(
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
