//! The embedded store: the metadata of a single node in one redb file.
//!
//! Duty: the semantics of [`super::tree`], durable: a multi is answered once it is on the device. The whole
//! tree is kept in memory besides (10 000 partitions take a few MiB); the file is read once, at open.
//!
//! Threads: all work is done by a thread of its own, since a commit blocks; the handles send it jobs and
//! await answers, on any executor. Dropping the last handle waits for that thread, at most one commit long.
//!
//! Invariants: what is in memory is in the file. Ephemeral nodes are never written: each open starts a new
//! session, and those of the last one are gone. Zxids never repeat, over restarts too, since the last one is
//! committed with every multi. After a failed commit nothing is answered any more, because nobody can say
//! what the file holds.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use futures_channel::oneshot;

use super::session::SessionCell;
use super::tree::Tree;
use super::watch::Fired;
use super::{
    MetaOp, MetadataStore, MultiError, Node, NodePath, OpResult, Session, SessionId, SessionStatus,
    StoreError, Watch, WatchKind,
};
use crate::limits;

mod file;

pub use file::OpenError;
use file::{MetadataFile, Opened};

/// The metadata store of a single node. Clones share the session.
#[derive(Debug, Clone)]
pub struct EmbeddedStore {
    worker: Arc<Worker>,
    session: SessionCell,
    failure: Failure,
}

type Job = Box<dyn FnOnce(&mut Owned) + Send>;

/// Why the store answers nothing any more, once that is so.
#[derive(Debug, Clone, Default)]
struct Failure(Arc<RwLock<Option<String>>>);

impl Failure {
    fn get(&self) -> Option<StoreError> {
        let reason = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()?;
        Some(StoreError::Failed { reason })
    }

    fn set(&self, reason: &str) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert_with(|| reason.to_owned());
    }
}

/// The thread that owns file and tree.
#[derive(Debug)]
struct Worker {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The thread ends when it has done what was sent; the lock of the file is free after that.
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the embedded metadata store has panicked");
        }
    }
}

/// What only the worker thread touches.
struct Owned {
    file: MetadataFile,
    tree: Tree,
    session: SessionCell,
    failure: Failure,
}

impl Owned {
    fn multi(&mut self, session: SessionId, ops: &[MetaOp]) -> Result<Vec<OpResult>, MultiError> {
        let staged = self.tree.stage(session, ops)?;
        if ops.iter().all(|op| matches!(op, MetaOp::Check { .. })) {
            return Ok(staged.results);
        }
        match self.file.commit(&staged) {
            Ok(()) => {
                let applied = self.tree.apply(staged);
                applied.fired.into_iter().for_each(Fired::tell);
                Ok(applied.results)
            }
            Err(error) => {
                let reason = format!("cannot write {}: {error}", self.file.path().display());
                tracing::error!(error = %error, "the metadata store failed");
                self.failure.set(&reason);
                self.session.end();
                self.tree.forget_watches(session);
                Err(MultiError::Unknown { reason })
            }
        }
    }

    fn live_session(&self) -> Result<SessionId, StoreError> {
        if let Some(failed) = self.failure.get() {
            return Err(failed);
        }
        self.session.live()
    }

    fn close(&mut self) {
        if self.session.get().status != SessionStatus::Ended {
            self.session.end();
            // The only session's watches are lost with it: nobody is left to be told.
            drop(self.tree.end_session(self.session.get().id));
        }
    }
}

impl EmbeddedStore {
    /// Opens the store in a file, creating the file when it is missing, and starts a session. Blocks on the
    /// device: call it before the loop runs.
    ///
    /// # Errors
    /// [`OpenError`]: the file is in use, damaged, of a newer format, or cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::serve(MetadataFile::open(path)?)
    }

    fn serve(opened: Opened) -> Result<Self, OpenError> {
        let path = opened.file.path().to_owned();
        let Opened {
            file,
            tree,
            session,
        } = opened;
        let session = SessionCell::connected(session, None);
        let failure = Failure::default();
        let owned = Owned {
            file,
            tree,
            session: session.clone(),
            failure: failure.clone(),
        };
        let (sender, receiver) = sync_channel(limits::STORE_REQUESTS_MAX);
        let thread = std::thread::Builder::new()
            .name("metadata".to_owned())
            .spawn(move || run(owned, &receiver))
            .map_err(|source| OpenError::Io {
                path,
                what: "start the thread for",
                source,
            })?;
        Ok(Self {
            worker: Arc::new(Worker {
                jobs: Some(sender),
                thread: Some(thread),
            }),
            session,
            failure,
        })
    }

    /// Has the worker do a job. Outer errors: the job was not taken, or its answer never came.
    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Owned) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |owned| {
            // Whoever asked may have stopped waiting.
            let _unheard = answer.send(job(owned));
        });
        let Some(jobs) = &self.worker.jobs else {
            return Err(Unanswered::NotTaken(StoreError::SessionEnded));
        };
        jobs.try_send(job).map_err(|refused| {
            Unanswered::NotTaken(match refused {
                TrySendError::Full(_) => StoreError::Overloaded {
                    waiting: limits::STORE_REQUESTS_MAX,
                },
                TrySendError::Disconnected(_) => self.stopped(),
            })
        })?;
        answered
            .await
            .map_err(|oneshot::Canceled| Unanswered::Stopped)
    }

    fn stopped(&self) -> StoreError {
        self.failure.get().unwrap_or_else(|| StoreError::Failed {
            reason: "its thread has stopped".to_owned(),
        })
    }
}

enum Unanswered {
    NotTaken(StoreError),
    Stopped,
}

fn run(mut owned: Owned, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        job(&mut owned);
    }
}

#[async_trait(?Send)]
impl MetadataStore for EmbeddedStore {
    async fn read(&self, path: &NodePath) -> Result<Option<Node>, StoreError> {
        let path = path.clone();
        self.ask_reading(move |owned| Ok(owned.tree.nodes().read(&path)))
            .await
    }

    async fn children(&self, path: &NodePath) -> Result<Option<Vec<String>>, StoreError> {
        let path = path.clone();
        self.ask_reading(move |owned| Ok(owned.tree.nodes().children(&path)))
            .await
    }

    async fn multi(&self, ops: Vec<MetaOp>) -> Result<Vec<OpResult>, MultiError> {
        let done = self.ask(move |owned| {
            let session = owned.live_session()?;
            owned.multi(session, &ops)
        });
        match done.await {
            Ok(done) => done,
            Err(Unanswered::NotTaken(error)) => Err(MultiError::NotDone(error)),
            Err(Unanswered::Stopped) => Err(MultiError::Unknown {
                reason: self.stopped().to_string(),
            }),
        }
    }

    async fn watch(&self, path: &NodePath, kind: WatchKind) -> Result<Watch, StoreError> {
        let path = path.clone();
        let session = self.session.get();
        let fired = self.ask_reading(move |owned| {
            if kind == WatchKind::Children && !owned.tree.nodes().contains(&path) {
                return Err(StoreError::NoNode { path });
            }
            owned.tree.watch(session.id, &path, kind)
        });
        let fired = fired.await?;
        Ok(Watch::kept(self.session.clone(), session.connects, fired))
    }

    fn session(&self) -> Session {
        self.session.get()
    }

    async fn session_changed(&self, seen: &Session) -> Session {
        self.session.changed(seen).await
    }

    async fn close(&self) {
        if self.ask(Owned::close).await.is_err() {
            self.session.end();
        }
    }
}

impl EmbeddedStore {
    async fn ask_reading<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Owned) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let answer = self.ask(move |owned| {
            owned.live_session()?;
            job(owned)
        });
        match answer.await {
            Ok(answer) => answer,
            Err(Unanswered::NotTaken(error)) => Err(error),
            Err(Unanswered::Stopped) => Err(self.stopped()),
        }
    }
}

#[cfg(test)]
mod tests;
