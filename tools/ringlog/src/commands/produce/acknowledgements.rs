//! The outcome of every record, in the order in which they were sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringlog_client::{Delivery, DeliveryError, Producer, ProducerStats};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// Records whose outcome may be waited for.
const EXPECTED_MAX: usize = 1 << 16;

/// How long the rest may take after one was not stored.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(3);

/// How it ended.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Records acknowledged, or sent when no acknowledgement was asked for.
    pub(super) stored: u64,
    /// Records that were not stored, for sure.
    pub(super) failed: u64,
    /// Records of which nobody can say it.
    pub(super) unknown: u64,
    /// The first error that tells why.
    pub(super) error: Option<DeliveryError>,
}

impl Outcome {
    fn note(&mut self, outcome: Result<(), DeliveryError>) {
        match outcome {
            Ok(()) | Err(DeliveryError::StoredBefore) => self.stored += 1,
            Err(error) => {
                match &error {
                    // What was cut off may have been under way.
                    DeliveryError::UnknownOutcome { .. } | DeliveryError::Closed => {
                        self.unknown += 1
                    }
                    _ => self.failed += 1,
                }
                self.error.get_or_insert(error);
            }
        }
    }
}

/// A record before this one was not stored.
#[derive(Debug)]
pub(super) struct Stopped;

/// Waits for the outcome of records.
pub(super) struct Acknowledgements {
    expected: mpsc::Sender<Delivery>,
    failed: Arc<Notify>,
    outcome: Arc<Mutex<Outcome>>,
    collector: JoinHandle<()>,
}

impl Acknowledgements {
    /// Begins to wait.
    pub(super) fn collect() -> Self {
        let (expected, deliveries) = mpsc::channel(EXPECTED_MAX);
        let failed = Arc::new(Notify::new());
        let outcome = Arc::new(Mutex::default());
        let collector = collect(deliveries, Arc::clone(&outcome), Arc::clone(&failed));
        Self {
            expected,
            failed,
            outcome,
            collector: tokio::spawn(collector),
        }
    }

    /// Waits for one more.
    pub(super) async fn expect(&self, delivery: Delivery) -> Result<(), Stopped> {
        self.expected.send(delivery).await.map_err(|_| Stopped)
    }

    /// Ends when a record was not stored.
    pub(super) async fn failed(&self) {
        self.failed.notified().await;
    }

    /// Waits for all records; not for long when one of them was not stored.
    pub(super) async fn settle(self, producer: Producer) -> (Outcome, ProducerStats) {
        let Self {
            expected,
            failed,
            outcome,
            collector,
        } = self;
        let has_failed = expected.is_closed();
        drop(expected);
        let all = async {
            producer.flush().await;
            // What it panics with has been reported already.
            collector.await.ok();
        };
        let patience = async {
            if !has_failed {
                failed.notified().await;
            }
            tokio::time::sleep(SETTLE_TIMEOUT).await;
        };
        tokio::select! {
            () = all => {}
            () = patience => {}
        }
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut outcome), producer.stats())
    }
}

/// Notes outcomes in the order of the records; takes no more records behind one that was not stored.
async fn collect(
    mut deliveries: mpsc::Receiver<Delivery>,
    outcome: Arc<Mutex<Outcome>>,
    failed: Arc<Notify>,
) {
    while let Some(delivery) = deliveries.recv().await {
        let settled = delivery.await.map(drop);
        let is_failure = !matches!(settled, Ok(()) | Err(DeliveryError::StoredBefore));
        outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(settled);
        if is_failure {
            deliveries.close();
            failed.notify_one();
        }
    }
}
