//! Waking a parked turn, from a plain thread and from another ring.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use super::*;

const ROUNDS: u64 = 10_000;

/// A wait that is long enough to be told from a wake-up.
const LOST: Duration = Duration::from_secs(10);

/// Turns until the counter has reached `target`; every turn must end by a wake, not by time.
fn wait_for_count(rig: &mut Rig, counter: &AtomicU64, target: u64) {
    while counter.load(Ordering::Relaxed) < target {
        let start = rig.driver.now();
        rig.turn_for(LOST);
        assert!(
            rig.driver.now().since(start) < LOST,
            "a wake-up was lost at {target}"
        );
    }
}

fn ping_pong(spin: Duration) {
    let config = UringConfig {
        spin,
        ..UringConfig::default()
    };
    let here = Arc::new(AtomicU64::new(0));
    let there = Arc::new(AtomicU64::new(0));
    let mut rig = Rig::with(config.clone());
    let (send_notify, notify_of_other) = mpsc::channel();
    let other = std::thread::spawn({
        let (here, there) = (Arc::clone(&here), Arc::clone(&there));
        let notify_here = Arc::clone(&rig.notify);
        move || {
            let mut rig = Rig::with(config);
            send_notify.send(Arc::clone(&rig.notify)).unwrap();
            for round in 1..=ROUNDS {
                wait_for_count(&mut rig, &there, round);
                here.store(round, Ordering::Relaxed);
                notify_here.notify();
            }
            // The last wake goes out with a turn, or with the drop of the driver.
        }
    });
    let notify_there: Arc<dyn Notify> = notify_of_other.recv().unwrap();
    for round in 1..=ROUNDS {
        there.store(round, Ordering::Relaxed);
        notify_there.notify();
        wait_for_count(&mut rig, &here, round);
    }
    other.join().unwrap();
}

#[test]
fn rings_wake_each_other_ten_thousand_times() {
    ping_pong(Duration::ZERO);
}

#[test]
fn spinning_rings_wake_each_other_ten_thousand_times() {
    ping_pong(Duration::from_micros(20));
}

#[test]
fn a_plain_thread_wakes_a_ring_ten_thousand_times() {
    let mut rig = Rig::new();
    let counter = Arc::new(AtomicU64::new(0));
    let (ack, acks) = mpsc::channel();
    let thread = std::thread::spawn({
        let counter = Arc::clone(&counter);
        let notify = Arc::clone(&rig.notify);
        move || {
            for round in 1..=ROUNDS {
                counter.store(round, Ordering::Relaxed);
                notify.notify();
                acks.recv().unwrap();
            }
        }
    });
    for round in 1..=ROUNDS {
        wait_for_count(&mut rig, &counter, round);
        ack.send(()).unwrap();
    }
    thread.join().unwrap();
}

#[test]
fn a_notify_before_the_turn_ends_it_at_once() {
    let mut rig = Rig::new();
    rig.turn(Wait::Poll);
    rig.notify.notify();
    let start = rig.driver.now();
    rig.turn_for(LOST);
    assert!(rig.driver.now().since(start) < Duration::from_secs(1));
    let start = rig.driver.now();
    rig.turn_for(Duration::from_millis(20));
    assert!(
        rig.driver.now().since(start) >= Duration::from_millis(19),
        "one notify ends one wait"
    );
}

#[test]
fn a_driver_that_is_dropped_still_sends_its_wakes() {
    let mut rig = Rig::new();
    let notify = Arc::clone(&rig.notify);
    let thread = std::thread::spawn(move || {
        let other = Rig::new();
        std::thread::sleep(Duration::from_millis(50));
        notify.notify();
        drop(other);
    });
    let start = rig.driver.now();
    rig.turn_for(LOST);
    assert!(rig.driver.now().since(start) < LOST);
    thread.join().unwrap();
}

#[test]
fn notifying_a_driver_that_is_gone_does_nothing() {
    let rig = Rig::new();
    let notify = Arc::clone(&rig.notify);
    drop(rig);
    notify.notify();
    let mut other = Rig::new();
    notify.notify();
    other.turn(Wait::Poll);
}
