//! How much of the tails of a shard's logs stays in memory after it was written.
//!
//! The chunks that appends were collected in serve readers until the budget is spent; then the oldest of any log
//! goes first. Reads from disk never enter, so a reader of old records does not push the tail out.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use crate::log::LogInner;

/// The budget of a shard. Clones share it.
#[derive(Clone)]
pub struct CacheBudget(Rc<RefCell<Budget>>);

struct Budget {
    budget_bytes: usize,
    used_bytes: usize,
    /// Chunks in the order in which they became durable, which for each log is the order of its chunks.
    chunks: VecDeque<(Weak<LogInner>, usize)>,
}

impl CacheBudget {
    /// A budget of this many bytes.
    pub fn new(budget_bytes: usize) -> Self {
        Self(Rc::new(RefCell::new(Budget {
            budget_bytes,
            used_bytes: 0,
            chunks: VecDeque::new(),
        })))
    }

    /// Bytes of memory that the cache holds.
    pub fn used_bytes(&self) -> usize {
        self.0.borrow().used_bytes
    }

    /// Counts the oldest uncounted chunk of `log`, and evicts while there are too many.
    pub(crate) fn admit(&self, log: &Weak<LogInner>, bytes: usize) {
        {
            let mut budget = self.0.borrow_mut();
            budget.used_bytes += bytes;
            budget.chunks.push_back((Weak::clone(log), bytes));
        }
        while self.is_over() && self.evict() {}
    }

    /// Forgets the chunks of a log whose memory is given back with it.
    pub(crate) fn forget(&self, log: &Weak<LogInner>) {
        let budget = &mut *self.0.borrow_mut();
        let used_bytes = &mut budget.used_bytes;
        budget.chunks.retain(|(of, bytes)| {
            let is_kept = !of.ptr_eq(log);
            if !is_kept {
                *used_bytes -= bytes;
            }
            is_kept
        });
    }

    fn is_over(&self) -> bool {
        let budget = self.0.borrow();
        budget.used_bytes > budget.budget_bytes
    }

    /// Evicts the oldest chunk; false when there is none.
    pub(crate) fn evict(&self) -> bool {
        let Some((log, bytes)) = self.0.borrow_mut().chunks.pop_front() else {
            return false;
        };
        self.0.borrow_mut().used_bytes -= bytes;
        if let Some(log) = log.upgrade() {
            log.evict_oldest_chunk();
        }
        true
    }
}
