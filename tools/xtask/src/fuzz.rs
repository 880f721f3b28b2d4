//! The fuzz targets: the seeded run that every submission passes, and runs guided by coverage.

use crate::Findings;
use crate::workspace::{Build, Workspace};

/// Where libFuzzer's side of the targets is, outside of the workspace.
const GUIDED: &str = "tools/fuzz/coverage";

/// How long a guided run goes on.
const GUIDED_SECONDS: u32 = 60;

/// Most memory of a guided run, in MiB: what the sanitizer takes is in it.
const GUIDED_MIB: u32 = 1024;

const PROGRAM: &str = "ringlog-fuzz";

/// Runs the targets from a seed.
pub(crate) fn run(workspace: &Workspace, build: Build, arguments: &[&str]) -> Result<(), Findings> {
    workspace.run(workspace.program(PROGRAM, build).args(arguments))
}

/// Runs one target with libFuzzer, from the samples and the inputs that are kept. Needs a nightly compiler and
/// cargo-fuzz.
pub(crate) fn guided(workspace: &Workspace, target: &str) -> Result<(), Findings> {
    let folder = workspace.target.join("fuzz");
    let corpus = folder.join(target);
    let mut samples = workspace.program(PROGRAM, Build::Fresh);
    samples.args(["--target", target]);
    workspace.run(samples.arg("--write-samples").arg(&folder))?;
    // The cargo of this compiler would not take another toolchain.
    let mut fuzz = std::process::Command::new("cargo");
    fuzz.env_remove("RUSTUP_TOOLCHAIN");
    fuzz.args(["+nightly", "fuzz", "run", "--fuzz-dir", GUIDED]);
    fuzz.arg("--target-dir").arg(folder.join("build"));
    fuzz.arg(target).arg(&corpus).arg("--");
    fuzz.arg(format!("-max_total_time={GUIDED_SECONDS}"));
    fuzz.arg(format!("-rss_limit_mb={GUIDED_MIB}"));
    let hint =
        "a guided run needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`";
    workspace.run(&mut fuzz).map_err(|mut findings| {
        findings.push(hint.to_owned());
        findings
    })
}
