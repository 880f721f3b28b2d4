//! The first request of a connection: which protocol version, and which shard.
//!
//! It is received exactly, so that no byte of what follows is in a buffer when the descriptor goes to another
//! shard; the client sends nothing more until it is answered.

use std::rc::Rc;

use futures_util::future::{Either, select};
use ringlog_reactor::TcpStream;
use ringlog_record::ShardId;
use ringlog_shard::Lane;
use ringlog_wire::limits::HEADER_BYTES;
use ringlog_wire::{
    ErrorCode, ErrorResponse, FrameHeader, HelloRequest, HelloResponse, VersionRange, frame,
};

use super::reader::{ReadError, buffer, receive_exactly};
use crate::failure::Failure;
use crate::handlers::Response;
use crate::limits::{HELLO_TIMEOUT, RECV_BYTES_MIN, SEND_TIMEOUT};
use crate::shard::Shard;
use crate::shard::peer::{Greeted, HandOver, PeerRequest};

/// What the broker calls itself.
pub(crate) const SOFTWARE: &str = concat!("ringlog/", env!("CARGO_PKG_VERSION"));

/// Receives the hello of a connection. Gives the connection and the answer when it stays on this shard; otherwise
/// it was handed over, or closed with a logged reason.
pub(super) async fn greet(shard: &Rc<Shard>, stream: TcpStream) -> Option<(TcpStream, Response)> {
    let peer = stream.peer_addr();
    let received = {
        let receive = std::pin::pin!(receive(shard, &stream));
        let receive = shard.reactor.timeout(HELLO_TIMEOUT, receive);
        match select(std::pin::pin!(receive), shard.drain_began()).await {
            Either::Left((received, _)) => received,
            Either::Right(_) => return None,
        }
    };
    let hello = match received {
        Ok(Ok(hello)) => hello,
        Ok(Err(HelloError::Read(ReadError::Truncated { have_bytes: 0 }))) => {
            // Somebody looked whether the port is open.
            return None;
        }
        Ok(Err(error)) => {
            super::fail(shard, peer, &error);
            refuse(shard, &stream, &error).await;
            return None;
        }
        Err(_) => {
            super::fail(shard, peer, &"no hello came in time");
            return None;
        }
    };
    let greeted = Greeted {
        correlation_id: hello.header.correlation_id(),
        version: hello.version,
    };
    let wanted = hello.wanted.unwrap_or(shard.me);
    if wanted == shard.me {
        return answer(shard, greeted).map(|answer| (stream, answer));
    }
    if usize::from(wanted.get()) >= shard.router.shards() {
        let error = HelloError::NoShard {
            wanted,
            shards: shard.router.shards(),
            header: hello.header,
        };
        super::fail(shard, peer, &error);
        refuse(shard, &stream, &error).await;
        return None;
    }
    hand_over(shard, stream, wanted, greeted).await;
    None
}

/// A hello that can be answered.
struct Hello {
    header: FrameHeader,
    /// What both sides speak.
    version: u8,
    /// The shard that it asks for.
    wanted: Option<ShardId>,
}

/// Why a connection got no further than its hello.
#[derive(Debug, thiserror::Error)]
enum HelloError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the hello cannot be understood: {reason}")]
    Bad {
        code: ErrorCode,
        reason: String,
        header: FrameHeader,
    },
    #[error("there is no shard {wanted}, this broker has {shards}; ask for metadata again")]
    NoShard {
        wanted: ShardId,
        shards: usize,
        header: FrameHeader,
    },
}

async fn receive(shard: &Shard, stream: &TcpStream) -> Result<Hello, HelloError> {
    let buf = buffer(shard, RECV_BYTES_MIN).await;
    let mut buf = receive_exactly(shard, stream, buf, 0..HEADER_BYTES).await?;
    let header = FrameHeader::read_hello(&buf[..HEADER_BYTES]).map_err(ReadError::from)?;
    if buf.capacity() < header.head_len() {
        let mut larger = buffer(shard, header.head_len()).await;
        larger[..HEADER_BYTES].copy_from_slice(&buf[..HEADER_BYTES]);
        buf = larger;
    }
    let buf = receive_exactly(shard, stream, buf, HEADER_BYTES..header.head_len()).await?;
    let bad = |code, reason: String| HelloError::Bad {
        code,
        reason,
        header,
    };
    let (_, body) = frame::parse(&buf[..header.head_len()]).map_err(ReadError::from)?;
    header
        .api()
        .map_err(|error| bad(error.error_code(), error.to_string()))?;
    let hello =
        HelloRequest::decode(body).map_err(|error| bad(error.error_code(), error.to_string()))?;
    let Some(version) = hello.agreed_version() else {
        let theirs = VersionRange {
            min: hello.version_min,
            max: hello.version_max,
        };
        let ours = VersionRange::SPOKEN;
        let reason = format!(
            "the client speaks {theirs} of the protocol and this broker {ours}: they do not meet; use a client and a broker of releases that have a version in common"
        );
        return Err(bad(ErrorCode::UnsupportedVersion, reason));
    };
    let wanted = hello.shard;
    Ok(Hello {
        header,
        version,
        wanted,
    })
}

/// Tells a client why it is not served, when its hello could be read so far.
async fn refuse(shard: &Shard, stream: &TcpStream, error: &HelloError) {
    let (header, code) = match error {
        HelloError::Bad { header, code, .. } => (header, *code),
        HelloError::NoShard { header, .. } => (header, ErrorCode::InvalidRequest),
        HelloError::Read(_) => return,
    };
    let response = ErrorResponse::new(code, error.to_string());
    if let Some(head) = shard.encode_error(header.api_raw(), header.correlation_id(), &response) {
        // The client may be gone, and is about to be closed anyway.
        drop(
            shard
                .reactor
                .timeout(SEND_TIMEOUT, stream.send(&mut vec![head]))
                .await,
        );
    }
}

/// The answer to a hello of this shard's.
pub(super) fn answer(shard: &Shard, greeted: Greeted) -> Option<Response> {
    let response = HelloResponse {
        version: greeted.version,
        features: 0,
        cluster_id: shard.view().cluster_id.clone(),
        broker: shard.broker,
        shard: shard.me,
        shard_count: u16::try_from(shard.router.shards()).unwrap_or(u16::MAX),
        software: SOFTWARE.to_owned(),
    };
    let head = shard.encode(greeted.correlation_id, &response);
    let head = head.inspect_err(|failure: &Failure| {
        tracing::error!(reason = %failure.message, "a hello could not be answered");
    });
    Some(Response::without_payload(head.ok()?))
}

async fn hand_over(shard: &Shard, stream: TcpStream, wanted: ShardId, greeted: Greeted) {
    let Some(slot) = shard.router.slot(wanted, Lane::Work).await else {
        return;
    };
    let Some(socket) = stream.into_raw() else {
        return;
    };
    let request = PeerRequest::Adopt(HandOver { socket, greeted });
    shard.metrics.handed_over.add(1);
    match shard.router.send(wanted, slot, request) {
        Ok(adopted) => drop(adopted.await),
        Err(error) => tracing::debug!(%error, "a connection was not handed over"),
    }
}
