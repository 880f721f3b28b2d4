//! The server of Debian's package, as a process that ends with whoever started it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use thiserror::Error;

/// Where Debian keeps the server; its manifest names the libraries beside it.
const JAR: &str = "/usr/share/java/zookeeper.jar";
/// What a server that speaks TLS needs beside those.
const TLS_JARS: [&str; 2] = [
    "/usr/share/java/netty-codec.jar",
    "/usr/share/java/netty-resolver.jar",
];
const JAVA: &str = "/usr/bin/java";
const MAIN: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";

/// The file of settings in a server's directory.
const SETTINGS: &str = "zoo.cfg";
/// What a server logs that cannot have its port.
const PORT_IS_TAKEN: &str = "Address already in use";
/// What a server said, in its directory.
const LOG: &str = "log";

/// How long a server may take to answer, on a machine that is busy.
const START_MAX: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A port that was free may be taken before the server binds it.
pub(crate) const PORTS_TRIED: u32 = 5;

/// Runs the server and ends it once standard input ends, which it does with the process that holds the other end of the
/// pipe, however that one ends.
const RUN: &str = r#""$@" & server=$!; read -r end; kill -9 "$server"; wait "$server""#;

/// Its own log, so that a failed start can be told; nothing else goes to the console.
const LOGGING: &str = "\
log4j.rootLogger=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %-5p %m%n
";

/// What it takes to run a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    java: PathBuf,
    jar: PathBuf,
}

impl Installation {
    /// The command that runs a server of one node, with its data and settings in `directory`, which are written.
    ///
    /// # Errors
    /// When the settings cannot be written.
    pub fn command(&self, directory: &Path, address: SocketAddr) -> io::Result<Command> {
        fs::write(directory.join("log4j.properties"), LOGGING)?;
        // Short ticks allow short sessions: from 2 to 200 of them.
        let settings = format!(
            "tickTime=100\nmaxSessionTimeout=20000\ndataDir={}\nclientPort={}\nclientPortAddress={}\nmaxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n",
            directory.join("data").display(),
            address.port(),
            address.ip()
        );
        let settings_file = directory.join(SETTINGS);
        fs::write(&settings_file, settings)?;
        let mut command = Command::new(&self.java);
        // It starts in half the time without the second compiler, and a test writes little.
        command.args([
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dzookeeper.forceSync=no",
            "-Dzookeeper.jmx.log4j.disable=true",
            "-Dzookeeper.preAllocSize=1024",
        ]);
        command.arg("-cp");
        command.arg(format!(
            "{}:{}:{}",
            directory.display(),
            self.jar.display(),
            TLS_JARS.join(":")
        ));
        command.arg(MAIN).arg(&settings_file);
        Ok(command)
    }
}

/// What is not installed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{path} is missing: these tests need Debian's package zookeeper (3.8). Install it with `apt-get install zookeeper`, or let `cargo xtask test` do it as root"
)]
pub struct Missing {
    /// The file that was looked for.
    pub path: PathBuf,
}

/// Looks for the server and for Java.
///
/// # Errors
/// [`Missing`] says what to install.
pub fn installation() -> Result<Installation, Missing> {
    let found = |path: &str| {
        let path = PathBuf::from(path);
        if path.is_file() {
            Ok(path)
        } else {
            Err(Missing { path })
        }
    };
    Ok(Installation {
        jar: found(JAR)?,
        java: found(JAVA)?,
    })
}

/// Why a server does not run.
#[derive(Debug, Error)]
pub enum StartError {
    /// It is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// Its files could not be written, or its process not started.
    #[error("the ZooKeeper server cannot be started: {0}")]
    Io(#[from] io::Error),
    /// It ended, or never answered.
    #[error("the ZooKeeper server does not answer at {address}; it said:\n{log}")]
    Silent {
        /// Where it was to listen.
        address: SocketAddr,
        /// What it logged.
        log: String,
    },
}

impl StartError {
    /// Whether somebody else had taken a port meanwhile.
    pub(crate) fn is_of_a_port(&self) -> bool {
        matches!(self, Self::Silent { log, .. } if log.contains(PORT_IS_TAKEN))
    }
}

/// Files in PEM for a server that speaks TLS.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// Its certificate and the key to it.
    pub own: PathBuf,
    /// The authority from which its clients have theirs; each must show one.
    pub authority: PathBuf,
}

impl Certificates {
    /// The settings with which a server listens for TLS, too.
    fn settings(&self, address: SocketAddr) -> String {
        format!(
            "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\nsecureClientPort={}\nsecureClientPortAddress={}\nssl.keyStore.location={}\nssl.trustStore.location={}\nssl.clientAuth=need\n",
            address.port(),
            address.ip(),
            self.own.display(),
            self.authority.display()
        )
    }
}

/// A server of one node on loopback. Its data is in memory and temporary files: an answered write survives
/// [`Server::restart`], not the machine.
#[derive(Debug)]
pub struct Server {
    installation: Installation,
    directory: TempDir,
    address: SocketAddr,
    /// Where it speaks TLS, if it does, and what it needs for that.
    secure: Option<(SocketAddr, Certificates)>,
    process: Process,
}

impl Server {
    /// Starts a server with no data on a port that is free.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start() -> Result<Self, StartError> {
        Self::start_as(Ipv4Addr::LOCALHOST.into(), None)
    }

    /// As [`Server::start`], at another address of this machine.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_at(host: IpAddr) -> Result<Self, StartError> {
        Self::start_as(host, None)
    }

    /// As [`Server::start`], and it speaks TLS at [`Server::secure_address`].
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_secured(certificates: Certificates) -> Result<Self, StartError> {
        Self::start_as(Ipv4Addr::LOCALHOST.into(), Some(certificates))
    }

    fn start_as(host: IpAddr, certificates: Option<Certificates>) -> Result<Self, StartError> {
        let installation = installation()?;
        let directory = TempDir::new()?;
        let mut tried = 0;
        loop {
            tried += 1;
            let address = free_address(host)?;
            let secure = match &certificates {
                None => None,
                Some(certificates) => Some((free_address(host)?, certificates.clone())),
            };
            let more = secure_settings(secure.as_ref());
            match Process::start(&installation, directory.path(), address, &more) {
                Ok(process) => {
                    return Ok(Self {
                        installation,
                        directory,
                        address,
                        secure,
                        process,
                    });
                }
                Err(error) if tried < PORTS_TRIED && error.is_of_a_port() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where clients reach it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients reach it in TLS, if it was started so.
    #[must_use]
    pub fn secure_address(&self) -> Option<SocketAddr> {
        self.secure.as_ref().map(|(address, _)| *address)
    }

    /// A number that the server counts: `zk_znode_count`, `zk_watch_count`, `zk_approximate_data_size`.
    ///
    /// # Errors
    /// When the server does not answer, or does not count such a thing.
    pub fn count(&self, name: &str) -> io::Result<u64> {
        let counts = ask(self.address, "mntr")?;
        let mut lines = counts.lines().filter_map(|line| line.split_once('\t'));
        let count = lines.find_map(|(key, count)| (key == name).then(|| count.parse().ok())?);
        count.ok_or_else(|| io::Error::other(format!("it counts no {name}")))
    }

    /// Ends the server as a crash would, and keeps its data and port.
    pub fn kill(&mut self) {
        self.process.end();
    }

    /// Ends the server and loses its data; keeps its port.
    ///
    /// # Errors
    /// When the data cannot be removed.
    pub fn lose(&mut self) -> io::Result<()> {
        self.kill();
        fs::remove_dir_all(self.directory.path().join("data"))
    }

    /// Starts the server again with its data, at the same address.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.kill();
        let more = secure_settings(self.secure.as_ref());
        let directory = self.directory.path();
        self.process = Process::start(&self.installation, directory, self.address, &more)?;
        Ok(())
    }
}

fn secure_settings(secure: Option<&(SocketAddr, Certificates)>) -> String {
    secure.map_or_else(String::new, |(address, certificates)| {
        certificates.settings(*address)
    })
}

#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts it, and waits until it serves.
    fn start(
        installation: &Installation,
        directory: &Path,
        address: SocketAddr,
        more_settings: &str,
    ) -> Result<Self, StartError> {
        let mut process = Self::spawn(installation, directory, address, more_settings)?;
        process.wait_until_served(directory, address)?;
        Ok(process)
    }

    pub(crate) fn spawn(
        installation: &Installation,
        directory: &Path,
        address: SocketAddr,
        more_settings: &str,
    ) -> Result<Self, StartError> {
        let log = fs::File::create(directory.join(LOG))?;
        let server = installation.command(directory, address)?;
        let mut settings = fs::OpenOptions::new();
        let mut settings = settings.append(true).open(directory.join(SETTINGS))?;
        settings.write_all(more_settings.as_bytes())?;
        let mut command = Command::new("sh");
        command.args(["-c", RUN, "sh"]).arg(server.get_program());
        command.args(server.get_args());
        command.stdin(Stdio::piped()).stdout(log.try_clone()?);
        Ok(Self(command.stderr(log).spawn()?))
    }

    /// Ends it when it does not.
    pub(crate) fn wait_until_served(
        &mut self,
        directory: &Path,
        address: SocketAddr,
    ) -> Result<(), StartError> {
        let log_file = directory.join(LOG);
        let asked = Instant::now();
        while asked.elapsed() < START_MAX {
            if serves(address) {
                return Ok(());
            }
            if port_is_taken(&log_file) {
                break;
            }
            thread::sleep(LOOK_AGAIN);
        }
        self.end();
        Err(StartError::Silent {
            address,
            log: fs::read_to_string(&log_file).unwrap_or_default(),
        })
    }

    /// Ends the server: the shell does it when its standard input ends.
    pub(crate) fn end(&mut self) {
        drop(self.0.stdin.take());
        // It has ended either way.
        self.0.wait().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn port_is_taken(log_file: &Path) -> bool {
    fs::read_to_string(log_file).is_ok_and(|log| log.contains(PORT_IS_TAKEN))
}

pub(crate) fn free_address(host: IpAddr) -> io::Result<SocketAddr> {
    TcpListener::bind((host, 0))?.local_addr()
}

/// Asks a server one of ZooKeeper's commands of four letters.
fn ask(address: SocketAddr, command: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(command.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Whether a server says that it serves.
pub(crate) fn serves(address: SocketAddr) -> bool {
    ask(address, "srvr").is_ok_and(|answer| answer.contains("Mode: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_serves_until_it_is_dropped_and_comes_back_where_it_was() {
        let mut server = Server::start().unwrap();
        let address = server.address();
        assert!(serves(address));
        server.kill();
        assert!(!serves(address));
        server.restart().unwrap();
        assert!(serves(address) && server.address() == address);
        drop(server);
        assert!(!serves(address));
    }
}
