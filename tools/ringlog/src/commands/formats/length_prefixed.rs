//! Values behind their lengths.
//!
//! ```text
//! +----------------+---------------+----------------+---------------+--
//! | length u32, BE | value         | length u32, BE | value         | …
//! +----------------+---------------+----------------+---------------+--
//! ```
//!
//! The length `ff ff ff ff` is a tombstone, and no bytes follow.

use std::io::{self, BufRead, Read, Write};

use bytes::Bytes;
use ringlog_record::limits::BATCH_BYTES_MAX;

const LENGTH_BYTES: usize = size_of::<u32>();

/// The length of a value that is none.
const TOMBSTONE: u32 = u32::MAX;

/// A value, and how many bytes of the source it took.
type Taken = (Option<Bytes>, u64);

/// The next value; none at the end. What is no value is `InvalidData`.
pub(super) fn value(source: &mut impl BufRead) -> io::Result<Option<Taken>> {
    let malformed = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let mut length = Vec::with_capacity(LENGTH_BYTES);
    take(source, LENGTH_BYTES, &mut length)?;
    if length.is_empty() {
        return Ok(None);
    }
    let Ok(bytes) = <[u8; LENGTH_BYTES]>::try_from(length.as_slice()) else {
        return Err(malformed(format!(
            "the input ends within a length: {} of {LENGTH_BYTES} bytes",
            length.len()
        )));
    };
    let length = u32::from_be_bytes(bytes);
    if length == TOMBSTONE {
        return Ok(Some((None, LENGTH_BYTES as u64)));
    }
    let wanted = usize::try_from(length).unwrap_or(usize::MAX);
    if wanted > BATCH_BYTES_MAX {
        return Err(malformed(format!(
            "the length is {length}, more than the {BATCH_BYTES_MAX} that a record may have; each value must stand behind its length in 4 bytes, big-endian"
        )));
    }
    let mut value = Vec::with_capacity(wanted);
    take(source, wanted, &mut value)?;
    if value.len() < wanted {
        return Err(malformed(format!(
            "the input ends within a value: {} of {wanted} bytes",
            value.len()
        )));
    }
    let taken = (LENGTH_BYTES + wanted) as u64;
    Ok(Some((Some(value.into()), taken)))
}

/// Reads so many bytes, or what there is before the end.
fn take(source: &mut impl Read, bytes: usize, into: &mut Vec<u8>) -> io::Result<()> {
    source.take(bytes as u64).read_to_end(into).map(drop)
}

/// Writes a value.
pub(super) fn write(out: &mut impl Write, value: Option<&[u8]>) -> io::Result<()> {
    let Some(value) = value else {
        return out.write_all(&TOMBSTONE.to_be_bytes());
    };
    let length = u32::try_from(value.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(value)
}
