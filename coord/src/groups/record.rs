//! The records of `__groups`: one for each committed offset, with what it is committed for as key, so that of two with one
//! key the later one holds. A record without a value takes the offset away.
//!
//! ```text
//! key    byte 0        u8    kind of the record: 1, a committed offset
//!        1             u8    length of the name of the group
//!        2             ...   the name
//!        then          u128  topic id
//!                      u32   partition
//! value  byte 0        u8    version of the value: 1
//!        1             u64   offset
//!        9             i64   leader epoch of the last record that was read; -1: none
//!        17            i64   when it was committed, ms since 1970-01-01 UTC
//!        25            ...   metadata, to the end
//! ```
//!
//! All numbers are big-endian, as in the batches around them.

use bytes::Bytes;
use ringlog_record::batch::{BatchBuilder, BatchError, BatchView, RecordData, RecordError};
use ringlog_record::limits::BATCH_BYTES_MAX;
use ringlog_record::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition};

use super::store::Committed;
use super::{GroupId, OffsetKey};

const KIND_OFFSET: u8 = 1;
const VALUE_VERSION: u8 = 1;

/// What a record does to the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is about.
    pub key: OffsetKey,
    /// What is committed from now on; `None`: nothing.
    pub committed: Option<Committed>,
}

/// Why a batch of `__groups` cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// It is no batch, or damaged.
    #[error("a batch is bad: {0}")]
    Batch(#[from] BatchError),
    /// A record cannot be decoded.
    #[error("a record is bad: {0}")]
    Record(#[from] RecordError),
    /// A record is of a kind or version that this program does not know.
    #[error(
        "the record at offset {offset} has {field} {found}: it was written by a newer version of the broker"
    )]
    Newer {
        /// Where it is.
        offset: Offset,
        /// What is new.
        field: &'static str,
        /// What it says.
        found: u8,
    },
    /// A record has not the form that it should have.
    #[error("the record at offset {offset} is malformed: {what}")]
    Malformed {
        /// Where it is.
        offset: Offset,
        /// What is wrong.
        what: &'static str,
    },
}

/// A batch of these changes, in their order.
///
/// # Errors
///
/// [`BatchError`] when there are none, or more than a batch holds.
pub fn batch_of(changes: &[Change], now: TimestampMs) -> Result<Bytes, BatchError> {
    let mut builder = BatchBuilder::new(BATCH_BYTES_MAX);
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for change in changes {
        put_key(&mut key, &change.key);
        if let Some(committed) = &change.committed {
            put_value(&mut value, committed);
        }
        builder.append(&RecordData {
            key: Some(&key),
            value: change.committed.as_ref().map(|_| value.as_slice()),
            headers: &[],
            timestamp: now,
        })?;
    }
    builder.build()
}

/// The changes of a batch, in their order.
///
/// # Errors
///
/// [`RecordFault`].
pub fn changes_of(batch: &BatchView<'_>) -> Result<Vec<Change>, RecordFault> {
    batch.check_crc()?;
    let records = batch.records().map(|record| {
        let record = record?;
        let malformed = |what| RecordFault::Malformed {
            offset: record.offset,
            what,
        };
        let newer = |field, found| RecordFault::Newer {
            offset: record.offset,
            field,
            found,
        };
        let mut key = Input(record.key.ok_or_else(|| malformed("no key"))?);
        let kind = key.u8().ok_or_else(|| malformed("an empty key"))?;
        if kind != KIND_OFFSET {
            return Err(newer("a key of kind", kind));
        }
        let key = read_key(&mut key).ok_or_else(|| malformed("its key"))?;
        let committed = match record.value {
            None => None,
            Some(value) => {
                let mut value = Input(value);
                let version = value.u8().ok_or_else(|| malformed("an empty value"))?;
                if version != VALUE_VERSION {
                    return Err(newer("a value of version", version));
                }
                Some(read_value(&mut value).ok_or_else(|| malformed("its value"))?)
            }
        };
        Ok(Change { key, committed })
    });
    records.collect()
}

fn put_key(out: &mut Vec<u8>, key: &OffsetKey) {
    out.clear();
    let group = key.group.as_str().as_bytes();
    out.push(KIND_OFFSET);
    // The name of a group has at most so many bytes.
    out.push(u8::try_from(group.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(group);
    out.extend_from_slice(&key.id.topic.get().to_be_bytes());
    out.extend_from_slice(&key.id.partition.get().to_be_bytes());
}

fn read_key(input: &mut Input<'_>) -> Option<OffsetKey> {
    let len = input.u8()?;
    let group = GroupId::new(str::from_utf8(input.take(len.into())?).ok()?)?;
    let topic = TopicId::new(u128::from_be_bytes(input.array()?));
    let partition = PartitionIndex::new(u32::from_be_bytes(input.array()?));
    let id = TopicPartition { topic, partition };
    input.0.is_empty().then_some(OffsetKey { group, id })
}

fn put_value(out: &mut Vec<u8>, committed: &Committed) {
    out.clear();
    let epoch = committed.leader_epoch;
    let epoch = epoch.map_or(-1, |epoch| i64::from(epoch.get()));
    out.push(VALUE_VERSION);
    out.extend_from_slice(&committed.offset.get().to_be_bytes());
    out.extend_from_slice(&epoch.to_be_bytes());
    out.extend_from_slice(&committed.at.get().to_be_bytes());
    out.extend_from_slice(committed.metadata.as_bytes());
}

fn read_value(input: &mut Input<'_>) -> Option<Committed> {
    let offset = Offset::new(u64::from_be_bytes(input.array()?));
    let leader_epoch = match i64::from_be_bytes(input.array()?) {
        -1 => None,
        epoch => Some(LeaderEpoch::new(u32::try_from(epoch).ok()?)),
    };
    Some(Committed {
        offset,
        leader_epoch,
        at: TimestampMs::new(i64::from_be_bytes(input.array()?)),
        metadata: str::from_utf8(input.0).ok()?.into(),
    })
}

/// Bytes that are taken off from the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }
}

#[cfg(test)]
mod tests;
