//! Ending a run before its time: what was measured until then is kept.

use std::sync::Arc;

use ringlog_device::Ending;
use tokio::sync::watch;

use crate::error::BenchError;

/// Told once, known to everybody: clones are of the same.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    told: Arc<watch::Sender<bool>>,
    /// For programs that wait for nothing but their ring.
    ending: Ending,
}

impl Stop {
    pub(crate) fn new() -> Self {
        Self {
            told: Arc::new(watch::Sender::new(false)),
            ending: Ending::default(),
        }
    }

    /// Nothing more is to be begun, and what is under way is to end.
    pub(crate) fn tell(&self) {
        self.told.send_replace(true);
        self.ending.tell();
    }

    pub(crate) fn is_told(&self) -> bool {
        *self.told.borrow()
    }

    /// Waits until it is told.
    pub(crate) async fn told(&self) {
        // The sender is kept by this very value: it cannot be gone.
        self.told.subscribe().wait_for(|told| *told).await.ok();
    }

    /// The same, to look at as often as one likes.
    pub(crate) fn ending(&self) -> Ending {
        self.ending.clone()
    }

    /// What a run gave. One that was told to end, and has nothing to tell, has not failed.
    pub(crate) fn or_stopped<T, E: Into<BenchError>>(
        &self,
        ran: Result<T, E>,
    ) -> Result<T, BenchError> {
        ran.map_err(|error| match self.is_told() {
            true => BenchError::Stopped,
            false => error.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_to_all() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let stop = Stop::new();
            let other = stop.clone();
            assert!(!other.is_told());
            stop.tell();
            other.told().await;
            other.told().await;
            assert!(other.is_told());
        });
    }
}
