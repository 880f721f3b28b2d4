use std::sync::Arc;
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<T: Send>(receiver: &mut Receiver<T>, woken: &Arc<Woken>) -> Poll<Option<T>> {
    let waker = Arc::clone(woken).into();
    receiver.poll_recv(&mut Context::from_waker(&waker))
}

#[test]
fn a_full_mailbox_gives_the_message_back() {
    let (sender, mut receiver) = channel(2);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    assert!(matches!(sender.try_send(3), Err(TrySendError::Full(3))));
    assert_eq!((sender.len(), receiver.len()), (2, 2));
    assert_eq!(receiver.try_recv(), Some(1));
    sender.try_send(3).unwrap();
    assert_eq!(
        [receiver.try_recv(), receiver.try_recv()],
        [Some(2), Some(3)]
    );
    assert!(sender.is_empty() && receiver.is_empty());
}

#[test]
fn a_message_wakes_the_receiver_that_waits() {
    let (sender, mut receiver) = channel(2);
    let woken = Arc::new(Woken::default());
    assert!(poll(&mut receiver, &woken).is_pending());
    sender.try_send(1).unwrap();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert_eq!(poll(&mut receiver, &woken), Poll::Ready(Some(1)));
}

#[test]
fn the_end_of_the_last_sender_is_seen_behind_the_last_message() {
    let (sender, mut receiver) = channel(2);
    let other = sender.clone();
    let woken = Arc::new(Woken::default());
    sender.try_send(1).unwrap();
    drop(sender);
    assert_eq!(poll(&mut receiver, &woken), Poll::Ready(Some(1)));
    assert!(poll(&mut receiver, &woken).is_pending());
    drop(other);
    assert!(woken.0.load(Ordering::SeqCst) >= 1);
    assert_eq!(poll(&mut receiver, &woken), Poll::Ready(None));
}

#[test]
fn messages_to_a_receiver_that_is_gone_come_back_and_those_before_are_dropped() {
    let (sender, receiver) = channel(4);
    let held = Arc::new(());
    sender.try_send(Arc::clone(&held)).unwrap();
    drop(receiver);
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(matches!(
        sender.try_send(held),
        Err(TrySendError::Closed(_))
    ));
}
