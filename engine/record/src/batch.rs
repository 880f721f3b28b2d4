//! The record batch v2 of Kafka, byte for byte: the unit on disk and on the wire.
//!
//! ```text
//! byte  0        base offset             i64   outside the CRC: the leader stamps it
//!       8        length                  i32   bytes after this field
//!      12        partition leader epoch  i32   outside the CRC: the leader stamps it
//!      16        magic                   i8    2
//!      17        CRC-32C                 u32   of everything from byte 21 to the end
//!      21        attributes              i16   bits 0-2 compression, 3 time stamp type, 4 transactional,
//!                                              5 control, 6 delete horizon
//!      23        last offset delta       i32
//!      27        base time stamp         i64   ms
//!      35        max time stamp          i64   ms
//!      43        producer id             i64   -1: none
//!      51        producer epoch          i16   -1: none
//!      53        base sequence           i32   -1: none
//!      57        record count            i32
//!      61        records, compressed together when the attributes say so
//!
//! record         length varint, attributes i8, time stamp delta varlong, offset delta varint,
//!                key length varint (-1: null), key, value length varint (-1: null), value,
//!                header count varint, headers: key length varint, key, value length varint (-1: null), value
//! ```
//!
//! All fixed fields are big-endian, varints are zig-zag. Source: Kafka's documentation, "Message Format", and
//! KIP-98. The CRC does not cover base offset, length, epoch and magic: whoever reads a batch from a disk or a
//! peer checks those against what it expects.

mod builder;
mod error;
mod header;
mod iter;
mod records;
mod stamp;
mod validate;
mod varint;
mod view;

pub use builder::{BatchBuilder, HeaderData, RecordData};
pub use error::BatchError;
pub use header::{Attributes, BatchHeader, Compression, TimestampType};
pub use iter::{Batches, batches};
pub use records::{HeaderView, Headers, RecordError, RecordView, Records};
pub use stamp::{stamp, stamp_append_time, stamp_producer};
pub use validate::{BatchInfo, BatchLimits, check_produce, copy_validated, validate_produce};
pub use view::BatchView;

#[cfg(test)]
mod tests;
