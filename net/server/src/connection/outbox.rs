//! Answers on their way to the client: one send at a time, a bound on what waits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use ringlog_reactor::limits::SEND_SLICES_MAX;
use ringlog_reactor::{Signal, TcpStream};
use ringlog_shard::Share;

use crate::handlers::{Memory, Response};
use crate::limits::{OUTBOX_BYTES_MAX, SEND_BYTES_MAX, SEND_TIMEOUT};
use crate::shard::Shard;

/// The answers of a connection that are not sent yet.
#[derive(Default)]
pub(super) struct Outbox {
    slices: RefCell<VecDeque<Slice>>,
    bytes: Cell<usize>,
    /// Those of all connections of the shard together.
    all_bytes: Rc<Cell<usize>>,
    is_closed: Cell<bool>,
    is_abandoned: Cell<bool>,
    changed: Signal,
}

/// A piece of an answer.
struct Slice {
    bytes: Bytes,
    /// The memory of the whole answer, with its last piece.
    memory: Memory,
}

/// A send; what it is made of is used again for the next one.
#[derive(Default)]
struct Sending {
    slices: Vec<Bytes>,
    bytes: usize,
    /// The memory of the answers that end in it.
    memory: Vec<Share>,
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
    /// One whose bytes count among those of all connections.
    pub(super) fn new(all_bytes: Rc<Cell<usize>>) -> Self {
        Self {
            all_bytes,
            ..Self::default()
        }
    }

    /// Puts an answer in. Never refuses: who begins requests waits for [`Outbox::room`] first. The task of the connection
    /// looks in here whenever it is polled; others wake it with [`Outbox::announce`].
    pub(super) fn push(&self, response: Response) {
        if self.is_abandoned.get() {
            return;
        }
        let mut slices = self.slices.borrow_mut();
        let payload = response.payload.into_iter();
        for bytes in std::iter::once(response.head).chain(payload) {
            self.bytes.set(self.bytes.get() + bytes.len());
            self.all_bytes.set(self.all_bytes.get() + bytes.len());
            let memory = Memory::new();
            slices.push_back(Slice { bytes, memory });
        }
        if let Some(last) = slices.back_mut() {
            last.memory = response.memory;
        }
    }

    /// Has the task of the connection look in here.
    pub(super) fn announce(&self) {
        self.changed.notify();
    }

    /// Waits until few enough bytes wait: of this connection, and when all together are at `all_bytes_max`, none.
    pub(super) async fn room(&self, all_bytes_max: usize) {
        self.changed
            .wait(|| self.has_room(all_bytes_max).then_some(()))
            .await;
    }

    /// Whether that is so now.
    pub(super) fn has_room(&self, all_bytes_max: usize) -> bool {
        let bytes = self.bytes.get();
        let is_its_turn = bytes == 0 || self.all_bytes.get() < all_bytes_max;
        bytes < OUTBOX_BYTES_MAX && is_its_turn
    }

    /// Lets [`Outbox::send_all`] end when all is sent.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.changed.notify();
    }

    /// Lets go of all answers, those still to come included: nobody will be sent to any more.
    pub(super) fn abandon(&self) {
        self.is_abandoned.set(true);
        // Out of the cell first: what is let go of may wake others.
        drop(self.slices.take());
        self.sent(self.bytes.get());
        self.close();
    }

    /// Sends what comes in until the outbox is closed and empty.
    pub(super) async fn send_all(
        &self,
        shard: &Shard,
        stream: &TcpStream,
    ) -> Result<(), SendError> {
        let mut sending = Sending::default();
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
            self.take(&mut sending);
            let send = stream.send(&mut sending.slices);
            let sent = shard.reactor.timeout(SEND_TIMEOUT, send).await;
            sent.map_err(|_| SendError::TimedOut)??;
            shard.metrics.sent_bytes.add(sending.bytes as u64);
            self.sent(sending.bytes);
            sending.memory.clear();
            self.changed.notify();
        }
    }

    /// So many bytes no longer wait.
    fn sent(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
        let all_bytes = &self.all_bytes;
        all_bytes.set(all_bytes.get().saturating_sub(bytes));
    }

    /// Takes what goes into the next send.
    fn take(&self, into: &mut Sending) {
        let mut waiting = self.slices.borrow_mut();
        into.bytes = 0;
        while into.slices.len() < SEND_SLICES_MAX
            && into.bytes < SEND_BYTES_MAX
            && let Some(next) = waiting.front_mut()
        {
            let room = SEND_BYTES_MAX - into.bytes;
            if next.bytes.len() > room {
                into.slices.push(next.bytes.split_to(room));
                into.bytes += room;
            } else if let Some(slice) = waiting.pop_front() {
                into.bytes += slice.bytes.len();
                into.slices.push(slice.bytes);
                into.memory.extend(slice.memory);
            }
        }
    }
}

#[cfg(test)]
mod tests;
