use std::collections::BTreeMap;

use proptest::prelude::*;
use ringlog_record::{PartitionIndex, TopicId};

use super::*;

const DAY_MS: i64 = 24 * 3600 * 1000;

fn group(name: &str) -> GroupId {
    GroupId::new(name).unwrap()
}

fn id(topic: u128, partition: u32) -> TopicPartition {
    TopicPartition {
        topic: TopicId::new(topic),
        partition: PartitionIndex::new(partition),
    }
}

fn entry(id: TopicPartition, offset: u64) -> Entry {
    Entry {
        id,
        offset: Offset::new(offset),
        leader_epoch: None,
        metadata: "".into(),
    }
}

/// A log below a coordinator: batches with what they hold.
#[derive(Clone, Default)]
struct Log {
    batches: Vec<(Offset, Vec<Change>)>,
    /// Batches before it are gone.
    start: usize,
    /// Batches before it are stable.
    stable: usize,
}

const BATCH_BYTES: u64 = SNAPSHOT_LOG_BYTES_MIN / 8;

impl Log {
    fn end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, |(end, _)| *end)
    }

    fn high_watermark(&self) -> Offset {
        match self.stable {
            0 => Offset::ZERO,
            stable => self.batches[stable - 1].0,
        }
    }

    fn append(&mut self, coordinator: &mut Coordinator, changes: Vec<Change>) {
        let end = Offset::new(self.end().get() + changes.len() as u64);
        self.batches.push((end, changes.clone()));
        coordinator.appended(changes, end, BATCH_BYTES);
    }

    fn flush(&mut self, coordinator: &mut Coordinator, batches: usize) {
        self.stable = (self.stable + batches).min(self.batches.len());
        coordinator.stable(self.high_watermark());
    }

    /// What a coordinator knows that begins with this log, all of which is stable.
    fn opened(&self) -> Coordinator {
        let mut coordinator = Coordinator::default();
        for (end, changes) in &self.batches[self.start..] {
            coordinator.replay(changes.clone(), *end, BATCH_BYTES);
        }
        coordinator
    }

    /// The power goes; so many of the batches that were not stable are there afterwards.
    fn crash(&mut self, survivors: usize) -> Coordinator {
        self.batches.truncate(self.stable + survivors);
        self.stable = self.batches.len();
        self.opened()
    }

    /// Takes the next step of the snapshot, unless that has to wait.
    fn step(&mut self, coordinator: &mut Coordinator) {
        match coordinator.next_step() {
            Some(SnapshotStep::AwaitStable(offset)) => assert!(offset > self.high_watermark()),
            Some(SnapshotStep::Append(changes)) => self.append(coordinator, changes),
            Some(SnapshotStep::Trim(offset)) => {
                assert!(offset <= self.high_watermark());
                let before = |(end, _): &(Offset, _)| *end <= offset;
                self.start = self.batches.iter().take_while(|one| before(one)).count();
                coordinator.trimmed();
            }
            None => drop(coordinator.begin_snapshot()),
        }
    }
}

fn commit(coordinator: &mut Coordinator, log: &mut Log, name: &str, entries: Vec<Entry>) {
    let now = TimestampMs::new(0);
    let changes = coordinator.commit(&group(name), entries, now, usize::MAX);
    log.append(coordinator, changes.unwrap());
}

#[test]
fn a_commit_is_read_when_it_is_stable_and_not_before() {
    let (mut coordinator, mut log) = (Coordinator::default(), Log::default());
    commit(&mut coordinator, &mut log, "g", vec![entry(id(1, 0), 5)]);
    assert_eq!(coordinator.offsets().get(&group("g"), id(1, 0)), None);
    log.flush(&mut coordinator, 1);
    let read = |coordinator: &Coordinator| {
        let found = coordinator.offsets().get(&group("g"), id(1, 0)).cloned();
        found.map(|found| found.offset.get())
    };
    assert_eq!(read(&coordinator), Some(5));
    commit(&mut coordinator, &mut log, "g", vec![entry(id(1, 0), 3)]);
    assert_eq!(read(&coordinator), Some(5));
    log.flush(&mut coordinator, 1);
    assert_eq!(read(&coordinator), Some(3), "a group may go back");
}

#[test]
fn of_a_partition_that_is_there_twice_the_last_entry_counts() {
    let (mut coordinator, mut log) = (Coordinator::default(), Log::default());
    let entries = vec![entry(id(1, 0), 5), entry(id(1, 1), 1), entry(id(1, 0), 6)];
    commit(&mut coordinator, &mut log, "g", entries);
    log.flush(&mut coordinator, 1);
    let all: Vec<_> = coordinator.offsets().of_group(&group("g")).collect();
    let all: Vec<_> = all
        .into_iter()
        .map(|(id, one)| (id, one.offset.get()))
        .collect();
    assert_eq!(all, [(id(1, 0), 6), (id(1, 1), 1)]);
}

#[test]
fn limits_are_kept_with_what_is_on_its_way() {
    let (mut coordinator, mut log) = (Coordinator::default(), Log::default());
    let many = |from: u32, count: usize| {
        let ids = (from..).take(count).map(|partition| id(1, partition));
        ids.map(|id| entry(id, 1)).collect::<Vec<_>>()
    };
    let now = TimestampMs::new(0);
    let name = group("g");
    let too_many = coordinator.commit(&name, many(0, GROUP_PARTITIONS_MAX + 1), now, usize::MAX);
    assert!(matches!(
        too_many,
        Err(CommitError::TooManyPartitions { .. })
    ));
    commit(
        &mut coordinator,
        &mut log,
        "g",
        many(0, GROUP_PARTITIONS_MAX),
    );
    let one_more = coordinator.commit(&name, many(10_000, 1), now, usize::MAX);
    assert_eq!(one_more, Err(CommitError::Throttled));
    log.flush(&mut coordinator, 1);
    let one_more = coordinator.commit(&name, many(10_000, 1), now, usize::MAX);
    assert!(matches!(
        one_more,
        Err(CommitError::TooManyPartitions { .. })
    ));
    // What is there already goes on, even when there is no memory for more.
    assert!(
        coordinator
            .commit(&name, many(0, GROUP_PARTITIONS_MAX), now, 0)
            .is_ok()
    );
    let other = coordinator.commit(&group("h"), many(0, 1), now, 0);
    assert!(matches!(other, Err(CommitError::Full { .. })));

    let text = |partition, bytes: usize| Entry {
        metadata: "m".repeat(bytes).into(),
        ..entry(id(2, partition), 1)
    };
    let texts: Vec<_> = (0..64).map(|partition| text(partition, 1017)).collect();
    let too_much = coordinator.commit(&group("h"), texts.clone(), now, usize::MAX);
    assert!(matches!(too_much, Err(CommitError::TooMuchMetadata { .. })));
    let fits = texts.into_iter().take(63).collect();
    assert!(
        coordinator
            .commit(&group("h"), fits, now, usize::MAX)
            .is_ok()
    );
}

#[test]
fn a_snapshot_on_its_way_refuses_no_commit() {
    let (mut coordinator, mut log) = (Coordinator::default(), Log::default());
    let full = |offset| {
        let texts = (0..63).map(|partition| Entry {
            metadata: "m".repeat(1017).into(),
            ..entry(id(1, partition), offset)
        });
        texts.collect::<Vec<_>>()
    };
    for round in 0..100 {
        commit(&mut coordinator, &mut log, "g", full(round));
        log.flush(&mut coordinator, 1);
        log.step(&mut coordinator);
        // With the chunk of a snapshot on its way, if there is one.
        commit(&mut coordinator, &mut log, "g", full(round));
        log.flush(&mut coordinator, 5);
    }
    assert!(log.start > 0);
}

#[test]
fn offsets_of_lost_partitions_and_idle_groups_are_forgotten() {
    let (mut coordinator, mut log) = (Coordinator::default(), Log::default());
    let commit_at = |coordinator: &mut Coordinator, log: &mut Log, name, id, day: i64| {
        let now = TimestampMs::new(day * DAY_MS);
        let changes = coordinator.commit(&group(name), vec![entry(id, 1)], now, usize::MAX);
        log.append(coordinator, changes.unwrap());
        log.flush(coordinator, 1);
    };
    commit_at(&mut coordinator, &mut log, "idle", id(1, 0), 0);
    commit_at(&mut coordinator, &mut log, "busy", id(1, 0), 0);
    commit_at(&mut coordinator, &mut log, "busy", id(1, 1), 10);
    commit_at(&mut coordinator, &mut log, "busy", id(2, 0), 10);
    let stale = |coordinator: &Coordinator, day: i64| {
        let is_there = |id: TopicPartition| id.topic == TopicId::new(1);
        coordinator.stale(TimestampMs::new(day * DAY_MS), is_there)
    };
    let forget = |name: &str, id| Change {
        key: OffsetKey {
            group: group(name),
            id,
        },
        committed: None,
    };
    assert_eq!(stale(&coordinator, 30), [forget("busy", id(2, 0))]);
    let changes = stale(&coordinator, 31);
    assert_eq!(
        changes,
        [forget("busy", id(2, 0)), forget("idle", id(1, 0))]
    );
    log.append(&mut coordinator, changes);
    assert_eq!(stale(&coordinator, 31), [], "it is on its way");
    log.flush(&mut coordinator, 1);
    let left = coordinator.offsets().of_group(&group("busy"));
    assert_eq!(
        left.map(|(id, _)| id).collect::<Vec<_>>(),
        [id(1, 0), id(1, 1)]
    );
    assert_eq!(coordinator.offsets().of_group(&group("idle")).count(), 0);
    assert_eq!(log.opened().offsets(), coordinator.offsets());
}

#[test]
fn the_log_stays_short_however_much_is_committed() {
    let (mut coordinator, mut log) = (Coordinator::default(), Log::default());
    for round in 0..1000 {
        let entries = (0..10)
            .map(|partition| entry(id(1, partition), round))
            .collect();
        commit(&mut coordinator, &mut log, "g", entries);
        log.step(&mut coordinator);
        log.flush(&mut coordinator, 2);
    }
    let batches = log.batches.len() - log.start;
    assert!(batches < 40, "{batches} batches are kept");
    assert_eq!(log.opened().offsets(), coordinator.offsets());
}

#[test]
fn a_snapshot_ends_while_commits_never_stop() {
    let (mut coordinator, mut log) = (Coordinator::default(), Log::default());
    for round in 0..200 {
        commit(
            &mut coordinator,
            &mut log,
            "g",
            vec![entry(id(1, 0), round)],
        );
        commit(
            &mut coordinator,
            &mut log,
            "g",
            vec![entry(id(1, 1), round)],
        );
        // One is always on its way.
        let batches = log.batches.len() - log.stable - 1;
        log.flush(&mut coordinator, batches);
        log.step(&mut coordinator);
    }
    assert!(log.start > 300, "the log start is at {}", log.start);
}

#[derive(Clone, Debug)]
enum Op {
    Commit(u8, Vec<(u8, u64)>),
    Flush(usize),
    Step,
    Forget(u8),
    Crash(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..4_u8, prop::collection::vec((0..6_u8, 0..1000_u64), 1..4))
            .prop_map(|(group, entries)| Op::Commit(group, entries)),
        3 => (1..5_usize).prop_map(Op::Flush),
        4 => Just(Op::Step),
        1 => (0..6_u8).prop_map(Op::Forget),
        1 => (0..4_usize).prop_map(Op::Crash),
    ]
}

proptest! {
    /// What was read as committed is read by whoever comes after a crash at any moment, unless something newer is.
    #[test]
    fn no_crash_takes_back_what_was_stable(ops in prop::collection::vec(op(), 1..200)) {
        let (mut coordinator, mut log) = (Coordinator::default(), Log::default());
        for op in ops {
            match op {
                Op::Commit(name, entries) => {
                    let entries = entries.into_iter();
                    let entries = entries.map(|(partition, offset)| entry(id(1, partition.into()), offset));
                    commit(&mut coordinator, &mut log, &name.to_string(), entries.collect());
                }
                Op::Flush(batches) => log.flush(&mut coordinator, batches),
                Op::Step => log.step(&mut coordinator),
                Op::Forget(partition) => {
                    let is_there = |other| other != id(1, partition.into());
                    let changes = coordinator.stale(TimestampMs::new(1), is_there);
                    if !changes.is_empty() {
                        log.append(&mut coordinator, changes);
                    }
                }
                Op::Crash(survivors) => {
                    let before = coordinator.offsets().clone();
                    let lost = log.stable;
                    coordinator = log.crash(survivors);
                    if log.batches.len() == lost {
                        prop_assert_eq!(coordinator.offsets(), &before);
                    }
                }
            }
            // The state is what the stable records say, from wherever the log starts by now.
            let mut said: BTreeMap<OffsetKey, Committed> = BTreeMap::new();
            for (_, changes) in &log.batches[..log.stable] {
                for change in changes {
                    match &change.committed {
                        Some(committed) => drop(said.insert(change.key.clone(), committed.clone())),
                        None => drop(said.remove(&change.key)),
                    }
                }
            }
            let known: BTreeMap<_, _> = coordinator
                .offsets()
                .behind(None)
                .map(|(key, committed)| (key, committed.clone()))
                .collect();
            prop_assert_eq!(&known, &said);
            let mut kept = log.clone();
            let opened = kept.crash(0);
            prop_assert_eq!(opened.offsets(), coordinator.offsets());
            let sum: usize = known.values().map(|one| OFFSET_BYTES + one.metadata_bytes()).sum();
            let groups: BTreeSet<_> = known.keys().map(|key| &key.group).collect();
            let groups_bytes = groups.len() * crate::limits::GROUP_BYTES;
            prop_assert_eq!(coordinator.offsets().bytes(), sum + groups_bytes);
        }
    }
}
