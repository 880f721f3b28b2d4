//! Seeds, determinism, and the proof that each guard is needed.

use ringlog_sim::guards::GUARDS;
use ringlog_sim::run::{Plan, Scenario, run_seed, run_seeds};

fn replays(scenario: Scenario) {
    let plan = Plan::of(scenario);
    for seed in 0..5 {
        let first = run_seed(plan, seed);
        assert_eq!(first, run_seed(plan, seed), "seed {seed}");
        let hash = |seed| run_seed(plan, seed).map(|outcome| outcome.trace_hash);
        assert_ne!(hash(seed), hash(seed + 1), "the hash says nothing");
    }
}

#[test]
fn a_seed_of_the_log_replays_to_the_byte() {
    replays(Scenario::Log);
}

#[test]
fn a_seed_of_the_broker_replays_to_the_byte() {
    replays(Scenario::Broker);
}

#[test]
fn a_seed_of_the_controller_replays_to_the_byte() {
    replays(Scenario::Controller);
}

#[test]
fn hundreds_of_seeds_of_the_controller_keep_every_promise() {
    let totals = run_seeds(Plan::of(Scenario::Controller), 0, 300, 2, |_, _| {});
    assert!(totals.failures.is_empty(), "{:?}", totals.failures);
    assert!(totals.sum.epochs_begun > totals.seeds, "{totals}");
}

/// The controller scenario is quick enough to look for the seed instead of pinning one.
#[test]
#[expect(clippy::print_stdout, reason = "tells which seed notices")]
fn some_seed_of_the_controller_fails_without_each_step() {
    use ringlog_coord::omit::Step;

    const SEEDS: u64 = 1500;
    for step in Step::ALL {
        let plan = Plan {
            omitted_decision: Some(step),
            ..Plan::of(Scenario::Controller)
        };
        let failure = (0..SEEDS).find_map(|seed| Some((seed, run_seed(plan, seed).err()?)));
        let Some((seed, failure)) = failure else {
            panic!("no seed notices that {step:?} is left out");
        };
        println!("{step:?}: seed {seed}, {}", failure.checker());
        assert_ne!(failure.checker(), "panic", "{step:?}: {failure}");
    }
}

#[test]
fn pinned_seeds_pass_with_everything_in_place() {
    for guard in GUARDS {
        let result = run_seed(Plan::of(Scenario::Log), guard.seed);
        assert!(result.is_ok(), "{guard:?}: {result:?}");
    }
}

#[test]
fn pinned_seeds_fail_in_the_named_checker_without_their_step() {
    let mut moved = Vec::new();
    for guard in GUARDS {
        let plan = Plan {
            omitted: Some(guard.step),
            ..Plan::of(Scenario::Log)
        };
        let failure = run_seed(plan, guard.seed).err();
        if failure.as_ref().map(|failure| failure.checker()) != Some(guard.checker) {
            moved.push(format!("{guard:?}: {failure:?}"));
        }
    }
    assert!(
        moved.is_empty(),
        "`cargo xtask guards --find STEP` (or all) pins another seed:\n{}",
        moved.join("\n")
    );
}

#[test]
fn a_hundred_seeds_of_each_scenario_keep_every_promise() {
    keeps_every_promise(Scenario::Log);
    keeps_every_promise(Scenario::Broker);
}

fn keeps_every_promise(scenario: Scenario) {
    let totals = run_seeds(Plan::of(scenario), 0, 100, 2, |_, _| {});
    assert!(totals.failures.is_empty(), "{:?}", totals.failures);
    assert!(totals.seeds_with_unsynced * 2 >= totals.seeds, "{totals}");
    assert!(totals.sum.records_checked > 0, "{totals}");
}
