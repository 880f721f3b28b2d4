//! Frames out of bytes that come in any pieces.

use bytes::{Bytes, BytesMut};
use ringlog_wire::limits::HEADER_BYTES;
use ringlog_wire::{Body, CheckedHead, FrameError, FrameHeader};

/// A whole frame; header and body have passed the checksum.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its header.
    pub header: FrameHeader,
    head: CheckedHead,
    /// What follows the body.
    pub payload: Bytes,
}

impl Frame {
    /// The body, for the `decode` of its message.
    pub fn body(&self) -> Body<'_> {
        self.head.body()
    }
}

/// Puts frames together. Bytes are put in through [`Assembler::buffer`].
#[derive(Debug, Default)]
pub struct Assembler {
    received: BytesMut,
}

impl Assembler {
    /// Where received bytes are appended.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.received
    }

    /// Whether a frame has begun and is not whole.
    pub fn is_within_frame(&self) -> bool {
        !self.received.is_empty()
    }

    /// The next whole frame, if there is one. When one has begun, room for the rest of it is reserved.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes: the stream is out of step and must be given up.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.received.len() < HEADER_BYTES {
            return Ok(None);
        }
        let header = FrameHeader::read(&self.received)?;
        let missing = header.frame_len().saturating_sub(self.received.len());
        if missing > 0 {
            self.received.reserve(missing);
            return Ok(None);
        }
        let mut head = self.received.split_to(header.frame_len()).freeze();
        let payload = head.split_off(header.head_len());
        let head = CheckedHead::new(head)?;
        Ok(Some(Frame {
            header,
            head,
            payload,
        }))
    }
}

#[cfg(test)]
mod tests;
