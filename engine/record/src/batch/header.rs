//! The header of a batch, read in place.

use zerocopy::big_endian::{I16, I32, I64, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::BatchError;
use crate::ids::{LeaderEpoch, TimestampMs};
use crate::limits::{BATCH_CRC_START, BATCH_HEADER_BYTES, BATCH_LENGTH_PREFIX_BYTES};
use crate::offset::Offset;
use crate::producer::{ProducerEpoch, ProducerId, ProducerStamp, Sequence};

/// Magic of the only format that ringlog stores.
pub(super) const MAGIC: i8 = 2;

/// The header of a record batch; see the diagram in [`crate::batch`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: I64,
    /// Bytes after this field.
    pub length: I32,
    /// Epoch of the leader that appended the batch; -1 when none did yet.
    pub partition_leader_epoch: I32,
    /// Format version.
    pub magic: i8,
    /// CRC-32C of everything after this field.
    pub crc: U32,
    /// See [`Attributes`].
    pub attributes: I16,
    /// Offset of the last record, from the base offset.
    pub last_offset_delta: I32,
    /// Time stamp that those of the records are relative to, in ms.
    pub base_timestamp: I64,
    /// Largest time stamp of a record, in ms; the append time when the attributes say so.
    pub max_timestamp: I64,
    /// Idempotent producer, or -1.
    pub producer_id: I64,
    /// Epoch of the producer, or -1.
    pub producer_epoch: I16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: I32,
    /// Records in the batch.
    pub record_count: I32,
}

const _: () = assert!(size_of::<BatchHeader>() == BATCH_HEADER_BYTES);
const _: () = assert!(std::mem::offset_of!(BatchHeader, attributes) == BATCH_CRC_START);
const _: () =
    assert!(std::mem::offset_of!(BatchHeader, partition_leader_epoch) == BATCH_LENGTH_PREFIX_BYTES);

impl BatchHeader {
    /// Bytes of the whole batch as the length field has it, or `None` when that cannot be: negative, or less than
    /// a header.
    pub fn len_bytes(&self) -> Option<usize> {
        let len_bytes = usize::try_from(self.length.get())
            .ok()?
            .checked_add(BATCH_LENGTH_PREFIX_BYTES)?;
        (len_bytes >= BATCH_HEADER_BYTES).then_some(len_bytes)
    }

    /// Offset of the first record; `None` when the field is negative.
    pub fn first_offset(&self) -> Option<Offset> {
        u64::try_from(self.base_offset.get()).ok().map(Offset::new)
    }

    /// Offset of the last record; `None` when that overflows or a field is negative.
    pub fn last_offset(&self) -> Option<Offset> {
        self.first_offset()?
            .checked_add(u64::try_from(self.last_offset_delta.get()).ok()?)
    }

    /// Epoch of the leader that appended the batch; `None` when none did yet.
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        u32::try_from(self.partition_leader_epoch.get())
            .ok()
            .map(LeaderEpoch::new)
    }

    /// Which idempotent producer sent the batch, and which of its batches it is; `None` when none did.
    ///
    /// # Errors
    ///
    /// [`BatchError::Producer`] when there is an id, and the other fields or the id itself are negative.
    pub fn producer(&self) -> Result<Option<ProducerStamp>, BatchError> {
        let (id, epoch) = (self.producer_id.get(), self.producer_epoch.get());
        let sequence = self.base_sequence.get();
        if id == -1 {
            return Ok(None);
        }
        match (
            u64::try_from(id),
            u16::try_from(epoch),
            u32::try_from(sequence),
        ) {
            (Ok(id), Ok(epoch), Ok(sequence)) => Ok(Some(ProducerStamp {
                id: ProducerId::new(id),
                epoch: ProducerEpoch::new(epoch),
                base_sequence: Sequence::new(sequence),
            })),
            _ => Err(BatchError::Producer {
                producer_id: id,
                epoch,
                sequence,
            }),
        }
    }

    /// What the attributes say.
    pub fn attributes(&self) -> Attributes {
        Attributes(self.attributes.get())
    }

    /// Largest time stamp of a record, or the append time.
    pub fn max_timestamp(&self) -> TimestampMs {
        TimestampMs::new(self.max_timestamp.get())
    }
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(pub i16);

/// Where the time stamps of a batch come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer: when the record was made.
    #[default]
    Create,
    /// The leader: when the batch was appended.
    Append,
}

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// snappy.
    Snappy,
    /// lz4 frame.
    Lz4,
    /// zstd.
    Zstd,
}

impl Attributes {
    const COMPRESSION_MASK: i16 = 0x07;
    /// Bit of the append time.
    pub(super) const APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;

    /// The compression code, 0 to 7.
    pub fn compression_code(self) -> u8 {
        (self.0 & Self::COMPRESSION_MASK).to_be_bytes()[1]
    }

    /// The compression, unless the code is unknown.
    pub fn compression(self) -> Option<Compression> {
        Some(match self.compression_code() {
            0 => Compression::None,
            1 => Compression::Gzip,
            2 => Compression::Snappy,
            3 => Compression::Lz4,
            4 => Compression::Zstd,
            _ => return None,
        })
    }

    /// Those of a produced batch.
    pub(super) fn compressed(compression: Compression) -> Self {
        Self(match compression {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        })
    }

    /// Where the time stamps come from.
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::APPEND_TIME == 0 {
            TimestampType::Create
        } else {
            TimestampType::Append
        }
    }

    /// Whether the batch is part of a transaction.
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds control records, which are not for consumers.
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether a producer without transactions may send this: nothing but a compression.
    pub(super) fn may_be_produced(self) -> bool {
        self.0 & !Self::COMPRESSION_MASK == 0
    }
}
