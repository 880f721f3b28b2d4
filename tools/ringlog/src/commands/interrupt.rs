//! Signals to a command that runs for long: the first ends it in order, the second at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CommandError;

/// How a shell tells a program that SIGINT has ended.
const EXIT_CODE: i32 = 130;

/// SIGINT and SIGTERM.
pub(super) struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupt {
    /// Listens for them from now on.
    pub(super) fn install() -> Result<Self, CommandError> {
        let install =
            |kind| signal(kind).map_err(|error| CommandError::failed("listen for signals", error));
        Ok(Self {
            interrupt: install(SignalKind::interrupt())?,
            terminate: install(SignalKind::terminate())?,
        })
    }

    /// Waits for the first signal. From then on the next one ends the process at once.
    pub(super) async fn next(&mut self) {
        self.signal().await;
        let Ok(mut again) = Self::install() else {
            return;
        };
        tokio::spawn(async move {
            again.signal().await;
            std::process::exit(EXIT_CODE)
        });
    }

    async fn signal(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
