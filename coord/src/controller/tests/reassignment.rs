//! Reassignment of a partition: begun, turned, cancelled, finished, refused.

use super::*;
use crate::records::Placement;

/// Three brokers, of which the first is the controller, and the topic `t` of one partition.
struct Cluster {
    controller: Controller<MemoryStore>,
    /// The sessions of the others.
    _sessions: Vec<MemoryStore>,
}

fn broker(id: u32) -> BrokerId {
    BrokerId::new(id)
}

fn brokers(ids: &[u32]) -> Vec<BrokerId> {
    ids.iter().copied().map(broker).collect()
}

fn to(ids: &[u32]) -> Reassignment {
    Reassignment::To(brokers(ids))
}

impl Cluster {
    async fn new(replication_factor: u16) -> Self {
        let store = fresh().await;
        let (mut controller, _) = start(store.clone(), 1).await;
        let mut sessions = Vec::new();
        for id in 2..=3_u32 {
            let session = store.another_session();
            let start = BrokerStart {
                broker: broker(id),
                directory: DirectoryId::new(u128::from(id) + 10),
                ..start_of(u128::from(id) + 10)
            };
            register(&session, &start).await.unwrap();
            sessions.push(session);
        }
        controller.look(NOW).await.unwrap();
        let new = NewTopic {
            replication_factor,
            ..topic("t", 9, 1)
        };
        controller.create_topic(NOW, new).await.unwrap();
        Self {
            controller,
            _sessions: sessions,
        }
    }

    async fn reassign(&mut self, wanted: Reassignment) -> Result<(), ReassignError> {
        let partition = PartitionIndex::new(0);
        self.controller
            .reassign(NOW, &name("t"), partition, wanted)
            .await
    }

    /// The leader says that these are in sync.
    async fn in_sync(&mut self, ids: &[u32]) {
        let now = self.partition();
        let live = self.controller.live();
        let member = |id: &BrokerId| IsrMember {
            id: *id,
            broker_epoch: live[id].epoch,
        };
        let leader = now.leader.unwrap();
        let wanted = PartitionAlteration {
            topic_id: TopicId::new(9),
            partition: PartitionIndex::new(0),
            leader,
            broker_epoch: live[&leader].epoch,
            leader_epoch: now.leader_epoch,
            partition_epoch: now.partition_epoch,
            isr: brokers(ids).iter().map(member).collect(),
        };
        let altered = self.controller.alter_partitions(NOW, vec![wanted]).await;
        assert_eq!(altered.unwrap(), [Ok(())]);
    }

    fn partition(&self) -> PartitionDescription {
        let described = self.controller.image().describe(&name("t")).unwrap();
        described.partitions[0].clone()
    }

    /// The placement as the store has it.
    async fn placement(&self) -> Placement {
        let image = Image::load(&self.controller.store).await.unwrap();
        image.placements().next().unwrap().clone()
    }
}

#[test]
fn a_partition_is_served_as_before_until_its_new_replicas_are_in_sync() {
    block_on(async {
        let mut cluster = Cluster::new(1).await;
        let old = cluster.partition();
        assert_eq!(old.replicas, brokers(&[1]));
        cluster.reassign(to(&[2])).await.unwrap();
        let now = cluster.partition();
        assert_eq!(now.replicas, brokers(&[2, 1]));
        assert_eq!(
            (&now.adding, &now.removing),
            (&brokers(&[2]), &brokers(&[1]))
        );
        assert_eq!(
            (now.leader, now.leader_epoch),
            (old.leader, old.leader_epoch)
        );
        cluster.in_sync(&[1, 2]).await;
        let now = cluster.partition();
        assert_eq!((now.replicas, now.isr), (brokers(&[2]), brokers(&[2])));
        assert_eq!(now.leader, Some(broker(2)));
        assert!(now.leader_epoch > old.leader_epoch);
        assert_eq!(
            cluster.placement().await,
            Placement::settled(brokers(&[2]), now.slot)
        );
    });
}

#[test]
fn a_cancelled_reassignment_leaves_the_partition_exactly_as_it_was() {
    block_on(async {
        let mut cluster = Cluster::new(2).await;
        let old = cluster.placement().await;
        let [first, second] = old.replicas[..] else {
            panic!("{old:?}")
        };
        let third = broker(6 - first.get() - second.get());
        // Turned to a second goal, in another order, before it is cancelled.
        let wanted = Reassignment::To(vec![third]);
        cluster.reassign(wanted).await.unwrap();
        let wanted = Reassignment::To(vec![third, second]);
        cluster.reassign(wanted).await.unwrap();
        let now = cluster.partition();
        assert_eq!(now.replicas, [third, second, first]);
        assert_eq!((now.adding, now.removing), (vec![third], vec![first]));
        cluster.reassign(Reassignment::Cancel).await.unwrap();
        assert_eq!(cluster.placement().await, old);
        let refused = cluster.reassign(Reassignment::Cancel).await;
        assert!(
            matches!(refused, Err(ReassignError::NothingToCancel { .. })),
            "{refused:?}"
        );
    });
}

#[test]
fn a_replica_that_is_given_up_leaves_the_isr_and_leads_no_more() {
    block_on(async {
        let mut cluster = Cluster::new(1).await;
        let old = cluster.placement().await;
        cluster.reassign(to(&[2, 3])).await.unwrap();
        // It catches up before the other, and leads: it is the preferred one.
        cluster.in_sync(&[1, 2]).await;
        let later = Duration::from_secs(3600);
        cluster.controller.tick(later).await.unwrap();
        let before = cluster.partition();
        assert_eq!(before.leader, Some(broker(2)));
        cluster.reassign(Reassignment::Cancel).await.unwrap();
        let now = cluster.partition();
        assert_eq!((now.isr, now.leader), (brokers(&[1]), Some(broker(1))));
        assert!(now.leader_epoch > before.leader_epoch);
        assert_eq!(cluster.placement().await, old);
    });
}

#[test]
fn nothing_is_cancelled_once_only_the_new_replicas_have_all_records() {
    block_on(async {
        let mut cluster = Cluster::new(1).await;
        cluster.reassign(to(&[2, 3])).await.unwrap();
        cluster.in_sync(&[1, 2]).await;
        cluster
            .controller
            .tick(Duration::from_secs(3600))
            .await
            .unwrap();
        cluster.in_sync(&[2]).await;
        for wanted in [Reassignment::Cancel, to(&[3])] {
            let refused = cluster.reassign(wanted).await.unwrap_err();
            assert_eq!(
                refused,
                ReassignError::NobodyInSync {
                    in_sync: brokers(&[2])
                }
            );
        }
        assert_eq!(cluster.partition().isr, brokers(&[2]));
    });
}

#[test]
fn what_no_partition_can_have_is_refused_and_changes_nothing() {
    block_on(async {
        let mut cluster = Cluster::new(2).await;
        cluster.controller.drain(NOW, broker(3)).await.unwrap();
        let changes = ConfigChanges::parse(["min_isr=2"]).unwrap();
        cluster
            .controller
            .alter_topic(NOW, &name("t"), None, &changes)
            .await
            .unwrap();
        let before = cluster.placement().await;
        let [first, second] = before.replicas[..] else {
            panic!("{before:?}")
        };
        let free = 6 - first.get() - second.get();
        for (wanted, said) in [
            (to(&[]), "0 replicas were asked for"),
            (to(&[1, 1]), "broker 1 is named twice"),
            (to(&[1]), "needs 2 replicas in sync"),
            (to(&[1, 9]), "broker 9 is not running"),
        ] {
            let refused = cluster.reassign(wanted).await.unwrap_err();
            assert!(refused.to_string().contains(said), "{refused}");
        }
        if free == 3 {
            let refused = cluster.reassign(to(&[1, 3])).await.unwrap_err();
            assert_eq!(refused, ReassignError::Draining { broker: broker(3) });
        }
        let partition = PartitionIndex::new(1);
        let of = |topic: &str| name(topic);
        let refused = cluster
            .controller
            .reassign(NOW, &of("t"), partition, to(&[1, 2]))
            .await;
        assert!(
            matches!(
                refused,
                Err(ReassignError::NoSuchPartition { partitions: 1, .. })
            ),
            "{refused:?}"
        );
        let refused = cluster
            .controller
            .reassign(NOW, &of("none"), partition, to(&[1, 2]))
            .await;
        assert!(matches!(refused, Err(ReassignError::NotFound { .. })));
        assert_eq!(cluster.placement().await, before);
    });
}
