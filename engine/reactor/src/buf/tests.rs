use super::*;
use crate::limits::STOCK_BYTES;

#[test]
fn a_dropped_buffer_is_handed_out_again() {
    let pool = BufferPool::new(1 << 20);
    let mut buf = pool.get(5000).unwrap();
    assert_eq!(buf.capacity(), 8192);
    assert_eq!(buf.as_ptr().addr() % BLOCK_BYTES, 0);
    buf[0] = 7;
    let address = buf.as_ptr().addr();
    drop(buf);
    let again = pool.get(8192).unwrap();
    assert_eq!(again.as_ptr().addr(), address);
    assert_eq!(pool.allocated_bytes(), 8192);
}

#[test]
fn the_budget_is_never_exceeded_and_free_buffers_of_other_classes_make_room() {
    let pool = BufferPool::new(16 << 10);
    let small: Vec<_> = (0..4).map(|_| pool.get(4096).unwrap()).collect();
    assert!(pool.get(1).is_none());
    drop(small);
    let large = pool.get(16 << 10).unwrap();
    assert_eq!(pool.allocated_bytes(), 16 << 10);
    assert!(pool.get(1).is_none());
    drop(large);
    assert!(pool.get(1).is_some());
}

#[test]
fn frozen_bytes_keep_the_memory_until_the_last_clone() {
    let pool = BufferPool::new(8 << 10);
    let mut buf = pool.get(4096).unwrap();
    buf[..3].copy_from_slice(b"abc");
    let bytes = buf.freeze(3);
    let other = bytes.slice(1..);
    drop(bytes);
    assert_eq!(&other[..], b"bc");
    let second = pool.get(4096).unwrap();
    assert_eq!(pool.allocated_bytes(), 8 << 10);
    drop(other);
    drop(second);
    assert!(pool.get(4096).is_some());
    assert_eq!(pool.allocated_bytes(), 8 << 10);
}

#[test]
fn a_buffer_above_the_largest_class_is_refused() {
    assert!(
        BufferPool::new(usize::MAX)
            .get(BUFFER_BYTES_MAX + 1)
            .is_none()
    );
}

#[test]
fn a_stocked_pool_makes_ahead_what_was_missed_and_never_exceeds_its_budget() {
    let budget = 8 * STOCK_BYTES;
    let pool = BufferPool::stocked(budget).unwrap();
    let missed = pool.get(64 << 10).unwrap();
    // The thread of the pool is on its way; nothing else makes free buffers here.
    while pool.allocated_bytes() < STOCK_BYTES {
        std::thread::yield_now();
    }
    assert!(pool.allocated_bytes() <= budget);
    drop(missed);
    let mut held = Vec::new();
    while held.len() * (64 << 10) < budget {
        // One that the thread is just making is free in a moment.
        match pool.get(64 << 10) {
            Some(buf) => held.push(buf),
            None => std::thread::yield_now(),
        }
    }
    assert_eq!(pool.allocated_bytes(), budget);
}
