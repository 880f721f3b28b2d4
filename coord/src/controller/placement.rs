//! Where the partitions of a new topic lie: on which brokers, and in which slots there. Pure.
//!
//! Brokers: the leader of each partition goes to the broker with the fewest leaders for its cores, of this topic first;
//! the other replicas to racks that have none yet, and there to the brokers with the fewest replicas for their cores.
//!
//! Slots: a partition is owned by shard = slot % shards. The number of shards may be another after a restart, so the
//! choice is made twice: among the shards of today the one with the fewest partitions, of this topic first;
//! among the slots of that shard the one used least, of this topic first, so that partitions stay spread under
//! another number of shards too. All replicas of a partition have the slot that suits its leader.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use ringlog_record::BrokerId;

use crate::ids::Slot;
use crate::limits::SLOTS;
use crate::records::Placement;

/// A broker that partitions may be placed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) broker: BrokerId,
    pub(super) cores: NonZeroU16,
    pub(super) rack: Option<String>,
}

/// Places the partitions of a topic beside those that exist. Fewer replicas than wanted are placed only where there are
/// fewer candidates.
pub(super) fn place<'a>(
    candidates: &'a [Candidate],
    existing: impl Iterator<Item = &'a Placement> + Clone,
    partitions: u32,
    replication_factor: u16,
) -> Vec<Placement> {
    let loads = candidates.iter().map(|one| Load::of(one, existing.clone()));
    let mut loads: Vec<Load<'_>> = loads.collect();
    let mut placed = Vec::new();
    for _partition in 0..partitions {
        let Some(leader) = loads.iter_mut().min_by_key(|load| load.as_leader()) else {
            break;
        };
        let slot = leader.lead();
        let mut replicas = vec![leader.candidate.broker];
        let mut racks = BTreeSet::from([&leader.candidate.rack]);
        for _replica in 1..replication_factor {
            let free = loads
                .iter_mut()
                .filter(|load| !replicas.contains(&load.candidate.broker));
            let follower = free.min_by_key(|load| {
                let rack = &load.candidate.rack;
                (rack.is_some() && racks.contains(rack), load.as_follower())
            });
            let Some(follower) = follower else { break };
            follower.follow(slot);
            racks.insert(&follower.candidate.rack);
            replicas.push(follower.candidate.broker);
        }
        placed.push(Placement::settled(replicas, slot));
    }
    placed
}

/// What a broker has, of the new topic and in all.
struct Load<'a> {
    candidate: &'a Candidate,
    slots: SlotChooser,
    leaders: (u32, u32),
    replicas: (u32, u32),
}

impl<'a> Load<'a> {
    fn of(candidate: &'a Candidate, existing: impl Iterator<Item = &'a Placement>) -> Self {
        let mut slots = SlotLoad::empty();
        let (mut leaders, mut replicas) = (0, 0);
        for placement in existing.filter(|one| one.replicas.contains(&candidate.broker)) {
            slots.add(placement.slot);
            leaders += u32::from(placement.replicas.first() == Some(&candidate.broker));
            replicas += 1;
        }
        Self {
            candidate,
            slots: SlotChooser::new(slots, candidate.cores),
            leaders: (0, leaders),
            replicas: (0, replicas),
        }
    }

    fn for_its_cores(&self, count: u32) -> u64 {
        u64::from(count) * u64::from(SLOTS) / u64::from(self.candidate.cores.get())
    }

    fn as_leader(&self) -> (u64, u64, u64, BrokerId) {
        let (topic, all) = self.leaders;
        let replicas = self.for_its_cores(self.replicas.1);
        (
            self.for_its_cores(topic),
            self.for_its_cores(all),
            replicas,
            self.candidate.broker,
        )
    }

    fn as_follower(&self) -> (u64, u64, BrokerId) {
        let (topic, all) = self.replicas;
        (
            self.for_its_cores(topic),
            self.for_its_cores(all),
            self.candidate.broker,
        )
    }

    fn lead(&mut self) -> Slot {
        self.leaders = (self.leaders.0 + 1, self.leaders.1 + 1);
        self.replicas = (self.replicas.0 + 1, self.replicas.1 + 1);
        self.slots.choose()
    }

    fn follow(&mut self, slot: Slot) {
        self.replicas = (self.replicas.0 + 1, self.replicas.1 + 1);
        self.slots.take(slot);
    }
}

/// How many partitions each slot of a broker has.
#[derive(Debug, Clone)]
pub(super) struct SlotLoad(Vec<u32>);

impl SlotLoad {
    pub(super) fn empty() -> Self {
        Self(vec![0; usize::from(SLOTS)])
    }

    pub(super) fn add(&mut self, slot: Slot) {
        // A slot that somebody else has written may be out of the range that this program gives.
        if let Some(count) = self.0.get_mut(usize::from(slot.get())) {
            *count += 1;
        }
    }

    fn of_slot(&self, slot: u16) -> u32 {
        self.0.get(usize::from(slot)).copied().unwrap_or(0)
    }

    fn of_shard(&self, shard: u16, shards: u16) -> u32 {
        slots_of(shard, shards).map(|slot| self.of_slot(slot)).sum()
    }
}

fn slots_of(shard: u16, shards: u16) -> impl Iterator<Item = u16> {
    (shard..SLOTS).step_by(usize::from(shards))
}

/// Chooses slots on one broker for the partitions of one topic.
struct SlotChooser {
    load: SlotLoad,
    topic: SlotLoad,
    shards: u16,
    /// For each shard its partitions of the topic, and in all.
    shard_load: Vec<(u32, u32, u16)>,
}

impl SlotChooser {
    fn new(load: SlotLoad, shards: NonZeroU16) -> Self {
        let shards = shards.get().min(SLOTS);
        let of_shard = |shard| (0, load.of_shard(shard, shards), shard);
        Self {
            shard_load: (0..shards).map(of_shard).collect(),
            load,
            topic: SlotLoad::empty(),
            shards,
        }
    }

    fn choose(&mut self) -> Slot {
        let shard = self.shard_load.iter().min().map_or(0, |least| least.2);
        let slot = slots_of(shard, self.shards)
            .min_by_key(|slot| (self.topic.of_slot(*slot), self.load.of_slot(*slot)));
        let slot = Slot::new(slot.unwrap_or(shard));
        self.take(slot);
        slot
    }

    fn take(&mut self, slot: Slot) {
        self.topic.add(slot);
        self.load.add(slot);
        let shard = slot.get() % self.shards;
        if let Some(load) = self.shard_load.get_mut(usize::from(shard)) {
            *load = (load.0 + 1, load.1 + 1, shard);
        }
    }
}

#[cfg(test)]
mod tests;
