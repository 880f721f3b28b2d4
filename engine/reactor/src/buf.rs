//! Page-aligned buffers and the pool that they come from.
//!
//! A buffer is `Send`: it may be filled on one core and dropped on another, and goes back to the pool that made
//! it. The pool has a byte budget; when it is spent `get` returns `None`, which the caller turns into
//! back-pressure. Memory is zeroed once when it is allocated and always initialised after that; a reused buffer
//! holds stale bytes.
//!
//! Memory that is touched for the first time costs more than what is done in it: a pool can have that done ahead, by a
//! thread of its own ([`BufferPool::stocked`]).

mod stock;

use std::alloc::Layout;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use crossbeam_queue::ArrayQueue;

use self::stock::Stock;
use crate::limits::{BLOCK_BYTES, BUFFER_BYTES_MAX};

/// Capacities that the pool hands out, ascending. The odd ones hold a 4 MiB batch or a 32 MiB payload and the
/// partial blocks around it.
const CLASSES: [usize; 15] = [
    4 << 10,
    8 << 10,
    16 << 10,
    32 << 10,
    64 << 10,
    128 << 10,
    256 << 10,
    512 << 10,
    1 << 20,
    (1 << 20) + (16 << 10),
    2 << 20,
    (4 << 20) + (16 << 10),
    8 << 20,
    16 << 20,
    BUFFER_BYTES_MAX,
];

/// Free buffers that are kept per class; what comes back above that is freed.
const FREE_PER_CLASS: usize = 256;

/// A page-aligned, fixed-size, always initialised piece of memory.
pub struct AlignedBuf {
    memory: NonNull<u8>,
    capacity: usize,
    pool: Option<Arc<PoolState>>,
}

// SAFETY: the buffer owns its memory exclusively and nothing in it is tied to a thread.
unsafe impl Send for AlignedBuf {}
// SAFETY: a shared reference gives read access only.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// A zeroed buffer of at least `min_len` bytes outside any pool. Aborts when the system has no memory.
    pub fn unpooled(min_len: usize) -> Self {
        Self::allocate(min_len.max(1).next_multiple_of(BLOCK_BYTES), None)
    }

    fn allocate(capacity: usize, pool: Option<Arc<PoolState>>) -> Self {
        debug_assert!(capacity > 0 && capacity.is_multiple_of(BLOCK_BYTES));
        let layout = layout(capacity);
        // SAFETY: the layout has a non-zero size.
        let memory = unsafe { std::alloc::alloc_zeroed(layout) };
        let Some(memory) = NonNull::new(memory) else {
            std::alloc::handle_alloc_error(layout)
        };
        Self {
            memory,
            capacity,
            pool,
        }
    }

    /// Size in bytes, a multiple of 4096.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The first `len` bytes as shared, immutable `Bytes`; the memory goes back to its pool with the last clone.
    pub fn freeze(self, len: usize) -> Bytes {
        debug_assert!(len <= self.capacity);
        let all = Bytes::from_owner(Frozen(self));
        all.slice(..len)
    }
}

fn layout(capacity: usize) -> Layout {
    match Layout::from_size_align(capacity, BLOCK_BYTES) {
        Ok(layout) => layout,
        Err(_) => unreachable!(
            "capacity {capacity} is bounded by BUFFER_BYTES_MAX or by the caller's memory"
        ),
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `capacity` bytes were allocated zeroed and belong to this value.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.capacity) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr(), self.capacity) }
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            let returned = FreeBuf {
                memory: self.memory,
                capacity: self.capacity,
            };
            match class_of(self.capacity).map(|class| pool.free[class].push(returned)) {
                Some(Ok(())) => return,
                Some(Err(rejected)) => drop(rejected),
                None => {}
            }
            pool.allocated_bytes
                .fetch_sub(self.capacity, Ordering::Relaxed);
            return;
        }
        drop(FreeBuf {
            memory: self.memory,
            capacity: self.capacity,
        });
    }
}

/// Owner behind the `Bytes` of a frozen buffer.
struct Frozen(AlignedBuf);

impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Memory that lies in the pool; frees it when dropped.
struct FreeBuf {
    memory: NonNull<u8>,
    capacity: usize,
}

// SAFETY: as for `AlignedBuf`.
unsafe impl Send for FreeBuf {}

impl Drop for FreeBuf {
    fn drop(&mut self) {
        // SAFETY: allocated in `AlignedBuf::allocate` with this very layout, and owned by this value alone.
        unsafe { std::alloc::dealloc(self.memory.as_ptr(), layout(self.capacity)) }
    }
}

fn class_of(min_len: usize) -> Option<usize> {
    CLASSES.iter().position(|&bytes| bytes >= min_len)
}

struct PoolState {
    free: Vec<ArrayQueue<FreeBuf>>,
    /// Who fills the free ones up.
    stock: Option<Stock>,
    /// Bytes handed out and bytes lying free, together; never above `budget_bytes`.
    allocated_bytes: AtomicUsize,
    budget_bytes: usize,
}

impl PoolState {
    fn new(budget_bytes: usize, stock: Option<Stock>) -> Self {
        let free = CLASSES
            .iter()
            .map(|_| ArrayQueue::new(FREE_PER_CLASS))
            .collect();
        Self {
            free,
            stock,
            allocated_bytes: AtomicUsize::new(0),
            budget_bytes,
        }
    }

    fn reserve(&self, bytes: usize) -> bool {
        self.allocated_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                let after = held.checked_add(bytes)?;
                (after <= self.budget_bytes).then_some(after)
            })
            .is_ok()
    }
}

/// The buffers of a core. Cloning gives another handle to the same pool.
#[derive(Clone)]
pub struct BufferPool(Arc<PoolState>);

impl BufferPool {
    /// A pool that never holds more than `budget_bytes`, handed out and free together.
    pub fn new(budget_bytes: usize) -> Self {
        Self(Arc::new(PoolState::new(budget_bytes, None)))
    }

    /// The same, with a thread that keeps buffers of the sizes that are asked for ready. It ends with the pool.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn stocked(budget_bytes: usize) -> io::Result<Self> {
        let (stock, keeper) = Stock::new();
        let state = Arc::new(PoolState::new(budget_bytes, Some(stock)));
        keeper.start(&state)?;
        Ok(Self(state))
    }

    /// A buffer of at least `min_len` bytes, or `None` when the budget is spent or `min_len` is above the largest
    /// class.
    pub fn get(&self, min_len: usize) -> Option<AlignedBuf> {
        let class = class_of(min_len)?;
        let free = self.0.free[class].pop();
        if let Some(stock) = &self.0.stock {
            stock.taken(class, self.0.free[class].len());
        }
        if let Some(free) = free {
            return Some(self.adopt(free));
        }
        let capacity = CLASSES[class];
        while !self.0.reserve(capacity) {
            self.free_one_of_another_class()?;
        }
        Some(AlignedBuf::allocate(capacity, Some(Arc::clone(&self.0))))
    }

    /// What a buffer of at least `min_len` bytes takes of the budget; `None` above the largest class.
    pub fn capacity_for(min_len: usize) -> Option<usize> {
        class_of(min_len).map(|class| CLASSES[class])
    }

    /// Bytes that the pool holds, handed out and free together.
    pub fn allocated_bytes(&self) -> usize {
        self.0.allocated_bytes.load(Ordering::Relaxed)
    }

    /// The most that the pool may ever hold, in bytes.
    pub fn budget_bytes(&self) -> usize {
        self.0.budget_bytes
    }

    fn adopt(&self, free: FreeBuf) -> AlignedBuf {
        let free = std::mem::ManuallyDrop::new(free);
        AlignedBuf {
            memory: free.memory,
            capacity: free.capacity,
            pool: Some(Arc::clone(&self.0)),
        }
    }

    fn free_one_of_another_class(&self) -> Option<()> {
        let freed = self.0.free.iter().rev().find_map(ArrayQueue::pop)?;
        self.0
            .allocated_bytes
            .fetch_sub(freed.capacity, Ordering::Relaxed);
        Some(())
    }
}

#[cfg(test)]
mod tests;
