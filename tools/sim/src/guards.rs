//! The steps that durability hangs on, and for each a seed that tells when it is left out.
//!
//! A run may leave one step out and does nothing else. The pinned seed of the step must then fail in the named checker, not
//! by a panic, a hang or a time-out; with everything in place it must pass.
//!
//! What a seed runs into depends on how many random numbers the engine and the scenario draw, so a change of either
//! may move a pin. `cargo xtask guards --find STEP` (or `all`) looks for another seed and writes it into this file.

use ringlog_log::omit::Step;

/// A step, and the proof that it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// What is left out.
    pub step: Step,
    /// The seed that fails without the step.
    pub seed: u64,
    /// The checker that finds it.
    pub checker: &'static str,
}

/// All guards.
pub const GUARDS: [Guard; Step::ALL.len()] = [
    Guard {
        step: Step::SyncBeforeAck,
        seed: 2,
        checker: "acknowledged-lost",
    },
    Guard {
        step: Step::DirectorySync,
        seed: 5,
        checker: "acknowledged-lost",
    },
    Guard {
        step: Step::SyncAfterRecovery,
        seed: 19,
        checker: "served-vanished",
    },
    Guard {
        step: Step::TornWindowZeroing,
        seed: 9,
        checker: "cut-off-returned",
    },
    Guard {
        step: Step::OneWritePerBlock,
        seed: 2,
        checker: "acknowledged-lost",
    },
    Guard {
        step: Step::CrcOnRead,
        seed: 89,
        checker: "content-changed",
    },
    Guard {
        step: Step::OfflineAfterFailedSync,
        seed: 56,
        checker: "acknowledged-lost",
    },
    Guard {
        step: Step::CheckpointRewrite,
        seed: 15111,
        checker: "not-served",
    },
    Guard {
        step: Step::LogStartBeforeRemoval,
        seed: 13,
        checker: "not-served",
    },
    Guard {
        step: Step::OffsetReservation,
        seed: 8,
        checker: "watermark-went-back",
    },
];

/// The guard of a step, by the name of the step.
pub fn named(name: &str) -> Option<Guard> {
    GUARDS.into_iter().find(|guard| guard.step.name() == name)
}

/// The first of `seeds` that fails in the checker of the guard without its step, and passes with it.
pub fn find(guard: Guard, mut seeds: std::ops::Range<u64>) -> Option<u64> {
    use crate::run::{Plan, Scenario, run_seed};

    let intact = Plan::of(Scenario::Log);
    let without = Plan {
        omitted: Some(guard.step),
        ..intact
    };
    seeds.find(|&seed| {
        let failed = run_seed(without, seed).err();
        failed.is_some_and(|failure| failure.checker() == guard.checker)
            && run_seed(intact, seed).is_ok()
    })
}
