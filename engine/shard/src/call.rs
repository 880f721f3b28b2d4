//! A call on its way, and its reply on the way back.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_channel::oneshot;
use ringlog_reactor::mailbox;

use crate::router::Slot;

/// The peer ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shard that was asked has ended")]
pub struct Gone;

/// A request from another shard. Dropping it unanswered tells the caller [`Gone`].
#[derive(Debug)]
pub struct Call<Q, R> {
    /// What is asked.
    pub request: Q,
    reply: oneshot::Sender<R>,
}

impl<Q, R> Call<Q, R> {
    pub(crate) fn new(request: Q) -> (Self, oneshot::Receiver<R>) {
        let (reply, receiver) = oneshot::channel();
        (Self { request, reply }, receiver)
    }

    /// Takes the call apart: what is asked, and where the answer goes.
    pub fn into_parts(self) -> (Q, ReplyTo<R>) {
        (self.request, ReplyTo(self.reply))
    }
}

/// Where an answer goes.
#[derive(Debug)]
pub struct ReplyTo<R>(oneshot::Sender<R>);

impl<R> ReplyTo<R> {
    /// Answers; nothing happens when the caller has lost interest.
    pub fn answer(self, reply: R) {
        drop(self.0.send(reply));
    }

    /// Ends when the caller has lost interest.
    pub async fn abandoned(&mut self) {
        self.0.cancellation().await;
    }
}

/// What other shards ask of this one.
pub struct Inbox<Q, R>(pub(crate) mailbox::Receiver<Call<Q, R>>);

impl<Q: Send, R: Send> Inbox<Q, R> {
    /// The next call; `None` when all peers have ended.
    pub async fn next(&mut self) -> Option<Call<Q, R>> {
        self.0.recv().await
    }
}

/// The answer to come. Dropping it tells the peer that nobody is interested.
#[must_use = "the answer comes from awaiting this"]
pub struct Reply<R> {
    pub(crate) receiver: oneshot::Receiver<R>,
    /// Given back when the reply is here.
    pub(crate) _slot: Slot,
}

impl<R> Future for Reply<R> {
    type Output = Result<R, Gone>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver)
            .poll(cx)
            .map(|reply| reply.map_err(|oneshot::Canceled| Gone))
    }
}
