//! A connection: greeted where it came in, served on the shard that its hello asked for.
//!
//! One task serves it, in this order whenever it is woken: it takes one frame after the other and begins each request
//! in the order in which they came, looks which produces have an answer, and sends what answers there are. So what one
//! turn of the loop brings is answered in one send. Other requests that take longer have a task of their own. Nothing is
//! read while too many requests are under way, while too many bytes of answers wait, and while the shard has no
//! buffer: that is all the back-pressure there is, and it needs no more.

mod held;
mod hello;
mod outbox;
mod produces;
mod reader;

use std::cell::Cell;
use std::fmt::Display;
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use ringlog_reactor::{Instant, Signal, TcpStream};
use ringlog_shard::Budget;
use ringlog_wire::{Api, ErrorCode, ErrorResponse, FrameError, FrameHeader};

pub(crate) use self::held::Held;
pub(crate) use self::hello::SOFTWARE;
use self::outbox::Outbox;
use self::produces::Produces;
use self::reader::{FrameReader, ReadError, Received};
use crate::ending::Ending;
use crate::failure::Failure;
use crate::handlers::{self, Begun, Ended, Request, Response, Session};
use crate::limits::{
    CONNECTION_ANSWER_BYTES_MAX, IDLE_TIMEOUT, REQUESTS_IN_FLIGHT_MAX, REQUESTS_PER_TURN,
};
use crate::shard::Shard;
use crate::shard::peer::HandOver;
use crate::slow::SlowRequest;

/// Says hello to a connection that came in here.
pub(crate) fn greet(shard: &Rc<Shard>, stream: TcpStream) {
    let open = Open::new(shard);
    let shard = Rc::clone(shard);
    let reactor = shard.reactor.clone();
    reactor
        .spawn("connection", async move {
            if let Some((stream, first)) = hello::greet(&shard, stream).await {
                serve(&shard, stream, first).await;
            }
            drop(open);
        })
        .detach();
}

/// Takes over a connection whose hello asked for this shard.
pub(crate) fn adopt(shard: &Rc<Shard>, hand_over: HandOver) {
    let stream = shard.reactor.adopt(hand_over.socket);
    if !shard.has_room_for_connection(stream.peer_addr()) {
        return;
    }
    let open = Open::new(shard);
    let shard = Rc::clone(shard);
    let reactor = shard.reactor.clone();
    reactor
        .spawn("connection", async move {
            let answer = hello::answer(&shard, hand_over.greeted);
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

/// A connection after its hello.
struct Connection {
    session: Rc<Session>,
    outbox: Outbox,
    produces: Produces,
    in_flight: Cell<usize>,
    /// Notified when a request has been answered.
    answered: Signal,
    /// When a request was begun or answered last.
    active: Cell<Instant>,
    /// Why no more requests are read, although the client might send some.
    cut: Cell<Option<Cut>>,
    /// Notified when there is a reason.
    cut_came: Signal,
}

/// Why the broker reads no more requests from a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// It is about to stop.
    Drain,
    /// Nothing was asked for too long.
    Idle,
}

/// Serves a connection until it ends; `first` is the answer to its hello.
async fn serve(shard: &Rc<Shard>, stream: TcpStream, first: Response) {
    let peer = stream.peer_addr();
    let connection = Rc::new(Connection {
        session: Rc::new(Session {
            shard: Rc::clone(shard),
            answers: Budget::new(CONNECTION_ANSWER_BYTES_MAX),
            ending: Ending::default(),
            held: Held::default(),
        }),
        outbox: Outbox::new(Rc::clone(&shard.outboxes_bytes)),
        produces: Produces::default(),
        in_flight: Cell::new(0),
        answered: Signal::default(),
        active: Cell::new(shard.reactor.now()),
        cut: Cell::new(None),
        cut_came: Signal::default(),
    });
    connection.outbox.push(first);
    let ended = {
        // In the order in which they are looked at: see above.
        let work = pin!(connection.work(&stream));
        let write = pin!(async {
            let answer = pin!(connection.answer_produces());
            let send = pin!(connection.outbox.send_all(shard, &stream));
            match select(answer, send).await {
                Either::Left((never, _)) => match never {},
                Either::Right((sent, _)) => sent,
            }
        });
        // A task of its own, so that neither a clock nor a list of those who wait is looked at for each request.
        let watch = Rc::clone(&connection);
        let _watch = shard
            .reactor
            .spawn("watch", async move { watch.watch().await });
        match select(work, write).await {
            Either::Left((Err(error), _)) => Err(error.to_string()),
            Either::Left((Ok(ended), write)) => {
                let sent = write.await.map_err(|error| error.to_string());
                ended.map_err(|error| error.to_string()).and(sent)
            }
            Either::Right((Ok(()), work)) => match work.await {
                Ok(ended) => ended.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            },
            Either::Right((Err(error), _)) => Err(error.to_string()),
        }
    };
    connection.session.ending.come();
    connection.outbox.abandon();
    let ended = ended.and_then(|()| match connection.cut.get() {
        Some(Cut::Idle) => Err(format!(
            "nothing was asked for {} s",
            IDLE_TIMEOUT.as_secs()
        )),
        Some(Cut::Drain) | None => Ok(()),
    });
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
    let shard = &connection.session.shard;
    let held = &connection.session.held;
    let mut reader = FrameReader::new(shard, stream, held);
    let mut begun = 0_usize;
    loop {
        if !connection.has_room() {
            held.during(&shard.reactor, connection.room()).await;
        }
        if connection.cut.get().is_some() {
            return Ok(());
        }
        let request = match reader.next_received() {
            Ok(Received::Whole(request)) => Ok(Some(request)),
            Ok(_) => {
                let cut = connection.cut_came.wait(|| connection.cut.get());
                match select(pin!(reader.next()), pin!(cut)).await {
                    Either::Left((next, _)) => next,
                    Either::Right(_) => return Ok(()),
                }
            }
            Err(error) => Err(error),
        };
        match request {
            Ok(Some(request)) => {
                connection.begin(request).await;
                begun += 1;
                if begun.is_multiple_of(REQUESTS_PER_TURN) {
                    // What one client has sent in one go keeps nobody else waiting for all of it.
                    shard.reactor.yield_now().await;
                }
            }
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
    /// Reads requests to the end of the stream or of its sense, and then waits until all of them are answered and
    /// the writer may end. Fails at once when the stream is gone.
    async fn work(
        self: &Rc<Self>,
        stream: &TcpStream,
    ) -> Result<Result<(), FrameError>, ReadError> {
        let ended = match read(self, stream).await {
            Ok(()) => Ok(()),
            Err(ReadError::Frame(error)) => Err(error),
            Err(gone) => return Err(gone),
        };
        self.session.ending.come();
        self.answered
            .wait(|| (self.in_flight.get() == 0).then_some(()))
            .await;
        self.outbox.close();
        Ok(ended)
    }

    /// Has no more requests read when the broker stops or the connection has been of no use for too long.
    async fn watch(&self) {
        let idle = pin!(self.idle());
        let cut = match select(idle, self.session.shard.drain_began()).await {
            Either::Left(_) => Cut::Idle,
            Either::Right(_) => Cut::Drain,
        };
        self.cut.set(Some(cut));
        self.cut_came.notify();
    }

    /// Ends when the connection has been of no use for too long.
    async fn idle(&self) {
        let reactor = &self.session.shard.reactor;
        loop {
            let is_busy = self.in_flight.get() > 0;
            let since = if is_busy {
                reactor.now()
            } else {
                self.active.get()
            };
            if reactor.now().since(since) >= IDLE_TIMEOUT {
                return;
            }
            reactor.sleep_until(since + IDLE_TIMEOUT).await;
        }
    }

    /// Whether another request may begin.
    fn has_room(&self) -> bool {
        let all_bytes_max = self.session.shard.outboxes_bytes_max;
        self.in_flight.get() < REQUESTS_IN_FLIGHT_MAX && self.outbox.has_room(all_bytes_max)
    }

    /// Waits until another request may begin.
    async fn room(&self) {
        self.answered
            .wait(|| (self.in_flight.get() < REQUESTS_IN_FLIGHT_MAX).then_some(()))
            .await;
        self.outbox
            .room(self.session.shard.outboxes_bytes_max)
            .await;
    }

    /// Begins a request. Returns when the next one may begin without overtaking it.
    async fn begin(self: &Rc<Self>, request: Request) {
        let shard = &self.session.shard;
        let received = request.received;
        self.active.set(received);
        let header = request.header;
        let api = match header.api() {
            Ok(api) => api,
            Err(error) => {
                shard.metrics.frames_refused.add(1);
                let failure = Failure::new(error.error_code(), error);
                self.respond(shard.refuse(&header, &failure));
                return;
            }
        };
        let in_flight = &shard.metrics.requests_in_flight;
        in_flight.set(in_flight.get() + 1);
        self.in_flight.set(self.in_flight.get() + 1);
        match handlers::begin(&self.session, api, request).await {
            Begun::Done(ended) => self.end(api, &header, received, ended),
            Begun::Produce(produce) => self.produces.push(header, received, produce),
            Begun::Running(work) => {
                let connection = Rc::clone(self);
                shard
                    .reactor
                    .spawn(api.name(), async move {
                        let ended = work.await;
                        connection.end(api, &header, received, ended);
                        connection.outbox.announce();
                    })
                    .detach();
            }
        }
    }

    /// A request has come to its end.
    fn end(&self, api: Api, header: &FrameHeader, received: Instant, ended: Ended) {
        let shard = &self.session.shard;
        let Ended { outcome, notes } = ended;
        let now = notes.ended.unwrap_or_else(|| shard.reactor.now());
        self.active.set(now);
        let error = outcome
            .as_ref()
            .map_or_else(|failure| failure.code, |_| ErrorCode::None);
        let took = now.since(received);
        shard.metrics.answered(api, took, error);
        if let Some(stages) = &notes.stages {
            shard.metrics.produced(stages);
        }
        // What there was nothing for was not slow.
        let took = took.saturating_sub(notes.parked);
        shard.slow.note(took, now, || SlowRequest {
            api,
            partition: notes.partition,
            bytes: notes.bytes,
            error,
            took,
            stages: notes.stages,
            answered_unix_ms: shard.reactor.unix_time_ms(),
        });
        let response = match outcome {
            Ok(response) => response,
            Err(failure) => {
                tracing::debug!(%api, code = failure.code.name(), reason = %failure.message, "a request is refused");
                shard.refuse(header, &failure)
            }
        };
        self.respond(response);
        let in_flight = &shard.metrics.requests_in_flight;
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
    fn refuse_stream(&self, reader: &FrameReader<'_>, error: &FrameError) {
        if let Some(header) = reader.last_header() {
            let failure = Failure::new(error.error_code(), error);
            self.respond(self.session.shard.refuse(&header, &failure));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Of requests that nobody is there for any more; those with a task of their own go on.
        let in_flight = &self.session.shard.metrics.requests_in_flight;
        let left = u64::try_from(self.produces.len()).unwrap_or(u64::MAX);
        in_flight.set(in_flight.get().saturating_sub(left));
    }
}

impl Shard {
    /// The answer to a request that is refused as a whole.
    pub(crate) fn refuse(&self, header: &FrameHeader, failure: &Failure) -> Option<Response> {
        let error = ErrorResponse::new(failure.code, failure.message.clone());
        let head = self.encode_error(header.api_raw(), header.correlation_id(), &error)?;
        Some(Response::without_payload(head))
    }
}
