//! A terminal in an empty folder.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::document::{INTERRUPT, Step};
use super::placeholders::Placeholders;
use crate::process::{Broker, Guard, PATIENCE, PAUSE, Start, data_of, directory, ready_address};

/// The last line that a broker says when it is ready.
const READY: &str = "Ctrl-C stops the broker";

/// In the place of the program: a broker gets free ports and no cores of its own; all else is as it was typed.
const WRAPPER: &str = r#"#!/bin/bash
if [ "$1" = broker ] && [[ " $* " != *" --help "* ]]; then
  shift
  set -- broker --listen 127.0.0.1:0 --admin 127.0.0.1:0 --cores none --shards 2 --memory 256MiB "$@"
fi
exec -a ringlog PROGRAM "$@"
"#;

pub(super) struct Session {
    directory: TempDir,
    /// Where a broker is reached.
    address: Option<SocketAddr>,
    /// The exit code of the command before.
    code: i32,
    /// A broker that was started beside the session.
    _beside: Option<Broker>,
    /// A broker that was typed, and how much it had said when it was looked at last.
    typed: Option<(Running, usize)>,
    outputs: usize,
}

/// A command that runs.
struct Running {
    process: Guard,
    output: PathBuf,
}

impl Running {
    fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap()
    }

    /// Waits until enough was said, or it has ended.
    #[track_caller]
    fn wait_until(&mut self, is_enough: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if is_enough(&said) || self.process.has_ended() {
                return said;
            }
            assert!(Instant::now() < deadline, "it said no more than: {said}");
            std::thread::sleep(PAUSE);
        }
    }
}

impl Session {
    pub(super) fn new(has_broker: bool) -> Self {
        let directory = directory();
        let root = directory.path();
        let (bin, here) = (root.join("bin"), root.join("here"));
        fs::create_dir(&bin).unwrap();
        fs::create_dir(&here).unwrap();
        let wrapper = bin.join("ringlog");
        let program = env!("CARGO_BIN_EXE_ringlog");
        fs::write(&wrapper, WRAPPER.replace("PROGRAM", program)).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        let beside = has_broker.then(|| {
            std::os::unix::fs::symlink(data_of(root), here.join("ringlog-data")).unwrap();
            Start::new(root).broker()
        });
        Self {
            address: beside.as_ref().map(|broker| broker.address),
            directory,
            code: 0,
            _beside: beside,
            typed: None,
            outputs: 0,
        }
    }

    /// Puts a file into the folder.
    pub(super) fn put(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join("here").join(name), text).unwrap();
    }

    /// The exit code of the last command.
    pub(super) fn code(&self) -> i32 {
        self.code
    }

    fn spawn(&mut self, script: &str) -> Running {
        let root = self.directory.path();
        self.outputs += 1;
        let output = root.join(format!("output-{}", self.outputs));
        let file = File::create(&output).unwrap();
        let mut shell = Command::new("bash");
        shell
            .args(["--noprofile", "--norc", "-c", script])
            .current_dir(root.join("here"))
            .env_clear()
            .env("PATH", format!("{}/bin:/usr/bin:/bin", root.display()))
            .env("HOME", root)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        if let Some(address) = self.address {
            shell.env("RINGLOG_BOOTSTRAP", address.to_string());
        }
        Running {
            process: Guard::of(shell.spawn().unwrap()),
            output,
        }
    }

    fn told(&self, command: &str, said: &str) -> String {
        let placeholders = Placeholders {
            address: self.address,
            command,
        };
        placeholders.put_into(said)
    }

    /// Types a command and gives what it says.
    pub(super) fn run(&mut self, command: &str) -> String {
        let mut running = self.spawn(&format!("(exit {})\n{command}", self.code));
        self.code = running.process.wait(command).unwrap();
        self.told(command, &running.said())
    }

    /// Types a command, and Ctrl-C when it has said as much as the document says.
    pub(super) fn follow(&mut self, command: &str, step: &Step) -> String {
        let mut running = self.spawn(&format!("exec {command}"));
        let lines = step.lines_before_interrupt();
        let before = running.wait_until(|said| said.lines().count() >= lines);
        running.process.signal("INT");
        self.code = running.process.wait(command).unwrap();
        let said = running.said();
        let (before, after) = said.split_at(before.len());
        self.told(command, &format!("{before}{INTERRUPT}\n{after}"))
    }

    /// Types a command that starts a broker, which goes on.
    pub(super) fn start_broker(&mut self, command: &str) -> String {
        let mut running = self.spawn(&format!("exec {command}"));
        let is_ready = |said: &str| {
            let ready = said.split_once(READY);
            ready.is_some_and(|(_, rest)| rest.ends_with("\n\n"))
        };
        let said = running.wait_until(is_ready);
        if !is_ready(&said) {
            self.code = running.process.wait(command).unwrap();
            return self.told(command, &running.said());
        }
        self.address = ready_address(&said);
        let told = self.told(command, &said);
        self.typed = Some((running, said.len()));
        told
    }

    /// Types Ctrl-C for the broker.
    pub(super) fn stop_broker(&mut self) -> String {
        let (mut running, before) = self.typed.take().unwrap();
        running.process.signal("INT");
        self.code = running.process.wait("the broker").unwrap();
        let told = self.told("ringlog broker", &running.said()[before..]);
        self.address = None;
        told
    }
}
