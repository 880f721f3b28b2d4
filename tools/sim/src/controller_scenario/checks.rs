//! What must hold of the metadata store, whatever happens; and what must hold once everything works again.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use ringlog_coord::controller::{Image, registered_brokers};
use ringlog_coord::ids::{BrokerEpoch, ControllerEpoch};
use ringlog_coord::paths;
use ringlog_coord::records::{ControllerEpochRecord, PartitionState, Payload, TopicRecord};
use ringlog_coord::store::{MemoryStore, MetadataStore, NodePath, Zxid};
use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};
use serde::de::DeserializeOwned;

use super::broker::Life;
use super::{Held, now};
use crate::violation::Violation;

type Partition = (TopicId, PartitionIndex);

#[derive(Default)]
pub(super) struct Checks {
    /// Who led in an epoch, in which registration.
    leaders: BTreeMap<(Partition, LeaderEpoch), (BrokerId, BrokerEpoch)>,
    epochs: BTreeMap<Partition, LeaderEpoch>,
    committed: BTreeMap<Partition, u64>,
    seen: BTreeMap<NodePath, Zxid>,
    /// Sessions of processes that are gone.
    left_behind: Vec<MemoryStore>,
    trace: DefaultHasher,
}

fn violation(checker: &'static str, what: String) -> Violation {
    Violation::Cluster { checker, what }
}

fn children(store: &MemoryStore, path: &NodePath) -> Vec<String> {
    now(store.children(path))
        .and_then(Result::ok)
        .flatten()
        .unwrap_or_default()
}

fn read<T: DeserializeOwned>(store: &MemoryStore, path: &NodePath) -> Option<T> {
    let node = now(store.read(path))?.ok()??;
    Some(Payload::<T>::decode(path, &node.data).ok()?.body)
}

fn state_paths(store: &MemoryStore) -> Vec<(Partition, NodePath)> {
    let mut found = Vec::new();
    for topic in children(store, &paths::topic_roots()) {
        let Ok(topic) = topic.parse::<TopicId>() else {
            continue;
        };
        for partition in children(store, &paths::partition_states(topic)) {
            let Ok(partition) = partition.parse().map(PartitionIndex::new) else {
                continue;
            };
            found.push(((topic, partition), paths::partition_state(topic, partition)));
        }
    }
    found
}

impl Checks {
    pub(super) fn committed(&self) -> &BTreeMap<Partition, u64> {
        &self.committed
    }

    /// A record was acknowledged.
    pub(super) fn commit(&mut self, partition: Partition, end: u64) {
        let committed = self.committed.entry(partition).or_default();
        *committed = (*committed).max(end);
    }

    pub(super) fn leave_behind(&mut self, session: &MemoryStore) {
        self.left_behind.push(session.clone());
    }

    pub(super) fn end_left_behind(&mut self) {
        for session in self.left_behind.drain(..) {
            session.deliver_late();
            session.expire();
        }
    }

    pub(super) fn trace_hash(&self) -> u64 {
        self.trace.finish()
    }

    /// Whether somebody counts on what a broker has, or may come to do so: as long as it is registered it may be elected, and
    /// be the only member then.
    pub(super) fn is_needed(&self, broker: BrokerId, store: &MemoryStore) -> bool {
        let node = now(store.read(&paths::broker_id(broker)));
        let is_registered = !matches!(node, Some(Ok(None)));
        let mut states = self.states(store).into_iter();
        is_registered
            || states.any(|(_, state)| {
                let is_it = |one: &BrokerId| *one == broker;
                let others = state
                    .isr
                    .iter()
                    .map(|member| member.id)
                    .chain(state.elr.iter().copied());
                let counted: Vec<BrokerId> = others.collect();
                counted.iter().any(is_it) && counted.len() == 1
            })
    }

    fn states(&self, store: &MemoryStore) -> Vec<(Partition, PartitionState)> {
        let paths = state_paths(store).into_iter();
        let read = paths.filter_map(|(partition, path)| {
            let node = now(store.read(&path))?.ok()??;
            Some((partition, Payload::decode(&path, &node.data).ok()?.body))
        });
        read.collect()
    }

    /// States that were written since they were last looked at.
    fn changed_states(&mut self, store: &MemoryStore) -> Vec<(Partition, PartitionState)> {
        let mut states = Vec::new();
        for (partition, path) in state_paths(store) {
            let Some(node) = now(store.read(&path)).and_then(Result::ok).flatten() else {
                continue;
            };
            if self.seen.get(&path) == Some(&node.stat.mzxid) {
                continue;
            }
            if let Ok(payload) = Payload::decode(&path, &node.data) {
                states.push((partition, payload.body));
            }
            self.seen.insert(path, node.stat.mzxid);
        }
        states
    }

    /// What must always hold.
    pub(super) fn look(&mut self, store: &MemoryStore) -> Result<(), Violation> {
        let current = read::<ControllerEpochRecord>(store, &paths::controller_epoch());
        let current = current.map_or(ControllerEpoch::new(0), |record| record.epoch);
        for (partition, state) in self.changed_states(store) {
            (
                partition.0.get(),
                partition.1.get(),
                state.leader_epoch.get(),
            )
                .hash(&mut self.trace);
            if state.controller_epoch < current {
                let what = format!(
                    "{partition:?} was written by controller {}, and {current} is in office",
                    state.controller_epoch
                );
                return Err(violation("deposed-wrote", what));
            }
            let last = self.epochs.insert(partition, state.leader_epoch);
            if let Some(last) = last.filter(|last| *last > state.leader_epoch) {
                let what = format!(
                    "{partition:?} went from leader epoch {last} to {}",
                    state.leader_epoch
                );
                return Err(violation("epoch-went-back", what));
            }
            let Some(leader) = state.leader else { continue };
            let Some(member) = state.isr.iter().find(|member| member.id == leader) else {
                return Err(violation(
                    "leader-not-in-sync",
                    format!("{partition:?}: {state:?}"),
                ));
            };
            let mut incarnation = (leader, member.broker_epoch);
            let known = self
                .leaders
                .entry((partition, state.leader_epoch))
                .or_insert(incarnation);
            std::mem::swap(known, &mut incarnation);
            if *known != incarnation {
                let what = format!(
                    "{partition:?} in epoch {}: {known:?} and {incarnation:?}",
                    state.leader_epoch
                );
                return Err(violation("two-leaders", what));
            }
        }
        self.topics_are_whole(store)
    }

    fn topics_are_whole(&self, store: &MemoryStore) -> Result<(), Violation> {
        for name in children(store, &paths::topics()) {
            let Ok(name) = name.parse() else { continue };
            let Some(topic) = read::<TopicRecord>(store, &paths::topic(&name)) else {
                continue;
            };
            if topic.state != ringlog_coord::records::TopicState::Active {
                continue;
            }
            let states = children(store, &paths::partition_states(topic.topic_id)).len();
            if u32::try_from(states) != Ok(topic.partitions) {
                let what = format!(
                    "topic {name} has {states} states of {} partitions",
                    topic.partitions
                );
                return Err(violation("topic-in-part", what));
            }
        }
        Ok(())
    }

    /// The nodes of a topic outlive its data.
    pub(super) fn data_of_deleted<'a>(
        &self,
        store: &MemoryStore,
        held: impl Iterator<Item = &'a Held>,
    ) -> Result<(), Violation> {
        let known: BTreeSet<String> = children(store, &paths::topic_roots()).into_iter().collect();
        // The one partition that is given other replicas leaves data where nobody waits for its removal.
        let waited_for = held
            .flat_map(BTreeMap::keys)
            .filter(|(_, partition)| partition.get() > 0);
        for (topic, _) in waited_for {
            if !known.contains(&topic.to_string()) {
                let what = format!("topic {topic} is gone, and a broker still has data of it");
                return Err(violation("data-left", what));
            }
        }
        Ok(())
    }

    /// What must hold once everything has worked for a while.
    pub(super) fn healed<'a>(
        &self,
        store: &MemoryStore,
        lives: impl Iterator<Item = &'a Life>,
        machines: usize,
    ) -> Result<(), Violation> {
        let live = now(registered_brokers(store))
            .and_then(Result::ok)
            .unwrap_or_default();
        if live.len() != machines {
            return Err(violation(
                "no-progress",
                format!("{} of {machines} brokers are registered", live.len()),
            ));
        }
        let image = match now(Image::load(store)) {
            Some(Ok(image)) => image,
            other => return Err(violation("not-consistent", format!("{other:?}"))),
        };
        if !image.deleting().is_empty() {
            return Err(violation(
                "no-progress",
                format!("not deleted: {:?}", image.deleting()),
            ));
        }
        let known: BTreeSet<String> = image
            .list()
            .iter()
            .map(|topic| topic.topic_id.to_string())
            .collect();
        let there: BTreeSet<String> = children(store, &paths::topic_roots()).into_iter().collect();
        if known != there {
            return Err(violation(
                "orphans",
                format!("topics {known:?}, nodes {there:?}"),
            ));
        }
        for (partition, state) in self.states(store) {
            for member in &state.isr {
                if live.get(&member.id).map(|one| one.epoch) != Some(member.broker_epoch) {
                    return Err(violation(
                        "stale-member",
                        format!("{partition:?}: {state:?}"),
                    ));
                }
            }
            let somebody = !state.isr.is_empty() || !state.elr.is_empty();
            let nobody_can = !somebody && !self.committed.contains_key(&partition);
            if state.leader.is_none() && !nobody_can {
                return Err(violation("no-leader", format!("{partition:?}: {state:?}")));
            }
        }
        for life in lives {
            let wanted: BTreeMap<Partition, LeaderEpoch> = image
                .assignment_of(life.id(), life.epoch())
                .into_iter()
                .map(|one| ((one.topic_id, one.partition), one.leader_epoch))
                .collect();
            if *life.served() != wanted {
                let what = format!(
                    "broker {} serves {:?} and is to serve {wanted:?}",
                    life.id(),
                    life.served()
                );
                return Err(violation("not-told", what));
            }
        }
        Ok(())
    }
}
