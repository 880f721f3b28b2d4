//! Free buffers made ahead of those who will ask for them.
//!
//! The first touch of a page costs a fault and the clearing of it, on a machine whose host takes free pages back
//! several microseconds: more than a core may spend on a request. A thread of the pool does that instead, for the
//! sizes that are really asked for. When it is late, who asks makes the buffer as before. The thread holds the pool
//! only while it works.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};

use super::{AlignedBuf, CLASSES, FREE_PER_CLASS, PoolState};
use crate::limits::{STOCK_BUFFER_BYTES_MAX, STOCK_BYTES};
use crate::uring::set_thread_nice;

/// What the pool knows of the thread that fills it up.
pub(super) struct Stock {
    /// By class: whether a buffer was ever missing. Sizes that come back as fast as they are taken need no stock.
    was_missed: Vec<AtomicBool>,
    /// The classes to be filled up, a bit for each.
    wanted: Arc<AtomicU32>,
    /// Has room for one: there is no need to wake who has not looked yet. The thread ends with it.
    wake: SyncSender<()>,
}

/// The thread before it runs.
pub(super) struct Keeper {
    wanted: Arc<AtomicU32>,
    woken: Receiver<()>,
}

/// How many free buffers of a class there should be.
fn stock_of(class: usize) -> usize {
    match CLASSES[class] {
        bytes if bytes > STOCK_BUFFER_BYTES_MAX => 0,
        bytes => (STOCK_BYTES / bytes).min(FREE_PER_CLASS),
    }
}

impl Stock {
    pub(super) fn new() -> (Self, Keeper) {
        let (wake, woken) = sync_channel(1);
        let wanted = Arc::new(AtomicU32::new(0));
        let stock = Self {
            was_missed: CLASSES.iter().map(|_| AtomicBool::new(false)).collect(),
            wanted: Arc::clone(&wanted),
            wake,
        };
        (stock, Keeper { wanted, woken })
    }

    /// Notes that one was taken, or was to be, and how many are left.
    pub(super) fn taken(&self, class: usize, left: usize) {
        let was_missed = &self.was_missed[class];
        if left == 0 && !was_missed.load(Ordering::Relaxed) {
            was_missed.store(true, Ordering::Relaxed);
        }
        if left >= stock_of(class) / 2 || !was_missed.load(Ordering::Relaxed) {
            return;
        }
        let bit = 1 << class;
        if self.wanted.fetch_or(bit, Ordering::AcqRel) & bit == 0 {
            // It may have been woken already. Without the thread the pool is one without a stock.
            self.wake.try_send(()).ok();
        }
    }
}

impl Keeper {
    pub(super) fn start(self, pool: &Arc<PoolState>) -> io::Result<()> {
        let pool = Arc::downgrade(pool);
        let thread = std::thread::Builder::new().name("memory".to_owned());
        // It ends by itself when the pool is gone.
        thread.spawn(move || self.run(&pool)).map(drop)
    }

    fn run(self, pool: &Weak<PoolState>) {
        // Behind everybody else, if that is allowed.
        set_thread_nice(19).ok();
        while self.woken.recv().is_ok() {
            let Some(pool) = pool.upgrade() else { return };
            let wanted = self.wanted.swap(0, Ordering::AcqRel);
            for class in (0..CLASSES.len()).filter(|class| wanted & (1 << class) != 0) {
                pool.fill_up(class);
            }
        }
    }
}

impl PoolState {
    /// Makes free buffers of a class, as far as the budget goes.
    fn fill_up(self: &Arc<Self>, class: usize) {
        while self.free[class].len() < stock_of(class) && self.reserve(CLASSES[class]) {
            // Dropping it puts it among the free ones.
            drop(AlignedBuf::allocate(CLASSES[class], Some(Arc::clone(self))));
        }
    }
}
