//! SIGTERM and SIGINT: the first drains the broker, the second ends it at once.

use ringlog_server::BrokerHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CommandError;

/// The signals that stop a broker.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens for them from now on.
    pub(super) fn install() -> Result<Self, CommandError> {
        let install =
            |kind| signal(kind).map_err(|error| CommandError::failed("listen for signals", error));
        Ok(Self {
            terminate: install(SignalKind::terminate())?,
            interrupt: install(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for the first signal and drains the broker; a second one does not wait for that.
    pub(super) async fn stop(mut self, broker: &BrokerHandle) {
        self.next().await;
        tracing::info!("stopping: what is under way is finished; a second signal stops at once");
        tokio::select! {
            drained = broker.shutdown() => {
                if let Err(error) = drained {
                    tracing::warn!(%error, "the broker was not drained");
                }
            }
            () = self.next() => {
                tracing::warn!("stopped at once; the next start recovers the logs");
                std::process::exit(130);
            }
        }
    }
}
