//! Numbers that name things, and time stamps.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! newtype {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// Wraps a number.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

newtype! {
    /// Number of a leadership of a partition: grows with each election and with each start of the same leader.
    /// At most `i32::MAX`, since a record batch holds it in 31 bits.
    LeaderEpoch(u32)
}

newtype! {
    /// Number of a partition within its topic, from 0.
    PartitionIndex(u32)
}

newtype! {
    /// Number of a shard (pinned core) within its broker, from 0.
    ShardId(u16)
}

newtype! {
    /// Number of a broker within its cluster.
    BrokerId(u32)
}

newtype! {
    /// Milliseconds since the Unix epoch. Clients' time stamps may be anything, -1 means none.
    TimestampMs(i64)
}

impl LeaderEpoch {
    /// The largest epoch.
    pub const MAX: Self = Self(i32::MAX.cast_unsigned());

    /// The epoch after this one. Stays at the end of the range, which no cluster reaches.
    pub const fn next(self) -> Self {
        if self.0 < Self::MAX.0 {
            Self(self.0 + 1)
        } else {
            Self::MAX
        }
    }
}

impl TimestampMs {
    /// What a batch or record without a time stamp holds.
    pub const NONE: Self = Self(-1);
}
