//! Those who wait for the high watermark to move: parked fetches.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use ringlog_record::Offset;

use crate::partition::Inner;

/// Wakers by the offset that the high watermark must pass, and a number.
type Parked = BTreeMap<(Offset, u64), Waker>;

/// The wakers of parked fetches.
#[derive(Default)]
pub(crate) struct Waiters {
    parked: Parked,
    next: u64,
}

impl Waiters {
    fn park(&mut self, above: Offset, waker: Waker) -> u64 {
        let number = self.next;
        self.next += 1;
        self.parked.insert((above, number), waker);
        number
    }

    /// Takes out those whom this high watermark lets go.
    fn take_below(&mut self, high_watermark: Offset) -> Parked {
        let later = self.parked.split_off(&(high_watermark, 0));
        std::mem::replace(&mut self.parked, later)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.parked.len()
    }
}

impl Inner {
    /// Wakes those whom this high watermark lets go.
    pub(crate) fn wake_below(&self, high_watermark: Offset) {
        // Out of the cell first: a waker may drop who waited, and who leaves looks in here.
        let free = self.waiters.borrow_mut().take_below(high_watermark);
        free.into_values().for_each(Waker::wake);
    }

    /// Wakes everybody.
    pub(crate) fn wake_all(&self) {
        let all = std::mem::take(&mut self.waiters.borrow_mut().parked);
        all.into_values().for_each(Waker::wake);
    }
}

/// Ends when the high watermark is above an offset, or when the partition has ended.
#[must_use = "a future does nothing unless awaited"]
pub struct Moved {
    partition: Rc<Inner>,
    above: Offset,
    parked: Option<u64>,
}

impl Moved {
    pub(crate) fn new(partition: Rc<Inner>, above: Offset) -> Self {
        Self {
            partition,
            above,
            parked: None,
        }
    }

    fn leave(&mut self) {
        if let Some(number) = self.parked.take() {
            let mut waiters = self.partition.waiters.borrow_mut();
            waiters.parked.remove(&(self.above, number));
        }
    }
}

impl Future for Moved {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.leave();
        if self.partition.has_ended() || self.partition.high_watermark() > self.above {
            return Poll::Ready(());
        }
        let number = {
            let mut waiters = self.partition.waiters.borrow_mut();
            waiters.park(self.above, cx.waker().clone())
        };
        self.parked = Some(number);
        Poll::Pending
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        self.leave();
    }
}
