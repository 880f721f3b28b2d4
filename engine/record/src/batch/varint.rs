//! Zig-zag variable-length integers, as in Kafka's records.

use crate::limits::VARINT_BYTES_MAX;

/// Appends `value`.
pub(super) fn put(out: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out.push(low_seven(rest) | 0x80);
        rest >>= 7;
    }
    out.push(low_seven(rest));
}

/// Bytes that `value` takes.
pub(super) fn len_bytes(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Takes a number from the front of `bytes`; `None` when they end within it or it has more than 64 bits.
pub(super) fn take(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for index in 0..VARINT_BYTES_MAX {
        let byte = *bytes.get(index)?;
        let (seven, shift) = (u64::from(byte & 0x7f), 7 * index);
        if shift == 63 && seven > 1 {
            return None;
        }
        value |= seven << shift;
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    None
}

/// Takes a number of 32 bits.
pub(super) fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    i32::try_from(take(bytes)?).ok()
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn low_seven(value: u64) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}

#[cfg(test)]
mod tests;
