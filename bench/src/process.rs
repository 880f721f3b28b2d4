//! What processes use, from `/proc`.

use std::collections::BTreeSet;
use std::time::Duration;

use procfs::process::{FDTarget, Process, all_processes};

/// CPU time and memory of a process at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) memory_bytes: u64,
    /// Bytes that it had written to the device; 0 where that is not told.
    pub(crate) written_bytes: u64,
}

/// A process of this machine.
#[derive(Debug)]
pub(crate) struct Observed(Process);

impl Observed {
    /// This process.
    pub(crate) fn myself() -> Option<Self> {
        Process::myself().ok().map(Self)
    }

    /// The process that listens at `host:port`, if it is on this machine and can be seen.
    pub(crate) fn listening_at(bootstrap: &str) -> Option<Self> {
        let first = bootstrap.split(',').next()?;
        let (host, port) = first.rsplit_once(':')?;
        let is_here = ["127.", "localhost", "[::1]"]
            .iter()
            .any(|prefix| host.starts_with(prefix));
        let port: u16 = port.parse().ok()?;
        if !is_here {
            return None;
        }
        let inodes: Vec<u64> = [procfs::net::tcp(), procfs::net::tcp6()]
            .into_iter()
            .flatten()
            .flatten()
            .filter(|socket| {
                socket.state == procfs::net::TcpState::Listen && socket.local_address.port() == port
            })
            .map(|socket| socket.inode)
            .collect();
        let holds = |process: &Process| {
            let Ok(descriptors) = process.fd() else {
                return false;
            };
            descriptors.flatten().any(|descriptor| {
                matches!(descriptor.target, FDTarget::Socket(inode) if inodes.contains(&inode))
            })
        };
        all_processes().ok()?.flatten().find(holds).map(Self)
    }

    /// What it has used until now; none when it is gone.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let stat = self.0.stat().ok()?;
        let ticks = stat.utime + stat.stime;
        let per_second = procfs::ticks_per_second().max(1);
        Some(Usage {
            cpu: Duration::from_nanos(ticks * (1_000_000_000 / per_second)),
            memory_bytes: stat.rss * procfs::page_size(),
            written_bytes: self.0.io().map_or(0, |io| io.write_bytes),
        })
    }

    /// Where its threads may run: lists of processors, each told once.
    pub(crate) fn processors(&self) -> Option<String> {
        let tasks = self.0.tasks().ok()?.flatten();
        let lists = tasks.filter_map(|task| task.status().ok()?.cpus_allowed_list);
        let lists = lists.map(|list| {
            let ranges = list.into_iter().map(|(from, to)| {
                if from == to {
                    from.to_string()
                } else {
                    format!("{from}-{to}")
                }
            });
            ranges.collect::<Vec<_>>().join(",")
        });
        let distinct: BTreeSet<String> = lists.collect();
        (!distinct.is_empty()).then(|| distinct.into_iter().collect::<Vec<_>>().join(" and "))
    }

    /// The words that it was started with.
    pub(crate) fn command(&self) -> Option<String> {
        Some(self.0.cmdline().ok()?.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_process_that_listens_is_found_by_its_address_and_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let found = Observed::listening_at(&address).unwrap();
        assert_eq!(found.0.pid(), Process::myself().unwrap().pid());
        assert!(found.usage().unwrap().memory_bytes > 0);
        assert!(!found.processors().unwrap().is_empty());
        drop(listener);
        assert!(Observed::listening_at(&address).is_none());
        assert!(Observed::listening_at("192.0.2.1:80").is_none());
        assert!(Observed::listening_at("nonsense").is_none());
    }
}
