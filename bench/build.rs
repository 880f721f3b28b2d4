//! Tells the program what it was built from, for the results that it writes.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(profile) = std::env::var("PROFILE") {
        // `PROFILE` is debug or release; the profile's own name is the folder that the output goes to.
        let out = std::env::var("OUT_DIR").unwrap_or_default();
        let named = std::path::Path::new(&out).ancestors().nth(3);
        let named = named.and_then(|dir| dir.file_name()?.to_str().map(str::to_owned));
        println!(
            "cargo::rustc-env=RINGLOG_PROFILE={}",
            named.unwrap_or(profile)
        );
    }
    let Some(head) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return;
    };
    // A commit or a checkout writes to the log of HEAD.
    if let Some(log) = git(&[
        "rev-parse",
        "--path-format=absolute",
        "--git-path",
        "logs/HEAD",
    ]) {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rustc-env=RINGLOG_REVISION={head}");
}

/// What git says; none without git or outside of a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
