//! What can be wrong with a batch.

/// What is wrong with a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end within the batch.
    #[error("a batch of {needed_bytes} bytes is cut off after {available_bytes}")]
    Truncated {
        /// Bytes that are there.
        available_bytes: usize,
        /// Bytes of the whole batch, or of a header when even that is incomplete.
        needed_bytes: usize,
    },
    /// The length field cannot be that of a batch.
    #[error("the length field of the batch holds {length}, outside of 49..={length_max}")]
    Length {
        /// What the field holds.
        length: i32,
        /// The most that it may hold here.
        length_max: usize,
    },
    /// Another format version.
    #[error("the batch has magic {magic}, expected 2")]
    Magic {
        /// What the field holds.
        magic: i8,
    },
    /// The CRC does not match the contents.
    #[error("the CRC of the batch is {stored:#010x} and its contents give {computed:#010x}")]
    Crc {
        /// What the field holds.
        stored: u32,
        /// What the contents give.
        computed: u32,
    },
    /// The record count does not fit the last offset delta, or is out of bounds.
    #[error(
        "the batch counts {record_count} records and its last offset delta is {last_offset_delta}"
    )]
    RecordCount {
        /// What the field holds.
        record_count: i32,
        /// What the field holds.
        last_offset_delta: i32,
    },
    /// A produced batch has another base offset than 0: assigning offsets is the leader's.
    #[error("the batch has base offset {base_offset}, a produced one has 0")]
    BaseOffset {
        /// What the field holds.
        base_offset: i64,
    },
    /// A compression code that does not exist.
    #[error("the batch names compression {code}")]
    Compression {
        /// What the attributes hold.
        code: u8,
    },
    /// Attributes that a producer must not set: control, transactional, append time, unknown ones.
    #[error("the batch has attributes {attributes:#06x}, which a producer may not set")]
    Attributes {
        /// What the field holds.
        attributes: i16,
    },
    /// More bytes than the topic takes.
    #[error("the batch has {len_bytes} bytes, more than {batch_bytes_max}")]
    TooLarge {
        /// Bytes of the batch.
        len_bytes: usize,
        /// Most bytes of a batch.
        batch_bytes_max: usize,
    },
    /// There is a producer id, and it, the epoch or the sequence is negative.
    #[error("producer {producer_id} with epoch {epoch} and sequence {sequence} cannot be")]
    Producer {
        /// The id.
        producer_id: i64,
        /// The epoch.
        epoch: i16,
        /// The sequence of the first record.
        sequence: i32,
    },
}
