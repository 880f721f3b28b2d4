//! What a submission must pass, and how long each step takes.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::Findings;
use crate::codegen;
use crate::fuzz;
use crate::guards;
use crate::layers;
use crate::python;
use crate::tidy;
use crate::workspace::{Build, PROFILE, Workspace, cargo};
use crate::zookeeper;

type Step = (&'static str, fn(&Workspace) -> Result<(), Findings>);

/// The steps, the quick ones first.
const STEPS: &[Step] = &[
    ("fmt", fmt),
    ("tidy", tidy::run),
    ("layers", |workspace| {
        layers::run(workspace, layers::Mode::Check)
    }),
    ("codegen", |workspace| {
        codegen::run(workspace, codegen::Mode::Check)
    }),
    ("clippy", clippy),
    ("test", test),
    ("sim", |workspace| guards::seeds(workspace, Build::OfTests)),
    ("fuzz", |workspace| {
        fuzz::run(workspace, Build::OfTests, &[])
    }),
    ("doc", doc),
];

/// Runs every step and stops at the first that fails.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Findings> {
    let start = Instant::now();
    let mut took: Vec<(&str, Duration)> = Vec::new();
    for (name, step) in STEPS {
        println!("\n== {name}");
        let begin = Instant::now();
        step(workspace).map_err(|mut findings| {
            findings.push(format!("xtask ci: step {name} failed"));
            findings
        })?;
        took.push((name, begin.elapsed()));
    }
    println!();
    for (name, time) in &took {
        println!("{name:>8} {:7.1} s", time.as_secs_f64());
    }
    println!(
        "xtask ci: {} steps passed in {:.0} s",
        took.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn fmt(workspace: &Workspace) -> Result<(), Findings> {
    workspace.run(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Workspace) -> Result<(), Findings> {
    let mut clippy = cargo();
    clippy.args(["clippy", "--workspace", "--all-targets"]);
    // Behind `--`, since RUSTFLAGS would replace the frame-pointer flags of .cargo/config.toml.
    workspace.run(clippy.args(PROFILE).args(["--", "-D", "warnings"]))
}

/// Runs all tests of the workspace: unit, integration, documentation, and with them the proof that the simulation notices
/// each step that is left out.
/// Nothing has to be fetched for them but what cargo fetches, a ZooKeeper server, and packages for Python.
pub(crate) fn test(workspace: &Workspace) -> Result<(), Findings> {
    zookeeper::ensure_for_tests(workspace)?;
    python::ensure(workspace)?;
    workspace.run(cargo().args(["test", "--workspace"]).args(PROFILE))
}

fn doc(workspace: &Workspace) -> Result<(), Findings> {
    let mut doc: Command = cargo();
    doc.args(["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    workspace.run(doc.args(PROFILE))
}
