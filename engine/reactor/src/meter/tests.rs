use super::*;
use crate::sim::{SimConfig, SimWorld};

const LIMIT: Duration = Duration::from_micros(STALL_US);

/// Runs tasks of a world that hold their core for so long, one after the other, and gives what the core counted.
fn counts_of(holds: &[(&'static str, Duration)]) -> LoopCounts {
    let world = SimWorld::new(1, SimConfig::default());
    let node = world.add_node();
    let (inside, holds) = (world.clone(), holds.to_vec());
    let counted = world.block_on(node, Duration::from_secs(10), move |reactor| async move {
        for (name, held) in holds {
            let world = inside.clone();
            reactor
                .spawn(name, async move { world.hold_core(held) })
                .await;
        }
        // A turn is counted when it is over.
        reactor.sleep(Duration::from_micros(1)).await;
        reactor.loop_counts()
    });
    counted.unwrap()
}

#[test]
fn a_task_that_holds_the_core_is_counted_by_its_name() {
    let counts = counts_of(&[
        ("quick", Duration::ZERO),
        ("at the limit", LIMIT),
        ("slow", LIMIT + Duration::from_nanos(1)),
        ("slow", LIMIT * 3),
        ("slower", LIMIT * 5),
        ("slow", LIMIT * 2),
    ]);
    let expected = [
        StallCount {
            task: "slow",
            count: 3,
            longest: LIMIT * 3,
        },
        StallCount {
            task: "slower",
            count: 1,
            longest: LIMIT * 5,
        },
    ];
    assert_eq!(counts.stalls, expected);
    // The tasks wake one another, so all of them are polled in one turn.
    let all = LIMIT * 12 + Duration::from_nanos(1);
    assert_eq!((counts.longest_turn, counts.busy), (all, all));
}

#[test]
fn a_simulation_counts_the_same_in_every_run() {
    let holds = [("a", LIMIT * 2), ("b", LIMIT / 2), ("a", LIMIT * 4)];
    let first = counts_of(&holds);
    assert_eq!(first, counts_of(&holds));
    assert!(first.polls >= 6 && first.turns >= 1, "{first:?}");
}

#[test]
fn a_task_that_waits_does_not_hold_the_core() {
    let world = SimWorld::new(1, SimConfig::default());
    let node = world.add_node();
    let counts = world.block_on(node, Duration::from_secs(10), |reactor| async move {
        reactor.sleep(LIMIT * 100).await;
        reactor.loop_counts()
    });
    let counts = counts.unwrap();
    assert_eq!(counts.stalls, []);
    assert_eq!(counts.busy, Duration::ZERO);
    assert!(counts.parks >= 1);
}

#[test]
fn stalls_are_reported_once_in_a_while_with_how_many_there_were() {
    let meter = LoopMeter::new(1_000_000);
    let ticks = STALL_US * 2_000;
    let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
    let first = meter.stalled("a", ticks, at(0)).unwrap();
    assert_eq!((first.task, first.stalls), ("a", 1));
    assert_eq!(first.held, LIMIT * 2);
    assert_eq!(meter.stalled("a", ticks, at(1)), None);
    assert_eq!(meter.stalled("b", ticks, at(STALL_REPORT_MS - 1)), None);
    let next = meter.stalled("c", ticks, at(STALL_REPORT_MS)).unwrap();
    assert_eq!((next.task, next.stalls), ("c", 3));
}

#[test]
fn names_beyond_the_bound_are_counted_together() {
    let meter = LoopMeter::new(1_000_000);
    let names: Vec<&'static str> = (0..STALL_NAMES_MAX + 10)
        .map(|number| &*format!("task {number}").leak())
        .collect();
    for name in &names {
        meter.stalled(name, 1, Instant::default());
    }
    meter.stalled(names[0], 1, Instant::default());
    let stalls = meter.counts(DriverCounts::default()).stalls;
    assert_eq!(stalls.len(), STALL_NAMES_MAX + 1);
    assert_eq!((stalls[0].task, stalls[0].count), ("task 0", 2));
    let last = stalls.last().unwrap();
    assert_eq!((last.task, last.count), (OTHER_TASKS, 10));
}
