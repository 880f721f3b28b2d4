//! Seeds, determinism, and the proof that each guard is needed.

use ringlog_sim::guards::{GUARDS, omitted};
use ringlog_sim::run::{Scenario, run_seed, run_seeds};

fn replays(scenario: Scenario) {
    for seed in 0..5 {
        let first = run_seed(scenario, seed);
        assert_eq!(first, run_seed(scenario, seed), "seed {seed}");
        let hash = |seed| run_seed(scenario, seed).map(|outcome| outcome.trace_hash);
        assert_ne!(hash(seed), hash(seed + 1), "the hash says nothing");
    }
}

#[test]
fn a_seed_of_the_log_replays_to_the_byte() {
    if omitted().is_none() {
        replays(Scenario::Log);
    }
}

#[cfg(feature = "broker")]
#[test]
fn a_seed_of_the_broker_replays_to_the_byte() {
    if omitted().is_none() {
        replays(Scenario::Broker);
    }
}

#[test]
fn pinned_seeds_fail_in_the_named_checker_without_their_guard_and_only_then() {
    match omitted() {
        Some(guard) => {
            let failure = run_seed(Scenario::Log, guard.seed).expect_err(guard.feature);
            assert_eq!(
                failure.checker(),
                guard.checker,
                "{}: {failure}",
                guard.feature
            );
        }
        None => {
            for guard in GUARDS {
                let result = run_seed(Scenario::Log, guard.seed);
                assert!(
                    result.is_ok(),
                    "seed {} of {}: {result:?}",
                    guard.seed,
                    guard.feature
                );
            }
        }
    }
}

#[test]
fn a_hundred_seeds_of_each_scenario_keep_every_promise() {
    if omitted().is_some() {
        return;
    }
    keeps_every_promise(Scenario::Log);
    #[cfg(feature = "broker")]
    keeps_every_promise(Scenario::Broker);
}

fn keeps_every_promise(scenario: Scenario) {
    let totals = run_seeds(scenario, 0, 100, 2, |_, _| {});
    assert!(totals.failures.is_empty(), "{:?}", totals.failures);
    assert!(totals.seeds_with_unsynced * 2 >= totals.seeds, "{totals}");
    assert!(totals.sum.records_checked > 0, "{totals}");
}
