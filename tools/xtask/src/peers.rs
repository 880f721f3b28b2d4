//! The systems that the broker is compared with: started on loopback from what the package registries hold.
//!
//! Each comes in two variants: `durable` writes to the device before it acknowledges, `default` does what the system
//! does when nobody tells it otherwise. Programs, data, logs and process ids are kept in `target/peers`; `stop` ends
//! what `start` began, by its process id, and removes its data.

mod kafka;
mod nats;
pub(crate) mod process;
mod redis;

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use self::process::Running;
use crate::Findings;
use crate::workspace::Workspace;

/// How long a server may take to listen.
const START_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Kafka,
    Nats,
    Redis,
}

impl Peer {
    const ALL: [Self; 3] = [Self::Kafka, Self::Nats, Self::Redis];

    fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Nats => "nats",
            Self::Redis => "redis",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Durable,
    Default,
}

impl Variant {
    const ALL: [Self; 2] = [Self::Durable, Self::Default];

    fn name(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Default => "default",
        }
    }
}

/// One server.
#[derive(Clone, Copy, Debug)]
struct Server {
    peer: Peer,
    variant: Variant,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.peer.name(), self.variant.name())
    }
}

impl Server {
    /// Where it listens: beside the usual ports, so that what is there already stays untouched.
    fn port(self) -> u16 {
        let first = match self.peer {
            Peer::Kafka => 19_092,
            Peer::Nats => 14_222,
            Peer::Redis => 16_379,
        };
        match self.variant {
            Variant::Durable => first,
            Variant::Default => first + 10,
        }
    }

    fn folder(self, workspace: &Workspace) -> PathBuf {
        workspace.target.join("peers").join(self.to_string())
    }
}

/// What it takes to run a server: the command, and the settings that matter as they are printed.
struct Prepared {
    command: Command,
    settings: Vec<String>,
}

/// `cargo xtask peers …`.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Result<(), Findings> {
    let [verb, rest @ ..] = arguments else {
        return Err(usage("what is to be done?"));
    };
    let mut servers = Vec::new();
    let mut variants = Variant::ALL.to_vec();
    let mut cpu = None;
    let mut rest = rest.iter();
    let mut peers = Vec::new();
    while let Some(&word) = rest.next() {
        match word {
            "all" => peers = Peer::ALL.to_vec(),
            "--variant" => {
                let name = rest.next().copied().unwrap_or_default();
                let found = Variant::ALL.into_iter().find(|one| one.name() == name);
                variants = vec![found.ok_or_else(|| usage("--variant is durable or default"))?];
            }
            "--cpu" => {
                let number = rest.next().and_then(|number| number.parse::<usize>().ok());
                cpu = Some(number.ok_or_else(|| usage("--cpu is the number of a processor"))?);
            }
            name => {
                let found = Peer::ALL.into_iter().find(|one| one.name() == name);
                peers.push(found.ok_or_else(|| usage(&format!("{name:?} is no peer")))?);
            }
        }
    }
    if peers.is_empty() {
        match *verb {
            "start" => return Err(usage("which peer is to be started?")),
            _ => peers = Peer::ALL.to_vec(),
        }
    }
    for peer in peers {
        servers.extend(variants.iter().map(|&variant| Server { peer, variant }));
    }
    let mut findings = Vec::new();
    for server in servers {
        let outcome = match *verb {
            "start" => start(workspace, server, cpu.or_else(last_cpu)),
            "stop" => stop(workspace, server),
            "status" => status(workspace, server),
            _ => return Err(usage(&format!("{verb:?} is not start, stop or status"))),
        };
        if let Err(reasons) = outcome {
            findings.extend(
                reasons
                    .into_iter()
                    .map(|reason| format!("{server}: {reason}")),
            );
        }
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(findings)
    }
}

fn usage(reason: &str) -> Findings {
    vec![
        reason.to_owned(),
        "cargo xtask peers start kafka|nats|redis|all [--variant durable|default] [--cpu N]; or stop, or status"
            .to_owned(),
    ]
}

/// The processor that a broker's one shard is pinned to as well, so that the generator has the first one for itself; none
/// where there is only one.
fn last_cpu() -> Option<usize> {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    (count > 1).then(|| count - 1)
}

fn start(workspace: &Workspace, server: Server, cpu: Option<usize>) -> Result<(), Findings> {
    let folder = server.folder(workspace);
    if let Some(running) = Running::read(&folder) {
        let pid = running.pid();
        println!(
            "{server} runs already: 127.0.0.1:{}, process {pid}",
            server.port()
        );
        return Ok(());
    }
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder)
        .map_err(|error| vec![format!("{} cannot be made: {error}", folder.display())])?;
    let prepared = match server.peer {
        Peer::Kafka => kafka::prepare(workspace, server, &folder)?,
        Peer::Nats => nats::prepare(workspace, server, &folder)?,
        Peer::Redis => redis::prepare(workspace, server, &folder)?,
    };
    let port = server.port();
    let running = process::start(prepared.command, cpu, port, &folder, START_MAX)?;
    let place = cpu.map_or("not pinned".to_owned(), |cpu| format!("processor {cpu}"));
    println!(
        "{server}: 127.0.0.1:{port}, process {}, {place}",
        running.pid()
    );
    for setting in prepared.settings {
        println!("  {setting}");
    }
    let (peer, variant) = (server.peer.name(), server.variant.name());
    println!("  load it with: ringlog bench produce --driver {peer} --bootstrap 127.0.0.1:{port}");
    println!("  end it with: cargo xtask peers stop {peer} --variant {variant}");
    Ok(())
}

fn stop(workspace: &Workspace, server: Server) -> Result<(), Findings> {
    let folder = server.folder(workspace);
    if let Some(running) = Running::read(&folder) {
        running.stop()?;
        println!("{server}: ended process {}", running.pid());
    }
    fs::remove_dir_all(&folder).ok();
    Ok(())
}

fn status(workspace: &Workspace, server: Server) -> Result<(), Findings> {
    match Running::read(&server.folder(workspace)) {
        Some(running) => {
            println!(
                "{server}: 127.0.0.1:{}, process {}",
                server.port(),
                running.pid()
            );
        }
        None => println!("{server}: not running"),
    }
    Ok(())
}

/// Writes a file of settings and gives its path.
fn write_settings(folder: &std::path::Path, name: &str, text: &str) -> Result<PathBuf, Findings> {
    let path = folder.join(name);
    fs::write(&path, text)
        .map_err(|error| vec![format!("{} cannot be written: {error}", path.display())])?;
    Ok(path)
}
