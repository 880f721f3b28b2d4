//! The port through which other threads ask for files.

use std::io;
use std::path::PathBuf;

use futures_channel::oneshot;

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

    /// Creates `path` with `len_bytes` of zeros that are on the device; the entry in its directory is not synced.
    ///
    /// The request is queued at once. Dropping the future gives the file up: it is removed, unless it was
    /// finished already.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when too many requests wait, `BrokenPipe` when the executor has ended, `AlreadyExists` when
    /// there is such a file (it is not touched), else what the system said.
    pub fn prepare(
        &self,
        path: PathBuf,
        len_bytes: u64,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let sent = self.messages.try_send(Message::Prepare(Request {
            path,
            len_bytes,
            answer,
        }));
        async move {
            sent.map_err(|error| match error {
                flume::TrySendError::Full(_) => io::Error::from(io::ErrorKind::WouldBlock),
                flume::TrySendError::Disconnected(_) => ended(),
            })?;
            answered
                .await
                .unwrap_or_else(|oneshot::Canceled| Err(ended()))
        }
    }
}

fn ended() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the maintenance executor has ended",
    )
}
