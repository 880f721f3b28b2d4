//! The ZooKeeper server that tests of coordination run against, and the tool with which one of them cuts a link: Debian's
//! packages, installed when they are missing.
//!
//! A test without it fails; none is skipped. Only root can install, everybody else is told what to do.

use std::process::Command;

use ringlog_zookeeper::installation;

use crate::Findings;
use crate::workspace::{Workspace, output};

/// A package, and whether it is there; if not, what is missing.
struct Package {
    name: &'static str,
    check: fn() -> Result<(), String>,
}

const SERVER: Package = Package {
    name: "zookeeper",
    check: || {
        installation()
            .map(drop)
            .map_err(|missing| missing.to_string())
    },
};

const IP: Package = Package {
    name: "iproute2",
    check: || match Command::new("ip").arg("-V").output() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "`ip`, with which a test cuts a link, does not run: {error}; `apt-get install iproute2` installs it"
        )),
    },
};

/// Sees to it that the server is installed.
pub(crate) fn ensure(workspace: &Workspace) -> Result<(), Findings> {
    ensure_package(workspace, &SERVER)
}

/// Sees to it that everything is installed that tests of coordination need.
pub(crate) fn ensure_for_tests(workspace: &Workspace) -> Result<(), Findings> {
    ensure(workspace)?;
    ensure_package(workspace, &IP)
}

fn ensure_package(workspace: &Workspace, package: &Package) -> Result<(), Findings> {
    let Err(missing) = (package.check)() else {
        return Ok(());
    };
    let told = || vec![missing.clone()];
    if !is_root() {
        return Err(told());
    }
    println!("zookeeper: installing Debian's package {}", package.name);
    // The lists of packages may be missing, or name a release that is gone.
    let installed = install(workspace, package.name).or_else(|_| {
        workspace.run(Command::new("apt-get").args(["update", "--quiet"]))?;
        install(workspace, package.name)
    });
    installed.map_err(|mut findings| {
        findings.extend(told());
        findings
    })?;
    (package.check)().map_err(|missing| vec![missing])
}

/// Without what Debian recommends: the package starts no service of its own.
fn install(workspace: &Workspace, package: &str) -> Result<(), Findings> {
    let mut install = Command::new("apt-get");
    install.args([
        "install",
        "--quiet",
        "--yes",
        "--no-install-recommends",
        package,
    ]);
    workspace.run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
