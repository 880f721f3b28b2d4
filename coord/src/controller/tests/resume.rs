//! Whatever fails at whichever write, the next start, or the next call, finds a consistent store and goes on.

use std::rc::Rc;

use super::*;
use crate::ids::ChunkIndex;
use crate::store::faulty::{Fault, FaultyStore};
use crate::store::{MetaOp, MultiError};

/// More than one multi of partitions.
const OLD_PARTITIONS: u32 = 210;
/// More than two.
const NEW_PARTITIONS: u32 = 410;

type Shared = Rc<FaultyStore<MemoryStore>>;

/// Checks that every node belongs to a topic that is there whole, and returns the topics.
async fn check_consistent(store: &MemoryStore) -> Vec<(TopicName, TopicId)> {
    let image = Image::load(store).await.unwrap();
    assert!(image.deleting.is_empty());
    let mut topics = Vec::new();
    let mut expected = paths::layout();
    expected.extend([
        NodePath::root(),
        paths::cluster(),
        paths::controller(),
        paths::controller_epoch(),
        paths::changes(),
        paths::broker_id(BrokerId::new(1)),
        paths::broker_lease(BrokerId::new(1)),
        paths::broker_report(BrokerId::new(1)),
        paths::broker_state(BrokerId::new(1)),
    ]);
    for (topic_name, topic) in &image.topics {
        let id = topic.id();
        topics.push((topic_name.clone(), id));
        expected.extend([
            paths::topic(topic_name),
            paths::topic_root(id),
            paths::assignments(id),
            paths::partition_states(id),
        ]);
        let chunks = ChunkIndex::all(topic.record.record.body.partitions);
        expected.extend(chunks.map(|chunk| paths::assignment(id, chunk)));
        expected.extend(
            topic
                .rows()
                .map(|(partition, _, _)| paths::partition_state(id, partition)),
        );
    }
    expected.sort();
    assert_eq!(all_paths(store).await, expected);
    topics
}

/// Restarts after whatever happened, finishes deletions, checks, and returns the topics.
async fn restart_and_check(store: &MemoryStore) -> Vec<(TopicName, TopicId)> {
    let store = store.new_session();
    let (mut controller, _) = start(store.clone(), 99).await;
    apply(&mut controller).await.unwrap();
    let topics = check_consistent(&store).await;
    let listed: Vec<(TopicName, TopicId)> = controller
        .image()
        .list()
        .into_iter()
        .map(|topic| (topic.name, topic.topic_id))
        .collect();
    assert_eq!(listed, topics);
    topics
}

/// What broker 1 leads, whatever its registration.
fn all_led(image: &Image) -> Vec<PartitionAssignment> {
    let states = image.topics.values().flat_map(|topic| &topic.partitions);
    let members = states.flat_map(|stored| &stored.record.body.isr);
    let epoch = members.map(|member| member.broker_epoch).max().unwrap();
    image.assignment_of(BrokerId::new(1), epoch)
}

/// Runs a scenario with each fault at each of its writes, for so many writes, until it has no more.
async fn at_every_write(
    faults: &[Fault],
    times: usize,
    scenario: impl AsyncFn(Shared, MemoryStore, Fault),
) {
    for fault in faults.iter().copied() {
        for write in 0.. {
            let memory = with_old_topic().await;
            let faulty = Rc::new(FaultyStore::new(
                memory.clone(),
                write..write + times,
                fault,
            ));
            scenario(Rc::clone(&faulty), memory, fault).await;
            if !faulty.was_hit() {
                assert!(write > 0);
                break;
            }
        }
    }
}

/// A store with one topic `old` of id 1, and no broker running.
async fn with_old_topic() -> MemoryStore {
    let store = fresh().await;
    let (mut controller, _) = start(store.clone(), 1).await;
    controller
        .create_topic(NOW, topic("old", 1, OLD_PARTITIONS))
        .await
        .unwrap();
    store.new_session()
}

/// How many writes a start takes on an empty cluster.
async fn writes_of_a_start() -> usize {
    let store = Rc::new(FaultyStore::without_fault(fresh().await));
    start(Rc::clone(&store), 1).await;
    store.writes().len()
}

#[test]
fn a_start_that_fails_anywhere_is_made_good_by_the_next() {
    for times in [1, 9] {
        block_on(at_every_write(
            &Fault::ALL,
            times,
            async |faulty, memory, fault| {
                let image = Image::load(&memory).await.unwrap();
                let before = leader_epochs(&all_led(&image));
                let first = try_start(faulty, start_of(2)).await;
                if times == 1 && !fault.is_crash() && fault != Fault::NotDone {
                    assert!(first.is_ok(), "one unknown answer is settled");
                }
                let served = first
                    .ok()
                    .map(|(_, started)| leader_epochs(&started.assignment));
                let memory = memory.new_session();
                let (_, started) = start(memory.clone(), 3).await;
                let after = leader_epochs(&started.assignment);
                assert_eq!(after.len(), before.len());
                for (partition, epoch) in &after {
                    assert!(epoch > &before[partition]);
                    if let Some(served) = &served {
                        assert!(epoch > &served[partition], "an epoch was served twice");
                    }
                }
                assert_eq!(check_consistent(&memory).await.len(), 1);
            },
        ));
    }
}

#[test]
fn a_create_that_fails_anywhere_is_there_whole_or_not_at_all() {
    for times in [1, 9] {
        block_on(at_every_write(
            &Fault::ALL,
            times,
            async |faulty, memory, fault| {
                let Ok((mut controller, _)) = try_start(faulty, start_of(2)).await else {
                    return;
                };
                let outcome = controller
                    .create_topic(NOW, topic("new", 2, NEW_PARTITIONS))
                    .await;
                let topics = restart_and_check(&memory).await;
                let exists = topics.contains(&(name("new"), TopicId::new(2)));
                assert!(topics.contains(&(name("old"), TopicId::new(1))));
                match outcome {
                    Ok(_) => assert!(exists, "{fault:?}: acknowledged and gone"),
                    Err(CreateTopicError::Controller(ControllerError::UnknownOutcome {
                        ..
                    })) => {}
                    // The process that would have seen this answer is dead.
                    Err(_) if fault.is_crash() => {}
                    Err(error) => assert!(!exists, "{fault:?}: {error}, and yet it exists"),
                }
            },
        ));
    }
}

#[test]
fn a_controller_that_lives_on_settles_a_failed_create_itself() {
    for times in [1, 4] {
        block_on(at_every_write(
            &Fault::SURVIVED,
            times,
            async |faulty, memory, fault| {
                let Ok((mut controller, _)) = try_start(faulty, start_of(2)).await else {
                    return;
                };
                let mut id = 2;
                let created = loop {
                    match controller
                        .create_topic(NOW, topic("new", id, NEW_PARTITIONS))
                        .await
                    {
                        Ok(created) => break created,
                        Err(CreateTopicError::Controller(
                            ControllerError::UnknownOutcome { .. } | ControllerError::Store(_),
                        )) => id += 1,
                        Err(error) => panic!("{fault:?}: {error}"),
                    }
                    assert!(id < 20, "{fault:?}");
                };
                let topics = check_consistent(&memory).await;
                assert_eq!(
                    topics,
                    [
                        (name("new"), created.topic_id),
                        (name("old"), TopicId::new(1))
                    ]
                );
                assert_eq!(assignment(&controller).len(), 620);
            },
        ));
    }
}

#[test]
fn a_create_found_later_to_have_succeeded_is_given_to_whoever_asks_again() {
    block_on(async {
        // The second write of a create is its commit. It is done, and then the store is away.
        let commit = writes_of_a_start().await + 1;
        let away = FaultyStore::new(
            fresh().await,
            commit..commit + 4,
            Fault::UnknownDoneThenAway,
        );
        let (mut controller, _) = start(Rc::new(away), 1).await;
        let outcome = controller.create_topic(NOW, topic("a", 1, 3)).await;
        assert!(matches!(
            outcome,
            Err(CreateTopicError::Controller(
                ControllerError::UnknownOutcome { .. }
            ))
        ));
        let other = controller.create_topic(NOW, topic("a", 9, 4)).await;
        assert!(matches!(other, Err(CreateTopicError::AlreadyExists { .. })));
        let created = controller
            .create_topic(NOW, topic("a", 2, 3))
            .await
            .unwrap();
        assert_eq!(created.topic_id, TopicId::new(1));
        assert_eq!(assignment(&controller).len(), 3);
        let again = controller.create_topic(NOW, topic("a", 2, 3)).await;
        assert!(matches!(again, Err(CreateTopicError::AlreadyExists { .. })));
    });
}

#[test]
fn a_commit_that_comes_late_does_not_make_a_topic_without_partitions() {
    block_on(async {
        let commit = writes_of_a_start().await + 1;
        let memory = fresh().await;
        let faulty = FaultyStore::new(memory.clone(), commit..commit + 4, Fault::UnknownNotDone);
        let faulty = Rc::new(faulty);
        let (mut controller, _) = start(Rc::clone(&faulty), 1).await;
        let outcome = controller.create_topic(NOW, topic("a", 1, 3)).await;
        assert!(matches!(
            outcome,
            Err(CreateTopicError::Controller(
                ControllerError::UnknownOutcome { .. }
            ))
        ));
        let late: Vec<MetaOp> = faulty.writes().pop().unwrap();
        assert!(late.iter().any(|op| *op.path() == paths::topic(&name("a"))));
        controller.tick(NOW).await.unwrap();
        assert!(matches!(
            memory.multi(late).await,
            Err(MultiError::Conflict { .. })
        ));
        assert_eq!(controller.image().list(), []);
        assert_eq!(check_consistent(&memory).await, []);
    });
}

#[test]
fn a_delete_that_fails_anywhere_is_finished_or_was_never_begun() {
    for times in [1, 9] {
        block_on(at_every_write(
            &Fault::ALL,
            times,
            async |faulty, memory, fault| {
                let Ok((mut controller, _)) = try_start(faulty, start_of(2)).await else {
                    return;
                };
                let marked = controller.delete_topic(NOW, &name("old")).await;
                if marked.is_ok() {
                    // Whether this fails or not, the next start is to make it good.
                    let _outcome = apply(&mut controller).await;
                }
                let topics = restart_and_check(&memory).await;
                match marked {
                    Ok(_) => assert_eq!(topics, [], "{fault:?}: deleted and back again"),
                    Err(DeleteTopicError::Controller(ControllerError::UnknownOutcome {
                        ..
                    })) => {}
                    Err(_) if fault.is_crash() => {}
                    Err(error) => {
                        assert_eq!(topics.len(), 1, "{fault:?}: {error}, and yet it is gone")
                    }
                }
            },
        ));
    }
}

#[test]
fn a_controller_that_lives_on_finishes_a_failed_delete_itself() {
    for times in [1, 4] {
        block_on(at_every_write(
            &Fault::SURVIVED,
            times,
            async |faulty, memory, _fault| {
                let Ok((mut controller, _)) = try_start(faulty, start_of(2)).await else {
                    return;
                };
                let mut deleted = false;
                for _attempt in 0..20 {
                    match controller.delete_topic(NOW, &name("old")).await {
                        Ok(_) => deleted = apply(&mut controller).await.is_ok(),
                        Err(DeleteTopicError::NotFound { .. }) => deleted = true,
                        Err(_) => {}
                    }
                    if deleted {
                        break;
                    }
                }
                assert!(deleted);
                assert_eq!(check_consistent(&memory).await, []);
                assert_eq!(controller.image().deleting(), []);
            },
        ));
    }
}
