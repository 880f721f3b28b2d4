//! The controller: the only writer of topics and partition states.
//!
//! Duty: decides who leads which partition and where it lies, and keeps that in the metadata store. One broker of a
//! cluster is the controller. What it decides is in `machine`, which is pure; this is the shell, which reads and writes.
//!
//! Thread: the control thread; one operation at a time (`&mut self`), and one that is given up midway (its
//! future dropped) only makes the next one read everything again.
//!
//! Invariants: every write checks the controller epoch. Written first, told in the same write: what an operation
//! returns is durable, and `/changes` says so. Every leader of a partition has a larger leader epoch than the one before.
//!
//! Must not know: shards, sockets, files. Randomness and time are handed in, and there is no order but that
//! of names and numbers, so that the same calls give the same writes.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, ShardId, TopicId, TopicPartition};

use crate::config::{ConfigChanges, ConfigEntry, TopicConfig, TopicConfigs};
use crate::ids::{BrokerEpoch, ControllerEpoch, Revision, Slot};
use crate::omit::Step;
use crate::paths;
use crate::records::{BrokerReport, IsrMember};
use crate::store::{MetaOp, MetadataStore, Version, WatchKind};
use crate::topic_name::TopicName;
use crate::watcher::Watcher;

mod alterations;
mod changes;
mod cluster;
mod commit;
mod election;
mod error;
mod image;
mod machine;
mod office;
mod placement;
mod producers;
mod reassignment;
mod registration;
mod topics;

pub use alterations::{AlterationRefused, PartitionAlteration};
pub(crate) use changes::since;
use changes::{Changes, Touched};
pub use cluster::{cluster_id, init_cluster, registered_brokers};
use commit::{Fence, batches};
pub use error::{
    AlterTopicError, ControllerError, CreateTopicError, DeleteTopicError, DrainError,
    ReassignError, StartError,
};
pub use image::Image;
pub(crate) use image::read;
pub use machine::LiveBroker;
use machine::{Action, Answer, Event, Machine, Op, Tell, Write};
pub use producers::allocate_producer_ids;
pub use reassignment::Reassignment;
pub use registration::{BrokerStart, ReplacedDirectory, check_directory, register, report};
pub use topics::{CreatedTopic, NewTopic};

/// The controller of a cluster, over its metadata store.
#[derive(Debug)]
pub struct Controller<S> {
    store: S,
    fence: Fence,
    machine: Machine,
    changes: Changes,
    watcher: Watcher<S>,
}

/// A partition that a broker leads, as the broker needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionAssignment {
    /// The topic's name.
    pub topic: TopicName,
    /// The topic's id.
    pub topic_id: TopicId,
    /// Which partition.
    pub partition: PartitionIndex,
    /// Where on the broker.
    pub slot: Slot,
    /// The epoch to lead in.
    pub leader_epoch: LeaderEpoch,
    /// The version of the partition's state.
    pub partition_epoch: Version,
    /// The topic's settings.
    pub config: TopicConfig,
}

impl PartitionAssignment {
    /// Which partition this is.
    #[must_use]
    pub fn id(&self) -> TopicPartition {
        TopicPartition {
            topic: self.topic_id,
            partition: self.partition,
        }
    }

    /// The shard that owns the partition on a broker with so many.
    #[must_use]
    pub fn shard(&self, shards: NonZeroU16) -> ShardId {
        self.slot.shard(shards)
    }
}

/// A topic whose data is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletingTopic {
    /// Its name, which cannot be used until the deletion is finished.
    pub name: TopicName,
    /// Its id.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
}

/// A topic in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSummary {
    /// Its name.
    pub name: TopicName,
    /// Its id.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// How many replicas each has.
    pub replication_factor: u16,
}

/// A topic with everything that the controller knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: TopicName,
    /// Its id.
    pub topic_id: TopicId,
    /// Its settings.
    pub config: TopicConfig,
    /// The same, with those of its partitions.
    pub configs: TopicConfigs,
    /// Its settings as they are shown.
    pub config_entries: Vec<ConfigEntry>,
    /// Its partitions.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition with everything that the controller knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Which partition.
    pub partition: PartitionIndex,
    /// The durability that it has for itself; that of its topic without.
    pub durability: Option<String>,
    /// Who leads it; none while it is offline.
    pub leader: Option<BrokerId>,
    /// The epoch of its last leader.
    pub leader_epoch: LeaderEpoch,
    /// The version of its state.
    pub partition_epoch: Version,
    /// Its replicas.
    pub replicas: Vec<BrokerId>,
    /// Those of them that are being added.
    pub adding: Vec<BrokerId>,
    /// Those of them that are to go.
    pub removing: Vec<BrokerId>,
    /// Those in sync.
    pub isr: Vec<BrokerId>,
    /// The same, in the registrations in which they became so.
    pub members: Vec<IsrMember>,
    /// How many in-sync replicas an acknowledgement needs.
    pub min_isr: u16,
    /// Where on each broker.
    pub slot: Slot,
}

impl<S: MetadataStore + Clone> Controller<S> {
    /// Makes a registered broker the controller; none while another one is.
    ///
    /// # Errors
    /// [`ControllerError`]. Whatever was written until then does no harm: try again.
    pub async fn take_office(
        store: S,
        broker: BrokerId,
        broker_epoch: BrokerEpoch,
    ) -> Result<Option<Self>, ControllerError> {
        let Some(fence) = office::take(&store, broker, broker_epoch).await? else {
            return Ok(None);
        };
        let changes = Changes::load(&store).await?;
        Ok(Some(Self {
            watcher: Watcher::new(store.clone()),
            store,
            machine: Machine::new(fence.epoch),
            fence,
            changes,
        }))
    }

    /// The epoch of the controller.
    #[must_use]
    pub fn epoch(&self) -> ControllerEpoch {
        self.fence.epoch
    }

    /// How far the changes have come.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.changes.revision()
    }

    /// The brokers that were registered when the controller last looked.
    #[must_use]
    pub fn live(&self) -> &BTreeMap<BrokerId, LiveBroker> {
        self.machine.live()
    }

    /// What it knows.
    #[must_use]
    pub fn image(&self) -> &Image {
        self.machine.image()
    }

    /// Waits until there is something to look at: brokers came, went or reported. Always call [`Controller::look`] then.
    pub async fn changed(&mut self) {
        self.watcher.fired().await;
    }

    /// Looks at the brokers and does whatever follows.
    ///
    /// # Errors
    /// [`ControllerError`]; look again.
    pub async fn look(&mut self, now: Duration) -> Result<(), ControllerError> {
        let ids = (paths::broker_ids(), WatchKind::Children);
        self.watcher.add(&ids.0, ids.1).await?;
        let mut live = registered_brokers(&self.store).await?;
        let mut watched = vec![ids];
        for (broker, one) in &mut live {
            let path = paths::broker_report(*broker);
            self.watcher.add(&path, WatchKind::Node).await?;
            let stored = read::<BrokerReport, S>(&self.store, &path).await?;
            let report = stored.map(|stored| stored.record.body);
            one.report = report.filter(|report| report.broker_epoch == one.epoch);
            watched.push((path, WatchKind::Node));
        }
        self.watcher.keep(&watched);
        self.drive(now, Event::Live(live)).await.map(drop)
    }

    /// Does what time brings.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn tick(&mut self, now: Duration) -> Result<(), ControllerError> {
        self.drive(now, Event::Tick).await.map(drop)
    }

    /// Creates a topic. When this returns, it is durable, and brokers are told.
    ///
    /// # Errors
    /// [`CreateTopicError`]. After [`ControllerError::UnknownOutcome`] the topic may or may not exist: the same
    /// call again finds out.
    pub async fn create_topic(
        &mut self,
        now: Duration,
        new: NewTopic,
    ) -> Result<CreatedTopic, CreateTopicError> {
        match self.drive(now, Event::Create(new)).await? {
            Some(Answer::Created(answer)) => answer,
            other => Err(no_answer(&other).into()),
        }
    }

    /// Marks a topic as deleted, durably: it is gone for its users. Its nodes go, and its name is free, once its brokers
    /// have reported that they removed the data. A topic that is already being deleted is returned again.
    ///
    /// # Errors
    /// [`DeleteTopicError`].
    pub async fn delete_topic(
        &mut self,
        now: Duration,
        name: &TopicName,
    ) -> Result<DeletingTopic, DeleteTopicError> {
        match self.drive(now, Event::Delete(name.clone())).await? {
            Some(Answer::Deleting(answer)) => answer,
            other => Err(no_answer(&other).into()),
        }
    }

    /// The partitions that a broker would lead of a new topic. Nothing is written.
    ///
    /// # Errors
    /// [`CreateTopicError`], as far as it can be told without the store.
    pub fn plan_topic(
        &self,
        broker: BrokerId,
        new: &NewTopic,
    ) -> Result<Vec<PartitionAssignment>, CreateTopicError> {
        self.machine.plan_topic(broker, new)
    }

    /// The partitions of a topic that a broker leads, as they would be with changes. Nothing is written.
    ///
    /// # Errors
    /// [`AlterTopicError`], as far as it can be told without the store.
    pub fn plan_change(
        &self,
        broker: BrokerId,
        name: &TopicName,
        partition: Option<PartitionIndex>,
        changes: &ConfigChanges,
    ) -> Result<Vec<PartitionAssignment>, AlterTopicError> {
        self.machine.plan_change(broker, name, partition, changes)
    }

    /// Changes settings of a topic, or of one of its partitions, durably, and returns those that it has then.
    ///
    /// # Errors
    /// [`AlterTopicError`].
    pub async fn alter_topic(
        &mut self,
        now: Duration,
        name: &TopicName,
        partition: Option<PartitionIndex>,
        changes: &ConfigChanges,
    ) -> Result<(TopicId, TopicConfigs), AlterTopicError> {
        let event = Event::Alter(name.clone(), partition, changes.clone());
        match self.drive(now, event).await? {
            Some(Answer::Altered(answer)) => answer,
            other => Err(no_answer(&other).into()),
        }
    }

    /// Has a broker lead nothing any more that another one can, until its next start.
    ///
    /// # Errors
    /// [`DrainError`].
    pub async fn drain(&mut self, now: Duration, broker: BrokerId) -> Result<(), DrainError> {
        match self.drive(now, Event::Drain(broker)).await? {
            Some(Answer::Drained(answer)) => answer,
            other => Err(no_answer(&other).into()),
        }
    }

    /// Has the preferred brokers lead, of one topic or of all; gives how many leaders were moved, none for a topic that
    /// does not exist.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn elect_leaders(
        &mut self,
        now: Duration,
        topic: Option<TopicName>,
    ) -> Result<Option<usize>, ControllerError> {
        match self.drive(now, Event::ElectLeaders(topic)).await? {
            Some(Answer::Elected(moved)) => Ok(moved),
            other => Err(no_answer(&other)),
        }
    }

    /// Gives a partition other replicas: those that are added catch up before any goes. Or stops doing so.
    ///
    /// # Errors
    /// [`ReassignError`].
    pub async fn reassign(
        &mut self,
        now: Duration,
        name: &TopicName,
        partition: PartitionIndex,
        wanted: Reassignment,
    ) -> Result<(), ReassignError> {
        let event = Event::Reassign(name.clone(), partition, wanted);
        match self.drive(now, event).await? {
            Some(Answer::Reassigned(answer)) => answer,
            other => Err(no_answer(&other).into()),
        }
    }

    /// Changes ISRs as their leaders want; an answer for each.
    ///
    /// # Errors
    /// [`ControllerError`]: nobody knows which were changed.
    pub async fn alter_partitions(
        &mut self,
        now: Duration,
        wanted: Vec<PartitionAlteration>,
    ) -> Result<Vec<Result<(), AlterationRefused>>, ControllerError> {
        match self.drive(now, Event::AlterPartitions(wanted)).await? {
            Some(Answer::PartitionsAltered(answers)) => Ok(answers),
            other => Err(no_answer(&other)),
        }
    }

    async fn drive(
        &mut self,
        now: Duration,
        event: Event,
    ) -> Result<Option<Answer>, ControllerError> {
        self.read_if_stale(now).await?;
        self.perform(now, event).await
    }

    /// Has the machine take in an event, and does what it wants until it wants nothing more.
    async fn perform(
        &mut self,
        now: Duration,
        event: Event,
    ) -> Result<Option<Answer>, ControllerError> {
        let mut action = self.machine.step(now, event)?;
        let mut answer = None;
        while let Some(wanted) = action {
            let done = match wanted {
                Action::Answer(given) => {
                    answer = Some(given);
                    action = match self.machine.step(now, Event::Tick) {
                        Ok(action) => action,
                        // What was asked for is done; what follows from it is tried again.
                        Err(_) => return Ok(answer),
                    };
                    continue;
                }
                Action::Write(write) => self.write(write).await,
                Action::Remove {
                    topic_id,
                    name,
                    version,
                } => self.remove(topic_id, name, version).await,
            };
            if let Err(error) = done {
                self.machine.step(now, Event::Failed)?;
                return answer.map(Some).ok_or(error);
            }
            let written = Event::Written(self.changes.revision());
            action = match self.machine.step(now, written) {
                Ok(action) => action,
                Err(error) => return answer.map(Some).ok_or(error),
            };
        }
        Ok(answer)
    }

    /// Reads everything, if what is known may not be so; nothing that was written before, and is still on its way, can
    /// arrive from then on. What was half created is removed.
    async fn read_if_stale(&mut self, now: Duration) -> Result<(), ControllerError> {
        // A future that was dropped midway leaves the machine in the middle of a write.
        if self.machine.is_writing() {
            self.machine.step(now, Event::Failed)?;
        }
        if !self.machine.is_stale() {
            return Ok(());
        }
        self.fence.renew(&self.store).await?;
        self.changes = Changes::load(&self.store).await?;
        let image = Image::load(&self.store).await?;
        if !Step::Sweep.is_omitted() {
            self.sweep(&image).await?;
        }
        let loaded = Event::Loaded(Box::new(image), self.changes.revision());
        self.perform(now, loaded).await.map(drop)
    }

    /// Writes operations in their order, in as few multis as fit: each multi is atomic, all together are not. Each tells
    /// brokers what it is about.
    async fn write(&mut self, write: Write) -> Result<(), ControllerError> {
        let check = self.fence.check();
        for batch in batches(write.ops, &check) {
            let touched = match write.tell {
                Tell::Nobody => Touched::Nothing,
                Tell::Brokers => {
                    Touched::Topics(batch.iter().filter_map(|op| op.about.clone()).collect())
                }
            };
            let mut ops: Vec<MetaOp> = batch.into_iter().map(|op| op.op).collect();
            let next = self.changes.after(&touched);
            if touched != Touched::Nothing {
                ops.push(next.set()?);
            }
            self.fence.write(&self.store, write.what, ops).await?;
            self.changes = next;
        }
        Ok(())
    }

    async fn remove(
        &mut self,
        topic_id: TopicId,
        name: TopicName,
        version: Version,
    ) -> Result<(), ControllerError> {
        let mut ops = topics::removal(&self.store, topic_id).await?;
        ops.push(Op {
            op: MetaOp::Delete {
                path: paths::topic(&name),
                version: Some(version),
            },
            about: Some(name),
        });
        let what = "finishing the deletion";
        self.write(Write {
            what,
            ops,
            tell: Tell::Brokers,
        })
        .await
    }

    /// Removes what lies under ids that no topic has.
    async fn sweep(&mut self, image: &Image) -> Result<(), ControllerError> {
        for child in image::children(&self.store, &paths::topic_roots()).await? {
            let Ok(topic_id) = child.parse::<TopicId>() else {
                tracing::warn!(node = %child, "a node under /t is not the id of a topic, left alone");
                continue;
            };
            if !image.is_known(topic_id) {
                tracing::info!(topic_id = %topic_id, "removing what is left of a topic that was never created");
                let ops = topics::removal(&self.store, topic_id).await?;
                let what = "sweeping";
                self.write(Write {
                    what,
                    ops,
                    tell: Tell::Nobody,
                })
                .await?;
            }
        }
        Ok(())
    }
}

fn no_answer(other: &Option<Answer>) -> ControllerError {
    ControllerError::UnknownOutcome {
        what: "the request",
        reason: format!("the controller answered {other:?}"),
    }
}

#[cfg(test)]
mod tests;
