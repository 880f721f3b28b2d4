//! The arguments of `ringlog group`.

use clap::Subcommand;
use ringlog_client::StartAt;

use super::values::place;
use super::{Bootstrap, Output, examples};

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Show how far a group has read each partition, and how much is left
    #[command(after_help = examples::GROUP_DESCRIBE)]
    Describe {
        /// Name of the group
        group: String,
        #[command(flatten)]
        bootstrap: Bootstrap,
        #[command(flatten)]
        output: Output,
    },
    /// Set where a group goes on in a topic
    ///
    /// Stop what reads for the group first: it would commit its own place again.
    #[command(after_help = examples::GROUP_RESET)]
    Reset {
        /// Name of the group
        group: String,
        /// Name of the topic
        #[arg(long, value_name = "TOPIC")]
        topic: String,
        /// Where: earliest, latest, an offset, or @TIMESTAMP (RFC 3339, or milliseconds since 1970)
        #[arg(long, value_name = "WHERE", value_parser = place)]
        to: StartAt,
        /// Only these partitions, with commas between; an offset needs exactly one
        #[arg(long, value_name = "N", value_delimiter = ',')]
        partition: Vec<u32>,
        #[command(flatten)]
        bootstrap: Bootstrap,
        #[command(flatten)]
        output: Output,
    },
}
