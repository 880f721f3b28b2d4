//! Where ZooKeeper is: `host:port,host:port/root`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::store::NodePath;

/// The servers of a ZooKeeper ensemble, and the node in it that is the root of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZooKeeperAddress {
    servers: String,
    root: NodePath,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not host:port,host:port/root: {reason}")]
pub struct AddressError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl ZooKeeperAddress {
    /// The servers, `host:port` each, with commas between.
    #[must_use]
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// The names of the servers, or their addresses.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        let hosts = self.servers.split(',').filter_map(|server| {
            let (host, _) = server.rsplit_once(':')?;
            Some(host)
        });
        hosts.map(|host| host.trim_start_matches('[').trim_end_matches(']'))
    }

    /// The root of the store.
    #[must_use]
    pub fn root(&self) -> &NodePath {
        &self.root
    }
}

impl FromStr for ZooKeeperAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refuse = |reason: String| AddressError {
            text: text.to_owned(),
            reason,
        };
        let (servers, root) = text.split_once('/').unwrap_or((text, ""));
        for server in servers.split(',') {
            let port = server
                .rsplit_once(':')
                .filter(|(host, _)| !host.is_empty())
                .and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none_or(|port| port == 0) {
                return Err(refuse(format!("{server:?} is not host:port")));
            }
        }
        let root =
            NodePath::parse(&format!("/{root}")).map_err(|error| refuse(error.to_string()))?;
        Ok(Self {
            servers: servers.to_owned(),
            root,
        })
    }
}

impl fmt::Display for ZooKeeperAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.servers)?;
        if self.root.is_root() {
            return Ok(());
        }
        self.root.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in [
            "127.0.0.1:2181",
            "127.0.0.1:2181/ringlog",
            "a:1,b:2,[::1]:3/deep/er",
        ] {
            let address: ZooKeeperAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        let address: ZooKeeperAddress = "a:1,b:2/ringlog".parse().unwrap();
        assert_eq!(address.servers(), "a:1,b:2");
        assert_eq!(address.root().as_str(), "/ringlog");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for text in [
            "", "/ringlog", "host", "host:", ":2181", "a:1,,b:2", "a:0", "a:1/x/", "a:1//x",
        ] {
            assert!(text.parse::<ZooKeeperAddress>().is_err(), "{text:?}");
        }
        let error = "a:1,b/x".parse::<ZooKeeperAddress>().unwrap_err();
        assert!(error.to_string().contains("\"b\" is not host:port"));
    }
}
