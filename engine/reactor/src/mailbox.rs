//! Bounded mailboxes between cores (and from and to any other thread).
//!
//! Many senders, one receiver. A full mailbox pushes back: `try_send` gives the message back. The receiver's
//! waker carries the wake-up across threads (see [`crate::executor`] for the parked/awake protocol).

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use crossbeam_queue::ArrayQueue;

struct Shared<T> {
    messages: ArrayQueue<T>,
    receiver: AtomicWaker,
    senders: AtomicUsize,
    receiver_is_gone: AtomicBool,
}

/// Why a message was not taken; it comes back.
#[derive(Debug, thiserror::Error)]
pub enum TrySendError<T> {
    /// The mailbox is full: try later, or refuse the work.
    #[error("the mailbox is full")]
    Full(T),
    /// The receiver is gone.
    #[error("the receiver of the mailbox is gone")]
    Closed(T),
}

/// Puts messages in.
pub struct Sender<T>(Arc<Shared<T>>);

/// Takes messages out.
pub struct Receiver<T>(Arc<Shared<T>>);

/// A mailbox of at most `capacity` messages (at least one).
pub fn channel<T: Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        messages: ArrayQueue::new(capacity.max(1)),
        receiver: AtomicWaker::new(),
        senders: AtomicUsize::new(1),
        receiver_is_gone: AtomicBool::new(false),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T: Send> Sender<T> {
    /// Puts a message in without waiting.
    ///
    /// # Errors
    ///
    /// [`TrySendError`], with the message.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        if self.0.receiver_is_gone.load(Ordering::Acquire) {
            return Err(TrySendError::Closed(message));
        }
        self.0.messages.push(message).map_err(TrySendError::Full)?;
        self.0.receiver.wake();
        Ok(())
    }

    /// Messages waiting.
    pub fn len(&self) -> usize {
        self.0.messages.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.0.messages.is_empty()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.receiver.wake();
        }
    }
}

impl<T> Receiver<T> {
    /// The next message; `None` when all senders are gone and nothing is left.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`Receiver::recv`], by hand.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(message) = self.0.messages.pop() {
            return Poll::Ready(Some(message));
        }
        self.0.receiver.register(cx.waker());
        // A message or the last sender's end may have come in before the waker was in place.
        let no_sender = self.0.senders.load(Ordering::Acquire) == 0;
        match self.0.messages.pop() {
            Some(message) => Poll::Ready(Some(message)),
            None if no_sender => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// Messages waiting.
    pub fn len(&self) -> usize {
        self.0.messages.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.0.messages.is_empty()
    }

    /// The next message, if one waits.
    pub fn try_recv(&mut self) -> Option<T> {
        self.0.messages.pop()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.receiver_is_gone.store(true, Ordering::Release);
        while self.0.messages.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests;
