//! SIGTERM and SIGINT: the first drains the broker, the second ends it at once.

use std::time::Duration;

use ringlog_reactor::CoreHandle;
use ringlog_server::BrokerHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CommandError;

/// How often the cores are looked at: one that has ended takes the broker with it.
const CORES_INTERVAL: Duration = Duration::from_millis(250);

/// How long the control task may take to end after the first core: shards drain for up to ten seconds.
const CONTROL_PATIENCE: Duration = Duration::from_secs(15);

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

    /// Waits for one of them.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for the first signal and drains the broker, which ends the control task and with it this; a second signal
    /// does not wait for that. Gives an error when a core has ended although nobody stopped it.
    pub(super) async fn stop(
        mut self,
        broker: &BrokerHandle,
        cores: &[CoreHandle],
    ) -> CommandError {
        tokio::select! {
            () = self.next() => {}
            () = core_ended(cores) => {
                return CommandError::failed("go on", "a shard has ended by itself; its last words are in the log");
            }
        }
        tracing::info!("stopping: what is under way is finished; a second signal stops at once");
        let drain = async {
            if let Err(error) = broker.shutdown().await {
                tracing::warn!(%error, "the broker was not drained");
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = drain => {}
            () = self.next() => {}
        }
        tracing::warn!("stopped at once; the next start recovers the logs");
        std::process::exit(130)
    }
}

/// Ends when a core has ended and the control task does not end in turn, as it does when a start has failed.
async fn core_ended(cores: &[CoreHandle]) {
    while !cores.iter().any(CoreHandle::is_finished) {
        tokio::time::sleep(CORES_INTERVAL).await;
    }
    tokio::time::sleep(CONTROL_PATIENCE).await;
}
