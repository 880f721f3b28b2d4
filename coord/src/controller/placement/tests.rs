use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn choose_slots(load: &mut SlotLoad, shards: NonZeroU16, partitions: u32) -> Vec<Slot> {
    let mut chooser = SlotChooser::new(load.clone(), shards);
    let slots = (0..partitions).map(|_| chooser.choose()).collect();
    *load = chooser.load;
    slots
}

fn broker(id: u32, cores: u16, rack: &str) -> Candidate {
    Candidate {
        broker: BrokerId::new(id),
        cores: shards(cores),
        rack: (!rack.is_empty()).then(|| rack.to_owned()),
    }
}

fn led(placed: &[Placement], id: u32) -> usize {
    let leader = BrokerId::new(id);
    placed
        .iter()
        .filter(|one| one.replicas[0] == leader)
        .count()
}

#[test]
fn leaders_are_spread_by_cores() {
    let brokers = [broker(1, 1, ""), broker(2, 2, ""), broker(3, 1, "")];
    let placed = place(&brokers, [].iter(), 12, 1);
    assert_eq!(
        [led(&placed, 1), led(&placed, 2), led(&placed, 3)],
        [3, 6, 3]
    );
}

#[test]
fn small_topics_go_to_the_least_loaded_broker() {
    let brokers = [broker(1, 2, ""), broker(2, 2, ""), broker(3, 2, "")];
    let mut all = Vec::new();
    for _topic in 0..9 {
        let placed = place(&brokers, all.iter(), 1, 1);
        all.extend(placed);
    }
    assert_eq!([led(&all, 1), led(&all, 2), led(&all, 3)], [3, 3, 3]);
}

#[test]
fn replicas_are_in_different_racks_and_never_twice_on_a_broker() {
    let brokers = [
        broker(1, 1, "a"),
        broker(2, 1, "a"),
        broker(3, 1, "b"),
        broker(4, 1, "c"),
    ];
    for one in place(&brokers, [].iter(), 24, 3) {
        let ids: BTreeSet<u32> = one.replicas.iter().map(|id| id.get()).collect();
        assert_eq!(ids.len(), 3);
        assert!(ids.contains(&3) && ids.contains(&4), "{ids:?}");
    }
    let placed = place(&brokers, [].iter(), 1, 4);
    assert_eq!(placed[0].replicas.len(), 4, "more replicas than racks");
}

fn shards(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

fn per_shard(slots: &[Slot], count: u16) -> Vec<usize> {
    let mut counts: BTreeMap<u16, usize> = (0..count).map(|shard| (shard, 0)).collect();
    for slot in slots {
        *counts.get_mut(&slot.shard(shards(count)).get()).unwrap() += 1;
    }
    counts.into_values().collect()
}

fn spread(counts: &[usize]) -> usize {
    counts.iter().max().unwrap() - counts.iter().min().unwrap()
}

#[test]
fn the_partitions_of_a_topic_are_spread_over_the_shards() {
    let mut load = SlotLoad::empty();
    let slots = choose_slots(&mut load, shards(3), 8);
    assert_eq!(per_shard(&slots, 3), [3, 3, 2]);
}

#[test]
fn small_topics_go_to_the_least_loaded_shard() {
    let mut load = SlotLoad::empty();
    let mut all = Vec::new();
    for _topic in 0..9 {
        all.extend(choose_slots(&mut load, shards(4), 1));
    }
    assert_eq!(spread(&per_shard(&all, 4)), 1);
}

#[test]
fn one_shard_today_is_spread_over_several_tomorrow() {
    let mut load = SlotLoad::empty();
    let slots = choose_slots(&mut load, shards(1), 12);
    for tomorrow in 1..=12 {
        assert!(
            spread(&per_shard(&slots, tomorrow)) <= 1,
            "{tomorrow} shards"
        );
    }
}

#[test]
fn more_shards_than_slots_is_no_trouble() {
    let mut load = SlotLoad::empty();
    let slots = choose_slots(&mut load, shards(u16::MAX), 3);
    assert!(slots.iter().all(|slot| slot.get() < SLOTS));
}

proptest! {
    #[test]
    fn topics_are_balanced_whatever_came_before(
        count in 1_u16..12,
        before in prop::collection::vec(0..SLOTS, 0..60),
        partitions in 0_u32..300,
    ) {
        let mut load = SlotLoad::empty();
        before.into_iter().for_each(|slot| load.add(Slot::new(slot)));
        let slots = choose_slots(&mut load, shards(count), partitions);
        prop_assert_eq!(slots.len(), usize::try_from(partitions).unwrap());
        prop_assert!(slots.iter().all(|slot| slot.get() < SLOTS));
        prop_assert!(spread(&per_shard(&slots, count)) <= 1);
    }
}
