//! The way from a shard to its peers.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::rc::Rc;

use futures_channel::oneshot;
use ringlog_reactor::mailbox;
use ringlog_record::ShardId;

use crate::call::{Call, Gone, Inbox, Reply};
use crate::limits::CALLS_PER_PEER_MAX;

/// The end of a mesh that belongs to one shard; moved to its core and opened there.
pub struct Port<Q, R> {
    me: ShardId,
    peers: Vec<mailbox::Sender<Call<Q, R>>>,
    inbox: mailbox::Receiver<Call<Q, R>>,
}

/// One port for each of `shards`, in order.
pub fn mesh<Q: Send, R: Send>(shards: NonZeroU16) -> Vec<Port<Q, R>> {
    // Each peer, the shard itself included, holds at most so many slots: an inbox is never full.
    let capacity = CALLS_PER_PEER_MAX * usize::from(shards.get());
    let (senders, inboxes): (Vec<_>, Vec<_>) = (0..shards.get())
        .map(|_| mailbox::channel::<Call<Q, R>>(capacity))
        .unzip();
    (0..shards.get())
        .zip(inboxes)
        .map(|(shard, inbox)| Port {
            me: ShardId::new(shard),
            peers: senders.clone(),
            inbox,
        })
        .collect()
}

impl<Q: Send, R: Send> Port<Q, R> {
    /// Which shard this port is of.
    pub fn me(&self) -> ShardId {
        self.me
    }

    /// The way out and the way in, on the core of the shard.
    pub fn open(self) -> (Router<Q, R>, Inbox<Q, R>) {
        let peers = self.peers.into_iter().map(|inbox| Peer {
            inbox,
            slots: Rc::new(Slots {
                free: Cell::new(CALLS_PER_PEER_MAX),
                ..Slots::default()
            }),
        });
        let router = Router {
            me: self.me,
            peers: peers.collect(),
        };
        (router, Inbox(self.inbox))
    }
}

/// Calls other shards.
pub struct Router<Q, R> {
    me: ShardId,
    peers: Rc<[Peer<Q, R>]>,
}

impl<Q, R> Clone for Router<Q, R> {
    fn clone(&self) -> Self {
        Self {
            me: self.me,
            peers: Rc::clone(&self.peers),
        }
    }
}

struct Peer<Q, R> {
    inbox: mailbox::Sender<Call<Q, R>>,
    slots: Rc<Slots>,
}

#[derive(Default)]
struct Slots {
    free: Cell<usize>,
    /// Those who wait for a slot, first come first served. Empty while one is free.
    waiting: RefCell<VecDeque<oneshot::Sender<Slot>>>,
}

/// The right to one call at a peer: room for the request and for its reply.
pub struct Slot(Rc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        let next = self.0.waiting.borrow_mut().pop_front();
        match next {
            // Comes back here, for the one behind, when nobody waits there any more.
            Some(waiting) => drop(waiting.send(Self(Rc::clone(&self.0)))),
            None => self.0.free.set(self.0.free.get() + 1),
        }
    }
}

impl<Q: Send, R: Send> Router<Q, R> {
    /// The shard that calls.
    pub fn me(&self) -> ShardId {
        self.me
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.peers.len()
    }

    /// Waits for the right to a call at `peer`; `None` when there is no such shard.
    pub async fn slot(&self, peer: ShardId) -> Option<Slot> {
        let slots = &self.peers.get(usize::from(peer.get()))?.slots;
        if let Some(free) = slots.free.get().checked_sub(1) {
            slots.free.set(free);
            return Some(Slot(Rc::clone(slots)));
        }
        let (sender, slot) = oneshot::channel();
        slots.waiting.borrow_mut().push_back(sender);
        slot.await.ok()
    }

    /// Sends a call. The slot is one for `peer`.
    ///
    /// # Errors
    ///
    /// [`Gone`] when the peer has ended.
    pub fn send(&self, peer: ShardId, slot: Slot, request: Q) -> Result<Reply<R>, Gone> {
        let peer = self.peers.get(usize::from(peer.get())).ok_or(Gone)?;
        debug_assert!(Rc::ptr_eq(&peer.slots, &slot.0), "the slot of another peer");
        let (call, receiver) = Call::new(request);
        peer.inbox.try_send(call).map_err(|_| Gone)?;
        Ok(Reply {
            receiver,
            _slot: slot,
        })
    }

    /// Calls `peer` and waits for its answer.
    ///
    /// # Errors
    ///
    /// [`Gone`] when the peer has ended, or there is none.
    pub async fn call(&self, peer: ShardId, request: Q) -> Result<R, Gone> {
        let slot = self.slot(peer).await.ok_or(Gone)?;
        self.send(peer, slot, request)?.await
    }
}

#[cfg(test)]
mod tests;
