//! The ZooKeeper server that tests of coordination run against: Debian's package, installed when it is missing.
//!
//! A test without it fails; none is skipped. Only root can install, everybody else is told what to do.

use std::process::Command;

use ringlog_zookeeper::installation;

use crate::Findings;
use crate::workspace::{Workspace, output};

const PACKAGE: &str = "zookeeper";

/// Sees to it that the server is installed.
pub(crate) fn ensure(workspace: &Workspace) -> Result<(), Findings> {
    let Err(missing) = installation() else {
        return Ok(());
    };
    let told = || vec![missing.to_string()];
    if !is_root() {
        return Err(told());
    }
    println!("zookeeper: installing Debian's package {PACKAGE}");
    // The lists of packages may be missing, or name a release that is gone.
    let installed = install(workspace).or_else(|_| {
        workspace.run(Command::new("apt-get").args(["update", "--quiet"]))?;
        install(workspace)
    });
    installed.map_err(|mut findings| {
        findings.extend(told());
        findings
    })?;
    installation()
        .map(drop)
        .map_err(|missing| vec![missing.to_string()])
}

/// Without what Debian recommends: the package starts no service of its own.
fn install(workspace: &Workspace) -> Result<(), Findings> {
    let mut install = Command::new("apt-get");
    install.args([
        "install",
        "--quiet",
        "--yes",
        "--no-install-recommends",
        PACKAGE,
    ]);
    workspace.run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
