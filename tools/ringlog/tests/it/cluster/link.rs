//! Two network namespaces with a link between them, which can be cut: what `ip link set … down` does to a broker.
//!
//! Whatever is started while a thread is in a namespace has that network. A namespace goes with the process that holds it,
//! and that ends with its standard input, however the test ends.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::{ChildStdin, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::Guard;

/// Where ZooKeeper is, and most brokers.
pub(super) const NEAR: Ipv4Addr = Ipv4Addr::new(10, 199, 0, 1);
/// The broker that is cut off.
pub(super) const FAR: Ipv4Addr = Ipv4Addr::new(10, 199, 0, 2);

const INTERFACE: &str = "ringlog";

/// A network of its own.
struct Namespace {
    id: u32,
    entry: File,
    _holder: Guard,
    /// What the holder waits on.
    _hold: ChildStdin,
}

impl Namespace {
    fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && echo up && read end",
        ]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = piped.stderr(Stdio::piped()).spawn();
        let child = child.unwrap_or_else(|error| panic!("unshare (package util-linux): {error}"));
        let id = child.id();
        let mut holder = Guard::of(child);
        let (hold, mut said) = (holder.stdin(), String::new());
        BufReader::new(holder.stdout())
            .read_line(&mut said)
            .unwrap();
        if said != "up\n" {
            let mut reason = String::new();
            BufReader::new(holder.stderr())
                .read_line(&mut reason)
                .unwrap();
            panic!(
                "this test makes network namespaces and cuts the link between them: run it as root (CAP_SYS_ADMIN and \
                 CAP_NET_ADMIN), with the packages iproute2 and util-linux: {reason}"
            );
        }
        Self {
            id,
            entry: File::open(format!("/proc/{id}/ns/net")).unwrap(),
            _holder: holder,
            _hold: hold,
        }
    }

    /// Moves this thread, and what it starts from now on, into the namespace.
    fn enter(&self) {
        move_into_link_name_space(self.entry.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }
}

/// The link between this thread, with all that it starts, and the far side.
pub(super) struct Link {
    near: Namespace,
    far: Namespace,
}

impl Link {
    /// Makes both sides, and moves this thread to the near one.
    pub(super) fn new() -> Self {
        let link = Self {
            near: Namespace::new(),
            far: Namespace::new(),
        };
        link.near.enter();
        let far = link.far.id.to_string();
        let peer = ["peer", "name", INTERFACE, "netns", &far];
        ip(&[&["link", "add", INTERFACE, "type", "veth"], &peer[..]].concat());
        let up = |address: Ipv4Addr| {
            ip(&["addr", "add", &format!("{address}/24"), "dev", INTERFACE]);
            ip(&["link", "set", INTERFACE, "up"]);
        };
        up(NEAR);
        link.at_far(|| up(FAR));
        link
    }

    /// Does something on the far side.
    pub(super) fn at_far<T>(&self, work: impl FnOnce() -> T) -> T {
        self.far.enter();
        let done = work();
        self.near.enter();
        done
    }

    pub(super) fn cut(&self) {
        ip(&["link", "set", INTERFACE, "down"]);
    }

    pub(super) fn mend(&self) {
        ip(&["link", "set", INTERFACE, "up"]);
    }
}

fn ip(args: &[&str]) {
    let done = Command::new("ip").args(args).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {}: {said}", args.join(" "));
}
