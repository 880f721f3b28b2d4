//! The arguments that say how to reach a ZooKeeper that does not let everybody in.

use std::path::PathBuf;

use clap::Args;

/// How to reach a ZooKeeper that does not let everybody in. Secrets are in files: a command line can be seen by others.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ZooKeeperArguments {
    /// File with `user:password` for ZooKeeper, which nobody but its owner may read
    #[arg(
        long,
        value_name = "FILE",
        env = "RINGLOG_ZOOKEEPER_AUTH",
        hide_short_help = true
    )]
    pub(crate) zookeeper_auth: Option<PathBuf>,
    /// Certificates (PEM) of the authorities that ZooKeeper's servers have theirs from; with it, connections are encrypted
    #[arg(
        long,
        value_name = "FILE",
        env = "RINGLOG_ZOOKEEPER_TLS_CA",
        hide_short_help = true
    )]
    pub(crate) zookeeper_tls_ca: Option<PathBuf>,
    /// Own certificate (PEM), for servers of ZooKeeper that want to see one
    #[arg(
        long,
        value_name = "FILE",
        env = "RINGLOG_ZOOKEEPER_TLS_CERT",
        hide_short_help = true
    )]
    pub(crate) zookeeper_tls_cert: Option<PathBuf>,
    /// The key to that (PEM), which nobody but its owner may read
    #[arg(
        long,
        value_name = "FILE",
        env = "RINGLOG_ZOOKEEPER_TLS_KEY",
        hide_short_help = true
    )]
    pub(crate) zookeeper_tls_key: Option<PathBuf>,
}
