//! A full file system: what was taken stays in memory and is tried again, and nothing more is taken meanwhile.

use std::io;
use std::time::Duration;

use crate::limits::SPACE_RETRY_MS;
use crate::log::{LogInner, LogState};

/// One of those who wait for space. Appends are refused as long as there are any.
struct Waiting<'a>(&'a LogInner);

impl<'a> Waiting<'a> {
    fn begin(log: &'a LogInner) -> Self {
        log.state.borrow_mut().waiting_for_space += 1;
        Self(log)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state.borrow_mut().waiting_for_space -= 1;
    }
}

impl LogInner {
    /// Tries until the file system has room. That it had none is no failure of the device: nothing was given up, and
    /// the same is tried again. Gives up when the log has ended.
    pub(crate) async fn retry_while_full<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut waiting = None;
        loop {
            match attempt().await {
                Err(error) if error.kind() == io::ErrorKind::StorageFull && !self.is_ended() => {
                    waiting.get_or_insert_with(|| Waiting::begin(self));
                    let retry = Duration::from_millis(SPACE_RETRY_MS);
                    self.env.reactor.sleep(retry).await;
                }
                result => return result,
            }
        }
    }
}

impl LogState {
    /// Whether the file system had no room for what is in memory already.
    pub(crate) fn is_without_space(&self) -> bool {
        self.waiting_for_space > 0
    }
}
