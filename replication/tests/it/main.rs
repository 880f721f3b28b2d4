//! The partition actor on a simulated machine.
#![cfg(test)]

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use ringlog_log::{CacheBudget, Durability, LogConfig, LogEnv, NoBulkFiles, SpaceGauge};
use ringlog_reactor::sim::{
    CrashKind, DiskFault, FaultEffect, FaultTrigger, FaultyOp, NodeId, SimConfig, SimWorld,
};
use ringlog_record::batch::{BatchBuilder, RecordData, batches};
use ringlog_record::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use ringlog_replication::{
    AckLevel, Acks, FetchError, FetchSpec, Partition, PartitionSpec, ProduceError,
};

const PATIENCE: Duration = Duration::from_secs(600);

struct World {
    sim: SimWorld,
    node: NodeId,
}

impl World {
    fn new(seed: u64) -> Self {
        let sim = SimWorld::new(seed, SimConfig::default());
        let node = sim.add_node();
        Self { sim, node }
    }

    /// Runs a process until its main future is done; it ends as by kill -9.
    fn run<T: 'static, F: Future<Output = T> + 'static>(
        &self,
        main: impl FnOnce(LogEnv) -> F + 'static,
    ) -> T {
        let ran = self.sim.block_on(self.node, PATIENCE, |reactor| {
            let cache = CacheBudget::new(4 << 20);
            main(LogEnv::new(
                reactor,
                Rc::new(NoBulkFiles),
                cache,
                SpaceGauge::new(),
            ))
        });
        self.sim.crash(self.node, CrashKind::Process);
        ran.expect("the simulated process came to its end")
    }
}

async fn open(env: &LogEnv, epoch: u32, durability: Durability) -> Partition {
    let me = BrokerId::new(1);
    let spec = PartitionSpec {
        id: TopicPartition {
            topic: TopicId::new(7),
            partition: PartitionIndex::new(0),
        },
        directory: PathBuf::from("/data/topics/7/0"),
        leader: me,
        leader_epoch: LeaderEpoch::new(epoch),
        isr: BTreeSet::from([me]),
        min_isr: 1,
        config: LogConfig {
            durability,
            flush_ms: 50,
            ..LogConfig::default()
        },
    };
    Partition::open(spec, env.clone()).await.unwrap().0
}

fn batch(value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new(1 << 20);
    let record = RecordData {
        value: Some(value),
        ..RecordData::default()
    };
    builder.append(&record).unwrap();
    builder.build().unwrap()
}

fn from(offset: u64, last_epoch: Option<u32>) -> FetchSpec {
    FetchSpec {
        offset: Offset::new(offset),
        max_bytes: 1 << 20,
        last_epoch: last_epoch.map(LeaderEpoch::new),
    }
}

async fn values(partition: &Partition, offset: u64) -> Vec<Vec<u8>> {
    let fetched = partition.fetch(from(offset, None)).await.unwrap();
    let mut values = Vec::new();
    for one in fetched.slices.iter().flat_map(|slice| batches(slice)) {
        for record in one.unwrap().records() {
            values.push(record.unwrap().value.unwrap().to_vec());
        }
    }
    values
}

#[test]
fn an_acknowledged_produce_outlives_the_power() {
    let world = World::new(1);
    world.run(|env| async move {
        let partition = open(&env, 1, Durability::Sync).await;
        let pending: Vec<_> = [&b"a"[..], b"b", b"c"]
            .map(|value| partition.produce(&batch(value), Acks::All).unwrap())
            .into();
        assert_eq!(partition.ends().high_watermark, Offset::ZERO);
        assert_eq!(values(&partition, 0).await, Vec::<Vec<u8>>::new());
        for (offset, ack) in join_all(pending).await.into_iter().enumerate() {
            let ack = ack.unwrap();
            assert_eq!(ack.appended.base_offset.get(), offset as u64);
            assert_eq!(ack.level, AckLevel::AllDurable);
        }
    });
    world.sim.crash(world.node, CrashKind::Power);
    world.run(|env| async move {
        let partition = open(&env, 2, Durability::Sync).await;
        assert_eq!(values(&partition, 0).await, [b"a", b"b", b"c"]);
        assert_eq!(partition.ends().leader_epoch, LeaderEpoch::new(2));
    });
}

#[test]
fn a_reader_that_saw_more_than_came_back_is_told() {
    let world = World::new(2);
    world.run(|env| async move {
        let partition = open(&env, 1, Durability::Async).await;
        partition
            .produce(&batch(b"kept"), Acks::All)
            .unwrap()
            .await
            .unwrap();
        env.reactor.sleep(Duration::from_secs(1)).await;
        let ack = partition
            .produce(&batch(b"lost"), Acks::All)
            .unwrap()
            .await
            .unwrap();
        assert_eq!(ack.level, AckLevel::AllMemory);
        assert_eq!(values(&partition, 0).await.len(), 2);
    });
    world.sim.crash(world.node, CrashKind::Power);
    world.run(|env| async move {
        let partition = open(&env, 2, Durability::Async).await;
        assert_eq!(values(&partition, 0).await, [b"kept"]);
        for _ in 0..3 {
            partition
                .produce(&batch(b"new"), Acks::All)
                .unwrap()
                .await
                .unwrap();
        }
        match partition.fetch(from(2, Some(1))).await {
            Err(FetchError::LogTruncated { end, .. }) => assert_eq!(end, Offset::new(1)),
            other => panic!("{other:?}"),
        }
        assert!(partition.fetch(from(1, Some(1))).await.is_ok());
        assert!(partition.fetch(from(2, Some(2))).await.is_ok());
        assert!(matches!(
            partition.fetch(from(2, Some(3))).await,
            Err(FetchError::FencedLeader { .. })
        ));
        assert!(matches!(
            partition.fetch(from(9, None)).await,
            Err(FetchError::OffsetOutOfRange { .. })
        ));
    });
}

#[test]
fn a_parked_fetch_goes_on_when_records_become_visible() {
    let world = World::new(3);
    world.run(|env| async move {
        let partition = open(&env, 1, Durability::Sync).await;
        let mut moved = Box::pin(partition.moved_above(Offset::ZERO));
        let early = env
            .reactor
            .timeout(Duration::from_secs(5), &mut moved)
            .await;
        assert!(early.is_err(), "nothing was produced");
        assert_eq!(partition.fetches_waiting(), 1);
        let pending = partition.produce(&batch(b"a"), Acks::Leader).unwrap();
        moved.await;
        assert_eq!(partition.ends().high_watermark, Offset::new(1));
        assert_eq!(pending.await.unwrap().level, AckLevel::LeaderDurable);
        assert_eq!(partition.fetches_waiting(), 0);
    });
}

#[test]
fn a_failed_device_leaves_the_outcome_unknown_and_lets_everybody_go() {
    let world = World::new(4);
    let sim = world.sim.clone();
    let node = world.node;
    // Opened once before, so that the fault strikes an append and not the making of the log.
    world.run(|env| async move {
        let partition = open(&env, 1, Durability::Sync).await;
        partition.close().await.unwrap();
    });
    sim.inject(
        node,
        DiskFault {
            op: FaultyOp::Sync,
            path_contains: ".log".to_owned(),
            trigger: FaultTrigger::After(1),
            effect: FaultEffect::Error(io::ErrorKind::Other),
        },
    );
    world.run(|env| async move {
        let partition = open(&env, 2, Durability::Sync).await;
        let mut last = None;
        for number in 0..20_u8 {
            let parked = partition.moved_above(Offset::new(1_000));
            let Ok(pending) = partition.produce(&batch(&[number]), Acks::All) else {
                break;
            };
            last = Some(pending.await);
            if last.as_ref().is_some_and(Result::is_err) {
                parked.await;
                break;
            }
        }
        assert!(
            matches!(last, Some(Err(ProduceError::UnknownOutcome { .. }))),
            "{last:?}"
        );
        assert!(partition.status().failure.is_some());
        assert!(matches!(
            partition.produce(&batch(b"x"), Acks::All),
            Err(ProduceError::Append(_))
        ));
        assert!(matches!(
            partition.fetch(from(0, None)).await,
            Err(FetchError::Failed(_))
        ));
    });
}

#[test]
fn closing_answers_what_was_appended_and_refuses_the_rest() {
    let world = World::new(5);
    world.run(|env| async move {
        let partition = open(&env, 1, Durability::Sync).await;
        let pending = partition.produce(&batch(b"a"), Acks::All).unwrap();
        partition.close().await.unwrap();
        assert!(pending.await.is_ok());
        assert!(matches!(
            partition.produce(&batch(b"b"), Acks::All),
            Err(ProduceError::Closed)
        ));
        partition.moved_above(Offset::new(9)).await;
    });
    world.run(|env| async move {
        let partition = open(&env, 2, Durability::Sync).await;
        assert_eq!(values(&partition, 0).await, [b"a"]);
        partition.delete().await.unwrap();
    });
    assert!(
        world
            .sim
            .list_dir(world.node, "/data/topics/7".as_ref())
            .unwrap()
            .is_empty()
    );
}

/// The device takes no more writes of batches, for want of room.
fn fill_up(sim: &SimWorld, node: NodeId) {
    sim.inject(
        node,
        DiskFault {
            op: FaultyOp::Write,
            path_contains: "/data/topics/7/0/".to_owned(),
            trigger: FaultTrigger::Always,
            effect: FaultEffect::Error(io::ErrorKind::StorageFull),
        },
    );
}

#[test]
fn who_closes_second_waits_for_the_first() {
    let world = World::new(6);
    world.run(|env| async move {
        let partition = open(&env, 1, Durability::Sync).await;
        let pending = partition.produce(&batch(b"a"), Acks::All).unwrap();
        let first = partition.clone();
        let closing = env
            .reactor
            .spawn("close", async move { first.close().await });
        env.reactor.yield_now().await;
        partition.close().await.unwrap();
        assert_eq!(
            partition.status().durable_end,
            Offset::new(1),
            "closed is durable, whoever asked first"
        );
        assert!(pending.await.is_ok());
        closing.await.unwrap();
        partition.close().await.unwrap();
    });
}

#[test]
fn who_gives_up_closing_does_not_leave_the_next_one_waiting() {
    let world = World::new(7);
    world.run(|env| async move {
        let partition = open(&env, 1, Durability::Sync).await;
        let pending = partition.produce(&batch(b"a"), Acks::All).unwrap();
        let first = partition.clone();
        let closing = env
            .reactor
            .spawn("close", async move { first.close().await });
        env.reactor.yield_now().await;
        drop(closing);
        partition.close().await.unwrap();
        assert!(pending.await.is_ok());
    });
}

#[test]
fn a_full_device_keeps_neither_a_close_nor_a_delete_for_ever() {
    let world = World::new(8);
    let (sim, node) = (world.sim.clone(), world.node);
    world.run(move |env| async move {
        let partition = open(&env, 1, Durability::Sync).await;
        fill_up(&sim, node);
        let pending = partition.produce(&batch(b"a"), Acks::All).unwrap();
        let bound = Duration::from_secs(60);
        let closed = env.reactor.timeout(bound, partition.close()).await;
        assert!(closed.expect("it ends").is_err());
        assert!(matches!(
            pending.await,
            Err(ProduceError::UnknownOutcome { .. })
        ));
        let deleted = env.reactor.timeout(bound, partition.delete()).await;
        deleted.expect("it ends").unwrap();
    });
    assert!(
        world
            .sim
            .list_dir(world.node, "/data/topics/7".as_ref())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_full_device_does_not_keep_durable_records_from_being_deleted() {
    let world = World::new(9);
    let (sim, node) = (world.sim.clone(), world.node);
    world.run(move |env| async move {
        let partition = open(&env, 1, Durability::Sync).await;
        for value in [b"a", b"b"] {
            let pending = partition.produce(&batch(value), Acks::All).unwrap();
            pending.await.unwrap();
        }
        sim.inject(
            node,
            DiskFault {
                op: FaultyOp::Write,
                path_contains: ".log".to_owned(),
                trigger: FaultTrigger::Always,
                effect: FaultEffect::Error(io::ErrorKind::StorageFull),
            },
        );
        let pending = partition.produce(&batch(b"c"), Acks::All).unwrap();
        env.reactor.sleep(Duration::from_secs(1)).await;
        let bound = Duration::from_secs(5);
        let deleted = partition.delete_records(Offset::new(1));
        let deleted = env.reactor.timeout(bound, deleted).await;
        assert_eq!(deleted.expect("it ends").unwrap(), Offset::new(1));
        sim.clear_faults(node);
        assert_eq!(pending.await.unwrap().level, AckLevel::AllDurable);
    });
}

#[test]
fn an_acknowledgement_says_when_each_stage_was_reached() {
    let world = World::new(40);
    world.run(|env| async move {
        let partition = open(&env, 1, Durability::Sync).await;
        env.reactor.sleep(Duration::from_millis(1)).await;
        let began = env.reactor.now();
        let times = |acks| {
            let pending = partition.produce(&batch(b"a"), acks).unwrap();
            async move { pending.await.unwrap().times }
        };
        let all = times(Acks::All).await;
        assert_eq!(all.appended, began, "nothing waits for an append");
        let flushed = all.stable.since(all.appended);
        assert!(flushed > Duration::from_micros(50), "a write and a sync");
        assert_eq!(all.acknowledged, all.stable, "nobody else is in sync");
        let none = times(Acks::None).await;
        assert_eq!(
            (none.stable, none.acknowledged),
            (none.appended, none.appended)
        );
        partition.close().await.unwrap();
    });
    let world = World::new(41);
    world.run(|env| async move {
        let partition = open(&env, 1, Durability::Async).await;
        let ack = partition.produce(&batch(b"a"), Acks::All).unwrap().await;
        let times = ack.unwrap().times;
        assert_eq!(times.stable, times.appended, "stable in memory");
        assert_eq!(times.acknowledged, times.appended);
    });
}
