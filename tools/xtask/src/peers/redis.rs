//! Redis: Debian's server. The program is in the package redis-tools, which starts no service.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Prepared, Server, Variant, write_settings};
use crate::Findings;
use crate::workspace::{Workspace, output};

/// The one program that is server and checker, by the name that it is called by.
const DEBIAN_PROGRAM: &str = "/usr/bin/redis-check-rdb";

pub(super) fn prepare(
    workspace: &Workspace,
    server: Server,
    folder: &Path,
) -> Result<Prepared, Findings> {
    let program = program(workspace)?;
    let data = folder.join("data");
    std::fs::create_dir_all(&data)
        .map_err(|error| vec![format!("{} cannot be made: {error}", data.display())])?;
    let append = match server.variant {
        Variant::Durable => "appendonly yes\nappendfsync always\n",
        Variant::Default => "",
    };
    let settings = format!(
        "bind 127.0.0.1\nport {}\ndir {}\n{append}",
        server.port(),
        data.display()
    );
    let settings = write_settings(folder, "redis.conf", &settings)?;
    let version = output(Command::new(&program).arg("--version"))?;
    let mut command = Command::new(program);
    command.arg(settings);
    let append = match server.variant {
        Variant::Durable => "appendonly yes, appendfsync always: fsync before each acknowledgement",
        Variant::Default => "no append-only file: in memory, with snapshots from time to time",
    };
    Ok(Prepared {
        command,
        settings: vec![version.trim().to_owned(), append.to_owned()],
    })
}

/// The server: the one on the path, or Debian's by its other name.
fn program(workspace: &Workspace) -> Result<PathBuf, Findings> {
    let is_there = |program: &Path| output(Command::new(program).arg("--version")).is_ok();
    let on_path = PathBuf::from("redis-server");
    if is_there(&on_path) {
        return Ok(on_path);
    }
    if !Path::new(DEBIAN_PROGRAM).is_file() {
        println!("redis: installing Debian's package redis-tools");
        let mut install = Command::new("apt-get");
        install.args(["install", "--yes", "--no-install-recommends", "redis-tools"]);
        output(&mut install).map_err(|mut findings| {
            findings.push(
                "it cannot be installed: as root, `apt-get update && apt-get install redis-tools`"
                    .to_owned(),
            );
            findings
        })?;
    }
    let folder = workspace.target.join("peers").join("redis");
    let program = folder.join("redis-server");
    std::fs::create_dir_all(&folder)
        .map_err(|error| vec![format!("{} cannot be made: {error}", folder.display())])?;
    if !program.exists() {
        std::os::unix::fs::symlink(DEBIAN_PROGRAM, &program)
            .map_err(|error| vec![format!("{} cannot be made: {error}", program.display())])?;
    }
    if is_there(&program) {
        Ok(program)
    } else {
        Err(vec![format!("{DEBIAN_PROGRAM} is no Redis server")])
    }
}
