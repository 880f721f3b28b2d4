//! Frames out of a stream of bytes.
//!
//! One receive is under way. It goes into a pooled buffer; when it has ended, the whole frames in it are handed out
//! as slices of it, and what is left of a frame is copied to the front of the next buffer. When a header announces
//! more than a receive takes, the next buffer holds the whole frame and the receives take exactly the rest of it, so
//! that a large payload is received in place.

use std::io;

use bytes::Bytes;
use ringlog_reactor::{AlignedBuf, TcpStream};
use ringlog_wire::limits::HEADER_BYTES;
use ringlog_wire::{FrameError, FrameHeader, frame};

use crate::handlers::Request;
use crate::limits::{BUFFER_RETRY, FRAME_TIMEOUT, RECV_BYTES_MAX, RECV_BYTES_MIN};
use crate::shard::Shard;

/// Why no more requests come out of a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The bytes are no frame.
    #[error("bad frame: {0}")]
    Frame(#[from] FrameError),
    /// The client stopped in the middle of a frame.
    #[error("the connection ended in the middle of a frame, after {have_bytes} bytes of it")]
    Truncated { have_bytes: usize },
    /// The client is too slow.
    #[error("a frame was not complete within {} s", FRAME_TIMEOUT.as_secs())]
    TimedOut,
    /// The stream is gone.
    #[error("cannot receive: {0}")]
    Io(#[from] io::Error),
}

/// Takes frames out of a connection.
pub(super) struct FrameReader<'a> {
    shard: &'a Shard,
    stream: &'a TcpStream,
    /// Received, and not handed out.
    received: Bytes,
    recv_bytes: usize,
    last_header: Option<FrameHeader>,
}

impl<'a> FrameReader<'a> {
    pub(super) fn new(shard: &'a Shard, stream: &'a TcpStream) -> Self {
        Self {
            shard,
            stream,
            received: Bytes::new(),
            recv_bytes: RECV_BYTES_MIN,
            last_header: None,
        }
    }

    /// The header of the last frame whose lengths were right.
    pub(super) fn last_header(&self) -> Option<FrameHeader> {
        self.last_header
    }

    /// The next request; `None` when the client has ended the connection between two.
    pub(super) async fn next(&mut self) -> Result<Option<Request>, ReadError> {
        loop {
            if let Some(request) = self.take_frame()? {
                return Ok(Some(request));
            }
            if !self.receive().await? {
                return Ok(None);
            }
        }
    }

    /// Takes a frame off what has been received, if it is whole.
    fn take_frame(&mut self) -> Result<Option<Request>, ReadError> {
        if self.received.len() < HEADER_BYTES {
            return Ok(None);
        }
        self.last_header = None;
        let header = FrameHeader::read(&self.received)?;
        self.last_header = Some(header);
        if self.received.len() < header.frame_len() {
            return Ok(None);
        }
        let mut head = self.received.split_to(header.frame_len());
        let payload = head.split_off(header.head_len());
        frame::parse(&head)?;
        Ok(Some(Request {
            header,
            head,
            payload,
        }))
    }

    /// Receives more; false at the end of the stream between two frames.
    async fn receive(&mut self) -> Result<bool, ReadError> {
        let have = self.received.len();
        let frame_bytes = match self.last_header.filter(|_| have >= HEADER_BYTES) {
            Some(header) => header.frame_len(),
            None => 0,
        };
        let want = frame_bytes.max(self.recv_bytes.max(have + RECV_BYTES_MIN));
        let mut buf = self.buffer(want).await;
        buf[..have].copy_from_slice(&self.received);
        self.received = Bytes::new();
        if have == 0 {
            return self.receive_any(buf).await;
        }
        let rest = self.receive_rest(buf, have, frame_bytes);
        let received = self.shard.reactor.timeout(FRAME_TIMEOUT, rest).await;
        self.received = received.map_err(|_| ReadError::TimedOut)??;
        Ok(true)
    }

    /// Receives whatever comes next, however long that takes: between two requests a client may rest.
    async fn receive_any(&mut self, buf: AlignedBuf) -> Result<bool, ReadError> {
        let room = self.recv_bytes.min(buf.capacity());
        let (received, buf) = self.stream.recv(buf, 0..room).await;
        let bytes = received?;
        if bytes == 0 {
            return Ok(false);
        }
        self.shard.metrics.received_bytes.add(bytes as u64);
        // A full receive is a sign of more to come, a nearly empty one of a client that asks and waits.
        if bytes == room {
            self.recv_bytes = (self.recv_bytes * 4).min(RECV_BYTES_MAX);
        } else if bytes <= room / 8 {
            self.recv_bytes = (self.recv_bytes / 4).max(RECV_BYTES_MIN);
        }
        self.received = buf.freeze(bytes);
        Ok(true)
    }

    /// Receives the rest of the frame that has begun. Its length is known once its header is here; until then
    /// whatever comes is taken.
    async fn receive_rest(
        &self,
        mut buf: AlignedBuf,
        mut have: usize,
        frame_bytes: usize,
    ) -> Result<Bytes, ReadError> {
        let (end, until) = if frame_bytes > 0 {
            (frame_bytes, frame_bytes)
        } else {
            (buf.capacity(), HEADER_BYTES)
        };
        while have < until {
            let (received, back) = self.stream.recv(buf, have..end).await;
            buf = back;
            let bytes = received?;
            if bytes == 0 {
                return Err(ReadError::Truncated { have_bytes: have });
            }
            self.shard.metrics.received_bytes.add(bytes as u64);
            have += bytes;
        }
        Ok(buf.freeze(have))
    }

    /// A buffer; as long as the shard has none, nothing is received.
    async fn buffer(&self, min_bytes: usize) -> AlignedBuf {
        loop {
            if let Some(buf) = self.shard.reactor.buffer(min_bytes) {
                return buf;
            }
            self.shard.metrics.buffer_waits.add(1);
            self.shard.reactor.sleep(BUFFER_RETRY).await;
        }
    }
}

/// Receives exactly the first `len` bytes of a connection, and not one more.
pub(super) async fn receive_exactly(
    shard: &Shard,
    stream: &TcpStream,
    mut buf: AlignedBuf,
    range: std::ops::Range<usize>,
) -> Result<AlignedBuf, ReadError> {
    let mut have = range.start;
    while have < range.end {
        let (received, back) = stream.recv(buf, have..range.end).await;
        buf = back;
        let bytes = received?;
        if bytes == 0 {
            return Err(ReadError::Truncated { have_bytes: have });
        }
        shard.metrics.received_bytes.add(bytes as u64);
        have += bytes;
    }
    Ok(buf)
}
