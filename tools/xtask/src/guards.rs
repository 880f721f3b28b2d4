//! The simulation in bulk, and the proof that it would notice.
//!
//! Each feature `omit-…` of ringlog-sim leaves one step out on which durability depends. With it the pinned seed
//! of that step must fail in its named checker; the test that says so is in `tools/sim/tests/it`.

use crate::Findings;
use crate::workspace::{Workspace, cargo};

/// The features, as `tools/sim/Cargo.toml` names them.
const OMISSIONS: [&str; 5] = [
    "omit-fdatasync-before-ack",
    "omit-directory-fsync",
    "omit-fdatasync-after-recovery",
    "omit-torn-window-zeroing",
    "omit-one-write-per-block",
];

const TEST: &str = "pinned_seeds_fail_in_the_named_checker_without_their_guard_and_only_then";

/// Scenarios, and the seeds of each that every submission runs.
const SCENARIOS: [(&str, &str); 2] = [("log", "1000"), ("broker", "1000")];

/// Runs seeds of the simulation with everything in place.
pub(crate) fn seeds(workspace: &Workspace) -> Result<(), Findings> {
    for (scenario, seeds) in SCENARIOS {
        println!("scenario {scenario}");
        let mut run = cargo();
        run.args(["run", "--profile", "checked", "--package", "ringlog-sim"]);
        workspace.run(run.args(["--", "--scenario", scenario, "--seeds", seeds]))?;
    }
    Ok(())
}

/// Builds the simulation once without each step and has it fail. The builds have a folder of their own: the
/// features change crates that everything else depends on.
pub(crate) fn prove(workspace: &Workspace) -> Result<(), Findings> {
    let target = workspace.target.join("guards");
    for omission in OMISSIONS {
        let mut test = cargo();
        test.args(["test", "--profile", "checked", "--package", "ringlog-sim"]);
        // The storage engine alone: the broker above it would be built five times over.
        test.args(["--no-default-features", "--features", omission]);
        test.args(["--test", "it"]);
        test.arg("--target-dir").arg(&target);
        workspace.run(test.args(["--", "--exact", TEST]))?;
    }
    Ok(())
}
