//! The steps that durability hangs on, and for each a seed that tells when it is left out.
//!
//! `ringlog-log` has a feature for each that does nothing but omit the step. `cargo xtask guards` builds this
//! crate once with each of them and runs the pinned seed: it must fail in the named checker, not by a panic, a
//! hang or a time-out. Without features all pinned seeds must pass.
//!
//! What a seed runs into depends on how many random numbers the engine and the scenario draw, so a change of either
//! may move a pin. `ringlog-sim --seeds 300`, built with the feature, lists the seeds that fail and in which checker.

/// A step, the feature that omits it, and the proof that it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The feature that omits the step.
    pub feature: &'static str,
    /// The seed that fails without the step.
    pub seed: u64,
    /// The checker that finds it.
    pub checker: &'static str,
}

/// All guards.
pub const GUARDS: [Guard; 5] = [
    Guard {
        feature: "omit-fdatasync-before-ack",
        seed: 4,
        checker: "acknowledged-lost",
    },
    Guard {
        feature: "omit-directory-fsync",
        seed: 5,
        checker: "acknowledged-lost",
    },
    Guard {
        feature: "omit-fdatasync-after-recovery",
        seed: 59,
        checker: "served-vanished",
    },
    Guard {
        feature: "omit-torn-window-zeroing",
        seed: 48,
        checker: "cut-off-returned",
    },
    Guard {
        feature: "omit-one-write-per-block",
        seed: 5,
        checker: "acknowledged-lost",
    },
];

/// The guard that this build leaves out, if any.
pub fn omitted() -> Option<Guard> {
    let features = [
        cfg!(feature = "omit-fdatasync-before-ack"),
        cfg!(feature = "omit-directory-fsync"),
        cfg!(feature = "omit-fdatasync-after-recovery"),
        cfg!(feature = "omit-torn-window-zeroing"),
        cfg!(feature = "omit-one-write-per-block"),
    ];
    GUARDS
        .into_iter()
        .zip(features)
        .find_map(|(guard, on)| on.then_some(guard))
}
