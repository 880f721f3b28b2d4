//! How a parked ring is woken.
//!
//! One atomic word per driver says whether its thread is awake, has been notified, or is parked. Only a notify
//! that finds the thread parked costs a system call, and it alone sends the wake:
//!
//! - from a thread that runs a ring itself, as an `IORING_OP_MSG_RING` that goes out with the next turn of that
//!   ring (it waits on a list of the thread until then);
//! - from any other thread, by writing the eventfd that the parked ring has a read outstanding on.
//!
//! No wake is lost: parking is a compare-exchange from awake to parked, so a notify comes either before it (the
//! exchange fails and the thread does not park) or after it (the notify sees `PARKED`). Whatever was published
//! before the notify is visible after the turn that it ends.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::driver::Notify;

const AWAKE: u8 = 0;
const NOTIFIED: u8 = 1;
const PARKED: u8 = 2;

/// The end of a driver that other threads hold.
#[derive(Debug)]
pub(super) struct Wake {
    state: AtomicU8,
    /// Set when the driver is gone.
    closed: AtomicBool,
    eventfd: OwnedFd,
    /// A duplicate, so that the number cannot come to mean another ring while somebody may still send to it.
    ring: OwnedFd,
}

impl Wake {
    pub(super) fn new(ring: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let eventfd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if eventfd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let eventfd = unsafe { OwnedFd::from_raw_fd(eventfd) };
        Ok(Self {
            state: AtomicU8::new(AWAKE),
            closed: AtomicBool::new(false),
            eventfd,
            ring: ring.try_clone_to_owned()?,
        })
    }

    pub(super) fn eventfd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }

    pub(super) fn ring_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    /// Whether somebody has notified since the last [`Wake::take`].
    pub(super) fn is_notified(&self) -> bool {
        self.state.load(Ordering::Relaxed) == NOTIFIED
    }

    /// Forgets the notification, and makes visible what was published before it.
    pub(super) fn take(&self) -> bool {
        self.state.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }

    /// Declares the thread parked; false when it was notified and must not park.
    pub(super) fn park(&self) -> bool {
        self.state
            .compare_exchange(AWAKE, PARKED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Nobody waits here any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Wakes through the eventfd.
    pub(super) fn write_eventfd(&self) {
        let one: u64 = 1;
        // SAFETY: the source is eight readable bytes, and the descriptor is open as long as `self` lives.
        let written = unsafe {
            libc::write(
                self.eventfd.as_raw_fd(),
                (&raw const one).cast(),
                size_of::<u64>(),
            )
        };
        debug_assert!(written == 8, "the counter of an eventfd is never full here");
    }

    fn notify(self: &Arc<Self>) {
        if self.state.swap(NOTIFIED, Ordering::AcqRel) != PARKED || self.is_closed() {
            return;
        }
        if !queue_on_this_thread(self) {
            self.write_eventfd();
        }
    }
}

/// The handle given out for a driver.
pub(super) struct WakeHandle(pub(super) Arc<Wake>);

impl Notify for WakeHandle {
    fn notify(&self) {
        self.0.notify();
    }
}

/// Wakes that the rings of this thread have still to send.
struct Outgoing {
    /// Drivers that live on this thread; with none nobody would send.
    drivers: usize,
    wakes: Vec<Arc<Wake>>,
}

thread_local! {
    static OUTGOING: RefCell<Outgoing> = const { RefCell::new(Outgoing { drivers: 0, wakes: Vec::new() }) };
}

/// Leaves a wake to the ring of this thread; false when there is none.
fn queue_on_this_thread(wake: &Arc<Wake>) -> bool {
    OUTGOING
        .try_with(|outgoing| {
            let Ok(mut outgoing) = outgoing.try_borrow_mut() else {
                return false;
            };
            if outgoing.drivers == 0 {
                return false;
            }
            outgoing.wakes.push(Arc::clone(wake));
            true
        })
        .unwrap_or(false)
}

/// Says that this thread has a ring that sends wakes.
pub(super) fn enter_thread() {
    OUTGOING.with_borrow_mut(|outgoing| outgoing.drivers += 1);
}

/// Takes that back; wakes that are still waiting go out through their eventfds.
pub(super) fn leave_thread() {
    let left = OUTGOING.try_with(|outgoing| {
        let mut outgoing = outgoing.borrow_mut();
        outgoing.drivers -= 1;
        if outgoing.drivers == 0 {
            std::mem::take(&mut outgoing.wakes)
        } else {
            Vec::new()
        }
    });
    for wake in left.unwrap_or_default() {
        wake.write_eventfd();
    }
}

/// Hands over the wakes that wait on this thread, keeping the list's memory.
pub(super) fn drain_thread(mut send: impl FnMut(Arc<Wake>)) {
    OUTGOING.with_borrow_mut(|outgoing| outgoing.wakes.drain(..).for_each(&mut send));
}
