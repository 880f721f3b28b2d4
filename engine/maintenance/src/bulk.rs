//! The port through which other threads ask for files.

use std::io;
use std::path::PathBuf;

use futures_channel::oneshot;
use futures_util::future::LocalBoxFuture;
use ringlog_log::{BulkFiles, Leisure};

use crate::serve::{Message, Request};

/// Asks the maintenance executor for files. Cheap to clone, and may be sent to any thread.
#[derive(Clone, Debug)]
pub struct GlommioFiles {
    messages: flume::Sender<Message>,
}

impl GlommioFiles {
    pub(crate) fn new(messages: flume::Sender<Message>) -> Self {
        Self { messages }
    }
}

impl BulkFiles for GlommioFiles {
    /// The request is queued at once. Dropping the future gives the file up: it is removed, unless it was
    /// finished already. `BrokenPipe` when the executor has ended.
    fn prepare(
        &self,
        path: PathBuf,
        len_bytes: u64,
        leisure: Leisure,
    ) -> LocalBoxFuture<'static, io::Result<()>> {
        let (answer, answered) = oneshot::channel();
        let request = Request {
            path,
            len_bytes,
            leisure,
            answer,
        };
        let sent = self.messages.try_send(Message::Prepare(request));
        Box::pin(async move {
            sent.map_err(|error| match error {
                flume::TrySendError::Full(_) => io::Error::from(io::ErrorKind::WouldBlock),
                flume::TrySendError::Disconnected(_) => ended(),
            })?;
            answered
                .await
                .unwrap_or_else(|oneshot::Canceled| Err(ended()))
        })
    }
}

fn ended() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the maintenance executor has ended",
    )
}
