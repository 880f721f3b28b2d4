//! A connection: greeted where it came in, served on the shard that its hello asked for.
//!
//! Two tasks belong to it. The reader takes one frame after the other and begins each request in the order in which
//! they came; the writer sends answers as they become ready. The reader stops reading while too many requests are
//! under way, while too many bytes of answers wait, and while the shard has no buffer: that is all the back-pressure
//! there is, and it needs no more.

mod hello;
mod outbox;
mod reader;

use std::cell::Cell;
use std::fmt::Display;
use std::rc::Rc;

use futures_util::future::{Either, select};
use ringlog_reactor::{Instant, Signal, TcpStream};
use ringlog_wire::{Api, ErrorResponse, FrameHeader};

pub(crate) use self::hello::SOFTWARE;
use self::outbox::Outbox;
use self::reader::{FrameReader, ReadError};
use crate::failure::Failure;
use crate::handlers::{self, Begun, Request, Response};
use crate::limits::REQUESTS_IN_FLIGHT_MAX;
use crate::metrics::Verdict;
use crate::shard::Shard;
use crate::shard::peer::HandOver;

/// Says hello to a connection that came in here.
pub(crate) fn greet(shard: &Rc<Shard>, stream: TcpStream) {
    let open = Open::new(shard);
    let shard = Rc::clone(shard);
    let reactor = shard.reactor.clone();
    reactor
        .spawn("greet", async move {
            if let Some((stream, first)) = hello::greet(&shard, stream).await {
                serve(&shard, stream, first).await;
            }
            drop(open);
        })
        .detach();
}

/// Takes over a connection whose hello asked for this shard.
pub(crate) fn adopt(shard: &Rc<Shard>, hand_over: HandOver) {
    let open = Open::new(shard);
    let stream = shard.reactor.adopt(hand_over.socket);
    let shard = Rc::clone(shard);
    let reactor = shard.reactor.clone();
    reactor
        .spawn("adopt", async move {
            let answer = hello::answer(&shard, hand_over.correlation_id);
            if let Some(answer) = answer {
                serve(&shard, stream, answer).await;
            }
            drop(open);
        })
        .detach();
}

/// Counts a connection for as long as it is open here.
struct Open(Rc<Shard>);

impl Open {
    fn new(shard: &Rc<Shard>) -> Self {
        let connections = &shard.metrics.connections;
        connections.set(connections.get() + 1);
        Self(Rc::clone(shard))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connection_ended();
    }
}

/// What the requests of a connection share.
struct Connection {
    shard: Rc<Shard>,
    outbox: Rc<Outbox>,
    in_flight: Cell<usize>,
    /// Notified when a request has been answered.
    answered: Signal,
}

/// Serves a connection until it ends; `first` is the answer to its hello.
async fn serve(shard: &Rc<Shard>, stream: TcpStream, first: Response) {
    let peer = stream.peer_addr();
    let stream = Rc::new(stream);
    let connection = Rc::new(Connection {
        shard: Rc::clone(shard),
        outbox: Rc::new(Outbox::default()),
        in_flight: Cell::new(0),
        answered: Signal::default(),
    });
    connection.outbox.push(first);
    let ended = {
        let read = std::pin::pin!(read(&connection, &stream));
        let write = std::pin::pin!(connection.outbox.send_all(shard, &stream));
        match select(read, write).await {
            Either::Left((ended, write)) => {
                // What is under way is still answered, unless the stream itself is gone.
                if matches!(ended, Ok(()) | Err(ReadError::Frame(_))) {
                    connection.finish().await;
                    drop(write.await);
                }
                ended.map_err(|error| error.to_string())
            }
            Either::Right((sent, _)) => sent.map_err(|error| error.to_string()),
        }
    };
    connection.outbox.close();
    if let Err(reason) = ended {
        fail(shard, peer, &reason);
    }
}

/// Notes that a connection was closed for what the client did, or did not do.
fn fail(shard: &Shard, peer: std::net::SocketAddr, reason: &dyn Display) {
    shard.metrics.connections_failed.add(1);
    tracing::info!(%peer, %reason, "a connection is closed");
}

/// Reads requests and begins them, until the client or the broker ends the connection.
async fn read(connection: &Rc<Connection>, stream: &TcpStream) -> Result<(), ReadError> {
    let shard = &connection.shard;
    let mut reader = FrameReader::new(shard, stream);
    loop {
        connection.room().await;
        let request = {
            let next = std::pin::pin!(reader.next());
            let drain = std::pin::pin!(shard.drain_began());
            match select(next, drain).await {
                Either::Left((next, _)) => next,
                Either::Right(_) => return Ok(()),
            }
        };
        match request {
            Ok(Some(request)) => connection.begin(request).await,
            Ok(None) => return Ok(()),
            Err(ReadError::Frame(error)) => {
                shard.metrics.frames_refused.add(1);
                connection.refuse_stream(&reader, &error);
                return Err(ReadError::Frame(error));
            }
            Err(error) => return Err(error),
        }
    }
}

impl Connection {
    /// Waits until another request may begin.
    async fn room(&self) {
        self.answered
            .wait(|| (self.in_flight.get() < REQUESTS_IN_FLIGHT_MAX).then_some(()))
            .await;
        self.outbox.room().await;
    }

    /// Waits until all requests are answered, and lets the writer end behind the last answer.
    async fn finish(&self) {
        self.answered
            .wait(|| (self.in_flight.get() == 0).then_some(()))
            .await;
        self.outbox.close();
    }

    /// Begins a request. Returns when the next one may begin without overtaking it.
    async fn begin(self: &Rc<Self>, request: Request) {
        let began = self.shard.reactor.now();
        let header = request.header;
        let api = match header.api() {
            Ok(api) => api,
            Err(error) => {
                self.shard.metrics.frames_refused.add(1);
                let failure = Failure::new(error.error_code(), error);
                self.respond(self.shard.refuse(&header, &failure));
                return;
            }
        };
        let in_flight = &self.shard.metrics.requests_in_flight;
        in_flight.set(in_flight.get() + 1);
        self.in_flight.set(self.in_flight.get() + 1);
        match handlers::begin(&self.shard, api, request).await {
            Begun::Done(result) => self.end(api, &header, began, result),
            Begun::Running(work) => {
                let connection = Rc::clone(self);
                self.shard
                    .reactor
                    .spawn(api.name(), async move {
                        let result = work.await;
                        connection.end(api, &header, began, result);
                    })
                    .detach();
            }
        }
    }

    /// A request has come to its end.
    fn end(
        &self,
        api: Api,
        header: &FrameHeader,
        began: Instant,
        result: Result<Option<Response>, Failure>,
    ) {
        let took = self.shard.reactor.now().since(began);
        let verdict = if result.is_ok() {
            Verdict::Served
        } else {
            Verdict::Refused
        };
        self.shard.metrics.answered(api, took, verdict);
        let response = match result {
            Ok(response) => response,
            Err(failure) => {
                tracing::debug!(%api, code = failure.code.name(), reason = %failure.message, "a request is refused");
                self.shard.refuse(header, &failure)
            }
        };
        self.respond(response);
        let in_flight = &self.shard.metrics.requests_in_flight;
        in_flight.set(in_flight.get().saturating_sub(1));
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        self.answered.notify();
    }

    fn respond(&self, response: Option<Response>) {
        if let Some(response) = response {
            self.outbox.push(response);
        }
    }

    /// Tells why the connection is about to be closed, as far as the client can still be reached in step.
    fn refuse_stream(&self, reader: &FrameReader<'_>, error: &ringlog_wire::FrameError) {
        if let Some(header) = reader.last_header() {
            let failure = Failure::new(error.error_code(), error);
            self.respond(self.shard.refuse(&header, &failure));
        }
    }
}

impl Shard {
    /// The answer to a request that is refused as a whole.
    pub(crate) fn refuse(&self, header: &FrameHeader, failure: &Failure) -> Option<Response> {
        let error = ErrorResponse::new(failure.code, failure.message.clone());
        let head = self.encode_error(header.api_raw(), header.correlation_id(), &error)?;
        Some(Response {
            head,
            payload: Vec::new(),
        })
    }
}
