//! The arguments of what looks at files and machines: `ringlog log` and `ringlog doctor`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Output, examples};

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print what is in a segment, an index, a checkpoint, or the directory of a partition
    ///
    /// With `--output json` each batch, segment, index and checkpoint is an object on a line of its own.
    #[command(after_help = examples::LOG_DUMP)]
    Dump {
        /// A file or the directory of a partition
        path: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Check the files of partitions against each other; ends with 1 when something is damaged
    ///
    /// Nothing is changed. A partition that a broker has open looks damaged while records come in: stop the broker first.
    #[command(after_help = examples::LOG_VERIFY)]
    Verify {
        /// The directory of a partition, one above it such as the data directory, or a segment
        path: PathBuf,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Where a broker would keep its data
    #[arg(long, value_name = "DIR", default_value = "./ringlog-data")]
    pub(crate) data_dir: PathBuf,
    #[command(flatten)]
    pub(crate) output: Output,
}
