//! The command line.

mod bench;
mod broker;
mod examples;
mod group;
mod inspect;
mod records;
mod topic;
mod values;
mod zookeeper;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::bench::{
    AppendArguments, BenchCommand, DeviceArguments, LoadArguments, ReadFromArgument,
    RestartArguments, RunArguments,
};
pub(crate) use self::broker::BrokerArguments;
pub(crate) use self::group::GroupCommand;
pub(crate) use self::inspect::{DoctorArguments, LogCommand};
pub(crate) use self::records::{
    AcksArgument, Column, CompressionArgument, ConsumeArguments, PartitionerArgument,
    ProduceArguments, RecordFormat,
};
pub(crate) use self::topic::TopicCommand;
pub(crate) use self::zookeeper::ZooKeeperArguments;
use crate::output::Format;

/// A distributed commit log: a broker, and the tools to use it.
///
/// Start with `ringlog broker`; it says what to type next.
#[derive(Debug, Parser)]
#[command(name = "ringlog", version, max_term_width = 100, after_help = examples::RINGLOG)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a broker
    ///
    /// Every flag is also a key of the configuration file, in snake_case; a flag wins over the file.
    #[command(after_help = examples::BROKER)]
    Broker(BrokerArguments),
    /// Make, list, describe, change and delete topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Send records from a file or from standard input to a topic
    ///
    /// A summary goes to standard error, in the form of --output. The first record that is not stored ends it with 1, and
    /// so does Ctrl-C; what was sent by then is waited for.
    #[command(after_help = examples::PRODUCE)]
    Produce(ProduceArguments),
    /// Print the records of a topic
    ///
    /// It follows the log unless --until-end or --max ends it; Ctrl-C ends it with 0. With `--output json` a summary goes
    /// to standard error at the end.
    #[command(after_help = examples::CONSUME)]
    Consume(ConsumeArguments),
    /// Look at how far groups have read, and set where they go on
    #[command(subcommand)]
    Group(GroupCommand),
    /// Show who is in the cluster, who leads, and what happens
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Look at the files of a log that no broker has open
    #[command(subcommand)]
    Log(LogCommand),
    /// Check whether this machine can run a broker, and what would make it run better
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArguments),
    /// Measure a broker, its peers and the machine under them
    #[command(subcommand)]
    Bench(Box<BenchCommand>),
    /// Print what completes this command line in a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show the brokers that are there, the controller, and partitions that are offline or under-replicated
    #[command(after_help = examples::CLUSTER_STATUS)]
    Status {
        #[command(flatten)]
        bootstrap: Bootstrap,
        #[command(flatten)]
        output: Output,
    },
    /// Show the same, and then what happens, until it is stopped; as JSON one object a line
    #[command(after_help = examples::CLUSTER_WATCH)]
    Watch {
        #[command(flatten)]
        bootstrap: Bootstrap,
        #[command(flatten)]
        output: Output,
    },
    /// Have a broker lead nothing that another one can, and get no new partitions, until it registers anew
    #[command(after_help = examples::CLUSTER_DRAIN)]
    Drain {
        /// Number of the broker
        broker: u32,
        #[command(flatten)]
        bootstrap: Bootstrap,
    },
    /// Have the preferred brokers lead again, where they can; the controller does so by itself, some at a time
    #[command(after_help = examples::CLUSTER_ELECT_LEADERS)]
    ElectLeaders {
        /// Partitions of this topic only
        #[arg(long)]
        topic: Option<String>,
        #[command(flatten)]
        bootstrap: Bootstrap,
    },
}

/// What stands for `--bootstrap` in the environment.
pub(crate) const BOOTSTRAP_VARIABLE: &str = "RINGLOG_BOOTSTRAP";

/// How to reach a broker.
#[derive(Clone, Debug, Args)]
pub(crate) struct Bootstrap {
    /// Address of a broker; several, with commas between, are tried in order. `zk://HOST:PORT,…/ROOT` asks ZooKeeper for them
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9400",
        value_delimiter = ',',
        env = BOOTSTRAP_VARIABLE
    )]
    pub(crate) bootstrap: Vec<String>,
    #[command(flatten)]
    pub(crate) zookeeper: ZooKeeperArguments,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Output {
    /// Form of the answer: a table for people, or JSON for programs
    #[arg(long = "output", value_name = "FORM", value_enum, default_value_t)]
    pub(crate) form: Format,
}
