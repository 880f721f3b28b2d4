//! The arguments of `ringlog produce` and `ringlog consume`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ringlog_client::StartAt;

use super::values::{byte_count, header, millis, place, separator};
use super::{Bootstrap, Output};

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

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompressionArgument {
    /// Not at all
    #[default]
    None,
    /// gzip
    Gzip,
    /// snappy
    Snappy,
    /// lz4
    Lz4,
    /// zstd
    Zstd,
}

/// How the partition of a record is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartitionerArgument {
    /// By the key as Kafka does it; records without one fill a batch of one partition, then of another
    #[default]
    Key,
    /// All records fill a batch of one partition, then of another, whatever their keys
    Sticky,
    /// Record by record to one partition after the other, whatever their keys
    RoundRobin,
}

/// How records lie in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordFormat {
    /// A record a line; a value that holds a line break cannot be told from two
    #[default]
    Lines,
    /// A JSON object a line, with key, value, headers, timestamp and partition; takes any bytes
    Json,
    /// The length of the value in four bytes, big-endian, then the value; takes any bytes, and values only
    LengthPrefixed,
}

/// The arguments of `ringlog produce`.
#[derive(Debug, Args)]
pub(crate) struct ProduceArguments {
    /// Name of the topic
    pub(crate) topic: String,
    /// Read this file instead of standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How the records lie in the input
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: RecordFormat,
    /// What separates the key from the value in lines; a line without it has no key
    #[arg(long, value_name = "S", value_parser = separator)]
    pub(crate) key_separator: Option<String>,
    /// A header that each record gets behind its own; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// Send everything to this partition [default: what JSON says, or --partitioner chooses]
    #[arg(long, value_name = "N", conflicts_with = "partitioner")]
    pub(crate) partition: Option<u32>,
    /// How the partition is chosen of records that do not say it
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub(crate) partitioner: PartitionerArgument,
    /// How batches are compressed; one that would get larger is sent as it is
    #[arg(long, value_name = "CODEC", value_enum, default_value_t)]
    pub(crate) compression: CompressionArgument,
    /// When an append is acknowledged
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "all")]
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
    #[command(flatten)]
    pub(crate) output: Output,
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
    /// The headers as NAME=VALUE with commas between; `-` when there are none
    Headers,
}

/// The arguments of `ringlog consume`.
#[derive(Debug, Args)]
pub(crate) struct ConsumeArguments {
    /// Name of the topic
    pub(crate) topic: String,
    /// Only this partition
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// Where to begin: earliest, latest, an offset, or @TIMESTAMP (RFC 3339, or milliseconds since 1970)
    /// [default: latest; earliest with --until-end]
    #[arg(long, value_name = "WHERE", value_parser = place)]
    pub(crate) from: Option<StartAt>,
    /// Go on where this group stopped, and commit where it stops: every second, at the end and on a signal, what has been
    /// printed by then; --from counts where the group has committed nothing yet
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// Stop after so many records
    #[arg(long, value_name = "N")]
    pub(crate) max: Option<u64>,
    /// Stop at what is the end of the log now
    #[arg(long)]
    pub(crate) until_end: bool,
    /// How records are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: RecordFormat,
    /// Columns of lines, with commas between
    #[arg(
        long,
        value_name = "COLUMNS",
        value_enum,
        value_delimiter = ',',
        default_value = "value"
    )]
    pub(crate) print: Vec<Column>,
    /// What separates the columns of lines [default: a tab]
    #[arg(long, value_name = "S", value_parser = separator)]
    pub(crate) key_separator: Option<String>,
    #[command(flatten)]
    pub(crate) bootstrap: Bootstrap,
    #[command(flatten)]
    pub(crate) output: Output,
}
