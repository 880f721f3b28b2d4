//! A broker as the controller sees it, without logs: it serves what it observes, and may be the controller.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use ringlog_coord::config::ConfigChanges;
use ringlog_coord::controller::{
    BrokerStart, Controller, ControllerError, NewTopic, PartitionAlteration, Reassignment,
    ReplacedDirectory, register, report,
};
use ringlog_coord::ids::{BrokerEpoch, DirectoryId, Incarnation, Revision};
use ringlog_coord::observer::Observer;
use ringlog_coord::records::{BrokerReport, IsrMember};
use ringlog_coord::store::{MemoryStore, MetadataStore, SessionStatus, Version};
use ringlog_coord::topic_name::TopicName;
use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

use super::fuse::Fused;
use super::{Held, now};

/// Starts brokers.
pub(super) struct Broker;

/// A partition that is led, as its leader knows it.
pub(super) struct Led {
    pub(super) partition: (TopicId, PartitionIndex),
    pub(super) epoch: LeaderEpoch,
    /// The in-sync replicas, and those that it has asked to be, and may be.
    pub(super) maximal_isr: Vec<IsrMember>,
    pub(super) isr_len: usize,
    pub(super) min_isr: u16,
    pub(super) replicas: Vec<BrokerId>,
    partition_epoch: Version,
    leader: BrokerId,
    broker_epoch: BrokerEpoch,
}

impl Led {
    pub(super) fn alteration(&self, isr: Vec<IsrMember>) -> PartitionAlteration {
        PartitionAlteration {
            topic_id: self.partition.0,
            partition: self.partition.1,
            leader: self.leader,
            broker_epoch: self.broker_epoch,
            leader_epoch: self.epoch,
            partition_epoch: self.partition_epoch,
            isr,
        }
    }
}

/// A broker that runs.
pub(super) struct Life {
    witness: MemoryStore,
    start: BrokerStart,
    store: Fused,
    observer: Observer<Fused>,
    epoch: BrokerEpoch,
    controller: Option<Controller<Fused>>,
    served: BTreeMap<(TopicId, PartitionIndex), LeaderEpoch>,
    /// ISRs that it has asked for since it saw the partition in this state.
    pending: BTreeMap<(TopicId, PartitionIndex), (Version, Vec<IsrMember>)>,
    applied: Revision,
}

impl Broker {
    /// Registers a broker in a session of its own; none when that fails.
    pub(super) fn start(
        witness: &MemoryStore,
        broker: BrokerId,
        directory: DirectoryId,
        incarnation: u128,
    ) -> Option<Life> {
        let start = BrokerStart {
            broker,
            incarnation: Incarnation::new(incarnation),
            addresses: vec![format!("broker-{broker}:9400")],
            shards: NonZeroU16::MIN,
            rack: broker.get().is_multiple_of(2).then(|| "even".to_owned()),
            directory,
            software: "simulated".to_owned(),
            replaced_directory: ReplacedDirectory::Accept,
        };
        let store = Fused::new(witness.another_session_with_timeout(Duration::from_secs(6)));
        let Some(Ok(epoch)) = now(register(&store, &start)) else {
            store.inner.expire();
            return None;
        };
        Some(Life {
            witness: witness.clone(),
            start,
            observer: Observer::new(store.clone()),
            store,
            epoch,
            controller: None,
            served: BTreeMap::new(),
            pending: BTreeMap::new(),
            applied: Revision::default(),
        })
    }
}

impl Life {
    pub(super) fn id(&self) -> BrokerId {
        self.start.broker
    }

    /// Whether it is the controller, or believes so.
    pub(super) fn governs(&self) -> bool {
        self.controller.is_some()
    }

    pub(super) fn session(&self) -> &MemoryStore {
        &self.store.inner
    }

    pub(super) fn burn_after(&self, writes: u64, is_done: bool) {
        self.store.burn_after(writes, is_done);
    }

    pub(super) fn is_burnt(&self) -> bool {
        self.store.put_out();
        self.store.is_burnt()
    }

    /// Looks, serves what it sees, and reports; gives the partitions that it begins to lead.
    pub(super) fn turn(
        &mut self,
        now_s: u64,
        incarnation: u128,
        held: &mut Held,
    ) -> Vec<((TopicId, PartitionIndex), LeaderEpoch)> {
        if self.store.inner.session().status == SessionStatus::Ended {
            self.rejoin(incarnation);
        }
        if !matches!(now(self.observer.look()), Some(Ok(()))) {
            return Vec::new();
        }
        let me = self.start.broker;
        let sight = self.observer.sight();
        let vacant = sight.controller.as_ref().is_none_or(|one| one.broker == me);
        if vacant && self.controller.is_none() {
            let office = Controller::take_office(self.store.clone(), me, self.epoch);
            if let Some(Ok(Some(controller))) = now(office) {
                self.controller = Some(controller);
                self.govern(now_s);
            }
        }
        let sight = self.observer.sight();
        if !sight.image.is_active(me, self.epoch) {
            return Vec::new();
        }
        let deleting = sight.image.deleting();
        let known = sight.image.list();
        let is_deleted = |topic: &TopicId| deleting.iter().any(|one| one.topic_id == *topic);
        held.retain(|(topic, _), _| !is_deleted(topic));
        let partitions = known
            .iter()
            .filter_map(|topic| sight.image.describe(&topic.name));
        let states: BTreeMap<_, _> = partitions
            .flat_map(|topic| {
                let id = topic.topic_id;
                topic
                    .partitions
                    .into_iter()
                    .map(move |one| ((id, one.partition), one))
            })
            .collect();
        self.pending.retain(|partition, (asked_at, _)| {
            states
                .get(partition)
                .is_some_and(|one| one.partition_epoch == *asked_at)
        });
        let mut begun = Vec::new();
        let mut served = BTreeMap::new();
        for one in sight.image.assignment_of(me, self.epoch) {
            let partition = (one.topic_id, one.partition);
            served.insert(partition, one.leader_epoch);
            if self.served.get(&partition) != Some(&one.leader_epoch) {
                begun.push((partition, one.leader_epoch));
            }
        }
        self.served = served;
        self.applied = sight.revision;
        let told = BrokerReport {
            broker_epoch: self.epoch,
            applied: self.applied,
            draining: false,
            unremoved: Vec::new(),
        };
        // Told again at the next turn, if this fails.
        drop(now(report(&self.store, me, &told)));
        begun
    }

    /// Its session has ended: it goes on in another one.
    fn rejoin(&mut self, incarnation: u128) {
        let (id, directory) = (self.start.broker, self.start.directory);
        let served = std::mem::take(&mut self.served);
        if let Some(life) = Broker::start(&self.witness, id, directory, incarnation) {
            *self = life;
            self.served = served;
        }
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Controller<Fused>) -> Result<T, Option<ControllerError>>,
    ) {
        let Some(controller) = &mut self.controller else {
            return;
        };
        if let Err(Some(ControllerError::Deposed { .. })) = work(controller) {
            self.controller = None;
        }
    }

    /// Governs, if it is the controller or believes so.
    pub(super) fn govern(&mut self, now_s: u64) {
        let time = Duration::from_secs(now_s);
        self.with(|controller| match now(controller.look(time)) {
            Some(Err(error)) => Err(Some(error)),
            _ => Ok(()),
        });
    }

    pub(super) fn create(&mut self, now_s: u64, new: NewTopic) {
        let time = Duration::from_secs(now_s);
        self.with(|controller| match now(controller.create_topic(time, new)) {
            Some(Err(ringlog_coord::controller::CreateTopicError::Controller(error))) => {
                Err(Some(error))
            }
            _ => Ok(()),
        });
    }

    pub(super) fn delete(&mut self, now_s: u64, name: &TopicName) {
        let time = Duration::from_secs(now_s);
        self.with(
            |controller| match now(controller.delete_topic(time, name)) {
                Some(Err(ringlog_coord::controller::DeleteTopicError::Controller(error))) => {
                    Err(Some(error))
                }
                _ => Ok(()),
            },
        );
    }

    pub(super) fn alter(&mut self, now_s: u64, name: &TopicName, change: &str) {
        let time = Duration::from_secs(now_s);
        let Ok(changes) = ConfigChanges::parse([change]) else {
            return;
        };
        self.with(
            |controller| match now(controller.alter_topic(time, name, None, &changes)) {
                Some(Err(ringlog_coord::controller::AlterTopicError::Controller(error))) => {
                    Err(Some(error))
                }
                _ => Ok(()),
            },
        );
    }

    pub(super) fn reassign(&mut self, now_s: u64, name: &TopicName, wanted: Reassignment) {
        let time = Duration::from_secs(now_s);
        let partition = PartitionIndex::new(0);
        self.with(
            |controller| match now(controller.reassign(time, name, partition, wanted)) {
                Some(Err(ringlog_coord::controller::ReassignError::Controller(error))) => {
                    Err(Some(error))
                }
                _ => Ok(()),
            },
        );
    }

    pub(super) fn elect_or_drain(&mut self, now_s: u64, elects: bool) {
        let time = Duration::from_secs(now_s);
        let me = self.start.broker;
        self.with(|controller| {
            let failed = if elects {
                now(controller.elect_leaders(time, None)).and_then(Result::err)
            } else {
                match now(controller.drain(time, me)) {
                    Some(Err(ringlog_coord::controller::DrainError::Controller(error))) => {
                        Some(error)
                    }
                    _ => None,
                }
            };
            failed.map_or(Ok(()), |error| Err(Some(error)))
        });
    }

    pub(super) fn alter_partitions(&mut self, now_s: u64, wanted: Vec<PartitionAlteration>) {
        let time = Duration::from_secs(now_s);
        self.with(
            |controller| match now(controller.alter_partitions(time, wanted)) {
                Some(Err(error)) => Err(Some(error)),
                _ => Ok(()),
            },
        );
    }

    /// What it leads, with the ISRs that it knows of.
    pub(super) fn led(&self) -> Vec<Led> {
        let image = &self.observer.sight().image;
        let topics = image
            .list()
            .into_iter()
            .filter_map(|topic| image.describe(&topic.name));
        let mut led = Vec::new();
        for topic in topics {
            for one in topic.partitions {
                let partition = (topic.topic_id, one.partition);
                if self.served.get(&partition) == Some(&one.leader_epoch)
                    && one.leader == Some(self.start.broker)
                {
                    let isr_len = one.members.len();
                    let mut maximal_isr = one.members;
                    if let Some((_, asked)) = self.pending.get(&partition) {
                        let more = asked.iter().filter(|member| !maximal_isr.contains(member));
                        let more: Vec<_> = more.copied().collect();
                        maximal_isr.extend(more);
                    }
                    led.push(Led {
                        partition,
                        epoch: one.leader_epoch,
                        maximal_isr,
                        isr_len,
                        min_isr: one.min_isr,
                        replicas: one.replicas,
                        partition_epoch: one.partition_epoch,
                        leader: self.start.broker,
                        broker_epoch: self.epoch,
                    });
                }
            }
        }
        led
    }

    /// It asks for these ISRs: whoever is asked for may be in sync from now on.
    pub(super) fn note_pending(&mut self, asked: &[PartitionAlteration]) {
        for one in asked {
            let pending = self.pending.entry((one.topic_id, one.partition));
            let pending = pending.or_insert_with(|| (one.partition_epoch, Vec::new()));
            pending.1.extend(&one.isr);
            pending
                .1
                .sort_unstable_by_key(|member| (member.id, member.broker_epoch));
            pending.1.dedup();
        }
    }

    /// The leader epoch of a partition, as it knows it.
    fn epoch_of(&self, partition: (TopicId, PartitionIndex)) -> Option<LeaderEpoch> {
        let image = &self.observer.sight().image;
        let topic = image
            .list()
            .into_iter()
            .find(|one| one.topic_id == partition.0)?;
        let topic = image.describe(&topic.name)?;
        let place = usize::try_from(partition.1.get()).ok()?;
        topic.partitions.get(place).map(|one| one.leader_epoch)
    }

    /// Whether it takes a record of a leader: as the member that the leader takes it for, and from none that is deposed.
    pub(super) fn accepts(
        &self,
        partition: (TopicId, PartitionIndex),
        epoch: LeaderEpoch,
        as_member: BrokerEpoch,
    ) -> bool {
        as_member == self.epoch && self.epoch_of(partition).is_some_and(|known| known <= epoch)
    }

    /// In which registration it follows a leader, if it does.
    pub(super) fn follows(
        &self,
        partition: (TopicId, PartitionIndex),
        epoch: LeaderEpoch,
    ) -> Option<BrokerEpoch> {
        (self.epoch_of(partition) == Some(epoch)).then_some(self.epoch)
    }

    /// What it serves.
    pub(super) fn served(&self) -> &BTreeMap<(TopicId, PartitionIndex), LeaderEpoch> {
        &self.served
    }

    pub(super) fn epoch(&self) -> BrokerEpoch {
        self.epoch
    }
}
