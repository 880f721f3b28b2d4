//! What was appended to a partition and what became of it, and the checks of the one against the other.
//!
//! Each record carries a number that no other record of a run has ([`RecordId`]), and a value that is a function
//! of it, so whatever is read tells which append it came from and whether it was changed. The history holds only
//! what clients know: what they sent, what was acknowledged, what they read. An append without an answer is
//! *unknown*: it may be there or not, until the log was seen without it after a restart.

use std::collections::{BTreeMap, BTreeSet};

/// Names a record of a run.
pub type RecordId = u64;

/// Bytes of a value that hold its id and length.
const VALUE_HEAD_BYTES: usize = 12;

/// The value of a record: its id, its length, and bytes that follow from the id.
pub fn value_of(id: RecordId, len: usize) -> Vec<u8> {
    let len = len.max(VALUE_HEAD_BYTES);
    let mut value = Vec::with_capacity(len);
    value.extend_from_slice(&id.to_be_bytes());
    value.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    let mut state = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while value.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bytes = state.to_be_bytes();
        value.extend_from_slice(&bytes[..bytes.len().min(len - value.len())]);
    }
    value
}

/// The id of a value that is unchanged; `None` for any other bytes.
pub fn id_of(value: &[u8]) -> Option<RecordId> {
    let id = u64::from_be_bytes(value.get(..8)?.try_into().ok()?);
    let len = u32::from_be_bytes(value.get(8..VALUE_HEAD_BYTES)?.try_into().ok()?);
    let whole = usize::try_from(len).ok()? == value.len() && value_of(id, value.len()) == value;
    whole.then_some(id)
}

/// What a checker found. The name of the checker is [`Violation::checker`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// An acknowledged record is not there.
    #[error("acknowledged record {id} of partition {partition} is gone from offset {offset}")]
    AcknowledgedLost {
        /// Which partition.
        partition: u32,
        /// Which record.
        id: RecordId,
        /// Where it was acknowledged.
        offset: u64,
    },
    /// A record that was read below the high watermark is not there any more.
    #[error("record {id} of partition {partition} was read at offset {offset} and has vanished")]
    ServedVanished {
        /// Which partition.
        partition: u32,
        /// Which record.
        id: RecordId,
        /// Where it was read.
        offset: u64,
    },
    /// A record that a restarted log had been without is there again.
    #[error(
        "record {id} of partition {partition} was cut off by a recovery and is back at offset {offset}"
    )]
    CutOffReturned {
        /// Which partition.
        partition: u32,
        /// Which record.
        id: RecordId,
        /// Where it is.
        offset: u64,
    },
    /// What is read was never appended.
    #[error("partition {partition} holds at offset {offset} what nobody appended")]
    ContentChanged {
        /// Which partition.
        partition: u32,
        /// Where.
        offset: u64,
    },
    /// A record is at another offset than before.
    #[error("record {id} of partition {partition} is at offset {offset}, and was at {before}")]
    Moved {
        /// Which partition.
        partition: u32,
        /// Which record.
        id: RecordId,
        /// Where it is.
        offset: u64,
        /// Where it was, or is too.
        before: u64,
    },
    /// Offsets are not dense and ascending.
    #[error("partition {partition} continues at offset {offset} instead of {expected}")]
    NotDense {
        /// Which partition.
        partition: u32,
        /// What was read.
        offset: u64,
        /// What had to come.
        expected: u64,
    },
    /// A watermark went back.
    #[error("{what} of partition {partition} went back from {before} to {now}")]
    WentBack {
        /// Which partition.
        partition: u32,
        /// Which watermark.
        what: &'static str,
        /// Before.
        before: u64,
        /// Now.
        now: u64,
    },
    /// A partition that nothing but crashes happened to is not served.
    #[error("partition {partition} is not served: {reason}")]
    NotServed {
        /// Which partition.
        partition: u32,
        /// What it says.
        reason: String,
    },
    /// Nothing moved although nothing hindered it.
    #[error("partition {partition}: {what} was not done after {seconds} s")]
    NoProgress {
        /// Which partition.
        partition: u32,
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
    },
}

impl Violation {
    /// The name of the checker that found it.
    pub const fn checker(&self) -> &'static str {
        match self {
            Self::AcknowledgedLost { .. } => "acknowledged-lost",
            Self::ServedVanished { .. } => "served-vanished",
            Self::CutOffReturned { .. } => "cut-off-returned",
            Self::ContentChanged { .. } => "content-changed",
            Self::Moved { .. } => "moved-or-twice",
            Self::NotDense { .. } => "not-dense",
            Self::WentBack { .. } => "watermark-went-back",
            Self::NotServed { .. } => "not-served",
            Self::NoProgress { .. } => "no-progress",
        }
    }
}

/// What is known of one append.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    offset: Option<u64>,
    acknowledged: bool,
    served: bool,
    /// A log that had restarted since it was appended was seen without it.
    cut_off: bool,
}

/// A record as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRecord<'a> {
    /// Its offset.
    pub offset: u64,
    /// Its value.
    pub value: &'a [u8],
}

/// The history of one partition.
#[derive(Debug)]
pub struct History {
    partition: u32,
    records: BTreeMap<RecordId, Known>,
    at: BTreeMap<u64, RecordId>,
    log_start: u64,
    checked: u64,
}

impl History {
    /// An empty history.
    pub fn new(partition: u32) -> Self {
        Self {
            partition,
            records: BTreeMap::new(),
            at: BTreeMap::new(),
            log_start: 0,
            checked: 0,
        }
    }

    /// Records compared so far.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// Records whose loss would be a violation.
    pub fn acknowledged(&self) -> usize {
        self.records
            .values()
            .filter(|known| known.acknowledged)
            .count()
    }

    /// A record is about to be appended.
    pub fn sent(&mut self, id: RecordId) {
        self.records.insert(id, Known::default());
    }

    /// A record was acknowledged at this offset.
    ///
    /// # Errors
    ///
    /// When it is known to be elsewhere, or another one is known to be there.
    pub fn acknowledged_at(&mut self, id: RecordId, offset: u64) -> Result<(), Violation> {
        self.place(id, offset)?;
        if let Some(known) = self.records.get_mut(&id) {
            known.acknowledged = true;
        }
        Ok(())
    }

    /// Records below this offset may be deleted from now on.
    pub fn delete_below(&mut self, offset: u64) {
        self.log_start = self.log_start.max(offset);
    }

    /// Records were read below the high watermark, in order, beginning anywhere.
    ///
    /// # Errors
    ///
    /// The first violation.
    pub fn served<'a>(
        &mut self,
        records: impl IntoIterator<Item = ReadRecord<'a>>,
    ) -> Result<(), Violation> {
        self.read(records).map(|_| ())
    }

    fn read<'a>(
        &mut self,
        records: impl IntoIterator<Item = ReadRecord<'a>>,
    ) -> Result<BTreeSet<RecordId>, Violation> {
        let partition = self.partition;
        let mut expected = None;
        let mut seen = BTreeSet::new();
        for ReadRecord { offset, value } in records {
            if let Some(expected) = expected.filter(|expected| *expected != offset) {
                return Err(Violation::NotDense {
                    partition,
                    offset,
                    expected,
                });
            }
            expected = Some(offset + 1);
            let Some((id, known)) = id_of(value).and_then(|id| Some((id, *self.records.get(&id)?)))
            else {
                return Err(Violation::ContentChanged { partition, offset });
            };
            if known.cut_off {
                return Err(Violation::CutOffReturned {
                    partition,
                    id,
                    offset,
                });
            }
            self.place(id, offset)?;
            if let Some(known) = self.records.get_mut(&id) {
                known.served = true;
            }
            seen.insert(id);
            self.checked += 1;
        }
        Ok(seen)
    }

    /// The whole log was read after a restart, and nothing was appended in between: `records` from `log_start`
    /// to `log_end`.
    ///
    /// # Errors
    ///
    /// The first violation.
    pub fn restarted<'a>(
        &mut self,
        log_start: u64,
        log_end: u64,
        records: impl IntoIterator<Item = ReadRecord<'a>>,
    ) -> Result<(), Violation> {
        let partition = self.partition;
        let mut count = 0;
        let mut last = None;
        let counted = records.into_iter().inspect(|record| {
            count += 1;
            last = Some(record.offset);
        });
        let seen = self.read(counted)?;
        for (&id, known) in &self.records {
            let (Some(offset), false) = (known.offset, seen.contains(&id)) else {
                continue;
            };
            if offset < log_start && offset < self.log_start {
                continue;
            }
            if known.acknowledged {
                return Err(Violation::AcknowledgedLost {
                    partition,
                    id,
                    offset,
                });
            }
            if known.served {
                return Err(Violation::ServedVanished {
                    partition,
                    id,
                    offset,
                });
            }
        }
        if log_start > self.log_start {
            // Nobody asked for that: what was there is gone although none of it was acknowledged or read.
            return Err(Violation::NotDense {
                partition,
                offset: log_start,
                expected: self.log_start,
            });
        }
        let next = last.map_or(log_start, |last: u64| last + 1);
        if next != log_end || count != log_end - log_start {
            return Err(Violation::NotDense {
                partition,
                offset: next,
                expected: log_end,
            });
        }
        for (id, known) in &mut self.records {
            if !seen.contains(id) && !known.acknowledged && !known.served {
                known.cut_off = true;
            }
        }
        Ok(())
    }

    /// Notes where a record is.
    fn place(&mut self, id: RecordId, offset: u64) -> Result<(), Violation> {
        let partition = self.partition;
        let known = self.records.entry(id).or_default();
        if let Some(before) = known.offset.filter(|before| *before != offset) {
            return Err(Violation::Moved {
                partition,
                id,
                offset,
                before,
            });
        }
        known.offset = Some(offset);
        if let Some(other) = self.at.insert(offset, id).filter(|other| *other != id) {
            let acknowledged = self
                .records
                .get(&other)
                .is_some_and(|known| known.acknowledged);
            return Err(match acknowledged {
                true => Violation::AcknowledgedLost {
                    partition,
                    id: other,
                    offset,
                },
                false => Violation::ServedVanished {
                    partition,
                    id: other,
                    offset,
                },
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
