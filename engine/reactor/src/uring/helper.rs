//! The helper thread: what the ring of Linux 6.1 cannot do (ftruncate, directory listing, statfs, flock).
//!
//! Jobs go in through a channel and are done one after the other; answers come back through a queue, followed by
//! a notify. A job on an open file owns a duplicate of its descriptor, so closing the file meanwhile cannot make
//! the number mean another file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SendError, Sender};
use std::thread::JoinHandle;

use crossbeam_queue::SegQueue;

use crate::driver::Notify;
use crate::op::{Completion, DirEntry, FileKind, OpId, Output, Space};
use crate::uring::path::c_string;

/// What the thread does.
#[derive(Debug)]
pub(super) enum Job {
    Truncate { file: File, len_bytes: u64 },
    TryLock { file: File },
    ListDir { path: PathBuf },
    SpaceOf { path: PathBuf },
}

impl Job {
    fn fail(self) -> Output {
        let error = io::Error::other("the helper thread of the ring is gone");
        match self {
            Self::Truncate { .. } | Self::TryLock { .. } => Output::Unit(Err(error)),
            Self::ListDir { .. } => Output::Entries(Err(error)),
            Self::SpaceOf { .. } => Output::Space(Err(error)),
        }
    }
}

/// The end of the helper that a driver holds. Dropping it waits for the job that is being done.
pub(super) struct Helper {
    jobs: Option<Sender<(OpId, Job)>>,
    answers: Arc<SegQueue<Completion>>,
    thread: Option<JoinHandle<()>>,
}

impl Helper {
    /// Starts the thread; it calls `notify` after each answer.
    pub(super) fn start(notify: Arc<dyn Notify>) -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel();
        let answers = Arc::new(SegQueue::new());
        let thread = std::thread::Builder::new()
            .name("ring-helper".to_owned())
            .spawn({
                let answers = Arc::clone(&answers);
                move || serve(&inbox, &answers, &*notify)
            })?;
        Ok(Self {
            jobs: Some(jobs),
            answers,
            thread: Some(thread),
        })
    }

    /// Hands a job over. Should the thread be gone, the job fails.
    pub(super) fn send(&self, id: OpId, job: Job) {
        let Some(jobs) = &self.jobs else { return };
        if let Err(SendError((id, job))) = jobs.send((id, job)) {
            self.answers.push(Completion {
                id,
                output: job.fail(),
            });
        }
    }

    /// The next answer.
    pub(super) fn answer(&self) -> Option<Completion> {
        self.answers.pop()
    }

    /// Whether an answer waits.
    pub(super) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the helper thread of a ring panicked");
        }
    }
}

fn serve(inbox: &Receiver<(OpId, Job)>, answers: &SegQueue<Completion>, notify: &dyn Notify) {
    while let Ok((id, job)) = inbox.recv() {
        answers.push(Completion {
            id,
            output: run(job),
        });
        notify.notify();
    }
}

fn run(job: Job) -> Output {
    match job {
        Job::Truncate { file, len_bytes } => Output::Unit(file.set_len(len_bytes)),
        Job::TryLock { file } => Output::Unit(file.try_lock().map_err(io::Error::from)),
        Job::ListDir { path } => Output::Entries(list_dir(&path)),
        Job::SpaceOf { path } => Output::Space(space_of(&path)),
    }
}

fn list_dir(path: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // An entry that is unlinked between the listing and the look at it is not an entry any more.
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let kind = if metadata.is_file() {
            FileKind::File
        } else if metadata.is_dir() {
            FileKind::Directory
        } else {
            FileKind::Other
        };
        let len_bytes = if kind == FileKind::File {
            metadata.len()
        } else {
            0
        };
        entries.push(DirEntry {
            name: entry.file_name().to_string_lossy().into_owned(),
            kind,
            len_bytes,
        });
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn space_of(path: &Path) -> io::Result<Space> {
    let path = c_string(path)?;
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path is terminated by a zero, and the answer has room for the structure.
    let result = unsafe { libc::statvfs(path.as_ptr(), answer.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: statvfs succeeded, so it filled the structure.
    let answer = unsafe { answer.assume_init() };
    Ok(Space {
        available_bytes: answer.f_bavail.saturating_mul(answer.f_frsize),
        total_bytes: answer.f_blocks.saturating_mul(answer.f_frsize),
    })
}
