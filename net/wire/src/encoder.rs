//! Messages to bytes.

use bytes::{BufMut, Bytes, BytesMut};
use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, UOffsetT, Vector, WIPOffset};
use thiserror::Error;
use zerocopy::IntoBytes;

use crate::api::Api;
use crate::frame::{BodyAndPayloadLen, CorrelationId, Direction, FrameHeader};
use crate::limits::{
    BODY_ALIGNMENT_BYTES, BODY_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX, HEADER_BYTES, PAYLOAD_BYTES_MAX,
};
use crate::messages::error::ErrorResponse;

/// Output is handed out of chunks of this size, so that a small frame costs no allocation of its own.
const OUTPUT_CHUNK_BYTES: usize = 16 << 10;

/// A message that can be sent: requests, responses, and drafts of those with a payload.
pub trait Message: Build {
    /// The kind that it is, or answers.
    const API: Api;
    /// Which way it goes.
    const DIRECTION: Direction;
}

/// What a message does to become a body. Sealed: the module is private, so nobody else can name it.
pub trait Build {
    #[doc(hidden)]
    fn build(&self, writer: &mut Writer);

    /// Length of the payload that will follow.
    #[doc(hidden)]
    fn payload_bytes(&self) -> u64 {
        0
    }
}

/// Turns messages into frames, reusing its memory from one to the next.
pub struct Encoder {
    writer: Writer,
    output: BytesMut,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

/// The builder of bodies and what it needs beside it. Public in a private module: see [`Build`].
pub struct Writer {
    pub(crate) builder: FlatBufferBuilder<'static>,
    offsets: Vec<UOffsetT>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder without memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            writer: Writer {
                builder: FlatBufferBuilder::new(),
                offsets: Vec::new(),
            },
            output: BytesMut::new(),
        }
    }

    /// Header and body of the message, padded to eight; the payload, if it has one, is sent behind them.
    ///
    /// # Errors
    ///
    /// Body or payload are over their limits. Nothing of it is kept; the encoder goes on working.
    pub fn encode<M: Message>(
        &mut self,
        correlation_id: CorrelationId,
        message: &M,
    ) -> Result<Bytes, EncodeError> {
        message.build(&mut self.writer);
        let payload_bytes = message.payload_bytes();
        self.finish(
            M::API.to_wire(),
            M::DIRECTION,
            correlation_id,
            payload_bytes,
        )
    }

    /// Header and body of an error in place of the response to a request of kind `api`, which may be an unknown one.
    ///
    /// # Errors
    ///
    /// None that can happen: the message is cut to its limit.
    pub fn encode_error(
        &mut self,
        api: u16,
        correlation_id: CorrelationId,
        error: &ErrorResponse,
    ) -> Result<Bytes, EncodeError> {
        error.write(&mut self.writer);
        self.finish(api, Direction::Error, correlation_id, 0)
    }

    fn finish(
        &mut self,
        api: u16,
        direction: Direction,
        correlation_id: CorrelationId,
        payload_bytes: u64,
    ) -> Result<Bytes, EncodeError> {
        let body = self.writer.builder.finished_data();
        let frame = write_frame(&mut self.output, body, payload_bytes, |body, lengths| {
            FrameHeader::seal(api, direction, correlation_id, body, lengths)
        });
        self.writer.builder.reset();
        frame
    }
}

fn write_frame(
    output: &mut BytesMut,
    body: &[u8],
    payload_bytes: u64,
    seal: impl FnOnce(&[u8], BodyAndPayloadLen) -> FrameHeader,
) -> Result<Bytes, EncodeError> {
    let body_bytes = body.len().next_multiple_of(BODY_ALIGNMENT_BYTES);
    let lengths = match (u32::try_from(body_bytes), u32::try_from(payload_bytes)) {
        (Ok(body), Ok(payload))
            if body_bytes <= BODY_BYTES_MAX && payload as usize <= PAYLOAD_BYTES_MAX =>
        {
            BodyAndPayloadLen { body, payload }
        }
        _ => {
            return Err(EncodeError::TooLong {
                body_bytes,
                payload_bytes,
            });
        }
    };
    let head_bytes = HEADER_BYTES + body_bytes;
    if output.capacity() < head_bytes {
        output.reserve(head_bytes.max(OUTPUT_CHUNK_BYTES));
    }
    output.put_bytes(0, HEADER_BYTES);
    output.put_slice(body);
    output.put_bytes(0, body_bytes - body.len());
    let (front, padded_body) = output.split_at_mut(HEADER_BYTES);
    front.copy_from_slice(seal(padded_body, lengths).as_bytes());
    Ok(output.split().freeze())
}

impl Writer {
    /// A vector of tables, one for each item, without memory of its own.
    pub(crate) fn tables<T, I>(
        &mut self,
        items: I,
        mut make: impl FnMut(&mut FlatBufferBuilder<'static>, I::Item) -> WIPOffset<T>,
    ) -> WIPOffset<Vector<'static, ForwardsUOffset<T>>>
    where
        I: IntoIterator,
        T: 'static,
    {
        let mut offsets = std::mem::take(&mut self.offsets);
        offsets.clear();
        for item in items {
            offsets.push(make(&mut self.builder, item).value());
        }
        self.builder.start_vector::<WIPOffset<T>>(offsets.len());
        for offset in offsets.iter().rev() {
            self.builder.push(WIPOffset::<T>::new(*offset));
        }
        let vector = self.builder.end_vector::<WIPOffset<T>>(offsets.len());
        self.offsets = offsets;
        WIPOffset::new(vector.value())
    }

    /// A vector of strings.
    pub(crate) fn strings(
        &mut self,
        strings: &[String],
    ) -> WIPOffset<Vector<'static, ForwardsUOffset<&'static str>>> {
        let offsets: Vec<_> = strings
            .iter()
            .map(|string| self.builder.create_string(string))
            .collect();
        self.builder.create_vector(&offsets)
    }
}

/// Text that explains an error, cut to its limit at the end of a character.
pub(crate) fn cut(message: &str) -> &str {
    let mut end = message.len().min(ERROR_MESSAGE_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.get(..end).unwrap_or_default()
}

/// Why a message cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// Body or payload are over their limits.
    #[error(
        "message has {body_bytes} bytes of body and {payload_bytes} of payload; the limits are {BODY_BYTES_MAX} and \
         {PAYLOAD_BYTES_MAX}"
    )]
    TooLong {
        /// Length of its body, padding included.
        body_bytes: usize,
        /// Length of its payload.
        payload_bytes: u64,
    },
}

#[cfg(test)]
mod tests;
