//! Values that tell which append they came from and whether they were changed.

/// Names a record of a run; the high bits are the producer's, the low ones count up in the order of its sends.
pub type RecordId = u64;

/// Bits of an id that count.
const COUNT_BITS: u32 = 40;

/// Bytes of a value that hold its id and length.
pub const VALUE_BYTES_MIN: usize = 12;

/// The first id of a producer.
pub fn first_id(producer: u32) -> RecordId {
    u64::from(producer) << COUNT_BITS | 1
}

/// The producer of a record.
pub fn producer_of(id: RecordId) -> u64 {
    id >> COUNT_BITS
}

/// The value of a record: its id, its length, and bytes that follow from the id.
pub fn value_of(id: RecordId, len: usize) -> Vec<u8> {
    let len = len.max(VALUE_BYTES_MIN);
    let mut value = Vec::with_capacity(len + 8);
    value.extend_from_slice(&id.to_be_bytes());
    value.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    let mut state = first_state(id);
    while value.len() < len {
        state = next_state(state);
        value.extend_from_slice(&state.to_be_bytes());
    }
    value.truncate(len);
    value
}

/// The id of a value that is unchanged; `None` for any other bytes.
pub fn id_of(value: &[u8]) -> Option<RecordId> {
    let (head, rest) = value.split_at_checked(VALUE_BYTES_MIN)?;
    let id = u64::from_be_bytes(head[..8].try_into().ok()?);
    let len = u32::from_be_bytes(head[8..].try_into().ok()?);
    let mut state = first_state(id);
    let is_whole = usize::try_from(len).ok()? == value.len()
        && rest.chunks(8).all(|part| {
            state = next_state(state);
            part == &state.to_be_bytes()[..part.len()]
        });
    is_whole.then_some(id)
}

fn first_state(id: RecordId) -> u64 {
    id.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

fn next_state(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ state << 17
}

#[cfg(test)]
mod tests;
