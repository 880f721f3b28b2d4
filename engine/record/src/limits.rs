//! The bounds of a record batch, in one place, with the relations between them asserted at compile time.

/// Bytes of the header of a record batch.
pub const BATCH_HEADER_BYTES: usize = 61;

/// Bytes in front of the part of a batch that its length field counts: base offset and the length itself.
pub const BATCH_LENGTH_PREFIX_BYTES: usize = 12;

/// Where the part of a batch begins that its CRC covers: `attributes`.
pub const BATCH_CRC_START: usize = 21;

/// Largest batch, header included, that any log stores.
pub const BATCH_BYTES_MAX: usize = 4 << 20;

/// Most records in a batch.
pub const BATCH_RECORDS_MAX: u32 = 1 << 20;

/// Headers of one record that a parser accepts.
pub const RECORD_HEADERS_MAX: usize = 1 << 16;

/// Bytes of the longest variable-length integer of 64 bits.
pub const VARINT_BYTES_MAX: usize = 10;

const _: () =
    assert!(BATCH_HEADER_BYTES > BATCH_CRC_START && BATCH_CRC_START > BATCH_LENGTH_PREFIX_BYTES);
const _: () = assert!(BATCH_BYTES_MAX <= i32::MAX as usize);
const _: () = assert!(BATCH_RECORDS_MAX <= i32::MAX as u32);
