use proptest::prelude::*;

use super::*;

const ME: BrokerId = BrokerId::new(1);
const EPOCH: LeaderEpoch = LeaderEpoch::new(3);

fn offset(value: u64) -> Offset {
    Offset::new(value)
}

fn leader(others: &[u32]) -> LeaderMachine {
    leader_that_needs(1, others)
}

fn leader_that_needs(min_isr: usize, others: &[u32]) -> LeaderMachine {
    LeaderMachine::new(LeaderStart {
        me: ME,
        leader_epoch: EPOCH,
        isr: others.iter().map(|&id| BrokerId::new(id)).collect(),
        min_isr,
        stability: Stability::Durable,
        high_watermark: offset(0),
        stable_end: offset(0),
    })
}

fn step(machine: &mut LeaderMachine, event: Event) -> Vec<Action> {
    let mut actions = Vec::new();
    machine.step(event, &mut actions);
    actions
}

fn appended(ticket: u64, acks: Acks, end: u64, stable_end: u64) -> Event {
    Event::Appended {
        ticket: Ticket(ticket),
        acks,
        end: offset(end),
        stable_end: offset(stable_end),
    }
}

fn follower_stable(follower: u32, stable_end: u64) -> Event {
    Event::FollowerStable {
        follower: BrokerId::new(follower),
        leader_epoch: EPOCH,
        stable_end: offset(stable_end),
    }
}

fn acknowledge(ticket: u64, level: AckLevel) -> Action {
    Action::Acknowledge {
        ticket: Ticket(ticket),
        level,
    }
}

#[test]
fn alone_a_produce_is_answered_when_it_is_stable() {
    let mut machine = leader(&[]);
    assert_eq!(step(&mut machine, appended(0, Acks::All, 5, 0)), []);
    assert_eq!(step(&mut machine, appended(1, Acks::Leader, 9, 0)), []);
    assert_eq!(
        step(&mut machine, Event::LocalStable(offset(5))),
        [
            Action::HighWatermark(offset(5)),
            acknowledge(0, AckLevel::AllDurable)
        ]
    );
    assert_eq!(
        step(&mut machine, Event::LocalStable(offset(9))),
        [
            Action::HighWatermark(offset(9)),
            acknowledge(1, AckLevel::LeaderDurable)
        ]
    );
    assert_eq!(machine.waiting(), 0);
}

#[test]
fn without_acks_the_answer_says_memory() {
    let mut machine = leader(&[]);
    assert_eq!(
        step(&mut machine, appended(0, Acks::None, 5, 0)),
        [acknowledge(0, AckLevel::LeaderMemory)]
    );
}

#[test]
fn what_is_stable_in_memory_is_answered_at_once_and_says_so() {
    let mut machine = leader(&[]);
    step(&mut machine, Event::StabilityChanged(Stability::Memory));
    assert_eq!(
        step(&mut machine, appended(0, Acks::All, 5, 5)),
        [
            Action::HighWatermark(offset(5)),
            acknowledge(0, AckLevel::AllMemory)
        ]
    );
}

#[test]
fn a_follower_that_said_nothing_holds_the_high_watermark() {
    let mut machine = leader(&[2]);
    assert_eq!(step(&mut machine, appended(0, Acks::All, 5, 5)), []);
    assert_eq!(machine.high_watermark(), offset(0));
    assert_eq!(
        step(&mut machine, follower_stable(2, 7)),
        [
            Action::HighWatermark(offset(5)),
            acknowledge(0, AckLevel::AllDurable)
        ]
    );
}

#[test]
fn a_follower_that_leaves_the_in_sync_set_lets_the_others_go_on() {
    let mut machine = leader(&[2]);
    step(&mut machine, appended(0, Acks::All, 5, 5));
    assert_eq!(
        step(&mut machine, Event::IsrChanged(BTreeSet::new())),
        [
            Action::HighWatermark(offset(5)),
            acknowledge(0, AckLevel::AllDurable)
        ]
    );
}

#[test]
fn the_end_of_leadership_leaves_every_outcome_unknown() {
    let mut machine = leader(&[]);
    step(&mut machine, appended(0, Acks::All, 5, 0));
    step(&mut machine, appended(1, Acks::Leader, 6, 0));
    assert_eq!(
        step(&mut machine, Event::Ended),
        [Action::Abandon(Ticket(1)), Action::Abandon(Ticket(0))]
    );
    assert_eq!(step(&mut machine, Event::LocalStable(offset(6))), []);
    assert_eq!(
        step(&mut machine, appended(2, Acks::All, 7, 7)),
        [Action::Abandon(Ticket(2))]
    );
}

#[test]
fn below_min_isr_the_high_watermark_stands_still() {
    let mut machine = leader_that_needs(2, &[2]);
    step(&mut machine, appended(0, Acks::All, 5, 5));
    step(&mut machine, appended(1, Acks::Leader, 6, 5));
    assert_eq!(
        step(&mut machine, Event::IsrChanged(BTreeSet::new())),
        [],
        "alone it must not commit what two were to hold"
    );
    assert!(!machine.has_min_isr());
    assert_eq!(
        step(&mut machine, Event::LocalStable(offset(6))),
        [acknowledge(1, AckLevel::LeaderDurable)]
    );
    assert_eq!(machine.high_watermark(), offset(0));
    let both = BTreeSet::from([ME, BrokerId::new(2)]);
    assert_eq!(step(&mut machine, Event::IsrChanged(both)), []);
    assert_eq!(
        step(&mut machine, follower_stable(2, 5)),
        [
            Action::HighWatermark(offset(5)),
            acknowledge(0, AckLevel::AllDurable)
        ]
    );
}

#[test]
fn what_a_follower_says_to_another_leader_epoch_does_not_count() {
    let mut machine = leader(&[2]);
    step(&mut machine, appended(0, Acks::All, 5, 5));
    for epoch in [2, 4] {
        let event = Event::FollowerStable {
            follower: BrokerId::new(2),
            leader_epoch: LeaderEpoch::new(epoch),
            stable_end: offset(5),
        };
        assert_eq!(step(&mut machine, event), []);
    }
    assert_eq!(machine.high_watermark(), offset(0));
    assert_eq!(step(&mut machine, follower_stable(2, 5)).len(), 2);
}

#[test]
fn what_was_appended_to_memory_is_not_called_durable_later() {
    let mut machine = leader(&[2]);
    step(&mut machine, Event::StabilityChanged(Stability::Memory));
    step(&mut machine, appended(0, Acks::All, 5, 5));
    step(&mut machine, Event::StabilityChanged(Stability::Durable));
    step(&mut machine, appended(1, Acks::All, 7, 5));
    step(&mut machine, Event::LocalStable(offset(7)));
    assert_eq!(
        step(&mut machine, follower_stable(2, 7)),
        [
            Action::HighWatermark(offset(7)),
            acknowledge(0, AckLevel::AllMemory),
            acknowledge(1, AckLevel::AllDurable)
        ]
    );
}

#[test]
fn a_high_watermark_beyond_the_log_is_cut_to_it() {
    let machine = LeaderMachine::new(LeaderStart {
        me: ME,
        leader_epoch: EPOCH,
        isr: BTreeSet::new(),
        min_isr: 1,
        stability: Stability::Durable,
        high_watermark: offset(10),
        stable_end: offset(4),
    });
    assert_eq!(machine.high_watermark(), offset(4));
}

#[derive(Clone, Debug)]
enum Step {
    Append(u8, u8),
    Local(u8),
    Follower(u8, u8),
    Isr(bool, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = prop_oneof![
        (0..3_u8, 1..4_u8).prop_map(|(acks, records)| Step::Append(acks, records)),
        (0..5_u8).prop_map(Step::Local),
        (2..4_u8, 0..6_u8).prop_map(|(follower, records)| Step::Follower(follower, records)),
        (any::<bool>(), any::<bool>()).prop_map(|(two, three)| Step::Isr(two, three)),
    ];
    proptest::collection::vec(one, 1..80)
}

proptest! {
    /// Replays random histories beside a model that knows each replica's log.
    #[test]
    fn nothing_is_answered_before_it_is_where_the_answer_says(min_isr in 1..4_usize, steps in steps()) {
        let mut machine = leader_that_needs(min_isr, &[2, 3]);
        let (mut log_end, mut next_ticket) = (0_u64, 0_u64);
        let mut stable: BTreeMap<BrokerId, u64> =
            [1, 2, 3].map(|id| (BrokerId::new(id), 0)).into();
        let mut isr: BTreeSet<BrokerId> = stable.keys().copied().collect();
        let mut open: BTreeMap<Ticket, u64> = BTreeMap::new();
        let mut high_watermark = 0;
        for one in steps {
            let event = match one {
                Step::Append(acks, records) => {
                    log_end += u64::from(records);
                    let acks = [Acks::None, Acks::Leader, Acks::All][usize::from(acks)];
                    open.insert(Ticket(next_ticket), log_end);
                    next_ticket += 1;
                    appended(next_ticket - 1, acks, log_end, stable[&ME])
                }
                Step::Local(records) => {
                    let end = (stable[&ME] + u64::from(records)).min(log_end);
                    stable.insert(ME, end);
                    Event::LocalStable(offset(end))
                }
                Step::Follower(id, records) => {
                    let follower = BrokerId::new(u32::from(id));
                    let end = (stable[&follower] + u64::from(records)).min(log_end);
                    stable.insert(follower, end);
                    follower_stable(u32::from(id), end)
                }
                Step::Isr(two, three) => {
                    // A broker joins only once it has what readers may see.
                    let may_join = |id: u32, wanted: bool| {
                        wanted && stable[&BrokerId::new(id)] >= high_watermark
                    };
                    isr = [(1, true), (2, may_join(2, two)), (3, may_join(3, three))]
                        .into_iter()
                        .filter(|&(_, member)| member)
                        .map(|(id, _)| BrokerId::new(id))
                        .collect();
                    Event::IsrChanged(isr.clone())
                }
            };
            for action in step(&mut machine, event) {
                match action {
                    Action::HighWatermark(end) => {
                        prop_assert!(end.get() > high_watermark);
                        prop_assert!(isr.len() >= min_isr);
                        high_watermark = end.get();
                        for member in &isr {
                            prop_assert!(stable[member] >= high_watermark);
                        }
                    }
                    Action::Acknowledge { ticket, level } => {
                        let end = open.remove(&ticket).unwrap();
                        match level {
                            AckLevel::AllDurable => prop_assert!(end <= high_watermark),
                            AckLevel::LeaderDurable => prop_assert!(end <= stable[&ME]),
                            AckLevel::LeaderMemory | AckLevel::AllMemory => {}
                        }
                    }
                    Action::Abandon(_) => prop_assert!(false, "leadership has not ended"),
                }
            }
        }
    }
}
