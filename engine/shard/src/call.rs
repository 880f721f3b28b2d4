//! A call on its way, and its reply on the way back.
//!
//! A slot is taken for as long as its call may lie in the peer's inbox or be worked on there, also when the caller
//! has lost interest meanwhile. Who of the two comes last gives it back: the caller directly, the peer by a message
//! to the caller's inbox.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_channel::oneshot;
use ringlog_reactor::mailbox;
use ringlog_record::ShardId;

use crate::router::{Lane, Peer, Slot};

/// The peer ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shard that was asked has ended")]
pub struct Gone;

/// What lies in an inbox.
pub(crate) enum Message<Q: Send, R: Send> {
    /// A peer asks.
    Call(Call<Q, R>),
    /// A peer is done with a call whose caller, this shard, had lost interest.
    Returned { peer: ShardId, lane: Lane },
}

/// A request from another shard. Dropping it unanswered tells the caller [`Gone`].
pub struct Call<Q: Send, R: Send> {
    /// What is asked.
    pub request: Q,
    reply: ReplyTo<Q, R>,
}

impl<Q: Send, R: Send> Call<Q, R> {
    /// Takes the call apart: what is asked, and where the answer goes.
    pub fn into_parts(self) -> (Q, ReplyTo<Q, R>) {
        (self.request, self.reply)
    }
}

/// Where an answer goes.
pub struct ReplyTo<Q: Send, R: Send> {
    reply: Option<oneshot::Sender<R>>,
    /// Whether one of the two sides is done with the call.
    is_half_over: Arc<AtomicBool>,
    home: mailbox::Sender<Message<Q, R>>,
    /// The shard that is asked, and the lane: which slot it is.
    peer: ShardId,
    lane: Lane,
}

impl<Q: Send, R: Send> ReplyTo<Q, R> {
    /// Answers; nothing happens when the caller has lost interest.
    pub fn answer(mut self, reply: R) {
        if let Some(sender) = self.reply.take() {
            drop(sender.send(reply));
        }
    }

    /// Ends when the caller has lost interest.
    pub async fn abandoned(&mut self) {
        if let Some(sender) = &mut self.reply {
            sender.cancellation().await;
        }
    }
}

impl<Q: Send, R: Send> Drop for ReplyTo<Q, R> {
    fn drop(&mut self) {
        // The caller must know of the answer, or that there is none, before it may find this side over.
        self.reply = None;
        if self.is_half_over.swap(true, Ordering::AcqRel) {
            let (peer, lane) = (self.peer, self.lane);
            // There is room: the slot stands for this message too. A caller that has ended needs no slot.
            drop(self.home.try_send(Message::Returned { peer, lane }));
        }
    }
}

/// What other shards ask of this one. It must be served for as long as the router is used: some slots come back
/// through it.
pub struct Inbox<Q: Send, R: Send> {
    pub(crate) messages: mailbox::Receiver<Message<Q, R>>,
    pub(crate) peers: Rc<[Peer<Q, R>]>,
}

impl<Q: Send, R: Send> Inbox<Q, R> {
    /// The next call; `None` when all peers have ended.
    pub async fn next(&mut self) -> Option<Call<Q, R>> {
        loop {
            match self.messages.recv().await? {
                Message::Call(call) => return Some(call),
                Message::Returned { peer, lane } => {
                    if let Some(peer) = self.peers.get(usize::from(peer.get())) {
                        drop(Slot::returned(peer.slots(lane)));
                    }
                }
            }
        }
    }
}

/// The answer to come. Dropping it tells the peer that nobody is interested.
#[must_use = "the answer comes from awaiting this"]
pub struct Reply<R> {
    receiver: oneshot::Receiver<R>,
    /// Given back when the peer is done with the call.
    slot: Option<Slot>,
    is_half_over: Arc<AtomicBool>,
}

/// A call of this shard's and the answer to it.
pub(crate) fn call<Q: Send, R: Send>(
    request: Q,
    slot: Slot,
    home: mailbox::Sender<Message<Q, R>>,
    peer: ShardId,
) -> (Call<Q, R>, Reply<R>) {
    let (sender, receiver) = oneshot::channel();
    let is_half_over = Arc::new(AtomicBool::new(false));
    let reply = ReplyTo {
        reply: Some(sender),
        is_half_over: Arc::clone(&is_half_over),
        home,
        peer,
        lane: slot.lane(),
    };
    let call = Call { request, reply };
    let reply = Reply {
        receiver,
        slot: Some(slot),
        is_half_over,
    };
    (call, reply)
}

impl<R> Future for Reply<R> {
    type Output = Result<R, Gone>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver)
            .poll(cx)
            .map(|reply| reply.map_err(|oneshot::Canceled| Gone))
    }
}

impl<R> Drop for Reply<R> {
    fn drop(&mut self) {
        let peer_is_done = self.is_half_over.swap(true, Ordering::AcqRel);
        if let Some(slot) = self.slot.take()
            && !peer_is_done
        {
            slot.leave_to_peer();
        }
    }
}
