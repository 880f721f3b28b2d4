use std::num::NonZeroU16;

use ringlog_record::LeaderEpoch;

use super::*;
use crate::ids::{ControllerEpoch, DirectoryId, Incarnation, Slot};
use crate::paths;
use crate::records::{BrokerRegistration, Payload};
use crate::store::Version;

/// Brokers that are registered, with the epoch and life of each.
struct Brokers {
    live: BTreeMap<BrokerId, LiveBroker>,
    states: BTreeMap<BrokerId, Stored<BrokerState>>,
}

impl Brokers {
    fn new(brokers: &[(u32, u64, BrokerLife)]) -> Self {
        let mut all = Self {
            live: BTreeMap::new(),
            states: BTreeMap::new(),
        };
        for (id, epoch, life) in brokers {
            let (id, epoch) = (BrokerId::new(*id), BrokerEpoch::new(*epoch));
            let registration = BrokerRegistration {
                incarnation: Incarnation::new(1),
                addresses: Vec::new(),
                cores: NonZeroU16::MIN.get(),
                rack: None,
                directories: vec![DirectoryId::new(1)],
                software: String::new(),
            };
            let live = LiveBroker {
                epoch,
                registration,
                report: None,
            };
            let state = BrokerState {
                state: *life,
                broker_epoch: epoch,
                directories: vec![DirectoryId::new(1)],
                drain: false,
            };
            all.live.insert(id, live);
            let record = Payload::new(state);
            let version = Version::FIRST;
            all.states.insert(id, Stored { record, version });
        }
        all
    }

    fn settle(&self, replicas: &[u32], state: &PartitionState) -> Option<PartitionState> {
        self.settle_with(replicas, state, |_| {})
    }

    fn settle_with(
        &self,
        replicas: &[u32],
        state: &PartitionState,
        change: impl Fn(&mut TopicConfig),
    ) -> Option<PartitionState> {
        let replicas: Vec<BrokerId> = replicas.iter().copied().map(BrokerId::new).collect();
        let placement = Placement::settled(replicas, Slot::new(0));
        let mut config = TopicConfig::defaults(3);
        config.min_isr = state.min_isr;
        change(&mut config);
        let standing = Standing {
            live: &self.live,
            states: &self.states,
        };
        settle(&paths::controller(), &placement, state, &config, standing).unwrap()
    }
}

const ACTIVE: BrokerLife = BrokerLife::Active;

fn state(leader: Option<u32>, isr: &[(u32, u64)], elr: &[u32], min_isr: u16) -> PartitionState {
    let member = |(id, epoch): &(u32, u64)| IsrMember {
        id: BrokerId::new(*id),
        broker_epoch: BrokerEpoch::new(*epoch),
    };
    PartitionState {
        leader: leader.map(BrokerId::new),
        leader_epoch: LeaderEpoch::new(4),
        isr: isr.iter().map(member).collect(),
        elr: elr.iter().copied().map(BrokerId::new).collect(),
        min_isr,
        recovery: false,
        controller_epoch: ControllerEpoch::new(1),
    }
}

fn ids(members: &[IsrMember]) -> Vec<u32> {
    members.iter().map(|member| member.id.get()).collect()
}

#[test]
fn nothing_changes_while_all_is_well() {
    let brokers = Brokers::new(&[(1, 10, ACTIVE), (2, 20, ACTIVE)]);
    let settled = state(Some(1), &[(1, 10), (2, 20)], &[], 1);
    assert_eq!(brokers.settle(&[1, 2], &settled), None);
}

#[test]
fn the_next_replica_in_sync_leads_when_the_leader_has_gone() {
    let brokers = Brokers::new(&[(2, 20, ACTIVE), (3, 30, ACTIVE)]);
    let before = state(Some(1), &[(1, 10), (3, 30), (2, 20)], &[], 2);
    let after = brokers.settle(&[1, 2, 3], &before).unwrap();
    assert_eq!(after.leader, Some(BrokerId::new(2)));
    assert_eq!(after.leader_epoch, LeaderEpoch::new(5));
    assert_eq!(ids(&after.isr), [3, 2]);
    assert!(after.elr.is_empty(), "enough are left");
}

#[test]
fn the_only_replica_is_offline_until_it_is_back_and_leads_in_a_larger_epoch() {
    let before = state(Some(1), &[(1, 10)], &[], 1);
    let gone = Brokers::new(&[]).settle(&[1], &before).unwrap();
    assert_eq!((gone.leader, gone.isr.len()), (None, 0));
    assert_eq!(gone.elr, [BrokerId::new(1)]);
    let fenced = Brokers::new(&[(1, 11, BrokerLife::Fenced)]);
    assert_eq!(fenced.settle(&[1], &gone), None);
    let back = Brokers::new(&[(1, 11, ACTIVE)]);
    for before in [&gone, &before] {
        let after = back.settle(&[1], before).unwrap();
        assert_eq!(after.leader, Some(BrokerId::new(1)));
        assert_eq!(after.leader_epoch, LeaderEpoch::new(5));
        assert_eq!(after.isr[0].broker_epoch, BrokerEpoch::new(11));
        assert!(after.elr.is_empty());
    }
}

#[test]
fn a_restarted_broker_is_no_member_any_more_where_others_have_gone_on() {
    let brokers = Brokers::new(&[(1, 11, ACTIVE), (2, 20, ACTIVE)]);
    let before = state(Some(1), &[(1, 10), (2, 20)], &[], 1);
    let after = brokers.settle(&[1, 2], &before).unwrap();
    assert_eq!(
        (after.leader, ids(&after.isr)),
        (Some(BrokerId::new(2)), vec![2])
    );
    assert!(after.elr.is_empty());
}

#[test]
fn replicas_that_leave_too_few_behind_stay_eligible() {
    let brokers = Brokers::new(&[(2, 20, ACTIVE)]);
    let before = state(Some(1), &[(1, 10), (2, 20)], &[], 2);
    let after = brokers.settle(&[1, 2, 3], &before).unwrap();
    assert_eq!(
        (after.leader, ids(&after.isr)),
        (Some(BrokerId::new(2)), vec![2])
    );
    assert_eq!(after.elr, [BrokerId::new(1)]);
    // That one goes too, and the first is back: it has everything that was acknowledged.
    let brokers = Brokers::new(&[(1, 12, ACTIVE), (3, 30, ACTIVE)]);
    let after = brokers.settle(&[1, 2, 3], &after).unwrap();
    assert_eq!(
        (after.leader, ids(&after.isr)),
        (Some(BrokerId::new(1)), vec![1])
    );
    assert_eq!(after.elr, [BrokerId::new(2)]);
}

#[test]
fn a_replica_that_may_have_missed_something_leads_only_where_that_is_allowed() {
    let brokers = Brokers::new(&[(3, 30, ACTIVE)]);
    let before = state(None, &[], &[1, 2], 2);
    assert_eq!(brokers.settle(&[1, 2, 3], &before), None);
    let allow = |config: &mut TopicConfig| config.unclean_election = true;
    let after = brokers.settle_with(&[1, 2, 3], &before, allow).unwrap();
    assert_eq!(after.leader, Some(BrokerId::new(3)));
    assert!(after.recovery && after.elr.is_empty());
}

#[test]
fn a_broker_about_to_leave_hands_over_what_it_can() {
    let brokers = Brokers::new(&[(1, 10, BrokerLife::Draining), (2, 20, ACTIVE)]);
    let before = state(Some(1), &[(1, 10), (2, 20)], &[], 1);
    let after = brokers.settle(&[1, 2], &before).unwrap();
    assert_eq!(
        (after.leader, ids(&after.isr)),
        (Some(BrokerId::new(2)), vec![2])
    );
    let before = state(Some(1), &[(1, 10), (2, 20)], &[], 2);
    let after = brokers.settle(&[1, 2], &before).unwrap();
    assert_eq!(
        (after.leader, ids(&after.isr)),
        (Some(BrokerId::new(2)), vec![1, 2])
    );
    let alone = state(Some(1), &[(1, 10)], &[], 1);
    assert_eq!(brokers.settle(&[1], &alone), None, "nobody else can");
}

#[test]
fn another_min_isr_clears_who_was_eligible_by_the_old_one() {
    let brokers = Brokers::new(&[(2, 20, ACTIVE)]);
    let before = state(Some(2), &[(2, 20)], &[1], 2);
    let lower = |config: &mut TopicConfig| config.min_isr = 1;
    let after = brokers.settle_with(&[1, 2], &before, lower).unwrap();
    assert_eq!((after.min_isr, after.elr.len()), (1, 0));
    let nobody = state(None, &[], &[1], 2);
    assert_eq!(brokers.settle_with(&[1, 2], &nobody, lower), None);
}

#[test]
fn the_preferred_broker_leads_again_when_it_is_in_sync() {
    let brokers = Brokers::new(&[(1, 10, ACTIVE), (2, 20, ACTIVE)]);
    let standing = Standing {
        live: &brokers.live,
        states: &brokers.states,
    };
    let replicas = vec![BrokerId::new(1), BrokerId::new(2)];
    let placement = Placement::settled(replicas, Slot::new(0));
    let prefer = |state| prefer(&paths::controller(), &placement, &state, standing).unwrap();
    let moved = prefer(state(Some(2), &[(2, 20), (1, 10)], &[], 1)).unwrap();
    assert_eq!(
        (moved.leader, moved.leader_epoch),
        (Some(BrokerId::new(1)), LeaderEpoch::new(5))
    );
    assert_eq!(prefer(state(Some(2), &[(2, 20)], &[], 1)), None, "it lags");
    assert_eq!(
        prefer(state(Some(1), &[(1, 10)], &[], 1)),
        None,
        "it does already"
    );
}

#[test]
fn lost_data_counts_nowhere() {
    let before = state(Some(1), &[(1, 10), (2, 20)], &[], 2);
    let after = without(&before, BrokerId::new(1)).unwrap();
    assert_eq!((after.leader, ids(&after.isr)), (None, vec![2]));
    assert_eq!(without(&after, BrokerId::new(1)), None);
}
