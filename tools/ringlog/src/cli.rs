//! The command line.

mod bench;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ringlog_coord::units::{parse_bytes, parse_duration_ms};

pub(crate) use self::bench::{BenchCommand, DeviceArguments, LoadArguments, RunArguments};
use crate::output::Format;

/// A distributed commit log: a broker, and the tools to use it.
///
/// Start with `ringlog broker`; it says what to type next.
#[derive(Debug, Parser)]
#[command(name = "ringlog", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a broker
    Broker(BrokerArguments),
    /// Make, list, describe, change and delete topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Send the lines of a file or of standard input to a topic
    Produce(ProduceArguments),
    /// Print the records of a topic
    Consume(ConsumeArguments),
    /// Look at the files of a log that no broker has open
    #[command(subcommand)]
    Log(LogCommand),
    /// Check whether this machine can run a broker, and what would make it run better
    Doctor(DoctorArguments),
    /// Measure a broker, its peers and the machine under them
    #[command(subcommand)]
    Bench(Box<BenchCommand>),
}

fn bytes(text: &str) -> Result<u64, String> {
    parse_bytes(text).map_err(|error| error.to_string())
}

fn byte_count(text: &str) -> Result<usize, String> {
    usize::try_from(bytes(text)?).map_err(|_| format!("{text:?} is too large"))
}

fn fetch_bytes(text: &str) -> Result<u32, String> {
    u32::try_from(bytes(text)?).map_err(|_| format!("{text:?} is too large"))
}

fn millis(text: &str) -> Result<u64, String> {
    parse_duration_ms(text).map_err(|error| error.to_string())
}

/// How to reach a broker.
#[derive(Clone, Debug, Args)]
pub(crate) struct Bootstrap {
    /// Address of a broker; several, with commas between, are tried in order
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9400",
        value_delimiter = ','
    )]
    pub(crate) bootstrap: Vec<String>,
}

/// Every flag is also a key of the configuration file, in snake_case; a flag wins over the file.
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
    /// How long an idle core spins before it sleeps, in microseconds, at most 200 [default: 0]
    #[arg(long, value_name = "MICROSECONDS")]
    pub(crate) spin_us: Option<u64>,
    /// What is logged to standard error: off, error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL", env = "RINGLOG_LOG")]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Make a topic
    Create {
        /// Its name: 1 to 249 of [A-Za-z0-9._-]
        name: String,
        /// Number of partitions
        #[arg(long, default_value_t = 1)]
        partitions: u32,
        /// A setting, such as retention_ms=7d or durability=async; `ringlog topic describe` shows all
        #[arg(long = "config", value_name = "KEY=VALUE")]
        config: Vec<String>,
        #[command(flatten)]
        bootstrap: Bootstrap,
        /// Form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// List the topics
    List {
        #[command(flatten)]
        bootstrap: Bootstrap,
        /// Form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show the settings of a topic and the state of its partitions
    Describe {
        /// Its name
        name: String,
        #[command(flatten)]
        bootstrap: Bootstrap,
        /// Form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Change settings of a topic
    Alter {
        /// Its name
        name: String,
        /// A setting; KEY=default gives the default back
        #[arg(long = "config", value_name = "KEY=VALUE", required = true)]
        config: Vec<String>,
        #[command(flatten)]
        bootstrap: Bootstrap,
        /// Form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Delete a topic and all its records
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        bootstrap: Bootstrap,
    },
}

/// When an append is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AcksArgument {
    /// Never
    None,
    /// When the leader has it stably
    Leader,
    /// When all replicas in sync have it stably
    All,
}

/// Each line is a record: lines end at \n only, a \r before it belongs to the record, an empty line is an empty record.
#[derive(Debug, Args)]
pub(crate) struct ProduceArguments {
    /// Name of the topic
    pub(crate) topic: String,
    /// Read this file instead of standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// What separates the key from the value; a line without it has no key
    #[arg(long, value_name = "S")]
    pub(crate) key_separator: Option<String>,
    /// Send everything to this partition
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// When an append is acknowledged
    #[arg(long, value_enum, default_value = "all")]
    pub(crate) acks: AcksArgument,
    /// How long a batch waits for more records
    #[arg(long, value_name = "MILLISECONDS", default_value = "5", value_parser = millis)]
    pub(crate) linger_ms: u64,
    /// Size of a batch
    #[arg(long, value_name = "BYTES", default_value = "64KiB", value_parser = byte_count)]
    pub(crate) batch_bytes: usize,
    /// Tell where the broker's time went: queued, appended, flushed, replicated, replied
    #[arg(long)]
    pub(crate) receipt: bool,
    #[command(flatten)]
    pub(crate) bootstrap: Bootstrap,
    /// Form of the summary on standard error
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Format,
}

/// A column that is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Column {
    /// The value; nothing for a tombstone
    Value,
    /// The key; with `key,value` a record without one is printed as its value alone
    Key,
    /// The number of the partition
    Partition,
    /// The offset
    Offset,
    /// The time stamp in milliseconds since 1970
    Timestamp,
}

/// Prints one record a line, as it is stored. Follows the log unless --until-end or --max ends it.
#[derive(Debug, Args)]
pub(crate) struct ConsumeArguments {
    /// Name of the topic
    pub(crate) topic: String,
    /// Only this partition
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// Where to begin: earliest, latest, an offset, or @TIMESTAMP (RFC 3339, or milliseconds since 1970)
    /// [default: latest; earliest with --until-end]
    #[arg(long, value_name = "WHERE")]
    pub(crate) from: Option<String>,
    /// Stop after so many records
    #[arg(long, value_name = "N")]
    pub(crate) max: Option<u64>,
    /// Stop at what is the end of the log now
    #[arg(long)]
    pub(crate) until_end: bool,
    /// Columns, with commas between
    #[arg(long, value_enum, value_delimiter = ',', default_value = "value")]
    pub(crate) print: Vec<Column>,
    /// What separates the columns [default: a tab]
    #[arg(long, value_name = "S")]
    pub(crate) key_separator: Option<String>,
    #[command(flatten)]
    pub(crate) bootstrap: Bootstrap,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print what is in a segment, an index, a checkpoint, or the directory of a partition
    Dump {
        /// A file or the directory of a partition
        path: PathBuf,
        /// Form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Check the files of partitions against each other; ends with 1 when something is damaged
    Verify {
        /// The directory of a partition, one above it such as the data directory, or a segment
        path: PathBuf,
        /// Form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Where a broker would keep its data
    #[arg(long, value_name = "DIR", default_value = "./ringlog-data")]
    pub(crate) data_dir: PathBuf,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Format,
}
