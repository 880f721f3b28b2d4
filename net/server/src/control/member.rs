//! The broker as a member of its cluster: it serves what it sees that it leads, and reports that it does.
//!
//! Nobody tells it anything but through the metadata store: the observer wakes it, it compares what it serves with what
//! it sees, and applies the difference. Nothing is served that is older than what was: a partition is opened again only
//! in a larger leader epoch, and led only in the registration that it was given to.

use std::collections::{BTreeMap, BTreeSet};

use ringlog_coord::config::TopicConfigs;
use ringlog_coord::controller::{PartitionAssignment, report};
use ringlog_coord::ids::{BrokerEpoch, Revision};
use ringlog_coord::observer::{Observer, Sight};
use ringlog_coord::records::{BrokerLife, BrokerReport};
use ringlog_coord::store::MetadataStore;
use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, ShardId, TopicId, TopicPartition};

use super::BrokerError;
use super::shards::Shards;
use crate::broker::BrokerConfig;
use crate::cluster_view::{BrokerView, ClusterView, PartitionView, TopicView};
use crate::partition_budget::PartitionBudget;
use crate::shard::command::DirectoryCommand;

/// A registered broker.
pub(super) struct Member<S> {
    pub(super) store: S,
    pub(super) observer: Observer<S>,
    pub(super) epoch: BrokerEpoch,
    /// What the controller was last told.
    reported: Option<BrokerReport>,
}

/// What the shards serve.
#[derive(Default)]
pub(super) struct Served {
    partitions: BTreeMap<TopicPartition, (LeaderEpoch, ShardId)>,
    configs: BTreeMap<TopicId, TopicConfigs>,
    /// Partitions that did not get their new durability when the settings of their topics last changed.
    pub(super) pending: BTreeMap<TopicId, Vec<PartitionIndex>>,
    /// Deleted topics whose data is gone.
    removed: BTreeSet<TopicId>,
    /// Deleted topics whose data could not be removed.
    pub(super) unremoved: BTreeSet<TopicId>,
    /// All of this is as it was to be at this revision.
    pub(super) applied: Revision,
    /// The broker is about to stop.
    pub(super) draining: bool,
}

impl<S: MetadataStore + Clone> Member<S> {
    pub(super) fn new(store: S, observer: Observer<S>, epoch: BrokerEpoch) -> Self {
        Self {
            store,
            observer,
            epoch,
            reported: None,
        }
    }

    pub(super) fn sight(&self) -> &Sight {
        self.observer.sight()
    }

    /// Whether the controller has taken this registration in.
    pub(super) fn is_in(&self, me: BrokerId) -> bool {
        self.sight().image.is_active(me, self.epoch)
    }

    /// Whether everything that this broker is to lead has been given to it.
    pub(super) fn is_settled(&self, me: BrokerId) -> bool {
        self.is_in(me) && !self.sight().image.is_undecided(me, self.epoch)
    }

    /// Tells the controller what is served, if it has not been told.
    pub(super) async fn report(&mut self, me: BrokerId, served: &Served) -> Result<(), String> {
        let next = BrokerReport {
            broker_epoch: self.epoch,
            applied: served.applied,
            draining: served.draining,
            unremoved: served.unremoved.iter().copied().collect(),
        };
        if self.reported.as_ref() != Some(&next) {
            let told = report(&self.store, me, &next).await;
            told.map_err(|error| error.to_string())?;
            self.reported = Some(next);
        }
        Ok(())
    }

    /// Whether the broker leads something that another one could.
    pub(super) fn could_hand_over(&self, me: BrokerId) -> bool {
        let image = &self.sight().image;
        let is_draining = image.life(me, self.epoch) == BrokerLife::Draining;
        let led = image
            .list()
            .into_iter()
            .filter(|topic| topic.replication_factor > 1);
        let mut partitions = led
            .filter_map(|topic| image.describe(&topic.name))
            .flat_map(|topic| topic.partitions);
        let others = |isr: &[BrokerId]| isr.iter().any(|one| *one != me);
        partitions.any(|one| one.leader == Some(me) && others(&one.isr) && !is_draining)
    }
}

impl Served {
    /// Has the shards serve what is seen.
    ///
    /// # Errors
    ///
    /// A shard has ended.
    pub(super) async fn apply(
        &mut self,
        shards: &Shards,
        config: &BrokerConfig,
        sight: &Sight,
        epoch: BrokerEpoch,
    ) -> Result<(), BrokerError> {
        let image = &sight.image;
        let known: BTreeMap<TopicId, TopicConfigs> = image
            .list()
            .iter()
            .filter_map(|topic| image.describe(&topic.name))
            .map(|topic| (topic.topic_id, topic.configs))
            .collect();
        self.remove_deleted(shards, sight).await;
        let wanted: BTreeMap<TopicPartition, PartitionAssignment> = image
            .assignment_of(config.broker, epoch)
            .into_iter()
            .map(|one| (id_of(&one), one))
            .collect();
        let is_over = |(id, served): (&TopicPartition, &(LeaderEpoch, ShardId))| {
            let goes_on = wanted
                .get(id)
                .is_some_and(|one| one.leader_epoch <= served.0);
            (!goes_on).then_some((*id, served.1))
        };
        let over: Vec<_> = self.partitions.iter().filter_map(is_over).collect();
        shards.close(&over).await?;
        for (id, _) in over {
            self.partitions.remove(&id);
        }
        for (topic, configs) in &known {
            let served = self.configs.get(topic);
            if served.is_some_and(|served| served != configs) {
                let pending = shards.set_config(*topic, configs).await;
                self.pending.insert(*topic, pending);
            }
        }
        self.pending.retain(|topic, _| known.contains_key(topic));
        self.configs = known;
        self.open(shards, config, wanted).await?;
        self.applied = sight.revision;
        Ok(())
    }

    async fn open(
        &mut self,
        shards: &Shards,
        config: &BrokerConfig,
        wanted: BTreeMap<TopicPartition, PartitionAssignment>,
    ) -> Result<(), BrokerError> {
        let mut by_shard: BTreeMap<ShardId, Vec<PartitionAssignment>> = BTreeMap::new();
        let mut present = Vec::new();
        for (id, one) in wanted {
            if self.partitions.contains_key(&id) {
                present.push(one);
                continue;
            }
            let shard = one.shard(config.shards);
            self.partitions.insert(id, (one.leader_epoch, shard));
            by_shard.entry(shard).or_default().push(one);
        }
        if by_shard.is_empty() {
            return Ok(());
        }
        let partitions: usize = by_shard.values().map(Vec::len).sum();
        // Partitions that were placed here, or made when the broker had more memory, are served all the same: they share
        // what there is.
        let budget = PartitionBudget::of(config);
        let partitions_max = budget.partitions_max();
        let added: Vec<PartitionAssignment> = by_shard.values().flatten().cloned().collect();
        if let Err(error) = budget.check(&present, &added) {
            tracing::warn!(%error, partitions_max, "the partitions need more than the broker has for them");
        }
        let failed = shards.open(config.broker, by_shard).await?;
        tracing::info!(partitions, offline = failed.len(), "logs are open");
        Ok(())
    }

    /// Removes the data of topics that are being deleted, and of no others: one that is not known any more was not deleted,
    /// for that waits for this broker, but is missing from a store that has lost something.
    async fn remove_deleted(&mut self, shards: &Shards, sight: &Sight) {
        let deleting = sight.image.deleting().into_iter();
        let deleting: BTreeSet<TopicId> = deleting.map(|topic| topic.topic_id).collect();
        for &topic in &deleting {
            if self.removed.contains(&topic) || self.unremoved.contains(&topic) {
                continue;
            }
            self.partitions.retain(|id, _| id.topic != topic);
            match remove(shards, topic).await {
                Ok(()) => {
                    self.removed.insert(topic);
                    tracing::info!(%topic, "the data of a deleted topic is removed");
                }
                Err(error) => {
                    self.unremoved.insert(topic);
                    tracing::error!(%topic, %error, "the data of a deleted topic is not removed yet; the next start of the broker tries again");
                }
            }
        }
        self.removed.retain(|topic| deleting.contains(topic));
        self.unremoved.retain(|topic| deleting.contains(topic));
    }

    /// What the start has done about a deleted topic already.
    pub(super) fn note_removal(&mut self, topic: TopicId, is_done: bool) {
        if is_done {
            self.removed.insert(topic);
        } else {
            self.unremoved.insert(topic);
        }
    }

    /// The cluster as clients are told of it.
    pub(super) fn view(&self, me: &BrokerView, cluster_id: &str, sight: &Sight) -> ClusterView {
        let mut brokers: Vec<BrokerView> = sight
            .brokers
            .iter()
            .filter(|(broker, _)| **broker != me.broker)
            .map(|(broker, live)| BrokerView {
                broker: *broker,
                address: live
                    .registration
                    .addresses
                    .first()
                    .cloned()
                    .unwrap_or_default(),
                shards: live.registration.cores,
                rack: live.registration.rack.clone(),
                broker_epoch: live.epoch.get(),
                software: live.registration.software.clone(),
                state: life_name(sight.image.life(*broker, live.epoch)),
            })
            .collect();
        let epoch = BrokerEpoch::new(me.broker_epoch);
        brokers.push(BrokerView {
            state: life_name(sight.image.life(me.broker, epoch)),
            ..me.clone()
        });
        brokers.sort_unstable_by_key(|broker| broker.broker);
        let shards_of = |broker: Option<BrokerId>| {
            let broker = brokers.iter().find(|one| Some(one.broker) == broker);
            broker.map_or(me.shards, |broker| broker.shards)
        };
        let mut topics = BTreeMap::new();
        for summary in sight.image.list() {
            let Some(topic) = sight.image.describe(&summary.name) else {
                continue;
            };
            let partitions = topic.partitions.into_iter().map(|one| PartitionView {
                partition: one.partition,
                leader: one.leader,
                leader_epoch: one.leader_epoch,
                shard: shard_of(one.slot, shards_of(one.leader)),
                replicas: one.replicas,
                isr: one.isr,
                min_isr: one.min_isr,
            });
            let described = TopicView {
                topic: topic.topic_id,
                partitions: partitions.collect(),
            };
            topics.insert(topic.name.as_str().to_owned(), described);
        }
        ClusterView {
            cluster_id: cluster_id.to_owned(),
            picture: 0,
            controller: sight.controller.as_ref().map(|one| one.broker),
            controller_epoch: sight
                .controller
                .as_ref()
                .map_or(0, |one| one.controller_epoch.get()),
            revision: sight.revision.get(),
            brokers,
            topics,
            owners: self
                .partitions
                .iter()
                .map(|(id, (_, shard))| (*id, *shard))
                .collect(),
        }
    }
}

fn life_name(life: BrokerLife) -> &'static str {
    match life {
        BrokerLife::Fenced => "fenced",
        BrokerLife::Active => "active",
        BrokerLife::Draining => "draining",
    }
}

/// The shard of a slot on a broker with so many.
fn shard_of(slot: ringlog_coord::ids::Slot, shards: u16) -> ShardId {
    slot.shard(std::num::NonZeroU16::new(shards).unwrap_or(std::num::NonZeroU16::MIN))
}

fn id_of(assignment: &PartitionAssignment) -> TopicPartition {
    TopicPartition {
        topic: assignment.topic_id,
        partition: assignment.partition,
    }
}

async fn remove(shards: &Shards, topic: TopicId) -> Result<(), BrokerError> {
    shards.delete(topic).await.map_err(BrokerError::Directory)?;
    let remove = DirectoryCommand::RemoveTopic(topic);
    shards.directory(remove).await.map(drop)
}
