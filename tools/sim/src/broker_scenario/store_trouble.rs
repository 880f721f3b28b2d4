//! Trouble between a broker and its metadata store.

use std::time::Duration;

use ringlog_coord::store::{MemoryStore, WriteFault};
use ringlog_reactor::Reactor;

/// Longest pause between two troubles, in microseconds.
const PAUSE_US_MAX: u64 = 3_000;
/// Longest time without a connection, in microseconds.
const CUT_US_MAX: u64 = 2_000;

/// Makes trouble for ever: writes that are not done, or done and not answered, or late; and cut connections.
pub(crate) async fn trouble(reactor: Reactor, store: MemoryStore) {
    let below = |bound: u64| reactor.random_u64() % bound;
    loop {
        reactor
            .sleep(Duration::from_micros(below(PAUSE_US_MAX)))
            .await;
        match below(6) {
            0 => store.fail_write(WriteFault::NotDone),
            1 => store.fail_write(WriteFault::UnknownNotDone),
            2 => store.fail_write(WriteFault::UnknownDone),
            3 => store.fail_write(WriteFault::UnknownLate),
            4 => store.deliver_late(),
            _ => {
                store.disconnect();
                reactor
                    .sleep(Duration::from_micros(below(CUT_US_MAX)))
                    .await;
                store.reconnect();
            }
        }
    }
}
