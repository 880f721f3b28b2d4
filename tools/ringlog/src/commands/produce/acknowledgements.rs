//! The outcome of every record, in the order in which they were sent.

use std::sync::Arc;
use std::time::Duration;

use ringlog_client::{Delivery, DeliveryError, Producer, ProducerStats};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// Records whose outcome may be waited for.
const EXPECTED_MAX: usize = 1 << 16;

/// How long the rest may take after one was not stored.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

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
            Ok(()) => self.stored += 1,
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
    collector: JoinHandle<Outcome>,
}

impl Acknowledgements {
    /// Begins to wait.
    pub(super) fn collect() -> Self {
        let (expected, mut deliveries) = mpsc::channel::<Delivery>(EXPECTED_MAX);
        let failed = Arc::new(Notify::new());
        let has_failed = Arc::clone(&failed);
        let collector = tokio::spawn(async move {
            let mut outcome = Outcome::default();
            while let Some(delivery) = deliveries.recv().await {
                outcome.note(delivery.await.map(drop));
                if outcome.error.is_some() {
                    deliveries.close();
                    has_failed.notify_one();
                }
            }
            outcome
        });
        Self {
            expected,
            failed,
            collector,
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
            collector,
        } = self;
        let is_stopped = expected.is_closed();
        drop(expected);
        let closing = producer.flush();
        let patience = async {
            if !is_stopped {
                failed.notified().await;
            }
            tokio::time::sleep(SETTLE_TIMEOUT).await;
        };
        tokio::select! {
            () = closing => {}
            () = patience => {}
        }
        let stats = producer.stats();
        // Whatever is not settled by now ends as closed.
        drop(producer);
        let outcome = match tokio::time::timeout(SETTLE_TIMEOUT, collector).await {
            Ok(Ok(outcome)) => outcome,
            _ => Outcome {
                stored: stats.records,
                failed: stats.failed,
                unknown: stats.unknown,
                error: None,
            },
        };
        (outcome, stats)
    }
}
