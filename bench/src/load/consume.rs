//! Reading: as fast as it goes, or behind the producers.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::Instant;

use crate::driver::{ConsumerConnection, Polled};
use crate::limits::ERROR_PAUSE;
use crate::payload::Stamp;
use crate::recorder::{Answered, Recorder};
use crate::stop::Stop;

/// Reads until the window is over; after `records`, which are all there are, it begins again at the start.
pub(crate) async fn consume(
    mut connection: Box<dyn ConsumerConnection>,
    records: u64,
    begin: Instant,
    seen: &RefCell<Recorder>,
    stop: &Stop,
) {
    let until = seen.borrow().window.until;
    let mut read = 0;
    loop {
        if read >= records {
            match connection.restart().await {
                Ok(()) => read = 0,
                Err(error) => {
                    seen.borrow_mut().failed(1, &error.to_string());
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
        let sent = begin.elapsed();
        if sent >= until || stop.is_told() {
            return;
        }
        let polled = match connection.poll(&mut |_| {}).await {
            Ok(polled) => polled,
            Err(error) => {
                seen.borrow_mut().failed(1, &error.to_string());
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            }
        };
        // A reader that has just begun may need more than one poll for its first records.
        if polled == Polled::default() {
            continue;
        }
        read += polled.records;
        let mut seen = seen.borrow_mut();
        seen.sent(sent, sent);
        let poll = Answered {
            intended: sent,
            sent,
            answered: begin.elapsed(),
            records: polled.records,
            bytes: polled.bytes,
        };
        seen.answered(poll, None);
    }
}

/// Follows the producers of the same run and counts for each record how long it took to arrive, until `is_over` says of
/// the records that have arrived here that no more will come.
pub(crate) async fn follow(
    mut connection: Box<dyn ConsumerConnection>,
    begin: Instant,
    seen: &RefCell<Recorder>,
    is_over: impl Fn(u64) -> bool,
) {
    let mut arrived = 0;
    let mut stamps: Vec<u64> = Vec::new();
    while !is_over(arrived) {
        stamps.clear();
        let mut each = |value: &[u8]| {
            stamps.extend(Stamp::of(value).map(|stamp| stamp.intended_ns));
        };
        match connection.poll(&mut each).await {
            Ok(polled) => {
                // All records of a poll arrived when the poll was over.
                let now = begin.elapsed();
                arrived += polled.records;
                let mut seen = seen.borrow_mut();
                for &intended_ns in &stamps {
                    seen.arrived(Duration::from_nanos(intended_ns), now);
                }
            }
            Err(error) => {
                seen.borrow_mut().failed(1, &error.to_string());
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}
