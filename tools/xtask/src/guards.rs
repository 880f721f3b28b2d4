//! The simulation in bulk, and the proof that it would notice.
//!
//! ringlog-sim can leave out each step on which durability depends. The pinned seed of a step must then fail in its named
//! checker; the test that says so is in `tools/sim/tests/it`.

use std::fs;

use crate::Findings;
use crate::workspace::{Build, PROFILE, Workspace, cargo, output};

/// The package of the simulation.
const SIM: &str = "ringlog-sim";

/// Where the pins are.
const PINS: &str = "tools/sim/src/guards.rs";

/// Scenarios, and the seeds of each that every submission runs.
const SCENARIOS: [(&str, &str); 3] = [("log", "500"), ("broker", "500"), ("controller", "500")];

/// Seeds among which another pin is looked for.
const FIND_SEEDS: &str = "20000";

/// Runs seeds of the simulation with everything in place.
pub(crate) fn seeds(workspace: &Workspace, build: Build) -> Result<(), Findings> {
    for (scenario, seeds) in SCENARIOS {
        println!("scenario {scenario}");
        let mut run = workspace.program(SIM, build);
        workspace.run(run.args(["--scenario", scenario, "--seeds", seeds]))?;
    }
    Ok(())
}

/// Has the simulation fail without each step.
pub(crate) fn prove(workspace: &Workspace) -> Result<(), Findings> {
    let mut test = cargo();
    test.arg("test").args(PROFILE);
    test.args(["--package", SIM, "--test", "it", "--", "pinned_seeds"]);
    workspace.run(test.arg("some_seed_of_the_controller"))
}

/// Looks for the first seed that tells that a step is left out, and pins it; for each step with `all`.
pub(crate) fn find(workspace: &Workspace, wanted: &str) -> Result<(), Findings> {
    let mut pins = workspace.read(PINS)?;
    let all = steps(&pins);
    let chosen: Vec<&Step> = all
        .iter()
        .filter(|step| wanted == "all" || step.name == wanted)
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = all.iter().map(|step| step.name.as_str()).collect();
        let names = names.join(", ");
        return Err(vec![format!("there is no step {wanted}, only: {names}")]);
    }
    let mut failed = Vec::new();
    for step in chosen {
        let mut run = workspace.program(SIM, Build::Fresh);
        run.args(["--omit", &step.name, "--find", "--seeds", FIND_SEEDS]);
        match output(run.current_dir(&workspace.root)) {
            Ok(seed) => {
                let seed = seed.trim();
                println!("{:<24} {} (was {})", step.name, seed, step.seed);
                pins = pinned(&pins, step, seed);
            }
            Err(findings) => failed.extend(findings),
        }
    }
    fs::write(workspace.root.join(PINS), pins)
        .map_err(|error| vec![format!("{PINS}: cannot be written: {error}")])?;
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed)
    }
}

/// A pin as the source says it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    variant: String,
    /// As the command line calls it.
    name: String,
    seed: String,
}

/// The pins in the source: `step: Step::SomeStep,` and `seed: 5,` below it.
fn steps(source: &str) -> Vec<Step> {
    let value = |line: &str, key: &str| {
        let value = line.trim().strip_prefix(key)?.strip_suffix(',')?;
        Some(value.trim().to_owned())
    };
    let lines: Vec<&str> = source.lines().collect();
    lines
        .windows(2)
        .filter_map(|pair| {
            let variant = value(pair[0], "step: Step::")?;
            let seed = value(pair[1], "seed:")?;
            let name = kebab(&variant);
            Some(Step {
                variant,
                name,
                seed,
            })
        })
        .collect()
}

fn pinned(source: &str, step: &Step, seed: &str) -> String {
    let Step {
        variant, seed: was, ..
    } = step;
    let pin = |seed: &str| format!("step: Step::{variant},\n        seed: {seed},");
    source.replacen(&pin(was), &pin(seed), 1)
}

fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests;
