use super::*;

#[test]
fn records_stick_to_a_partition_until_its_batch_is_done() {
    let mut sticky = Sticky::default();
    let first = sticky.partition("events", 3);
    assert_eq!(sticky.partition("events", 3), first);
    let another = PartitionIndex::new((first.get() + 1) % 3);
    sticky.batch_done("events", another);
    assert_eq!(sticky.partition("events", 3), first);
    sticky.batch_done("events", first);
    assert_ne!(sticky.partition("events", 3), first);
}

#[test]
fn every_partition_gets_its_turn() {
    let mut sticky = Sticky::starting_at(u32::MAX - 2);
    let mut batches = [0; 4];
    for _ in 0..400 {
        let partition = sticky.partition("events", 4);
        batches[usize::try_from(partition.get()).unwrap()] += 1;
        sticky.batch_done("events", partition);
    }
    assert!(batches.iter().all(|&count| count >= 99), "{batches:?}");
}

#[test]
fn a_partition_that_is_gone_is_left() {
    let mut sticky = Sticky::starting_at(3);
    assert_eq!(sticky.partition("events", 4), PartitionIndex::new(3));
    assert!(sticky.partition("events", 2) < PartitionIndex::new(2));
    assert_eq!(sticky.partition("events", 0), PartitionIndex::new(0));
}

#[test]
fn round_robin_goes_from_one_partition_to_the_next_in_each_topic() {
    let mut turns = RoundRobin::starting_at(u32::MAX);
    let mut three = |topic| [0; 3].map(|_| turns.partition(topic, 3).get());
    assert_eq!(three("events"), [0, 1, 2]);
    assert_eq!(three("other"), [0, 1, 2]);
    assert_eq!(three("events"), [0, 1, 2]);
    assert_eq!(turns.partition("events", 0), PartitionIndex::new(0));
}
