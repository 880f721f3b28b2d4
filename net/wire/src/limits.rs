//! Every bound of the protocol, and how they relate.

/// Length of a frame header.
pub const HEADER_BYTES: usize = 32;

/// Bodies are padded to a multiple of this.
pub const BODY_ALIGNMENT_BYTES: usize = 8;

/// The longest body, padding included.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// The longest payload.
pub const PAYLOAD_BYTES_MAX: usize = 32 << 20;

/// The longest frame: what a receiver must be ready to take in.
pub const FRAME_BYTES_MAX: usize = HEADER_BYTES + BODY_BYTES_MAX + PAYLOAD_BYTES_MAX;

/// The longest body of a hello, the only request that comes from someone unknown.
pub const HELLO_BODY_BYTES_MAX: usize = 4 << 10;

/// The longest record batch, and with it the least that a payload must have room for.
pub const BATCH_BYTES_MAX: usize = 4 << 20;

/// Partitions that one request may name: as many as a broker may hold.
pub const REQUEST_PARTITIONS_MAX: usize = 10_000;

/// Room that one partition takes in a body, whatever the message, when it has no text.
pub const PARTITION_ENTRY_BYTES_MAX: usize = 96;

/// A text that explains an error is cut to this.
pub const ERROR_MESSAGE_BYTES_MAX: usize = 1 << 10;

/// Partitions of one response that get a text besides their error code; the others have the code only.
pub const RESPONSE_ERROR_MESSAGES_MAX: usize = 64;

/// The longest name of a topic.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// The longest name of a consumer group.
pub const GROUP_ID_BYTES_MAX: usize = 255;

/// The longest text beside a committed offset.
pub const COMMIT_METADATA_BYTES_MAX: usize = 1 << 10;

/// Texts beside all committed offsets of a group, each with [`METADATA_OVERHEAD_BYTES`], so that they fit one answer.
pub const GROUP_METADATA_BYTES_MAX: usize = 64 << 10;

/// What such a text costs in a body beside its bytes: length, end, padding.
pub const METADATA_OVERHEAD_BYTES: usize = 8;

/// Tables in a message without lists of partitions or topics: itself, brokers, settings.
pub(crate) const ADMIN_TABLES_MAX: usize = 4 << 10;

/// Tables in a message about partitions: itself and one for each.
pub(crate) const PARTITION_TABLES_MAX: usize = 1 + REQUEST_PARTITIONS_MAX;

/// Tables in a metadata or describe response: as many as fit a body.
pub(crate) const METADATA_TABLES_MAX: usize = 64 << 10;

/// Tables inside tables: the message, a topic, a partition.
pub(crate) const TABLE_DEPTH_MAX: usize = 4;

/// What a verified body may amount to when tables and strings that share bytes are counted apart.
pub(crate) const APPARENT_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;

const _: () = assert!(HEADER_BYTES.is_multiple_of(BODY_ALIGNMENT_BYTES));
const _: () = assert!(BODY_BYTES_MAX.is_multiple_of(BODY_ALIGNMENT_BYTES));
const _: () = assert!(HELLO_BODY_BYTES_MAX.is_multiple_of(BODY_ALIGNMENT_BYTES));
const _: () = assert!(HELLO_BODY_BYTES_MAX <= BODY_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX <= PAYLOAD_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX <= u32::MAX as usize);
const _: () = assert!(
    REQUEST_PARTITIONS_MAX * PARTITION_ENTRY_BYTES_MAX
        + RESPONSE_ERROR_MESSAGES_MAX * (ERROR_MESSAGE_BYTES_MAX + 16)
        <= BODY_BYTES_MAX + BODY_BYTES_MAX / 64,
);
const _: () = assert!(REQUEST_PARTITIONS_MAX < METADATA_TABLES_MAX);
