//! Takes requests and works on a few of them at a time.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use ringlog_log::Leisure;

use crate::MaintenanceCounters;
use crate::limits::JOBS_MAX;
use crate::prepare::{Shared, Urgency, prepare};

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// Make a file.
    Prepare(Request),
    /// End. Follows the flag that gives up what was asked for before.
    Stop,
}

/// A file that somebody wants.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) path: PathBuf,
    pub(crate) len_bytes: u64,
    pub(crate) leisure: Leisure,
    pub(crate) answer: oneshot::Sender<io::Result<()>>,
}

/// Serves until told to stop. Everything runs inside of this one future: nothing outlives it.
pub(crate) async fn serve(
    inbox: flume::Receiver<Message>,
    bytes_per_second: u64,
    stopping: &AtomicBool,
    counters: &MaintenanceCounters,
) {
    let shared = Shared::new(bytes_per_second);
    let mut jobs = FuturesUnordered::new();
    while let Some(request) = next_request(&inbox, &mut jobs).await {
        jobs.push(work(request, &inbox, &shared, stopping, counters));
    }
    while jobs.next().await.is_some() {}
}

/// The next request, once there is room for it; works on the running ones meanwhile.
async fn next_request<F: Future<Output = ()>>(
    inbox: &flume::Receiver<Message>,
    jobs: &mut FuturesUnordered<F>,
) -> Option<Request> {
    loop {
        if jobs.len() >= JOBS_MAX {
            jobs.next().await;
            continue;
        }
        let message = if jobs.is_empty() {
            inbox.recv_async().await
        } else {
            match select(inbox.recv_async(), jobs.next()).await {
                Either::Left((message, _)) => message,
                Either::Right(_) => continue,
            }
        };
        return match message {
            Ok(Message::Prepare(request)) => Some(request),
            Ok(Message::Stop) | Err(flume::RecvError::Disconnected) => None,
        };
    }
}

async fn work(
    request: Request,
    inbox: &flume::Receiver<Message>,
    shared: &Shared,
    stopping: &AtomicBool,
    counters: &MaintenanceCounters,
) {
    let Request {
        path,
        len_bytes,
        leisure,
        answer,
    } = request;
    let urgency = || {
        if stopping.load(Ordering::Relaxed) || answer.is_canceled() {
            Urgency::Unwanted
        } else if inbox.is_empty() {
            Urgency::Spread(leisure.within())
        } else {
            Urgency::Hurry
        }
    };
    let result = prepare(shared, &path, len_bytes, urgency).await;
    match &result {
        Ok(()) => counters.count_prepared(len_bytes),
        Err(error) => {
            counters.count_failed();
            tracing::debug!(%error, path = %path.display(), "a file was not prepared");
        }
    }
    // Whoever asked may be gone; then the file stays for its owner to find.
    drop(answer.send(result));
}
