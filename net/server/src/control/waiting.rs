//! Changes of topics that are durable, and answered once every broker that is there has seen them: whoever gets the answer
//! may go on with any broker. Brokers that take too long are not waited for.

use std::time::Duration;

use ringlog_coord::controller::{CreatedTopic, DeletingTopic, Image};
use ringlog_coord::ids::Revision;
use ringlog_coord::topic_name::TopicName;
use ringlog_record::TopicId;
use ringlog_wire::{AlterTopicResponse, CreateTopicResponse, DeleteTopicResponse, ErrorCode};

use super::request::Answer;
use super::{Serving, Surroundings};
use crate::failure::Failure;
use crate::limits::SEEN_TIMEOUT;

/// What was done, and who is to be told.
pub(super) enum Outcome {
    Created {
        topic: CreatedTopic,
        partitions: u32,
        answer: Answer<CreateTopicResponse>,
    },
    MadeGroups {
        topic: CreatedTopic,
        answer: Answer<()>,
    },
    Deleted {
        topic: DeletingTopic,
        answer: Answer<DeleteTopicResponse>,
    },
    Altered {
        topic: TopicId,
        name: TopicName,
        answer: Answer<AlterTopicResponse>,
    },
}

/// An answer that waits for brokers.
pub(super) struct Waiting {
    outcome: Outcome,
    revision: Revision,
    pub(super) deadline: Duration,
}

impl<E: Surroundings> Serving<E> {
    /// Answers once all brokers have seen what the controller has just done.
    pub(super) fn answer_when_seen(&mut self, outcome: Outcome) {
        let revision = self
            .controller
            .as_ref()
            .map(|controller| controller.revision());
        self.waiting.push(Waiting {
            outcome,
            revision: revision.unwrap_or_default(),
            deadline: self.surroundings.now() + SEEN_TIMEOUT,
        });
    }

    /// Answers what has been seen, or waited long enough.
    pub(super) async fn answer_waiting(&mut self, now: Duration) {
        let waiting = std::mem::take(&mut self.waiting);
        let (over, waiting): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|one| one.deadline <= now || self.is_seen(one));
        self.waiting = waiting;
        for one in over {
            self.answer(one.outcome).await;
        }
    }

    fn is_seen(&self, one: &Waiting) -> bool {
        let is_removed = |image: &Image| match &one.outcome {
            Outcome::Deleted { topic, .. } => {
                let deleting = image.deleting();
                !deleting
                    .iter()
                    .any(|other| other.topic_id == topic.topic_id)
            }
            _ => false,
        };
        let Some(controller) = &self.controller else {
            // Who is the controller no more does not learn how far others are, but sees what they all see.
            let is_deletion = matches!(one.outcome, Outcome::Deleted { .. });
            let is_done = !is_deletion || is_removed(&self.member.sight().image);
            return is_done && self.served.applied >= one.revision;
        };
        let image = controller.image();
        if is_removed(image) {
            return true;
        }
        let mut members = controller
            .live()
            .iter()
            .filter(|(broker, live)| image.is_active(**broker, live.epoch));
        members.all(|(_, live)| {
            live.report
                .as_ref()
                .is_some_and(|report| report.applied >= one.revision)
        })
    }

    async fn answer(&mut self, outcome: Outcome) {
        // Who does not wait any more is not missed.
        match outcome {
            Outcome::Created {
                topic,
                partitions,
                answer,
            } => {
                let created = self.opened(&topic).await.map(|()| CreateTopicResponse {
                    topic: topic.topic_id,
                    partitions,
                    settings: self.settings_of(&topic.name),
                });
                answer.send(created).ok();
            }
            Outcome::MadeGroups { topic, answer } => {
                answer.send(self.opened(&topic).await).ok();
            }
            Outcome::Deleted { topic, answer } => {
                let removed = self.removed(&topic);
                answer
                    .send(removed.map(|()| DeleteTopicResponse {
                        topic: topic.topic_id,
                    }))
                    .ok();
            }
            Outcome::Altered {
                topic,
                name,
                answer,
            } => {
                let settings = self.settings_of(&name);
                let pending = self.served.pending.get(&topic).cloned().unwrap_or_default();
                let altered = AlterTopicResponse {
                    topic,
                    settings,
                    pending,
                };
                answer.send(Ok(altered)).ok();
            }
        }
    }

    /// Whether this broker could open what it leads of a new topic.
    async fn opened(&self, topic: &CreatedTopic) -> Result<(), Failure> {
        let reports = self.shards.describe(Some(topic.topic_id)).await;
        let failed = reports
            .into_iter()
            .find_map(|one| Some((one.id.partition, one.state.err()?)));
        let Some((partition, reason)) = failed else {
            return Ok(());
        };
        let message = format!(
            "the topic {} is there, but its partition {partition} is offline: {reason}",
            topic.name
        );
        Err(Failure::new(ErrorCode::StorageFailed, message))
    }

    /// Whether the brokers that are there could remove the data of a deleted topic.
    fn removed(&self, topic: &DeletingTopic) -> Result<(), Failure> {
        let Some(controller) = &self.controller else {
            return Ok(());
        };
        let failed = controller.live().iter().find(|(_, live)| {
            let report = live.report.as_ref();
            report.is_some_and(|report| report.unremoved.contains(&topic.topic_id))
        });
        let Some((broker, _)) = failed else {
            return Ok(());
        };
        let message = format!(
            "the topic {} is deleted, but broker {} has not removed its data yet; its next start tries again, and its log says why",
            topic.name,
            broker.get()
        );
        Err(Failure::new(ErrorCode::StorageFailed, message))
    }

    /// The broker stops: what was done is answered, whoever has seen it.
    pub(super) async fn answer_all(&mut self) {
        for one in std::mem::take(&mut self.waiting) {
            self.answer(one.outcome).await;
        }
    }
}
