//! Answers on their way to the client: one send at a time, a bound on what waits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use ringlog_reactor::{Signal, TcpStream};

use crate::handlers::Response;
use crate::limits::{OUTBOX_BYTES_MAX, SEND_TIMEOUT};
use crate::shard::Shard;

/// Slices that are put together for one send.
const SLICES_PER_SEND: usize = 64;

/// Bytes that are put together for one send, so that each makes progress within the time-out.
const BYTES_PER_SEND: usize = 4 << 20;

/// The answers of a connection that are not sent yet.
#[derive(Default)]
pub(super) struct Outbox {
    slices: RefCell<VecDeque<Bytes>>,
    bytes: Cell<usize>,
    is_closed: Cell<bool>,
    changed: Signal,
}

/// Why a connection cannot be sent to.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The client does not read.
    #[error("the client did not take an answer within {} s", SEND_TIMEOUT.as_secs())]
    TimedOut,
    /// The stream is gone.
    #[error("cannot send: {0}")]
    Io(#[from] io::Error),
}

impl Outbox {
    /// Puts an answer in. Never refuses: who begins requests waits for [`Outbox::room`] first.
    pub(super) fn push(&self, response: Response) {
        let mut slices = self.slices.borrow_mut();
        let payload = response.payload.into_iter();
        for slice in std::iter::once(response.head).chain(payload) {
            self.bytes.set(self.bytes.get() + slice.len());
            slices.push_back(slice);
        }
        drop(slices);
        self.changed.notify();
    }

    /// Waits until few enough bytes wait.
    pub(super) async fn room(&self) {
        let has_room = || (self.bytes.get() < OUTBOX_BYTES_MAX).then_some(());
        self.changed.wait(has_room).await;
    }

    /// Lets [`Outbox::send_all`] end when all is sent.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.changed.notify();
    }

    /// Sends what comes in until the outbox is closed and empty.
    pub(super) async fn send_all(
        &self,
        shard: &Shard,
        stream: &TcpStream,
    ) -> Result<(), SendError> {
        loop {
            let is_over = self
                .changed
                .wait(|| {
                    let is_empty = self.slices.borrow().is_empty();
                    (!is_empty || self.is_closed.get()).then_some(is_empty)
                })
                .await;
            if is_over {
                return Ok(());
            }
            let (slices, bytes) = self.take();
            let sent = shard
                .reactor
                .timeout(SEND_TIMEOUT, stream.send(slices))
                .await;
            sent.map_err(|_| SendError::TimedOut)??;
            shard.metrics.sent_bytes.add(bytes as u64);
            self.bytes.set(self.bytes.get() - bytes);
            self.changed.notify();
        }
    }

    fn take(&self) -> (Vec<Bytes>, usize) {
        let mut waiting = self.slices.borrow_mut();
        let (mut slices, mut bytes) = (Vec::new(), 0);
        while slices.len() < SLICES_PER_SEND
            && bytes < BYTES_PER_SEND
            && let Some(slice) = waiting.pop_front()
        {
            bytes += slice.len();
            slices.push(slice);
        }
        (slices, bytes)
    }
}
