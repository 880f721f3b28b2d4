use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn who_comes_first_is_served_first_even_when_it_wants_more() {
    let budget = Budget::new(100);
    let all = budget.try_take(90).unwrap();
    let (mut large, mut small) = (pin!(budget.take(50)), pin!(budget.take(10)));
    assert!(poll(large.as_mut()).is_pending());
    assert!(
        poll(small.as_mut()).is_pending(),
        "10 are free, but not its turn"
    );
    assert!(budget.try_take(1).is_none());
    drop(all);
    assert!(poll(small.as_mut()).is_ready());
    assert!(poll(large.as_mut()).is_ready());
}

#[test]
fn who_stops_waiting_leaves_its_place_to_the_next() {
    let budget = Budget::new(100);
    let mut all = budget.try_take(100).unwrap();
    let mut small = pin!(budget.take(30));
    {
        let mut large = pin!(budget.take(80));
        assert!(poll(large.as_mut()).is_pending());
        assert!(poll(small.as_mut()).is_pending());
    }
    all.shrink_to(60);
    let Poll::Ready(share) = poll(small) else {
        panic!("40 are free")
    };
    assert_eq!((share.bytes(), budget.free_bytes()), (30, 10));
}

#[test]
fn a_share_that_was_granted_and_never_taken_is_free_again() {
    let budget = Budget::new(100);
    let all = budget.try_take(100).unwrap();
    {
        let mut one = pin!(budget.take(80));
        assert!(poll(one.as_mut()).is_pending());
        drop(all);
        assert_eq!(budget.free_bytes(), 20);
    }
    assert_eq!(budget.free_bytes(), 100);
}

#[test]
fn more_than_there_is_gets_all() {
    let budget = Budget::new(100);
    let Poll::Ready(share) = poll(pin!(budget.take(500))) else {
        panic!("all is free")
    };
    assert_eq!(share.bytes(), 100);
}
