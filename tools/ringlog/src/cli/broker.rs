//! The arguments of `ringlog broker`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::values::byte_count;
use super::zookeeper::ZooKeeperArguments;

/// The arguments of `ringlog broker`.
#[derive(Debug, Args)]
pub(crate) struct BrokerArguments {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the data is kept; made when it is missing [default: ./ringlog-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address for clients [default: 127.0.0.1:9400]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Address for /metrics and /healthz, or `none` [default: 127.0.0.1:9401]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<String>,
    /// Address that clients are told, when it is not the one of --listen
    #[arg(long, alias = "advertise", value_name = "HOST:PORT")]
    pub(crate) advertised: Option<String>,
    /// Keep the metadata in ZooKeeper, under the node behind the slash, which is made when it is missing
    #[arg(long, value_name = "HOST:PORT,…/ROOT")]
    pub(crate) zookeeper: Option<String>,
    #[command(flatten)]
    pub(crate) zookeeper_access: ZooKeeperArguments,
    /// Number of this broker in its cluster; needed with --zookeeper [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) broker_id: Option<u32>,
    /// Processors to pin shards to: `auto` (all but one), `none`, or a list such as 0,1 [default: auto]
    #[arg(long, value_name = "CORES")]
    pub(crate) cores: Option<String>,
    /// Number of shards [default: one for each core of --cores, one with `none`]
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<u16>,
    /// Memory for buffers and caches, all shards together [default: 1GiB, more for many shards]
    #[arg(long, value_name = "BYTES", value_parser = byte_count)]
    pub(crate) memory: Option<usize>,
    /// Connections at a time; the open files that the system allows and that they leave are for partitions [default: 10000]
    #[arg(long, value_name = "N")]
    pub(crate) connections_max: Option<usize>,
    /// How long an idle core spins before it sleeps, in microseconds, at most 200 [default: 0]
    #[arg(long, value_name = "MICROSECONDS")]
    pub(crate) spin_us: Option<u64>,
    /// What is logged to standard error: off, error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL", env = "RINGLOG_LOG")]
    pub(crate) log: Option<String>,
}
