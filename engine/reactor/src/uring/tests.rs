//! The driver on the real ring of this machine.

mod durable;
mod files;
mod sockets;
mod wakes;

use std::time::Duration;

use super::*;
use crate::buf::AlignedBuf;
use crate::op::{Completion, OpId, Output};

/// A driver, and what has completed but not been asked for.
struct Rig {
    driver: UringDriver,
    notify: Arc<dyn Notify>,
    next_id: OpId,
    done: Vec<Completion>,
}

impl Rig {
    fn new() -> Self {
        Self::with(UringConfig::default())
    }

    fn with(config: UringConfig) -> Self {
        let (driver, notify) = UringDriver::new(config).expect("a ring");
        Self {
            driver,
            notify,
            next_id: 0,
            done: Vec::new(),
        }
    }

    fn submit(&mut self, op: Op) -> OpId {
        let id = self.next_id;
        self.next_id += 1;
        self.driver.submit(id, op);
        id
    }

    fn turn(&mut self, wait: Wait) {
        self.driver.turn(wait, &mut self.done).expect("a turn");
    }

    fn turn_for(&mut self, time: Duration) {
        let deadline = self.driver.now() + time;
        self.turn(Wait::Until(Some(deadline)));
    }

    fn take(&mut self, id: OpId) -> Option<Output> {
        let index = self
            .done
            .iter()
            .position(|completion| completion.id == id)?;
        Some(self.done.remove(index).output)
    }

    fn wait_for(&mut self, id: OpId) -> Output {
        let end = self.driver.now() + Duration::from_secs(20);
        loop {
            if let Some(output) = self.take(id) {
                return output;
            }
            assert!(self.driver.now() < end, "operation {id} did not end");
            self.turn(Wait::Until(Some(end)));
        }
    }

    fn run(&mut self, op: Op) -> Output {
        let id = self.submit(op);
        self.wait_for(id)
    }

    fn unit(&mut self, op: Op) -> io::Result<()> {
        match self.run(op) {
            Output::Unit(result) => result,
            other => panic!("expected a unit, got {other:?}"),
        }
    }

    fn handle(&mut self, op: Op) -> io::Result<Handle> {
        match self.run(op) {
            Output::Handle(result) => result,
            other => panic!("expected a handle, got {other:?}"),
        }
    }

    fn buffer(output: Output) -> (io::Result<usize>, AlignedBuf) {
        match output {
            Output::Buf(result, buf) => (result, buf),
            other => panic!("expected a buffer, got {other:?}"),
        }
    }

    fn count(output: Output) -> io::Result<usize> {
        match output {
            Output::Count(result) | Output::Sent(result, _) => result,
            other => panic!("expected a count, got {other:?}"),
        }
    }
}

/// Bytes that differ from block to block.
fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|i| i.wrapping_mul(31).wrapping_add(i >> 8).to_le_bytes()[0] ^ seed)
        .collect()
}

#[test]
fn a_turn_ends_at_its_deadline() {
    let mut rig = Rig::new();
    let start = rig.driver.now();
    rig.turn_for(Duration::from_millis(30));
    let waited = rig.driver.now().since(start);
    assert!(
        waited >= Duration::from_millis(29),
        "returned after {waited:?}"
    );
    assert!(rig.done.is_empty());
}

#[test]
fn a_spinning_turn_ends_at_its_deadline() {
    let mut rig = Rig::with(UringConfig {
        spin: Duration::from_micros(200),
        ..UringConfig::default()
    });
    let start = rig.driver.now();
    rig.turn_for(Duration::from_millis(10));
    assert!(rig.driver.now().since(start) >= Duration::from_millis(9));
}

#[test]
fn polling_with_nothing_to_do_returns_at_once() {
    let mut rig = Rig::new();
    for _ in 0..1_000 {
        rig.turn(Wait::Poll);
    }
    assert!(rig.done.is_empty());
}

#[test]
fn clocks_advance_and_random_numbers_differ() {
    let mut rig = Rig::new();
    let first = rig.driver.now();
    std::thread::sleep(Duration::from_millis(2));
    assert!(rig.driver.now().since(first) >= Duration::from_millis(2));
    assert!(rig.driver.unix_time_ms() > 1_700_000_000_000);
    assert_ne!(rig.driver.random_u64(), rig.driver.random_u64());
}

#[test]
fn more_operations_than_the_queues_hold_all_complete() {
    let mut rig = Rig::new();
    let path = std::env::temp_dir();
    let operations = 3 * RING_COMPLETIONS as usize;
    for _ in 0..operations {
        rig.submit(Op::Stat { path: path.clone() });
    }
    let end = rig.driver.now() + Duration::from_secs(20);
    while rig.done.len() < operations && rig.driver.now() < end {
        rig.turn(Wait::Until(Some(end)));
    }
    let mut ids: Vec<_> = rig.done.iter().map(|completion| completion.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), operations);
}

#[test]
fn ticks_pass_at_the_rate_that_is_told() {
    let per_ms = clock::ticks_per_ms();
    let (from, began) = (clock::ticks(), clock::now());
    while clock::now().since(began) < Duration::from_millis(20) {}
    let (ticks, took) = (clock::ticks() - from, clock::now().since(began));
    let nanos = u128::from(ticks) * 1_000_000 / u128::from(per_ms);
    // Between two reads of both clocks the thread may be taken off its core: wide bounds, and no upper one that a busy
    // machine could break.
    assert!(
        nanos >= took.as_nanos() * 9 / 10 - 1_000_000,
        "{nanos} of {took:?}"
    );
}
