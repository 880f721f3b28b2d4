//! Which slots the partitions of a new topic get. Pure.
//!
//! A partition is owned by shard = slot % shards. The number of shards may be another after a restart, so the
//! choice is made twice: among the shards of today the one with the fewest partitions, of this topic first;
//! among the slots of that shard the one used least, of this topic first, so that partitions stay spread under
//! another number of shards too.

use std::num::NonZeroU16;

use crate::ids::Slot;
use crate::limits::SLOTS;

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

/// Chooses slots for the partitions of a topic, and adds them to the load.
pub(super) fn choose_slots(load: &mut SlotLoad, shards: NonZeroU16, partitions: u32) -> Vec<Slot> {
    let shards = shards.get().min(SLOTS);
    let mut topic = SlotLoad::empty();
    let mut shard_load: Vec<(u32, u32, u16)> = (0..shards)
        .map(|shard| (0, load.of_shard(shard, shards), shard))
        .collect();
    let mut slots = Vec::new();
    for _partition in 0..partitions {
        let Some(least) = shard_load.iter_mut().min() else {
            break;
        };
        let shard = least.2;
        *least = (least.0 + 1, least.1 + 1, shard);
        let slot = slots_of(shard, shards)
            .min_by_key(|slot| (topic.of_slot(*slot), load.of_slot(*slot)))
            .unwrap_or(shard);
        let slot = Slot::new(slot);
        topic.add(slot);
        load.add(slot);
        slots.push(slot);
    }
    slots
}

#[cfg(test)]
mod tests;
