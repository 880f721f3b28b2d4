//! The frame: a fixed header, a body, a payload.
//!
//! ```text
//!  0               4        5        6               8
//!  +---------------+--------+--------+---------------+
//!  | magic "RLOG"  | version| flags  | api           |
//!  +---------------+--------+--------+---------------+
//!  | correlation_id                                  |
//!  +-------------------------+-----------------------+
//!  | body_len                | payload_len           |
//!  +-------------------------+-----------------------+
//!  | header_crc              | reserved (zero)       |
//!  +-------------------------+-----------------------+
//!  | body: body_len bytes, FlatBuffers, padded to 8  |
//!  +-------------------------------------------------+
//!  | payload: payload_len bytes, record batches      |
//!  +-------------------------------------------------+
//! ```
//!
//! Integers are little-endian. `header_crc` is the CRC-32C of the header, with this field zero, and of the body.
//! The payload is covered by the CRCs of its batches. Flags: bit 0 response, bit 1 error (the body is then an
//! [`ErrorResponse`](crate::ErrorResponse)); other bits are zero and ignored. `version` is the one agreed in
//! hello; hello itself carries 1.

use bytes::Bytes;
use thiserror::Error;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::api::{Api, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN};
use crate::error_code::ErrorCode;
use crate::limits::{
    BODY_ALIGNMENT_BYTES, BODY_BYTES_MAX, HEADER_BYTES, HELLO_BODY_BYTES_MAX, PAYLOAD_BYTES_MAX,
};

/// The first four bytes of every frame, as they lie on the wire.
pub const MAGIC: [u8; 4] = *b"RLOG";

const FLAG_RESPONSE: u8 = 1 << 0;
const FLAG_ERROR: u8 = 1 << 1;

/// Ties a response to its request; chosen by the client, unique among the requests it has in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CorrelationId(u64);

impl CorrelationId {
    /// The id with this number.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl std::fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Which way a message goes, and how it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From client to broker.
    Request,
    /// From broker to client.
    Response,
    /// From broker to client: an [`ErrorResponse`](crate::ErrorResponse) in place of the response.
    Error,
}

impl Direction {
    const fn flags(self) -> u8 {
        match self {
            Self::Request => 0,
            Self::Response => FLAG_RESPONSE,
            Self::Error => FLAG_RESPONSE | FLAG_ERROR,
        }
    }

    const fn from_flags(flags: u8) -> Self {
        match (flags & FLAG_RESPONSE, flags & FLAG_ERROR) {
            (0, _) => Self::Request,
            (_, 0) => Self::Response,
            _ => Self::Error,
        }
    }
}

/// The header of a frame as it lies on the wire.
///
/// One that [`FrameHeader::read`] returned has the right magic and lengths within the limits; one that [`parse`]
/// returned has also passed the checksum.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct FrameHeader {
    magic: [u8; 4],
    version: u8,
    flags: u8,
    api: U16,
    correlation_id: U64,
    body_len: U32,
    payload_len: U32,
    header_crc: U32,
    reserved: U32,
}

const _: () = assert!(size_of::<FrameHeader>() == HEADER_BYTES);

impl FrameHeader {
    /// Reads the header at the front of `bytes`: enough to know how much more to receive, before the rest is here.
    ///
    /// # Errors
    ///
    /// Fewer than 32 bytes, another magic, a length that is over its limit or not padded. After any but the first
    /// the stream is out of step.
    pub fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        let Ok((header, _)) = Self::read_from_prefix(bytes) else {
            return Err(FrameError::Incomplete {
                needed_bytes: HEADER_BYTES,
                have_bytes: bytes.len(),
            });
        };
        header.check_lengths()?;
        Ok(header)
    }

    /// Reads the header of the first request of a connection, which comes from someone unknown: it must be a hello,
    /// with a short body and no payload.
    ///
    /// # Errors
    ///
    /// As [`FrameHeader::read`], and anything but such a hello.
    pub fn read_hello(bytes: &[u8]) -> Result<Self, FrameError> {
        let header = Self::read(bytes)?;
        let is_hello = Api::from_wire(header.api.get()) == Some(Api::Hello)
            && header.direction() == Direction::Request
            && header.body_len() <= HELLO_BODY_BYTES_MAX
            && header.payload_len() == 0;
        if is_hello {
            Ok(header)
        } else {
            Err(FrameError::NotHello {
                api: header.api.get(),
                body_bytes: header.body_len(),
                payload_bytes: header.payload_len(),
            })
        }
    }

    fn check_lengths(&self) -> Result<(), FrameError> {
        if self.magic != MAGIC {
            return Err(FrameError::BadMagic { found: self.magic });
        }
        if self.body_len() > BODY_BYTES_MAX {
            return Err(FrameError::BodyTooLong {
                body_bytes: self.body_len(),
            });
        }
        if !self.body_len().is_multiple_of(BODY_ALIGNMENT_BYTES) {
            return Err(FrameError::BodyNotPadded {
                body_bytes: self.body_len(),
            });
        }
        if self.payload_len() > PAYLOAD_BYTES_MAX {
            return Err(FrameError::PayloadTooLong {
                payload_bytes: self.payload_len(),
            });
        }
        Ok(())
    }

    /// The kind of request that this is, or answers.
    ///
    /// # Errors
    ///
    /// A version or a kind that this side does not know. The stream stays in step: answer, skip the frame, go on.
    pub fn api(&self) -> Result<Api, FrameError> {
        if !(PROTOCOL_VERSION_MIN..=PROTOCOL_VERSION_MAX).contains(&self.version) {
            return Err(FrameError::UnsupportedVersion {
                version: self.version,
            });
        }
        Api::from_wire(self.api.get()).ok_or(FrameError::UnknownApi {
            api: self.api.get(),
        })
    }

    /// The number in the place of the kind, known or not: an error response echoes it.
    #[must_use]
    pub fn api_raw(&self) -> u16 {
        self.api.get()
    }

    /// The protocol version.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Which way the frame goes, and how it went.
    #[must_use]
    pub fn direction(&self) -> Direction {
        Direction::from_flags(self.flags)
    }

    /// The id that request and response share.
    #[must_use]
    pub fn correlation_id(&self) -> CorrelationId {
        CorrelationId(self.correlation_id.get())
    }

    /// Length of the body, padding included.
    #[must_use]
    pub fn body_len(&self) -> usize {
        self.body_len.get() as usize
    }

    /// Length of the payload.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.payload_len.get() as usize
    }

    /// Length of header and body: what [`parse`] needs, and where the payload begins.
    #[must_use]
    pub fn head_len(&self) -> usize {
        HEADER_BYTES + self.body_len()
    }

    /// Length of the whole frame.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.head_len() + self.payload_len()
    }

    /// The header of a frame with this body, checksum included. The caller has checked the lengths.
    pub(crate) fn seal(
        api: u16,
        direction: Direction,
        correlation_id: CorrelationId,
        body: &[u8],
        lengths: BodyAndPayloadLen,
    ) -> Self {
        let mut header = Self {
            magic: MAGIC,
            version: PROTOCOL_VERSION_MAX,
            flags: direction.flags(),
            api: U16::new(api),
            correlation_id: U64::new(correlation_id.get()),
            body_len: U32::new(lengths.body),
            payload_len: U32::new(lengths.payload),
            header_crc: U32::ZERO,
            reserved: U32::ZERO,
        };
        header.header_crc = U32::new(header.checksum(body));
        header
    }

    fn checksum(&self, body: &[u8]) -> u32 {
        let blank = Self {
            header_crc: U32::ZERO,
            ..*self
        };
        crc32c::crc32c_append(crc32c::crc32c(blank.as_bytes()), body)
    }
}

/// Two lengths that have been checked against their limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyAndPayloadLen {
    pub(crate) body: u32,
    pub(crate) payload: u32,
}

/// A body whose checksum matched, with what its header says about it. The `decode` of a message takes it.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    header: FrameHeader,
    bytes: &'a [u8],
}

impl<'a> Body<'a> {
    /// The header that it came with.
    #[must_use]
    pub fn header(&self) -> &FrameHeader {
        &self.header
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Checks the frame at the front of `bytes`, of which header and body must be there; the payload need not.
///
/// # Errors
///
/// What [`FrameHeader::read`] reports, `Incomplete` while the body is not all there, or a checksum that does not
/// match. Version and kind are checked by [`FrameHeader::api`], after which the stream is still in step.
pub fn parse(bytes: &[u8]) -> Result<(FrameHeader, Body<'_>), FrameError> {
    let header = FrameHeader::read(bytes)?;
    let Some(body) = bytes.get(HEADER_BYTES..header.head_len()) else {
        return Err(FrameError::Incomplete {
            needed_bytes: header.head_len(),
            have_bytes: bytes.len(),
        });
    };
    let computed = header.checksum(body);
    let stored = header.header_crc.get();
    if computed != stored {
        return Err(FrameError::BadChecksum { stored, computed });
    }
    let body = Body {
        header,
        bytes: body,
    };
    Ok((header, body))
}

/// Header and body of a frame that have passed the checksum, with their memory.
#[derive(Debug, Clone)]
pub struct CheckedHead {
    header: FrameHeader,
    bytes: Bytes,
}

impl CheckedHead {
    /// Checks header and body, which must be all that there is.
    ///
    /// # Errors
    ///
    /// What [`parse`] reports.
    pub fn new(bytes: Bytes) -> Result<Self, FrameError> {
        let (header, _) = parse(&bytes)?;
        Ok(Self { header, bytes })
    }

    /// The body, for the `decode` of its message.
    #[must_use]
    pub fn body(&self) -> Body<'_> {
        Body {
            header: self.header,
            bytes: self.bytes.get(HEADER_BYTES..).unwrap_or_default(),
        }
    }
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// More bytes are needed; none of those that are here is wrong yet.
    #[error("frame has {have_bytes} bytes of the {needed_bytes} needed so far")]
    Incomplete {
        /// Length that is known to be needed, from the start of the frame.
        needed_bytes: usize,
        /// Length that is here.
        have_bytes: usize,
    },
    /// Not a frame of this protocol at all.
    #[error("frame begins with {found:02x?} instead of \"RLOG\"")]
    BadMagic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// The body is over its limit.
    #[error("frame body of {body_bytes} bytes is over the limit of {BODY_BYTES_MAX}")]
    BodyTooLong {
        /// Its length by the header.
        body_bytes: usize,
    },
    /// The body's length is not a multiple of eight.
    #[error("frame body of {body_bytes} bytes is not padded to {BODY_ALIGNMENT_BYTES}")]
    BodyNotPadded {
        /// Its length by the header.
        body_bytes: usize,
    },
    /// The payload is over its limit.
    #[error("frame payload of {payload_bytes} bytes is over the limit of {PAYLOAD_BYTES_MAX}")]
    PayloadTooLong {
        /// Its length by the header.
        payload_bytes: usize,
    },
    /// Header or body were damaged.
    #[error("frame checksum is {computed:#010x} but the header says {stored:#010x}")]
    BadChecksum {
        /// By the header.
        stored: u32,
        /// By header and body.
        computed: u32,
    },
    /// The first request of a connection is not a hello of at most 4 KiB without payload.
    #[error(
        "the first request must be hello with at most {HELLO_BODY_BYTES_MAX} bytes of body, not api {api} with \
         {body_bytes} bytes of body and {payload_bytes} of payload"
    )]
    NotHello {
        /// Its kind.
        api: u16,
        /// Length of its body.
        body_bytes: usize,
        /// Length of its payload.
        payload_bytes: usize,
    },
    /// Another version of the protocol.
    #[error(
        "protocol version {version} is not spoken here, only {PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION_MAX}"
    )]
    UnsupportedVersion {
        /// By the header.
        version: u8,
    },
    /// A kind of request that is not known here.
    #[error("there is no request of kind {api}")]
    UnknownApi {
        /// By the header.
        api: u16,
    },
}

impl FrameError {
    /// Whether the frame's lengths can be trusted, so that the receiver may answer, skip it and go on.
    #[must_use]
    pub const fn stream_in_step(&self) -> bool {
        matches!(
            self,
            Self::UnsupportedVersion { .. } | Self::UnknownApi { .. }
        )
    }

    /// The code that the peer is told.
    #[must_use]
    pub const fn error_code(&self) -> ErrorCode {
        match self {
            Self::UnsupportedVersion { .. } => ErrorCode::UnsupportedVersion,
            Self::UnknownApi { .. } => ErrorCode::UnknownApi,
            Self::NotHello { .. } => ErrorCode::InvalidRequest,
            Self::Incomplete { .. }
            | Self::BadMagic { .. }
            | Self::BodyTooLong { .. }
            | Self::BodyNotPadded { .. }
            | Self::PayloadTooLong { .. }
            | Self::BadChecksum { .. } => ErrorCode::CorruptFrame,
        }
    }
}

#[cfg(test)]
mod tests;
