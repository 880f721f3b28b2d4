//! Processes that end with the test, whatever becomes of it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a broker may take to log what is waited for: sessions end, and brokers come back.
const LOG_PATIENCE: Duration = Duration::from_secs(120);

/// How long a broker may take to start or stop, and a command to end, on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// A directory below the build's, so that it is on a file system with O_DIRECT where the build is.
pub(crate) fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// An address that is free until somebody takes it: the test's broker, most likely.
pub(crate) fn free_address() -> String {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    free.local_addr().unwrap().to_string()
}

/// The program under test.
fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_ringlog"));
    program
        .env_remove("RINGLOG_LOG")
        .env_remove("RINGLOG_BOOTSTRAP");
    program
}

/// A process that is killed and reaped when this is dropped.
pub(crate) struct Guard(Child);

/// Starts a command whose output is piped.
pub(crate) fn spawn(args: &[&str], stdin: Stdio) -> Guard {
    let mut command = program();
    command.args(args).stdin(stdin);
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Guard(piped.spawn().unwrap())
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Guard {
    /// Guards a process that was started otherwise.
    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.0.stdin.take().unwrap()
    }

    pub(crate) fn stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().unwrap()
    }

    pub(crate) fn stderr(&mut self) -> ChildStderr {
        self.0.stderr.take().unwrap()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.0.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success(), "{kill}");
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Waits for the end and gives the exit code, if it ended by itself.
    pub(crate) fn wait(&mut self, what: &str) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            if Instant::now() >= deadline {
                // Whoever reads its output would wait for ever.
                self.0.kill().ok();
                panic!("{what} did not end in {PATIENCE:?}");
            }
            thread::sleep(PAUSE);
        }
    }
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Finished {
    /// Fails the test unless the command succeeded; gives what it printed.
    #[track_caller]
    pub(crate) fn ok(self) -> Vec<u8> {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// As [`Finished::ok`], parsed.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_slice(&self.ok()).unwrap()
    }

    /// Fails the test unless the command ended with this code and said all of this.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.err);
        for part in said {
            assert!(self.err.contains(part), "{part:?} is not in: {}", self.err);
        }
    }
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str], input: &[u8]) -> Finished {
    let mut child = spawn(args, Stdio::piped());
    let (mut stdin, mut stdout, mut stderr) = (child.stdin(), child.stdout(), child.stderr());
    thread::scope(|scope| {
        let out = scope.spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).map(|_| bytes).unwrap()
        });
        let err = scope.spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text).unwrap()
        });
        scope.spawn(move || {
            // A command that has failed does not read on.
            stdin.write_all(input).ok();
        });
        let code = child.wait(&format!("{args:?}"));
        Finished {
            code,
            out: out.join().unwrap(),
            err: err.join().unwrap(),
        }
    })
}

/// A broker over a data directory; the directory is the test's.
pub(crate) struct Broker {
    process: Guard,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

/// How a broker is started.
pub(crate) struct Start<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) host: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) admin: &'a str,
    pub(crate) args: &'a [&'a str],
}

impl<'a> Start<'a> {
    /// On a free port, with two shards.
    pub(crate) fn new(directory: &'a Path) -> Self {
        Self {
            directory,
            host: Ipv4Addr::LOCALHOST,
            port: 0,
            admin: "none",
            args: &["--shards", "2"],
        }
    }

    /// The same with an admin address.
    pub(crate) fn with_admin(directory: &'a Path, admin: &'a str) -> Self {
        Self {
            admin,
            ..Self::new(directory)
        }
    }

    /// Starts it, and waits until it serves.
    #[track_caller]
    pub(crate) fn broker(&self) -> Broker {
        let (process, log) = self.launch();
        let mut broker = Broker {
            process,
            address: SocketAddr::from((self.host, self.port)),
            log,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = broker.log();
            if let Some(address) = ready_address(&log) {
                broker.address = address;
                return broker;
            }
            let ended = broker.process.0.try_wait().unwrap();
            assert!(ended.is_none(), "the broker ended: {log}");
            assert!(Instant::now() < deadline, "the broker did not start: {log}");
            thread::sleep(PAUSE);
        }
    }

    /// Starts one that must not serve.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, said: &[&str]) {
        let (mut process, log) = self.launch();
        let ended = process.wait("the broker");
        let finished = Finished {
            code: ended,
            out: Vec::new(),
            err: fs::read_to_string(log).unwrap(),
        };
        finished.refused(code, said);
    }

    /// Starts it; gives where its log is.
    pub(crate) fn launch(&self) -> (Guard, PathBuf) {
        let number = fs::read_dir(self.directory).unwrap().count();
        let log = self.directory.join(format!("broker-{number}.log"));
        let mut command = program();
        command
            .args(["broker", "--cores", "none", "--memory", "256MiB"])
            .args(["--admin", self.admin])
            .args(["--listen", &format!("{}:{}", self.host, self.port)])
            .arg("--data-dir")
            .arg(data_of(self.directory))
            .args(self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap());
        (Guard(command.spawn().unwrap()), log)
    }
}

/// The data directory of a broker in a test's directory.
pub(crate) fn data_of(directory: &Path) -> PathBuf {
    directory.join("data")
}

pub(crate) fn ready_address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("Ready on ")?;
    let (address, _) = rest.split_once(". ")?;
    address.parse().ok()
}

impl Broker {
    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has logged this.
    pub(crate) fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + LOG_PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "{}", self.log());
            thread::sleep(PAUSE);
        }
    }

    /// Runs a command against it.
    pub(crate) fn run(&self, args: &[&str], input: &[u8]) -> Finished {
        let address = self.address.to_string();
        let mut all = args.to_vec();
        all.extend(["--bootstrap", &address]);
        run(&all, input)
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> Vec<u8> {
        self.run(args, b"").ok()
    }

    /// Kills it as kill -9 does.
    pub(crate) fn kill(mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    /// Asks it to stop, and waits for that; gives the exit code.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let code = self.process.wait("the broker");
        (code, self.log())
    }

    /// As [`Broker::terminate`], when it was asked already.
    pub(crate) fn terminate_after_signal(mut self) -> (Option<i32>, String) {
        let code = self.process.wait("the broker");
        (code, self.log())
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }
}
