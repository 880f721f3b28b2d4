//! A cluster to try out: ZooKeeper and some brokers on loopback, each a process with its files in `target/cluster`.
//!
//! `stop` ends what `start` began, by its process id, and keeps the data: the next `start` goes on with it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::Findings;
use crate::peers::process::{self, Running};
use crate::workspace::{Workspace, cargo};
use crate::zookeeper;

/// Where ZooKeeper listens.
const ZOOKEEPER_PORT: u16 = 12181;

/// Where the first broker listens, and its admin port behind it; the next two ports are the next broker's.
const FIRST_PORT: u16 = 9400;

const BROKERS_MAX: u16 = 16;

/// How long a process may take to listen.
const START_MAX: Duration = Duration::from_secs(60);

/// `start [-n N]`, `stop`.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Result<(), Findings> {
    let count = |text: &str| {
        text.parse()
            .ok()
            .filter(|count| (1..=BROKERS_MAX).contains(count))
    };
    match arguments {
        ["start"] => start(workspace, 3),
        ["start", "-n", brokers] => match count(brokers) {
            Some(brokers) => start(workspace, brokers),
            None => Err(vec![format!("-n {brokers}: it must be 1 to {BROKERS_MAX}")]),
        },
        ["stop"] => stop(workspace),
        _ => Err(vec!["cluster start [-n N], or cluster stop".to_owned()]),
    }
}

fn folder(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target.join("cluster").join(name)
}

fn made(folder: PathBuf) -> Result<PathBuf, Findings> {
    fs::create_dir_all(&folder).map_err(|error| vec![format!("{}: {error}", folder.display())])?;
    Ok(folder)
}

fn start(workspace: &Workspace, brokers: u16) -> Result<(), Findings> {
    zookeeper::ensure(workspace)?;
    workspace.run(cargo().args(["build", "--release", "--package", "ringlog"]))?;
    let zookeeper = SocketAddr::from((Ipv4Addr::LOCALHOST, ZOOKEEPER_PORT));
    let home = made(folder(workspace, "zookeeper"))?;
    if Running::read(&home).is_none() {
        let installation =
            ringlog_zookeeper::installation().map_err(|missing| vec![missing.to_string()])?;
        let command = installation.command(&home, zookeeper);
        let command = command.map_err(|error| vec![format!("{}: {error}", home.display())])?;
        process::start(command, None, ZOOKEEPER_PORT, &home, START_MAX)?;
    }
    let program = workspace.target.join("release").join("ringlog");
    let mut addresses = Vec::new();
    for broker in 1..=brokers {
        let port = FIRST_PORT + 2 * (broker - 1);
        let listen = format!("127.0.0.1:{port}");
        let home = made(folder(workspace, &format!("broker-{broker}")))?;
        if Running::read(&home).is_none() {
            let mut command = Command::new(&program);
            command.args(["broker", "--cores", "none", "--memory", "256MiB"]);
            command.args([
                "--listen",
                &listen,
                "--admin",
                &format!("127.0.0.1:{}", port + 1),
            ]);
            command.arg("--data-dir").arg(home.join("data"));
            command.args(["--zookeeper", &format!("{zookeeper}/ringlog")]);
            command.args(["--broker-id", &broker.to_string()]);
            process::start(command, None, port, &home, START_MAX)?;
        }
        println!("broker {broker} at {listen}, log in {}", home.display());
        addresses.push(listen);
    }
    println!(
        "try: {} cluster status --bootstrap {}",
        program.display(),
        addresses.join(",")
    );
    Ok(())
}

fn stop(workspace: &Workspace) -> Result<(), Findings> {
    let mut findings = Vec::new();
    // Brokers first: they say good-bye.
    let brokers = (1..=BROKERS_MAX).map(|broker| format!("broker-{broker}"));
    for name in brokers.chain(["zookeeper".to_owned()]) {
        if let Some(running) = Running::read(&folder(workspace, &name)) {
            match running.stop() {
                Ok(()) => println!("{name} has ended"),
                Err(failed) => findings.extend(failed),
            }
        }
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(findings)
    }
}
