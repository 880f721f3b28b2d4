//! The end of a partition. It is brought about once, by a task of its own: whoever asked for it may go away, and
//! whoever asks again waits for the same end.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ringlog_log::ChangeError;
use ringlog_reactor::Signal;

use crate::limits::CLOSE_TIMEOUT;
use crate::partition::Inner;

/// Why a partition was not closed cleanly. It is closed all the same; the next open recovers it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// The log could not be closed.
    #[error(transparent)]
    Log(#[from] ChangeError),
    /// What was appended did not become durable in time.
    #[error("what was appended did not become durable within {} s", CLOSE_TIMEOUT.as_secs())]
    TimedOut,
}

/// How far the end of a partition has come.
#[derive(Default)]
pub(crate) struct Closing {
    stage: RefCell<Stage>,
    changed: Signal,
}

#[derive(Default)]
enum Stage {
    #[default]
    Open,
    Closing,
    Closed(Result<(), CloseError>),
}

impl Closing {
    /// Whether nothing is taken any more.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(*self.stage.borrow(), Stage::Open)
    }

    fn result(&self) -> Option<Result<(), CloseError>> {
        match &*self.stage.borrow() {
            Stage::Closed(result) => Some(result.clone()),
            Stage::Open | Stage::Closing => None,
        }
    }
}

impl Inner {
    pub(crate) async fn close(self: &Rc<Self>) -> Result<(), CloseError> {
        if !self.closing.has_begun() {
            self.closing.stage.replace(Stage::Closing);
            let me = Rc::clone(self);
            let work = async move {
                let result = me.flush_and_close().await;
                me.closing.stage.replace(Stage::Closed(result));
                me.closing.changed.notify();
            };
            self.reactor.spawn("close partition", work).detach();
        }
        self.closing.changed.wait(|| self.closing.result()).await
    }

    /// What was appended is made durable and answered first. What then has no answer has an unknown outcome.
    async fn flush_and_close(&self) -> Result<(), CloseError> {
        let flush = async { Ok(self.log.flush().await.map_err(ChangeError::from)?) };
        let flushed = self.in_time(CLOSE_TIMEOUT, flush).await;
        self.end();
        let left = if flushed.is_ok() {
            CLOSE_TIMEOUT
        } else {
            // The log takes no more from here on; there is nothing to wait for.
            Duration::ZERO
        };
        let close = async { Ok(self.log.close().await?) };
        let closed = self.in_time(left, close).await;
        flushed.and(closed)
    }

    async fn in_time(
        &self,
        bound: Duration,
        work: impl Future<Output = Result<(), CloseError>>,
    ) -> Result<(), CloseError> {
        let ended = self.reactor.timeout(bound, work).await;
        ended.unwrap_or(Err(CloseError::TimedOut))
    }
}
