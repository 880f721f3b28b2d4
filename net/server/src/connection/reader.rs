//! Frames out of a stream of bytes.
//!
//! One receive is under way. It goes into a pooled buffer; when it has ended, the whole frames in it are handed out
//! as slices of it, and what is left of a frame is copied to the front of the next buffer. A frame that is larger
//! than such a receive gets two buffers of its own, one for header and body and one for the payload, each received
//! in place and to the byte; before its payload gets a buffer its lengths have passed the checksum, and it takes a
//! share of what the shard sets apart for large frames.

use std::io;

use bytes::Bytes;
use ringlog_reactor::{AlignedBuf, Instant, TcpStream};
use ringlog_shard::Share;
use ringlog_wire::limits::HEADER_BYTES;
use ringlog_wire::{CheckedHead, FrameError, FrameHeader};

use super::Held;
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

/// How much of the next request has been received.
pub(super) enum Received {
    Nothing,
    /// Less than this.
    Part {
        needed: usize,
    },
    /// The header of one that gets buffers of its own.
    PartOfLarge(FrameHeader),
    Whole(Request),
}

/// Takes frames out of a connection.
pub(super) struct FrameReader<'a> {
    shard: &'a Shard,
    stream: &'a TcpStream,
    held: &'a Held,
    /// Received, and not handed out.
    received: Bytes,
    /// When the last of it came in.
    received_at: Instant,
    recv_bytes: usize,
    /// The header of the frame that `received` begins with, or of the one handed out last.
    header: Option<FrameHeader>,
}

impl<'a> FrameReader<'a> {
    pub(super) fn new(shard: &'a Shard, stream: &'a TcpStream, held: &'a Held) -> Self {
        Self {
            shard,
            stream,
            held,
            received: Bytes::new(),
            received_at: Instant::default(),
            recv_bytes: RECV_BYTES_MIN,
            header: None,
        }
    }

    /// The header of the last frame whose lengths were right.
    pub(super) fn last_header(&self) -> Option<FrameHeader> {
        self.header
    }

    /// The next request; `None` when the client has ended the connection between two.
    pub(super) async fn next(&mut self) -> Result<Option<Request>, ReadError> {
        loop {
            match self.next_received()? {
                Received::Whole(request) => return Ok(Some(request)),
                Received::Nothing => {
                    if !self.receive_first().await? {
                        return Ok(None);
                    }
                }
                Received::Part { needed } => self.receive_more(needed).await?,
                Received::PartOfLarge(header) => {
                    return self.receive_large(header).await.map(Some);
                }
            }
        }
    }

    /// What has been received of the next request.
    pub(super) fn next_received(&mut self) -> Result<Received, ReadError> {
        if self.received.is_empty() {
            return Ok(Received::Nothing);
        }
        if self.received.len() < HEADER_BYTES {
            let needed = HEADER_BYTES;
            return Ok(Received::Part { needed });
        }
        self.header = None;
        let header = FrameHeader::read(&self.received)?;
        self.header = Some(header);
        let needed = header.frame_len();
        if needed > RECV_BYTES_MAX {
            return Ok(Received::PartOfLarge(header));
        }
        if self.received.len() < needed {
            return Ok(Received::Part { needed });
        }
        self.take_frame(header).map(Received::Whole)
    }

    /// A buffer to receive into; the connection is held back until there is one.
    async fn buffer(&self, min_bytes: usize) -> AlignedBuf {
        let wait = buffer(self.shard, min_bytes);
        self.held.during(&self.shard.reactor, wait).await
    }

    /// Memory for a large frame, or a part of one; the connection is held back until there is some.
    async fn share(&self, bytes: usize) -> Share {
        let wait = self.shard.frames(bytes).take(bytes);
        self.held.during(&self.shard.reactor, wait).await
    }

    /// Takes a whole frame off what has been received.
    fn take_frame(&mut self, header: FrameHeader) -> Result<Request, ReadError> {
        let mut head = self.received.split_to(header.frame_len());
        let payload = head.split_off(header.head_len());
        Ok(Request {
            header,
            head: CheckedHead::new(head)?,
            payload,
            received: self.received_at,
            _memory: None,
        })
    }

    /// Receives whatever comes next, however long that takes: between two requests a client may rest. False at the
    /// end of the stream.
    async fn receive_first(&mut self) -> Result<bool, ReadError> {
        // Those who rest must not rest on all the memory there is.
        let share = self.shard.receives.try_take(self.recv_bytes);
        let room = match &share {
            Some(share) => share.bytes(),
            None => RECV_BYTES_MIN,
        };
        let buf = self.buffer(room).await;
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
        self.received_at = self.shard.reactor.now();
        Ok(true)
    }

    /// Receives until at least the first `needed` bytes of a small frame are here.
    async fn receive_more(&mut self, needed: usize) -> Result<(), ReadError> {
        let have = self.received.len();
        let mut buf = self.buffer(needed.max(self.recv_bytes)).await;
        buf[..have].copy_from_slice(&self.received);
        self.received = Bytes::new();
        let room = buf.capacity();
        let receive = self.receive_until(buf, have, Until { needed, room });
        let received = self.shard.reactor.timeout(FRAME_TIMEOUT, receive).await;
        let (buf, bytes) = received.map_err(|_| ReadError::TimedOut)??;
        self.received = buf.freeze(bytes);
        self.received_at = self.shard.reactor.now();
        Ok(())
    }

    /// Receives the rest of a frame that no ordinary receive takes.
    async fn receive_large(&mut self, header: FrameHeader) -> Result<Request, ReadError> {
        let head_bytes = header.head_len();
        let share = self.share(head_bytes).await;
        let head = CheckedHead::new(self.receive_exactly(head_bytes).await?)?;
        // Taken anew, and not on top: two frames must not wait for each other.
        drop(share);
        let frame_bytes = header.frame_len();
        let memory = self.share(frame_bytes).await;
        let payload = self.receive_exactly(header.payload_len()).await?;
        Ok(Request {
            header,
            head,
            payload,
            received: self.received_at,
            _memory: Some(memory),
        })
    }

    /// The next `len` bytes of the stream, and not one more than have been received already.
    async fn receive_exactly(&mut self, len: usize) -> Result<Bytes, ReadError> {
        if len <= self.received.len() {
            return Ok(self.received.split_to(len));
        }
        let have = self.received.len();
        let mut buf = self.buffer(len).await;
        buf[..have].copy_from_slice(&self.received);
        self.received = Bytes::new();
        let until = Until {
            needed: len,
            room: len,
        };
        let receive = self.receive_until(buf, have, until);
        let received = self.shard.reactor.timeout(FRAME_TIMEOUT, receive).await;
        let (buf, bytes) = received.map_err(|_| ReadError::TimedOut)??;
        self.received_at = self.shard.reactor.now();
        Ok(buf.freeze(bytes))
    }

    async fn receive_until(
        &self,
        mut buf: AlignedBuf,
        mut have: usize,
        until: Until,
    ) -> Result<(AlignedBuf, usize), ReadError> {
        while have < until.needed {
            let (received, back) = self.stream.recv(buf, have..until.room).await;
            buf = back;
            let bytes = received?;
            if bytes == 0 {
                return Err(ReadError::Truncated { have_bytes: have });
            }
            self.shard.metrics.received_bytes.add(bytes as u64);
            have += bytes;
        }
        Ok((buf, have))
    }
}

/// How far to receive into a buffer.
struct Until {
    /// Enough is here.
    needed: usize,
    /// No more than this.
    room: usize,
}

/// A buffer; as long as the shard has none, nothing is received.
pub(super) async fn buffer(shard: &Shard, min_bytes: usize) -> AlignedBuf {
    loop {
        if let Some(buf) = shard.reactor.buffer(min_bytes) {
            return buf;
        }
        shard.metrics.buffer_waits.add(1);
        shard.reactor.sleep(BUFFER_RETRY).await;
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
