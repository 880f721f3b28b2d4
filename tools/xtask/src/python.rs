//! What the client in Python needs that tests the protocol: the package flatbuffers, and the code that flatc makes of
//! the schema. Both are kept in the target folder; nothing is installed elsewhere.

use std::fs;
use std::process::Command;

use crate::Findings;
use crate::codegen;
use crate::workspace::{Workspace, output};

/// The package, of the release of the compiler and the crate.
const PACKAGE: &str = "flatbuffers==25.12.19";

/// Sees to it that all of it is there, and of the schema as it is now.
pub(crate) fn ensure(workspace: &Workspace) -> Result<(), Findings> {
    let folder = workspace.target.join("python");
    let ready = folder.join("ready");
    let is_installed = fs::read_to_string(&ready).is_ok_and(|package| package == PACKAGE);
    if !is_installed {
        println!("python: installing {PACKAGE} with pip");
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--upgrade"]);
        pip.args(["--disable-pip-version-check", "--root-user-action=ignore"]);
        pip.arg("--target").arg(&folder).arg(PACKAGE);
        output(&mut pip).map_err(|mut findings| {
            findings.push(format!(
                "the test of the client in Python needs {PACKAGE} from PyPI: install python3 with pip (Debian: \
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
    fs::write(&ready, PACKAGE)
        .map_err(|error| vec![format!("{}: cannot be written: {error}", ready.display())])
}
