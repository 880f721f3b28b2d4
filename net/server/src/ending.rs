//! Something that ends once: a connection, the broker.

use std::cell::RefCell;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::Shared;

/// An end that many wait for. Who stops waiting leaves nothing behind, which is what a
/// [`Signal`](ringlog_reactor::Signal) cannot say of itself.
pub(crate) struct Ending {
    sender: RefCell<Option<oneshot::Sender<()>>>,
    ended: Shared<oneshot::Receiver<()>>,
}

impl Default for Ending {
    fn default() -> Self {
        let (sender, ended) = oneshot::channel();
        Self {
            sender: RefCell::new(Some(sender)),
            ended: ended.shared(),
        }
    }
}

impl Ending {
    /// It has come.
    pub(crate) fn come(&self) {
        // Dropping the sender wakes everybody.
        drop(self.sender.take());
    }

    /// Whether it has come.
    pub(crate) fn has_come(&self) -> bool {
        self.sender.borrow().is_none()
    }

    /// Ends when it comes.
    pub(crate) fn wait(&self) -> impl Future<Output = ()> + Unpin + use<> {
        self.ended.clone().map(drop)
    }
}
