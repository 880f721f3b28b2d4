//! What can be asked for.

/// The oldest protocol version spoken here.
pub const PROTOCOL_VERSION_MIN: u8 = 1;

/// The newest protocol version spoken here.
pub const PROTOCOL_VERSION_MAX: u8 = 1;

/// A range of protocol versions, for people: `version 1`, `versions 1 to 3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    /// The oldest.
    pub min: u8,
    /// The newest.
    pub max: u8,
}

impl VersionRange {
    /// What is spoken here.
    pub const SPOKEN: Self = Self {
        min: PROTOCOL_VERSION_MIN,
        max: PROTOCOL_VERSION_MAX,
    };
}

impl std::fmt::Display for VersionRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.min == self.max {
            true => write!(f, "version {}", self.min),
            false => write!(f, "versions {} to {}", self.min, self.max),
        }
    }
}

macro_rules! apis {
    ($($(#[doc = $doc:literal])+ $variant:ident = $value:literal, $name:literal;)+) => {
        /// The kind of a request; its response carries the same value. Values are permanent.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Api {
            $($(#[doc = $doc])+ $variant = $value,)+
        }

        impl Api {
            /// Every kind of request, in the order of the values.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The kind with this value on the wire.
            #[must_use]
            pub const fn from_wire(value: u16) -> Option<Self> {
                match value {
                    $($value => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The name in logs and metrics: snake case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

apis! {
    /// Versions, features, the shard that the connection is for. The first request of a connection.
    Hello = 1, "hello";
    /// Topics, partitions, their leaders and shards, brokers and their addresses.
    Metadata = 2, "metadata";
    /// Appends record batches.
    Produce = 3, "produce";
    /// Reads record batches, waiting for them if asked to.
    Fetch = 4, "fetch";
    /// Offsets by position or time.
    ListOffsets = 5, "list_offsets";
    /// Makes a topic.
    CreateTopic = 6, "create_topic";
    /// Removes a topic and its records.
    DeleteTopic = 7, "delete_topic";
    /// Changes settings of a topic.
    AlterTopic = 8, "alter_topic";
    /// Settings of a topic and the state of its partitions.
    DescribeTopic = 9, "describe_topic";
    /// Brokers and totals.
    DescribeCluster = 10, "describe_cluster";
    /// Moves the log start of partitions.
    DeleteRecords = 11, "delete_records";
    /// Gives an idempotent producer its id.
    InitProducer = 12, "init_producer";
    /// Stores how far a group has read.
    OffsetCommit = 13, "offset_commit";
    /// What a group has committed.
    OffsetFetch = 14, "offset_fetch";
    /// Waits until something about the cluster has changed.
    WatchCluster = 15, "watch_cluster";
    /// Has a broker lead nothing that another one can.
    DrainBroker = 16, "drain_broker";
    /// Has the preferred brokers lead again.
    ElectLeaders = 17, "elect_leaders";
    /// Gives a partition other replicas, or stops doing so.
    AlterPartitionReassignment = 18, "alter_partition_reassignment";
}

impl Api {
    /// The value on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u16 {
        self as u16
    }

    /// A small dense number, for tables of counters: less than `Api::ALL.len()`.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize - 1
    }
}

impl std::fmt::Display for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_dense_and_come_back() {
        for (index, api) in Api::ALL.iter().enumerate() {
            assert_eq!(api.index(), index);
            assert_eq!(Api::from_wire(api.to_wire()), Some(*api));
        }
        assert_eq!(Api::from_wire(0), None);
        assert_eq!(Api::from_wire(u16::MAX), None);
    }
}
