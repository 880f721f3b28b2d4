//! Bytes that those who are on one core share: memory, or what is under way at a device.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;

/// A number of bytes, handed out in shares, first come first served. Clones share it.
#[derive(Clone)]
pub struct Budget(Rc<Shared>);

struct Shared {
    total_bytes: usize,
    free_bytes: Cell<usize>,
    /// Those who wait, with what they want.
    waiting: RefCell<VecDeque<(usize, oneshot::Sender<Share>)>>,
}

impl Budget {
    /// A budget of this many bytes.
    pub fn new(total_bytes: usize) -> Self {
        Self(Rc::new(Shared {
            total_bytes,
            free_bytes: Cell::new(total_bytes),
            waiting: RefCell::default(),
        }))
    }

    /// Bytes that nobody has.
    pub fn free_bytes(&self) -> usize {
        self.0.free_bytes.get()
    }

    /// Waits for `bytes`, or for all there are when that is less: one alone always gets on.
    pub async fn take(&self, bytes: usize) -> Share {
        let bytes = bytes.min(self.0.total_bytes);
        if let Some(share) = self.try_take(bytes) {
            return share;
        }
        let (sender, granted) = oneshot::channel();
        self.0.waiting.borrow_mut().push_back((bytes, sender));
        // The sender stays in the queue, which this handle keeps alive, until it grants.
        granted
            .await
            .unwrap_or_else(|oneshot::Canceled| self.none())
    }

    /// A share, when it is free and nobody waits before.
    pub fn try_take(&self, bytes: usize) -> Option<Share> {
        if !self.0.waiting.borrow().is_empty() {
            return None;
        }
        self.grant(bytes)
    }

    fn grant(&self, bytes: usize) -> Option<Share> {
        let left = self.0.free_bytes.get().checked_sub(bytes)?;
        self.0.free_bytes.set(left);
        Some(Share {
            budget: self.clone(),
            bytes,
        })
    }

    fn none(&self) -> Share {
        Share {
            budget: self.clone(),
            bytes: 0,
        }
    }

    fn give_back(&self, bytes: usize) {
        self.0.free_bytes.set(self.0.free_bytes.get() + bytes);
        while let Some((share, sender)) = self.next_granted() {
            // Who has lost interest gives it back at once, and the next one gets it.
            drop(sender.send(share));
        }
    }

    /// The first of those who wait, when there is enough for it.
    fn next_granted(&self) -> Option<(Share, oneshot::Sender<Share>)> {
        let mut waiting = self.0.waiting.borrow_mut();
        while waiting
            .front()
            .is_some_and(|(_, sender)| sender.is_canceled())
        {
            waiting.pop_front();
        }
        let (bytes, _) = waiting.front()?;
        let share = self.grant(*bytes)?;
        waiting.pop_front().map(|(_, sender)| (share, sender))
    }
}

/// A part of a [`Budget`]; given back when dropped.
#[must_use = "a share that is dropped is given back"]
pub struct Share {
    budget: Budget,
    bytes: usize,
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Share")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Share {
    /// How much it is.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back what is above `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.bytes -= surplus;
        if surplus > 0 {
            self.budget.give_back(surplus);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests;
