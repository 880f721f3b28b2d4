//! A connection to one shard of a broker: requests are pipelined, answers come in any order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ringlog_record::ShardId;
use ringlog_wire::{CorrelationId, Encoder, HelloRequest, HelloResponse, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::frame_slices::FrameSlices;
use crate::core::assembler::{Assembler, Frame};
use crate::core::pending::{Pending, Progress};
use crate::error::{ClientError, ConnectError, refused};
use crate::limits::{RECV_BYTES, RECV_BYTES_LOW, WRITES_GATHERED_MAX, WRITES_QUEUED_MAX};

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// What the client calls itself.
    pub software: String,
    /// How long connecting and saying hello may take.
    pub connect_timeout: Duration,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            software: concat!("ringlog-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// Who waits for an answer: a frame, or how far the request had come when the connection ended.
type Waiting = oneshot::Sender<Result<Frame, Progress>>;

/// A connection; it ends when it is dropped.
#[derive(Debug)]
pub struct Connection {
    address: String,
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
        let body = answer.body().map_err(|error| bad(error.to_string()))?;
        let refusal = body.refusal().map_err(|error| bad(error.to_string()))?;
        match refusal {
            Some(refusal) if refusal.code.is_retriable() => {
                return Err(ConnectError::NotNow {
                    address: address.to_owned(),
                    code: refusal.code,
                    message: refusal.message,
                });
            }
            Some(refusal) => return Err(bad(refusal.message)),
            None => {}
        }
        let hello = HelloResponse::decode(body).map_err(|error| bad(error.to_string()))?;
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
            address: address.to_owned(),
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
    /// # Errors
    ///
    /// [`ClientError`]; it tells whether the request may have been carried out.
    pub async fn call<M: Message>(
        &self,
        message: &M,
        payload: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<Frame, ClientError> {
        let (sender, mut answer) = oneshot::channel();
        let queued = lock(&self.shared.pending).queue(sender);
        let id = queued.map_err(|ended| self.not_sent(ended.reason))?;
        let forget = Forget {
            shared: &self.shared,
            id,
        };
        let exchange = async {
            self.send(id, Some(id), message, payload).await?;
            let answered = (&mut answer).await;
            answered.map_err(|_| self.lost(self.shared.reason()))
        };
        let in_time = tokio::time::timeout(timeout, exchange).await;
        let progress = lock(&self.shared.pending).forget(id);
        drop(forget);
        let answered = match in_time {
            Ok(answered) => answered?,
            Err(_) => match progress {
                Some(progress) => Err(progress),
                // It came at the last moment.
                None => answer.try_recv().unwrap_or(Err(Progress::Started)),
            },
        };
        let reason = || match lock(&self.shared.pending).ended() {
            Some(ended) => ended.reason.clone(),
            None => format!("no answer came within {timeout:?}"),
        };
        match answered {
            Ok(frame) => self.accepted(frame),
            Err(Progress::Started) => Err(self.lost(reason())),
            Err(Progress::Queued) => Err(self.not_sent(reason())),
        }
    }

    /// The answer, unless the broker refused the whole request.
    fn accepted(&self, frame: Frame) -> Result<Frame, ClientError> {
        let body = frame.body().map_err(ClientError::frame(&self.address))?;
        let refusal = body.refusal().map_err(ClientError::decode(&self.address))?;
        match refusal {
            Some(refusal) => Err(ClientError::Refused {
                code: refusal.code,
                message: refusal.message,
            }),
            None => Ok(frame),
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
            address: self.address.clone(),
            reason,
        }
    }

    fn lost(&self, reason: String) -> ClientError {
        ClientError::Lost {
            address: self.address.clone(),
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
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Forgets a request when the call is given up.
struct Forget<'a> {
    shared: &'a Shared,
    id: CorrelationId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.shared.pending).forget(self.id);
    }
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
            Ok(_) => {}
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
