//! Several servers that agree by majority.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use tempfile::TempDir;

use crate::server::{Installation, PORTS_TRIED, Process, StartError, free_address, installation};

/// Settings of every member: short times, as its ticks are.
const SETTINGS: &str = "initLimit=100\nsyncLimit=50\n";

/// Servers on loopback that are one store while most of them run. Its data is in temporary files.
#[derive(Debug)]
pub struct Ensemble {
    installation: Installation,
    members: Vec<Member>,
    /// What each has to know of all.
    settings: String,
}

#[derive(Debug)]
struct Member {
    directory: TempDir,
    address: SocketAddr,
    /// None while it is killed.
    process: Option<Process>,
}

impl Ensemble {
    /// Starts so many servers with no data on ports that are free, and waits until they serve.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(servers: usize) -> Result<Self, StartError> {
        let mut tried = 0;
        loop {
            tried += 1;
            match Self::try_start(servers) {
                Err(error) if tried < PORTS_TRIED && error.is_of_a_port() => {}
                started => return started,
            }
        }
    }

    fn try_start(servers: usize) -> Result<Self, StartError> {
        let host = Ipv4Addr::LOCALHOST.into();
        let mut ensemble = Self {
            installation: installation()?,
            members: Vec::with_capacity(servers),
            settings: SETTINGS.to_owned(),
        };
        for number in 1..=servers {
            let (follow, elect) = (free_address(host)?, free_address(host)?);
            let line = format!(
                "server.{number}={host}:{}:{}\n",
                follow.port(),
                elect.port()
            );
            ensemble.settings.push_str(&line);
            let directory = TempDir::new()?;
            let data = directory.path().join("data");
            fs::create_dir(&data)?;
            fs::write(data.join("myid"), number.to_string())?;
            ensemble.members.push(Member {
                directory,
                address: free_address(host)?,
                process: None,
            });
        }
        let all: Vec<usize> = (0..servers).collect();
        ensemble.restart(&all)?;
        Ok(ensemble)
    }

    /// Where clients reach it: all addresses, as a connection string has them.
    #[must_use]
    pub fn addresses(&self) -> String {
        let addresses = self.members.iter().map(|member| member.address.to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Ends a server, counted from 0, as a crash would, and keeps its data and ports.
    pub fn kill(&mut self, server: usize) {
        self.members[server].process = None;
    }

    /// Starts servers again with their data, and waits until they serve, for which most of all must run.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn restart(&mut self, servers: &[usize]) -> Result<(), StartError> {
        for &server in servers {
            let member = &mut self.members[server];
            let directory = member.directory.path();
            let spawned = Process::spawn(
                &self.installation,
                directory,
                member.address,
                &self.settings,
            )?;
            member.process = Some(spawned);
        }
        for &server in servers {
            let member = &mut self.members[server];
            if let Some(process) = &mut member.process {
                process.wait_until_served(member.directory.path(), member.address)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::serves;

    #[test]
    fn an_ensemble_serves_while_most_of_it_runs() {
        let mut ensemble = Ensemble::start(3).unwrap();
        let last = ensemble.members[2].address;
        assert!(serves(last));
        ensemble.kill(0);
        assert!(serves(last));
        ensemble.kill(1);
        while serves(last) {
            std::thread::yield_now();
        }
        ensemble.restart(&[0]).unwrap();
        while !serves(last) {
            std::thread::yield_now();
        }
    }
}
