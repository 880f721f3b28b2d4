//! A connection to one shard of a broker: requests are pipelined, answers come in any order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use ringlog_record::ShardId;
use ringlog_wire::{CorrelationId, Encoder, HelloRequest, HelloResponse, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::core::assembler::{Assembler, Frame};
use crate::error::{ClientError, ConnectError, refused};
use crate::limits::{RECV_BYTES, WRITES_QUEUED_MAX};

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

/// A connection; it ends when it is dropped.
#[derive(Debug)]
pub struct Connection {
    address: String,
    hello: HelloResponse,
    encoder: Mutex<Encoder>,
    writes: mpsc::Sender<Vec<Bytes>>,
    shared: Arc<Shared>,
    next_id: AtomicU64,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    answers: HashMap<u64, oneshot::Sender<Frame>>,
    /// Why the connection has ended.
    ended: Option<String>,
}

/// A lock is only poisoned by a panic, which has been reported already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn end(&self, reason: String) {
        let answers = {
            let mut waiting = lock(&self.waiting);
            waiting.ended.get_or_insert(reason);
            std::mem::take(&mut waiting.answers)
        };
        drop(answers);
    }

    fn reason(&self) -> String {
        let waiting = lock(&self.waiting);
        let reason = waiting.ended.clone();
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
                return Err(bad("it closed the connection".to_owned()));
            }
        };
        let body = answer.body().map_err(|error| bad(error.to_string()))?;
        let refusal = body.refusal().map_err(|error| bad(error.to_string()))?;
        if let Some(refusal) = refusal {
            return Err(bad(refusal.message));
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
            next_id: AtomicU64::new(1),
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
        lock(&self.shared.waiting).ended.is_none()
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
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let head = lock(&self.encoder).encode(CorrelationId::new(id), message)?;
        let answer = self.expect(id)?;
        let _forget = Forget {
            shared: &self.shared,
            id,
        };
        self.send(head, payload).await?;
        let lost = |reason| ClientError::Lost {
            address: self.address.clone(),
            reason,
        };
        let frame = match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(_)) => return Err(lost(self.shared.reason())),
            Err(_) => return Err(lost(format!("none came within {timeout:?}"))),
        };
        let refusal = frame
            .body()
            .map_err(ClientError::frame(&self.address))?
            .refusal()
            .map_err(ClientError::decode(&self.address))?;
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
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let head = lock(&self.encoder).encode(CorrelationId::new(id), message)?;
        self.send(head, payload).await
    }

    fn not_sent(&self) -> ClientError {
        ClientError::NotSent {
            address: self.address.clone(),
        }
    }

    fn expect(&self, id: u64) -> Result<oneshot::Receiver<Frame>, ClientError> {
        let (sender, answer) = oneshot::channel();
        let mut waiting = lock(&self.shared.waiting);
        if waiting.ended.is_some() {
            return Err(self.not_sent());
        }
        waiting.answers.insert(id, sender);
        Ok(answer)
    }

    async fn send(&self, head: Bytes, payload: Vec<Bytes>) -> Result<(), ClientError> {
        let slices = std::iter::once(head).chain(payload).collect();
        let sent = self.writes.send(slices).await;
        sent.map_err(|_| self.not_sent())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Forgets an answer that nobody waits for any more.
struct Forget<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.shared.waiting).answers.remove(&self.id);
    }
}

async fn read(mut stream: OwnedReadHalf, mut assembler: Assembler, shared: Arc<Shared>) {
    let reason = loop {
        match assembler.next_frame() {
            Ok(Some(frame)) => {
                let id = frame.header.correlation_id().get();
                let waiting = lock(&shared.waiting).answers.remove(&id);
                if let Some(waiting) = waiting {
                    // Who waited may have given up meanwhile.
                    waiting.send(frame).ok();
                }
                continue;
            }
            Ok(None) => {}
            Err(error) => break format!("a frame from the broker is damaged: {error}"),
        }
        assembler.buffer().reserve(RECV_BYTES);
        match stream.read_buf(assembler.buffer()).await {
            Ok(0) => break "the broker closed the connection".to_owned(),
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    shared.end(reason);
}

async fn write(
    mut stream: OwnedWriteHalf,
    mut frames: mpsc::Receiver<Vec<Bytes>>,
    shared: Arc<Shared>,
) {
    while let Some(slices) = frames.recv().await {
        let mut frame = Slices(slices.into());
        if let Err(error) = stream.write_all_buf(&mut frame).await {
            shared.end(error.to_string());
            return;
        }
    }
}

/// The slices of a frame as one buffer, written without putting them together.
struct Slices(std::collections::VecDeque<Bytes>);

impl Buf for Slices {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |slice| slice)
    }

    fn chunks_vectored<'a>(&'a self, slots: &mut [std::io::IoSlice<'a>]) -> usize {
        let slices = self.0.iter().filter(|slice| !slice.is_empty());
        let mut count = 0;
        for (slot, slice) in slots.iter_mut().zip(slices) {
            *slot = std::io::IoSlice::new(slice);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.0.front_mut() {
            let part = count.min(front.len());
            front.advance(part);
            count -= part;
            if !front.is_empty() {
                return;
            }
            self.0.pop_front();
        }
    }
}
