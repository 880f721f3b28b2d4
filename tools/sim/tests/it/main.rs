//! Seeds, determinism, and the proof that each guard is needed.

use ringlog_sim::guards::{GUARDS, omitted};
use ringlog_sim::run::{Scenario, run_seed, run_seeds};

#[test]
fn a_seed_replays_to_the_byte() {
    for seed in 0..5 {
        assert_eq!(
            run_seed(Scenario::Log, seed),
            run_seed(Scenario::Log, seed),
            "seed {seed}"
        );
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
fn a_hundred_seeds_keep_every_promise() {
    if omitted().is_some() {
        return;
    }
    let totals = run_seeds(Scenario::Log, 0, 100, 2, |_, _| {});
    assert!(totals.failures.is_empty(), "{:?}", totals.failures);
    assert!(totals.seeds_with_unsynced * 2 >= totals.seeds, "{totals}");
    assert!(totals.sum.records_checked > 0);
}
