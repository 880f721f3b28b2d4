//! What tests in Python need: for the client that tests the protocol the package flatbuffers, and the code that flatc
//! makes of the schema; for the outside watcher of ZooKeeper the package kazoo. All is kept in the target folder; nothing
//! is installed elsewhere.

use std::fs;
use std::process::Command;

use crate::Findings;
use crate::codegen;
use crate::workspace::{Workspace, output};

/// The packages; flatbuffers of the release of the compiler and the crate.
const PACKAGES: [&str; 2] = ["flatbuffers==25.12.19", "kazoo==2.10.0"];

/// Sees to it that all of it is there, and of the schema as it is now.
pub(crate) fn ensure(workspace: &Workspace) -> Result<(), Findings> {
    let folder = workspace.target.join("python");
    let ready = folder.join("ready");
    let packages = PACKAGES.join(" ");
    let is_installed = fs::read_to_string(&ready).is_ok_and(|installed| installed == packages);
    if !is_installed {
        println!("python: installing {packages} with pip");
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--upgrade"]);
        pip.args(["--disable-pip-version-check", "--root-user-action=ignore"]);
        pip.arg("--target").arg(&folder).args(PACKAGES);
        output(&mut pip).map_err(|mut findings| {
            findings.push(format!(
                "tests in Python need {packages} from PyPI: install python3 with pip (Debian: \
                 `apt-get install python3-pip`)"
            ));
            findings
        })?;
    }
    let flatc = codegen::flatc(workspace)?;
    output(
        Command::new(flatc)
            .args(["--python", "--gen-object-api", "--gen-all", "--gen-onefile"])
            .arg("-o")
            .arg(&folder)
            .arg(codegen::SCHEMA)
            .current_dir(&workspace.root),
    )?;
    fs::write(&ready, packages)
        .map_err(|error| vec![format!("{}: cannot be written: {error}", ready.display())])
}
