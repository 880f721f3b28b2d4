//! A connection to one shard of a broker: requests are pipelined, answers come in any order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ringlog_record::ShardId;
use ringlog_wire::{
    CorrelationId, Encoder, ErrorCode, HelloRequest, HelloResponse, Message, VersionRange,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::frame_slices::FrameSlices;
use crate::core::assembler::{Assembler, Frame};
use crate::core::pending::{Pending, Progress};
use crate::error::{ClientError, ConnectError, refused};
use crate::limits::{
    KEEP_ALIVE_PROBES, RECV_BYTES, RECV_BYTES_LOW, WRITES_GATHERED_MAX, WRITES_QUEUED_MAX,
};

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// What the client calls itself.
    pub software: String,
    /// How long connecting and saying hello may take.
    pub connect_timeout: Duration,
    /// After how long without traffic the system asks whether the broker is still there, and how long what was sent may
    /// stay without an acknowledgement of the system there. A peer that vanished is found out after three times as long.
    pub keep_alive: Duration,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            software: concat!("ringlog-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(10),
        }
    }
}

/// Who waits for an answer: a frame, or how far the request had come when the connection ended.
type Waiting = oneshot::Sender<Result<Frame, Progress>>;

/// A connection; it ends when it is dropped.
#[derive(Debug)]
pub struct Connection {
    address: Arc<str>,
    hello: HelloResponse,
    encoder: Mutex<Encoder>,
    writes: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

/// A frame to be written.
#[derive(Debug)]
struct Outgoing {
    /// The request that it is, if somebody waits for an answer.
    id: Option<CorrelationId>,
    slices: Vec<Bytes>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending<Waiting>>,
    /// How many times something came from the broker.
    heard: AtomicU64,
}

/// A lock is only poisoned by a panic, which has been reported already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn end(&self, reason: String) {
        let waiting = lock(&self.pending).end(reason);
        for (progress, waiting) in waiting {
            // Who waited may have given up meanwhile.
            waiting.send(Err(progress)).ok();
        }
    }

    fn reason(&self) -> String {
        let pending = lock(&self.pending);
        let reason = pending.ended().map(|ended| ended.reason.clone());
        reason.unwrap_or_else(|| "the connection ended".to_owned())
    }
}

impl Connection {
    /// Connects and says hello, asking for `shard` or any.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn connect(
        address: &str,
        shard: Option<ShardId>,
        config: &ConnectionConfig,
    ) -> Result<Self, ConnectError> {
        if !address.contains(':') {
            return Err(ConnectError::Address {
                address: address.to_owned(),
            });
        }
        let connecting = Self::greet(address, shard, config);
        let in_time = tokio::time::timeout(config.connect_timeout, connecting).await;
        in_time.unwrap_or_else(|_| {
            Err(ConnectError::Refused {
                address: address.to_owned(),
                reason: format!("no answer within {:?}", config.connect_timeout),
            })
        })
    }

    async fn greet(
        address: &str,
        shard: Option<ShardId>,
        config: &ConnectionConfig,
    ) -> Result<Self, ConnectError> {
        let bad = |reason: String| ConnectError::Hello {
            address: address.to_owned(),
            reason,
        };
        let stream = TcpStream::connect(address).await;
        let mut stream = stream.map_err(|error| refused(address, &error))?;
        stream
            .set_nodelay(true)
            .map_err(|error| refused(address, &error))?;
        watch(&stream, config.keep_alive).map_err(|error| refused(address, &error))?;
        let mut encoder = Encoder::new();
        let hello = HelloRequest::new(shard, config.software.clone());
        let frame = encoder.encode(CorrelationId::new(0), &hello);
        let frame = frame.map_err(|error| bad(error.to_string()))?;
        let sent = stream.write_all(&frame).await;
        sent.map_err(|error| refused(address, &error))?;
        let mut assembler = Assembler::default();
        let answer = loop {
            match assembler.next_frame() {
                Ok(Some(frame)) => break frame,
                Ok(None) => {}
                Err(error) => return Err(bad(error.to_string())),
            }
            let received = stream.read_buf(assembler.buffer()).await;
            if received.map_err(|error| refused(address, &error))? == 0 {
                // A broker that stops does this too.
                return Err(ConnectError::Refused {
                    address: address.to_owned(),
                    reason: "it closed the connection without an answer".to_owned(),
                });
            }
        };
        let body = answer.body();
        let refusal = body.refusal().map_err(|error| bad(error.to_string()))?;
        match refusal {
            Some(refusal) if refusal.code.is_retriable() => {
                return Err(ConnectError::NotNow {
                    address: address.to_owned(),
                    code: refusal.code,
                    message: refusal.message,
                });
            }
            Some(refusal) if refusal.code == ErrorCode::UnsupportedVersion => {
                return Err(ConnectError::Version {
                    address: address.to_owned(),
                    theirs: VersionRange {
                        min: refusal.version_min,
                        max: refusal.version_max,
                    },
                    ours: VersionRange::SPOKEN,
                });
            }
            Some(refusal) => return Err(bad(refusal.message)),
            None => {}
        }
        let hello = HelloResponse::decode(body).map_err(|error| bad(error.to_string()))?;
        let ours = VersionRange::SPOKEN;
        if !(ours.min..=ours.max).contains(&hello.version) {
            let version = hello.version;
            return Err(bad(format!(
                "it chose version {version} of the protocol, and this client offered {ours}"
            )));
        }
        Ok(Self::start(address, hello, encoder, stream, assembler))
    }

    fn start(
        address: &str,
        hello: HelloResponse,
        encoder: Encoder,
        stream: TcpStream,
        assembler: Assembler,
    ) -> Self {
        let (reading, writing) = stream.into_split();
        let (writes, to_write) = mpsc::channel(WRITES_QUEUED_MAX);
        let shared = Arc::new(Shared::default());
        let tasks = [
            tokio::spawn(read(reading, assembler, Arc::clone(&shared))),
            tokio::spawn(write(writing, to_write, Arc::clone(&shared))),
        ];
        Self {
            address: address.into(),
            hello,
            encoder: Mutex::new(encoder),
            writes,
            shared,
            tasks,
        }
    }

    /// What the broker said to the hello.
    pub fn hello(&self) -> &HelloResponse {
        &self.hello
    }

    /// Where this goes.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether requests can be sent.
    pub fn is_open(&self) -> bool {
        lock(&self.shared.pending).ended().is_none()
    }

    /// Sends a request and waits for its answer.
    ///
    /// May be given up at any time: a request that was not written is not written any more, and an answer finds nobody.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; it tells whether the request may have been carried out.
    pub async fn call<M: Message>(
        &self,
        message: &M,
        payload: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<Frame, ClientError> {
        self.begin(message, payload, timeout).await?.answer().await
    }

    /// Puts a request behind those that were begun before; the result waits for its answer. Requests are written in the
    /// order in which this was called, as long as each call returned before the next was made.
    ///
    /// `timeout` is for both, and begins now. A request whose time is over ends the connection if nothing at all came
    /// from the broker meanwhile: then it is not slow, but gone.
    ///
    /// # Errors
    ///
    /// [`ClientError`], none of which leaves the outcome open.
    pub async fn begin<M: Message>(
        &self,
        message: &M,
        payload: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<Call, ClientError> {
        let deadline = Instant::now() + timeout;
        let (sender, answer) = oneshot::channel();
        let queued = lock(&self.shared.pending).queue(sender);
        let id = queued.map_err(|ended| self.not_sent(ended.reason))?;
        let call = Call {
            shared: Arc::clone(&self.shared),
            address: Arc::clone(&self.address),
            id,
            answer,
            deadline,
            timeout,
            heard: self.shared.heard.load(Ordering::Relaxed),
        };
        let sent = self.send(id, Some(id), message, payload);
        match tokio::time::timeout_at(deadline, sent).await {
            Ok(sent) => sent.map(|()| call),
            Err(_) => Err(self.not_sent(format!("it was not written within {timeout:?}"))),
        }
    }

    /// Sends a request that gets no answer.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn tell<M: Message>(
        &self,
        message: &M,
        payload: Vec<Bytes>,
    ) -> Result<(), ClientError> {
        // The id is used up: an answer that comes all the same finds nobody.
        let (sender, _) = oneshot::channel();
        let id = {
            let mut pending = lock(&self.shared.pending);
            let queued = pending.queue(sender);
            let id = queued.map_err(|ended| self.not_sent(ended.reason))?;
            pending.forget(id);
            id
        };
        self.send(id, None, message, payload).await
    }

    fn not_sent(&self, reason: String) -> ClientError {
        ClientError::NotSent {
            address: self.address.to_string(),
            reason,
        }
    }

    async fn send<M: Message>(
        &self,
        correlation_id: CorrelationId,
        id: Option<CorrelationId>,
        message: &M,
        payload: Vec<Bytes>,
    ) -> Result<(), ClientError> {
        let head = lock(&self.encoder).encode(correlation_id, message)?;
        let slices = std::iter::once(head).chain(payload).collect();
        let sent = self.writes.send(Outgoing { id, slices }).await;
        sent.map_err(|_| self.not_sent(self.shared.reason()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared
            .end("the client closed the connection".to_owned());
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A request whose answer is to come. Dropped, it is forgotten: what was not written will not be.
#[derive(Debug)]
#[must_use = "the answer comes from awaiting `answer`"]
pub struct Call {
    shared: Arc<Shared>,
    address: Arc<str>,
    id: CorrelationId,
    answer: oneshot::Receiver<Result<Frame, Progress>>,
    deadline: Instant,
    timeout: Duration,
    /// What had been heard from the broker when it began.
    heard: u64,
}

impl Call {
    /// Whom it goes to.
    pub fn address(&self) -> Arc<str> {
        Arc::clone(&self.address)
    }

    /// Waits for the answer.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; it tells whether the request may have been carried out.
    pub async fn answer(mut self) -> Result<Frame, ClientError> {
        let in_time = tokio::time::timeout_at(self.deadline, &mut self.answer).await;
        let answered = match in_time {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(Progress::Started),
            Err(_) => self.give_up(),
        };
        match answered {
            Ok(frame) => self.accepted(frame),
            Err(progress) => Err(self.failed(progress)),
        }
    }

    /// The time is over.
    fn give_up(&mut self) -> Result<Frame, Progress> {
        let progress = lock(&self.shared.pending).forget(self.id);
        let Some(progress) = progress else {
            // It came at the last moment.
            return self.answer.try_recv().unwrap_or(Err(Progress::Started));
        };
        if self.shared.heard.load(Ordering::Relaxed) == self.heard {
            let timeout = self.timeout;
            self.shared
                .end(format!("nothing came from the broker within {timeout:?}"));
        }
        Err(progress)
    }

    fn failed(&self, progress: Progress) -> ClientError {
        let address = self.address.to_string();
        let reason = match lock(&self.shared.pending).ended() {
            Some(ended) => ended.reason.clone(),
            None => format!("no answer came within {:?}", self.timeout),
        };
        match progress {
            Progress::Started => ClientError::Lost { address, reason },
            Progress::Queued => ClientError::NotSent { address, reason },
        }
    }

    /// The answer, unless the broker refused the whole request.
    fn accepted(&self, frame: Frame) -> Result<Frame, ClientError> {
        let body = frame.body();
        let refusal = body.refusal().map_err(ClientError::decode(&self.address))?;
        match refusal {
            Some(refusal) => Err(ClientError::Refused {
                code: refusal.code,
                message: refusal.message,
            }),
            None => Ok(frame),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        lock(&self.shared.pending).forget(self.id);
    }
}

/// Has the system find out when the peer has vanished.
fn watch(stream: &TcpStream, keep_alive: Duration) -> std::io::Result<()> {
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new()
        .with_time(keep_alive)
        .with_interval(keep_alive)
        .with_retries(KEEP_ALIVE_PROBES);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(keep_alive * (KEEP_ALIVE_PROBES + 1)))
}

async fn read(mut stream: OwnedReadHalf, mut assembler: Assembler, shared: Arc<Shared>) {
    let reason = loop {
        match assembler.next_frame() {
            Ok(Some(frame)) => {
                let waiting = lock(&shared.pending).answer(frame.header.correlation_id());
                if let Some(waiting) = waiting {
                    // Who waited may have given up meanwhile.
                    waiting.send(Ok(frame)).ok();
                }
                continue;
            }
            Ok(None) => {}
            Err(error) => break format!("a frame from the broker is damaged: {error}"),
        }
        let buffer = assembler.buffer();
        if buffer.capacity() - buffer.len() < RECV_BYTES_LOW {
            buffer.reserve(RECV_BYTES);
        }
        match stream.read_buf(buffer).await {
            Ok(0) => break "the broker closed the connection".to_owned(),
            Ok(_) => {
                shared.heard.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => break error.to_string(),
        }
    };
    shared.end(reason);
}

async fn write(
    mut stream: OwnedWriteHalf,
    mut frames: mpsc::Receiver<Outgoing>,
    shared: Arc<Shared>,
) {
    let mut gathered = Vec::with_capacity(WRITES_GATHERED_MAX);
    while frames.recv_many(&mut gathered, WRITES_GATHERED_MAX).await > 0 {
        let mut slices = FrameSlices::default();
        for frame in gathered.drain(..) {
            let is_wanted = frame.id.is_none_or(|id| lock(&shared.pending).start(id));
            if is_wanted {
                slices.push(frame.slices);
            }
        }
        if let Err(error) = stream.write_all_buf(&mut slices).await {
            shared.end(error.to_string());
            return;
        }
    }
}
