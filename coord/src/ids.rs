//! Ids and epochs that only coordination knows; the others are in `ringlog-record`.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use ringlog_record::{PartitionIndex, ShardId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits;
use crate::store::Zxid;

/// Why a text is no id: ids are written as 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not an id of 32 hexadecimal digits")]
pub struct IdError {
    /// The text.
    pub text: String,
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(u128);

        impl $name {
            /// From its bits, which are random.
            #[must_use]
            pub const fn new(id: u128) -> Self {
                Self(id)
            }

            /// Its bits.
            #[must_use]
            pub const fn get(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:032x})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

random_id! {
    /// A cluster: all brokers that share one metadata store.
    ClusterId
}
random_id! {
    /// A data directory, for as long as it exists.
    DirectoryId
}
random_id! {
    /// One run of a broker's process.
    Incarnation
}

fn parse_hex(text: &str) -> Result<u128, IdError> {
    let refuse = || IdError {
        text: text.to_owned(),
    };
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refuse());
    }
    u128::from_str_radix(text, 16).map_err(|_| refuse())
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// From its number.
            #[must_use]
            pub const fn new(number: $inner) -> Self {
                Self(number)
            }

            /// Its number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The epoch of a registration: the zxid that created `/brokers/ids/{id}`. Never given twice.
    BrokerEpoch(u64)
}
number! {
    /// The epoch of a controller: one more for each that takes office.
    ControllerEpoch(u64)
}
number! {
    /// Where on a broker a partition is placed, whatever its number of shards: shard = slot % shards.
    Slot(u16)
}
number! {
    /// One node of `/t/{topic_id}/a`: 256 partitions.
    ChunkIndex(u32)
}

number! {
    /// How far the changes of a cluster have come: one more for each write of the controller that brokers must know of.
    Revision(u64)
}

impl From<Zxid> for BrokerEpoch {
    fn from(czxid: Zxid) -> Self {
        Self(czxid.get())
    }
}

impl Default for Revision {
    /// Before the first change.
    fn default() -> Self {
        Self(0)
    }
}

impl Revision {
    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Slot {
    /// The shard that owns the slot on a broker with so many.
    #[must_use]
    pub fn shard(self, shards: NonZeroU16) -> ShardId {
        ShardId::new(self.0 % shards)
    }
}

impl ChunkIndex {
    /// The chunk that describes a partition.
    #[must_use]
    pub fn of(partition: PartitionIndex) -> Self {
        Self(partition.get() / limits::CHUNK_PARTITIONS)
    }

    /// The chunks of a topic with so many partitions.
    pub fn all(partitions: u32) -> impl Iterator<Item = Self> {
        (0..partitions.div_ceil(limits::CHUNK_PARTITIONS)).map(Self)
    }
}

#[cfg(test)]
mod tests;
