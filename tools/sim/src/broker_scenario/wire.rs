//! A connection of a simulated client: frames out, frames in, nothing tried again.

use std::net::SocketAddr;

use bytes::Bytes;
use ringlog_reactor::{AlignedBuf, Reactor, TcpStream};
use ringlog_record::ShardId;
use ringlog_wire::{
    Body, CorrelationId, Encoder, ErrorResponse, FrameHeader, HelloRequest, Message, frame,
};

use crate::violation::Violation;

/// Bytes asked for at once.
const RECEIVE_BYTES: usize = 64 << 10;

/// Why a client goes no further with a connection.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It is gone; what was under way has an unknown outcome.
    Gone,
    /// A checker found something.
    Violation(Violation),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// An answer that no broker may give.
pub(crate) fn wrong(partition: u32, what: impl Into<String>) -> Stop {
    let what = what.into();
    Stop::Violation(Violation::WrongAnswer { partition, what })
}

/// A whole frame.
pub(crate) struct Frame {
    pub(crate) id: u64,
    head_bytes: usize,
    bytes: Bytes,
}

impl Frame {
    /// The verified body.
    pub(crate) fn body(&self) -> Result<Body<'_>, Stop> {
        let parsed = frame::parse(&self.bytes);
        parsed
            .map(|(_, body)| body)
            .map_err(|error| wrong(0, error.to_string()))
    }

    pub(crate) fn payload(&self) -> Bytes {
        self.bytes.slice(self.head_bytes..)
    }

    /// Whether the request as a whole was refused.
    pub(crate) fn is_refused(&self) -> Result<bool, Stop> {
        Ok(self.refusal()?.is_some())
    }

    /// The refusal of the request as a whole.
    pub(crate) fn refusal(&self) -> Result<Option<ErrorResponse>, Stop> {
        let refusal = self.body()?.refusal();
        refusal.map_err(|error| wrong(0, error.to_string()))
    }
}

/// A connection that has said hello.
pub(crate) struct Connection {
    stream: TcpStream,
    encoder: Encoder,
    received: Vec<u8>,
    next_id: u64,
}

impl Connection {
    pub(crate) async fn connect(
        reactor: &Reactor,
        address: SocketAddr,
        shard: Option<u16>,
    ) -> Result<Self, Stop> {
        let stream = reactor.connect(address).await.map_err(|_| Stop::Gone)?;
        let mut connection = Self {
            stream,
            encoder: Encoder::new(),
            received: Vec::new(),
            next_id: 1,
        };
        let hello = HelloRequest::new(shard.map(ShardId::new), "ringlog-sim");
        connection.call(&hello).await?;
        Ok(connection)
    }

    /// Sends a request and gives its id.
    pub(crate) async fn send<M: Message>(
        &mut self,
        message: &M,
        payload: Bytes,
    ) -> Result<u64, Stop> {
        let id = self.next_id;
        self.next_id += 1;
        let head = self
            .encoder
            .encode(CorrelationId::new(id), message)
            .map_err(|error| wrong(0, error.to_string()))?;
        let mut data = vec![head];
        if !payload.is_empty() {
            data.push(payload);
        }
        self.stream.send(&mut data).await.map_err(|_| Stop::Gone)?;
        Ok(id)
    }

    /// The next frame.
    pub(crate) async fn receive(&mut self) -> Result<Frame, Stop> {
        loop {
            if let Ok(header) = FrameHeader::read(&self.received)
                && self.received.len() >= header.frame_len()
            {
                let rest = self.received.split_off(header.frame_len());
                let bytes = Bytes::from(std::mem::replace(&mut self.received, rest));
                return Ok(Frame {
                    id: header.correlation_id().get(),
                    head_bytes: header.head_len(),
                    bytes,
                });
            }
            let buf = AlignedBuf::unpooled(RECEIVE_BYTES);
            let (received, buf) = self.stream.recv(buf, 0..RECEIVE_BYTES).await;
            match received {
                Ok(0) | Err(_) => return Err(Stop::Gone),
                Ok(count) => self.received.extend_from_slice(&buf[..count]),
            }
        }
    }

    /// Sends a request and waits for its answer, alone on the connection.
    pub(crate) async fn call<M: Message>(&mut self, message: &M) -> Result<Frame, Stop> {
        let id = self.send(message, Bytes::new()).await?;
        let frame = self.receive().await?;
        if frame.id != id {
            return Err(wrong(
                0,
                format!("request {id} was answered as {}", frame.id),
            ));
        }
        Ok(frame)
    }
}
