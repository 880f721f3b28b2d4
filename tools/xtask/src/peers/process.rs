//! Servers as processes: started apart from this program, found again by their id, ended by it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Findings;
use crate::workspace::output;

/// The file with the process id and when that process began: an id alone may belong to another process by now.
const PID_FILE: &str = "pid";
const LOG_FILE: &str = "log";

/// How long a server may take to end by itself.
const END_MAX: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A server that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pid: u32,
    began: String,
}

impl Running {
    /// The server whose files are in `folder`, if it runs.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join(PID_FILE)).ok()?;
        let (pid, began) = text.trim().split_once(' ')?;
        let running = Self {
            pid: pid.parse().ok()?,
            began: began.to_owned(),
        };
        running.is_alive().then_some(running)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    fn is_alive(&self) -> bool {
        began(self.pid).as_ref() == Some(&self.began)
    }

    /// Asks it to end, and ends it when it does not.
    pub(crate) fn stop(&self) -> Result<(), Findings> {
        for signal in ["-TERM", "-KILL"] {
            output(Command::new("kill").args([signal, &self.pid.to_string()]))?;
            let asked = Instant::now();
            while asked.elapsed() < END_MAX {
                if !self.is_alive() {
                    return Ok(());
                }
                thread::sleep(LOOK_AGAIN);
            }
        }
        Err(vec![format!("process {} does not end", self.pid)])
    }
}

/// When a process began, in ticks since the machine did; none when there is no such process or it has ended.
fn began(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in brackets, may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let began = fields.nth(18)?;
    (state != "Z").then(|| began.to_owned())
}

/// Starts a server on one processor and waits until it listens.
pub(crate) fn start(
    command: Command,
    cpu: Option<usize>,
    port: u16,
    folder: &Path,
    longest: Duration,
) -> Result<Running, Findings> {
    if listens(port) {
        return Err(vec![format!(
            "something else listens at 127.0.0.1:{port}; end it first"
        )]);
    }
    let log = folder.join(LOG_FILE);
    let failed = |what: &str, error: std::io::Error| vec![format!("{what}: {error}")];
    let out = File::create(&log).map_err(|error| failed("the log cannot be made", error))?;
    let errors = out
        .try_clone()
        .map_err(|error| failed("the log cannot be made", error))?;
    let mut command = pinned(command, cpu);
    let child = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(errors)
        .spawn();
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child =
        child.map_err(|error| failed(&format!("{program} cannot be started"), error))?;
    let begun = began(child.id()).ok_or_else(|| vec![told(&log, "it ended at once")])?;
    let running = Running {
        pid: child.id(),
        began: begun,
    };
    let text = format!("{} {}\n", running.pid, running.began);
    fs::write(folder.join(PID_FILE), text)
        .map_err(|error| failed("its process id cannot be kept", error))?;
    let asked = Instant::now();
    while asked.elapsed() < longest {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return Err(vec![told(&log, "it ended")]);
        }
        if listens(port) {
            return Ok(running);
        }
        thread::sleep(LOOK_AGAIN);
    }
    running.stop()?;
    Err(vec![told(
        &log,
        &format!("it does not listen after {longest:?}"),
    )])
}

/// The command on one processor, by `taskset`, which Debian has in an essential package.
fn pinned(command: Command, cpu: Option<usize>) -> Command {
    let Some(cpu) = cpu else {
        return command;
    };
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &cpu.to_string()]);
    pinned.arg(command.get_program());
    pinned.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        pinned.current_dir(folder);
    }
    pinned
}

fn listens(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

/// What happened, with the end of the server's log.
fn told(log: &Path, what: &str) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(10)..].join("\n");
    format!("{what}; the end of {}:\n{last}", log.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_id_and_when_it_began_and_ends_by_both() {
        let folder = std::env::temp_dir().join(format!("xtask-peers-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let running = Running {
            pid: child.id(),
            began: began(child.id()).unwrap(),
        };
        let other = Running {
            pid: child.id(),
            began: "1".to_owned(),
        };
        assert!(running.is_alive() && !other.is_alive());
        let text = format!("{} {}\n", running.pid, running.began);
        fs::write(folder.join(PID_FILE), text).unwrap();
        assert_eq!(Running::read(&folder), Some(running.clone()));
        running.stop().unwrap();
        child.wait().unwrap();
        assert_eq!(Running::read(&folder), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
