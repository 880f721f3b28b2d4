//! The way from a shard to its peers.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::rc::Rc;

use futures_channel::oneshot;
use ringlog_reactor::mailbox;
use ringlog_record::ShardId;

use crate::call::{Gone, Inbox, Message, Reply, call};
use crate::limits::{WAIT_CALLS_PER_PEER_MAX, WORK_CALLS_PER_PEER_MAX};

/// The end of a mesh that belongs to one shard; moved to its core and opened there.
pub struct Port<Q: Send, R: Send> {
    me: ShardId,
    peers: Vec<mailbox::Sender<Message<Q, R>>>,
    inbox: mailbox::Receiver<Message<Q, R>>,
}

/// One port for each of `shards`, in order.
pub fn mesh<Q: Send, R: Send>(shards: NonZeroU16) -> Vec<Port<Q, R>> {
    // Each peer, the shard itself included, holds at most so many slots, and so many slots of this shard's may come
    // back: an inbox is never full.
    let calls_per_peer_max = WORK_CALLS_PER_PEER_MAX + WAIT_CALLS_PER_PEER_MAX;
    let capacity = 2 * calls_per_peer_max * usize::from(shards.get());
    let (senders, inboxes): (Vec<_>, Vec<_>) = (0..shards.get())
        .map(|_| mailbox::channel::<Message<Q, R>>(capacity))
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
            work: Slots::new(Lane::Work, WORK_CALLS_PER_PEER_MAX),
            wait: Slots::new(Lane::Wait, WAIT_CALLS_PER_PEER_MAX),
        });
        let peers: Rc<[Peer<Q, R>]> = peers.collect();
        let inbox = Inbox {
            messages: self.inbox,
            peers: Rc::clone(&peers),
        };
        let router = Router { me: self.me, peers };
        (router, inbox)
    }
}

/// Calls other shards.
pub struct Router<Q: Send, R: Send> {
    me: ShardId,
    peers: Rc<[Peer<Q, R>]>,
}

impl<Q: Send, R: Send> Clone for Router<Q, R> {
    fn clone(&self) -> Self {
        Self {
            me: self.me,
            peers: Rc::clone(&self.peers),
        }
    }
}

pub(crate) struct Peer<Q: Send, R: Send> {
    inbox: mailbox::Sender<Message<Q, R>>,
    work: Rc<Slots>,
    wait: Rc<Slots>,
}

impl<Q: Send, R: Send> Peer<Q, R> {
    pub(crate) fn slots(&self, lane: Lane) -> &Rc<Slots> {
        match lane {
            Lane::Work => &self.work,
            Lane::Wait => &self.wait,
        }
    }
}

/// What a call is for. Each lane has slots of its own: calls that wait for something to happen, however many there
/// are, never keep back one that is only to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The peer carries it out and answers.
    Work,
    /// The peer answers when something has happened.
    Wait,
}

pub(crate) struct Slots {
    lane: Lane,
    free: Cell<usize>,
    /// Those who wait for a slot, first come first served. Empty while one is free.
    waiting: RefCell<VecDeque<oneshot::Sender<Slot>>>,
}

impl Slots {
    fn new(lane: Lane, free: usize) -> Rc<Self> {
        Rc::new(Self {
            lane,
            free: Cell::new(free),
            waiting: RefCell::default(),
        })
    }

    /// The first who still waits.
    fn next_waiting(&self) -> Option<oneshot::Sender<Slot>> {
        let mut waiting = self.waiting.borrow_mut();
        loop {
            let next = waiting.pop_front()?;
            if !next.is_canceled() {
                return Some(next);
            }
        }
    }
}

/// The right to one call at a peer: room for the request and for its reply.
pub struct Slot {
    slots: Rc<Slots>,
    /// Whether this handle gives it back.
    is_mine: bool,
}

impl Slot {
    fn taken(slots: &Rc<Slots>) -> Self {
        Self {
            slots: Rc::clone(slots),
            is_mine: true,
        }
    }

    /// One that was left to the peer, which is done with it now.
    pub(crate) fn returned(slots: &Rc<Slots>) -> Self {
        Self::taken(slots)
    }

    /// Does not give it back: the peer will.
    pub(crate) fn leave_to_peer(mut self) {
        self.is_mine = false;
    }

    pub(crate) fn lane(&self) -> Lane {
        self.slots.lane
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.is_mine {
            return;
        }
        match self.slots.next_waiting() {
            Some(waiting) => drop(waiting.send(Self::taken(&self.slots))),
            None => self.slots.free.set(self.slots.free.get() + 1),
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
    pub async fn slot(&self, peer: ShardId, lane: Lane) -> Option<Slot> {
        let slots = self.peers.get(usize::from(peer.get()))?.slots(lane);
        if let Some(free) = slots.free.get().checked_sub(1) {
            slots.free.set(free);
            return Some(Slot::taken(slots));
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
        let home = self.peers.get(usize::from(self.me.get())).ok_or(Gone)?;
        let asked = self.peers.get(usize::from(peer.get())).ok_or(Gone)?;
        debug_assert!(
            Rc::ptr_eq(asked.slots(slot.lane()), &slot.slots),
            "the slot of another peer"
        );
        let (call, reply) = call(request, slot, home.inbox.clone(), peer);
        asked
            .inbox
            .try_send(Message::Call(call))
            .map_err(|_| Gone)?;
        Ok(reply)
    }

    /// Calls `peer` and waits for its answer.
    ///
    /// # Errors
    ///
    /// [`Gone`] when the peer has ended, or there is none.
    pub async fn call(&self, peer: ShardId, lane: Lane, request: Q) -> Result<R, Gone> {
        let slot = self.slot(peer, lane).await.ok_or(Gone)?;
        self.send(peer, slot, request)?.await
    }
}

#[cfg(test)]
mod tests;
