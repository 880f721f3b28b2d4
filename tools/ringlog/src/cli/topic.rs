//! The arguments of `ringlog topic`.

use clap::Subcommand;
use ringlog_client::StartAt;

use super::values::place;
use super::{Bootstrap, Output, examples};

#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Make a topic
    #[command(after_help = examples::TOPIC_CREATE)]
    Create {
        /// Its name: 1 to 249 of [A-Za-z0-9._-]
        name: String,
        /// Number of partitions
        #[arg(long, value_name = "N", default_value_t = 1)]
        partitions: u32,
        /// Replicas of each partition [default: 1]
        #[arg(long, value_name = "N")]
        replication_factor: Option<u16>,
        /// A setting, such as retention_ms=7d or durability=async; `ringlog topic describe` shows all
        #[arg(long = "config", value_name = "KEY=VALUE")]
        config: Vec<String>,
        #[command(flatten)]
        bootstrap: Bootstrap,
        #[command(flatten)]
        output: Output,
    },
    /// List the topics
    #[command(after_help = examples::TOPIC_LIST)]
    List {
        /// Also those that ringlog keeps for itself; their names begin with __
        #[arg(long)]
        internal: bool,
        #[command(flatten)]
        bootstrap: Bootstrap,
        #[command(flatten)]
        output: Output,
    },
    /// Show the settings of a topic and the state of its partitions
    #[command(after_help = examples::TOPIC_DESCRIBE)]
    Describe {
        /// Its name
        name: String,
        /// Only these partitions, with commas between
        #[arg(long, value_name = "N", value_delimiter = ',')]
        partition: Vec<u32>,
        #[command(flatten)]
        bootstrap: Bootstrap,
        #[command(flatten)]
        output: Output,
    },
    /// Change settings of a topic; shows all settings in force
    #[command(after_help = examples::TOPIC_ALTER)]
    Alter {
        /// Its name
        name: String,
        /// The one partition that is meant, which can have its own durability
        #[arg(long, value_name = "N")]
        partition: Option<u32>,
        /// A setting; KEY=default gives the default back
        #[arg(long = "config", value_name = "KEY=VALUE", required = true)]
        config: Vec<String>,
        #[command(flatten)]
        bootstrap: Bootstrap,
        #[command(flatten)]
        output: Output,
    },
    /// Give a partition other brokers, or stop doing so
    ///
    /// A broker that is added has to catch up before any other gives the partition up; until then it is served as before.
    /// Records are not copied between brokers yet: a reassignment to a broker without them stays under way until it is
    /// cancelled.
    #[command(after_help = examples::TOPIC_REASSIGN)]
    Reassign {
        /// Name of the topic
        name: String,
        /// The partition
        #[arg(long, value_name = "N")]
        partition: u32,
        /// Numbers of the brokers that are to have it, with commas between; the first one is to lead it
        #[arg(
            long,
            value_name = "BROKER,…",
            value_delimiter = ',',
            required_unless_present = "cancel",
            conflicts_with = "cancel"
        )]
        replicas: Vec<u32>,
        /// Leave it where it was before the reassignment that is under way
        #[arg(long)]
        cancel: bool,
        #[command(flatten)]
        bootstrap: Bootstrap,
        #[command(flatten)]
        output: Output,
    },
    /// Delete a topic and all its records
    #[command(after_help = examples::TOPIC_DELETE)]
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        bootstrap: Bootstrap,
        #[command(flatten)]
        output: Output,
    },
    /// Find offsets by position or by time
    #[command(after_help = examples::TOPIC_OFFSETS)]
    Offsets {
        /// Name of the topic
        name: String,
        /// Where: earliest, latest, an offset, or @TIMESTAMP (RFC 3339, or milliseconds since 1970); of a time the
        /// first record that is not older
        #[arg(long, value_name = "WHERE", default_value = "latest", value_parser = place)]
        at: StartAt,
        /// Only these partitions, with commas between
        #[arg(long, value_name = "N", value_delimiter = ',')]
        partition: Vec<u32>,
        #[command(flatten)]
        bootstrap: Bootstrap,
        #[command(flatten)]
        output: Output,
    },
    /// Delete the oldest records of a topic: those before an offset or a time
    ///
    /// They are gone for readers at once, and from the disk segment by segment.
    #[command(after_help = examples::TOPIC_DELETE_RECORDS)]
    DeleteRecords {
        /// Name of the topic
        name: String,
        /// The first record that stays: an offset, @TIMESTAMP (RFC 3339, or milliseconds since 1970), or latest to
        /// delete all there are
        #[arg(long, value_name = "WHERE", value_parser = place)]
        before: StartAt,
        /// Only these partitions, with commas between; an offset needs exactly one
        #[arg(long, value_name = "N", value_delimiter = ',')]
        partition: Vec<u32>,
        #[command(flatten)]
        bootstrap: Bootstrap,
        #[command(flatten)]
        output: Output,
    },
}
