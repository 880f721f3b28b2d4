//! Ending a run before its time: what was measured until then is kept.

use std::sync::Arc;

use tokio::sync::watch;

/// Told once, known to everybody: clones are of the same.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Nothing more is to be begun, and what is under way is to end.
    pub(crate) fn tell(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn is_told(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is told.
    pub(crate) async fn told(&self) {
        // The sender is kept by this very value: it cannot be gone.
        self.0.subscribe().wait_for(|told| *told).await.ok();
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
