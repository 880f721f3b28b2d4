//! The names of the files of a log.

use std::path::{Path, PathBuf};

use ringlog_record::Offset;

/// The prepared file that the log rolls into.
pub(crate) const NEXT: &str = "next";

/// The prepared file while it is being made.
pub(crate) const NEXT_TEMPORARY: &str = "next.tmp";

/// What must survive beside the segments.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// What a file in the directory of a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileName {
    Segment(Offset),
    Index(Offset),
    Next,
    NextTemporary,
    Checkpoint,
}

impl FileName {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            NEXT => return Some(Self::Next),
            NEXT_TEMPORARY => return Some(Self::NextTemporary),
            CHECKPOINT => return Some(Self::Checkpoint),
            _ => {}
        }
        let (digits, extension) = name.split_once('.')?;
        if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let base = Offset::new(digits.parse().ok()?);
        match extension {
            "log" => Some(Self::Segment(base)),
            "index" => Some(Self::Index(base)),
            _ => None,
        }
    }
}

pub(crate) fn segment_path(directory: &Path, base: Offset) -> PathBuf {
    directory.join(format!("{:020}.log", base.get()))
}

pub(crate) fn index_path(directory: &Path, base: Offset) -> PathBuf {
    directory.join(format!("{:020}.index", base.get()))
}

#[cfg(test)]
mod tests;
