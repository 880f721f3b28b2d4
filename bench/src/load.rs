//! Loading a system: on a schedule, or in a closed loop.

mod closed;
mod consume;
mod open;
mod slots;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::driver::ProducerConnection;
use crate::limits::{OUTSTANDING_BYTES_MAX, OUTSTANDING_MAX};
use crate::recorder::{Answered, Recorder};
use crate::schedule::Arrivals;
use crate::stop::Stop;

pub(crate) use self::closed::closed_loop;
pub(crate) use self::consume::{consume, follow};
pub(crate) use self::open::open_loop;
use self::slots::Ready;

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Load {
    /// Each connection has so many requests under way and sends the next one when one is answered. A stall of the
    /// system stalls the load: percentiles leave out the requests that were not sent meanwhile.
    Closed {
        /// Requests under way on a connection.
        in_flight: usize,
    },
    /// Requests leave when they are due, answered or not.
    Open {
        /// Requests a second over all connections.
        rate: f64,
        /// How they follow each other.
        arrivals: Arrivals,
    },
}

/// What each request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Size of a record's value.
    pub(crate) record_bytes: usize,
    /// Records of a request.
    pub(crate) batch_records: usize,
    /// Partitions that requests are spread over in turn.
    pub(crate) partitions: u32,
    /// Distinct keys; a request's records all have one of them, which chooses the partition. None: no keys.
    pub(crate) keys: Option<u64>,
}

impl Shape {
    /// Bytes of the values of a request.
    pub(crate) fn request_bytes(&self) -> usize {
        self.record_bytes * self.batch_records
    }

    /// As many requests under way as a worker's memory allows.
    pub(crate) fn outstanding_max(&self) -> usize {
        let by_bytes = OUTSTANDING_BYTES_MAX / self.request_bytes().max(1);
        OUTSTANDING_MAX.min(by_bytes.max(1))
    }
}

/// The part of one worker in a load.
pub(crate) struct Share {
    /// Which worker, of how many.
    pub(crate) worker: u32,
    pub(crate) workers: u32,
    /// Its connections.
    pub(crate) connections: Vec<Arc<dyn ProducerConnection>>,
    pub(crate) shape: Shape,
    /// Requests under way at a time, on a schedule.
    pub(crate) outstanding_max: usize,
    /// Records acknowledged, of all workers, whenever that was.
    pub(crate) acknowledged: Arc<AtomicU64>,
    /// When the run began: the same instant for all workers.
    pub(crate) begin: Instant,
    pub(crate) seen: Rc<RefCell<Recorder>>,
    /// Told when the run is to end before its time.
    pub(crate) stop: Stop,
}

impl Share {
    fn since_begin(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Sends a request that was due at `intended`, and counts what becomes of it. Says whether it was acknowledged.
    async fn send(
        &self,
        connection: usize,
        ready: &Ready,
        intended: Duration,
        sent: Duration,
    ) -> bool {
        let connection = Arc::clone(&self.connections[connection]);
        self.seen.borrow_mut().sent(intended, sent);
        let outcome = connection.send(ready.partition, &ready.request).await;
        let answered = self.since_begin();
        let records = ready.request.records() as u64;
        let mut seen = self.seen.borrow_mut();
        match &outcome {
            Ok(receipt) => {
                self.acknowledged.fetch_add(records, Ordering::Relaxed);
                let request = Answered {
                    intended,
                    sent,
                    answered,
                    records,
                    bytes: ready.request.bytes() as u64,
                };
                seen.answered(request, receipt.as_ref());
            }
            Err(error) => seen.failed(1, &error.to_string()),
        }
        outcome.is_ok()
    }
}

/// Nanoseconds, for a stamp.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
