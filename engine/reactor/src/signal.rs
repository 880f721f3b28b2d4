//! Waiting within one core until something has become true.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// Wakes those who wait whenever something may have changed.
#[derive(Default)]
pub struct Signal(RefCell<Vec<Waker>>);

impl Signal {
    /// Waits until `condition` gives something. It is asked at once, and again after each [`Signal::notify`].
    pub async fn wait<T>(&self, mut condition: impl FnMut() -> Option<T>) -> T {
        poll_fn(|cx| match condition() {
            Some(value) => Poll::Ready(value),
            None => {
                self.register(cx);
                Poll::Pending
            }
        })
        .await
    }

    /// Has the task woken at the next [`Signal::notify`].
    pub fn register(&self, cx: &Context<'_>) {
        let mut wakers = self.0.borrow_mut();
        if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
    }

    /// Lets everybody who waits look again.
    pub fn notify(&self) {
        // Out of the cell first: who is woken may look in here.
        let mut woken = std::mem::take(&mut *self.0.borrow_mut());
        woken.drain(..).for_each(Waker::wake);
        let mut wakers = self.0.borrow_mut();
        if wakers.is_empty() {
            // Keeps the memory: a notify comes with every request.
            *wakers = woken;
        }
    }
}
