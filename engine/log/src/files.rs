//! The open files of sealed segments: a bound on descriptors, whatever the number of segments.
//!
//! A sealed segment has no file open until somebody reads it. Then it stays open until the shard has too many, and the
//! one that was not read for longest is closed; who is reading it keeps it until the end of that read. Opening and closing
//! go through the ring like everything else, so no core waits for them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use ringlog_reactor::File;
use ringlog_record::Offset;

use crate::log::LogInner;

/// The open files of the sealed segments of a shard. Clones share them.
#[derive(Clone)]
pub struct OpenFiles(Rc<Shared>);

struct Shared {
    files_max: usize,
    /// The one that was not read for longest first.
    files: RefCell<VecDeque<Entry>>,
}

struct Entry {
    log: Weak<LogInner>,
    segment: Offset,
    file: File,
}

impl Entry {
    fn is_of(&self, log: &Weak<LogInner>, segment: Offset) -> bool {
        self.segment == segment && self.log.ptr_eq(log)
    }
}

impl OpenFiles {
    /// At most this many open files.
    pub fn new(files_max: usize) -> Self {
        Self(Rc::new(Shared {
            files_max,
            files: RefCell::default(),
        }))
    }

    /// How many are open, those apart that were closed here and are still being read.
    pub fn len(&self) -> usize {
        self.0.files.borrow().len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file of a segment, if it is open.
    pub(crate) fn get(&self, log: &Weak<LogInner>, segment: Offset) -> Option<File> {
        let mut files = self.0.files.borrow_mut();
        let index = files.iter().position(|entry| entry.is_of(log, segment))?;
        let entry = files.remove(index)?;
        let file = entry.file.clone();
        files.push_back(entry);
        Some(file)
    }

    /// Keeps a file open, and closes others for it.
    pub(crate) fn keep(&self, log: &Weak<LogInner>, segment: Offset, file: &File) {
        // Two readers may have opened it at the same time.
        if self.get(log, segment).is_some() {
            return;
        }
        let mut files = self.0.files.borrow_mut();
        files.push_back(Entry {
            log: Weak::clone(log),
            segment,
            file: file.clone(),
        });
        while files.len() > self.0.files_max {
            files.pop_front();
        }
    }

    /// Closes the file of a segment that leaves.
    pub(crate) fn forget_segment(&self, log: &Weak<LogInner>, segment: Offset) {
        let mut files = self.0.files.borrow_mut();
        files.retain(|entry| !entry.is_of(log, segment));
    }

    /// Closes the files of a log.
    pub(crate) fn forget(&self, log: &Weak<LogInner>) {
        self.0
            .files
            .borrow_mut()
            .retain(|entry| !entry.log.ptr_eq(log));
    }
}
