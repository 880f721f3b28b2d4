//! A whole batch, read in place.

use zerocopy::FromBytes;

use super::error::BatchError;
use super::header::{BatchHeader, MAGIC};
use super::records::Records;
use crate::ids::TimestampMs;
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_CRC_START, BATCH_HEADER_BYTES, BATCH_LENGTH_PREFIX_BYTES,
};
use crate::offset::Offset;

/// A whole batch with a sound framing: magic, length, offsets that are not negative. Its CRC is not checked yet.
#[derive(Clone, Copy)]
pub struct BatchView<'a> {
    header: &'a BatchHeader,
    bytes: &'a [u8],
    base_offset: Offset,
    last_offset: Offset,
}

impl<'a> BatchView<'a> {
    /// The batch at the front of `bytes`.
    ///
    /// # Errors
    ///
    /// [`BatchError`] `Truncated` when the bytes end within it; `Magic`, `Length`, `BaseOffset`, `RecordCount` when
    /// those fields cannot be of a batch.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let available_bytes = bytes.len();
        let Ok((header, _)) = BatchHeader::ref_from_prefix(bytes) else {
            return Err(BatchError::Truncated {
                available_bytes,
                needed_bytes: BATCH_HEADER_BYTES,
            });
        };
        if header.magic != MAGIC {
            return Err(BatchError::Magic {
                magic: header.magic,
            });
        }
        let len_bytes = header
            .len_bytes()
            .filter(|&len_bytes| len_bytes <= BATCH_BYTES_MAX)
            .ok_or_else(|| {
                let length_max = BATCH_BYTES_MAX - BATCH_LENGTH_PREFIX_BYTES;
                BatchError::Length {
                    length: header.length.get(),
                    length_max,
                }
            })?;
        let base_offset = header
            .first_offset()
            .ok_or_else(|| BatchError::BaseOffset {
                base_offset: header.base_offset.get(),
            })?;
        let last_offset = header
            .last_offset()
            .ok_or_else(|| BatchError::RecordCount {
                record_count: header.record_count.get(),
                last_offset_delta: header.last_offset_delta.get(),
            })?;
        let bytes = bytes.get(..len_bytes).ok_or(BatchError::Truncated {
            available_bytes,
            needed_bytes: len_bytes,
        })?;
        Ok(Self {
            header,
            bytes,
            base_offset,
            last_offset,
        })
    }

    /// How many records it has, at least one, or `None` when that contradicts its offsets, as in no batch that a broker
    /// has taken.
    pub fn dense_records(&self) -> Option<u32> {
        let BatchHeader {
            record_count,
            last_offset_delta,
            ..
        } = self.header;
        let count = record_count.get();
        let is_dense = count > 0 && last_offset_delta.get().checked_add(1) == Some(count);
        is_dense.then(|| u32::try_from(count).ok()).flatten()
    }

    /// The header.
    pub fn header(&self) -> &'a BatchHeader {
        self.header
    }

    /// The whole batch.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What lies behind the header: the records, compressed or not.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[BATCH_HEADER_BYTES..]
    }

    /// Bytes of the whole batch.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Offset of the first record.
    pub fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> Offset {
        self.last_offset
    }

    /// Largest time stamp of a record, or the append time.
    pub fn max_timestamp(&self) -> TimestampMs {
        self.header.max_timestamp()
    }

    /// Whether the stored CRC is that of the contents.
    pub fn crc_is_valid(&self) -> bool {
        self.computed_crc() == self.header.crc.get()
    }

    /// Compares the stored CRC with that of the contents.
    ///
    /// # Errors
    ///
    /// [`BatchError::Crc`] when they differ.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let (stored, computed) = (self.header.crc.get(), self.computed_crc());
        if stored == computed {
            Ok(())
        } else {
            Err(BatchError::Crc { stored, computed })
        }
    }

    /// The records, each decoded as it is reached.
    ///
    /// # Errors
    ///
    /// The first item is [`super::RecordError::Compressed`] when the records are compressed.
    pub fn records(&self) -> Records<'a> {
        Records::new(self)
    }

    /// The records of a compressed batch, out of `decompressed`: what lies behind the header, decompressed.
    pub fn decompressed_records<'d>(&self, decompressed: &'d [u8]) -> Records<'d> {
        Records::decompressed(self, decompressed)
    }

    fn computed_crc(&self) -> u32 {
        crc32c::crc32c(&self.bytes[BATCH_CRC_START..])
    }
}
