use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Wake;

use proptest::prelude::*;

use super::*;

/// Tells its number when it is woken.
struct Told {
    number: u64,
    last: Arc<AtomicU64>,
}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.last.store(self.number, Ordering::Relaxed);
    }
}

fn waker(number: u64, last: &Arc<AtomicU64>) -> Waker {
    let last = Arc::clone(last);
    Waker::from(Arc::new(Told { number, last }))
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Remove(usize),
    Advance(u64),
}

fn distances() -> impl Strategy<Value = u64> {
    // From within a tick to beyond several levels.
    (0..62_u32, any::<u64>()).prop_map(|(bits, value)| value % (1 << bits))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => distances().prop_map(Step::Insert),
        1 => any::<usize>().prop_map(Step::Remove),
        2 => distances().prop_map(Step::Advance),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn timers_fire_as_in_an_ordered_map(steps in steps()) {
        let last = Arc::new(AtomicU64::new(u64::MAX));
        let mut timers = Timers::default();
        let mut model: BTreeMap<(u64, u64), TimerId> = BTreeMap::new();
        let (mut now, mut number) = (0_u64, 0_u64);
        for step in steps {
            match step {
                Step::Insert(distance) => {
                    let deadline = now.saturating_add(distance);
                    let id = timers.insert(at(deadline), waker(number, &last));
                    model.insert((deadline, number), id);
                    number += 1;
                }
                Step::Remove(index) if !model.is_empty() => {
                    let (&key, &id) = model.iter().nth(index % model.len()).unwrap();
                    model.remove(&key);
                    timers.remove(id);
                    timers.remove(id);
                }
                Step::Remove(_) => {}
                Step::Advance(distance) => {
                    now = now.saturating_add(distance).min(1 << 62);
                    while let Some(waker) = timers.pop_due(at(now)) {
                        waker.wake();
                        let ((deadline, fired), _) = model.pop_first().unwrap();
                        prop_assert!(deadline <= now, "early");
                        prop_assert_eq!(last.load(Ordering::Relaxed), fired);
                    }
                    prop_assert!(model.keys().all(|&(deadline, _)| deadline > now), "late");
                }
            }
            let earliest = model.first_key_value().map(|(&(deadline, _), _)| at(deadline));
            prop_assert_eq!(timers.next(), earliest);
        }
    }
}

#[test]
fn a_fired_timer_that_is_removed_takes_no_other_with_it() {
    let last = Arc::new(AtomicU64::new(0));
    let mut timers = Timers::default();
    let old = timers.insert(at(10), waker(1, &last));
    assert!(timers.pop_due(at(10)).is_some());
    timers.insert(at(20), waker(2, &last));
    timers.remove(old);
    timers.update(old, &waker(3, &last));
    timers.pop_due(at(20)).unwrap().wake();
    assert_eq!(last.load(Ordering::Relaxed), 2);
    assert_eq!(timers.next(), None);
}
