//! Looking at the files of a log that nobody has open: what `ringlog log dump` and `ringlog log verify` print.
//!
//! Everything here is synchronous, changes nothing and knows no reactor. Files are reached through [`Source`], which
//! a tool implements over an ordinary file and a test over bytes:
//!
//! - [`walk_segment`] shows every batch of a segment file, the damaged ones included, and tells where the file ends;
//! - [`read_checkpoint`] and [`read_index`] decode the other two kinds of files;
//! - [`verify_directory`] takes the files of a partition by name and gives a [`DirectoryReport`]: what is there, and
//!   each [`Finding`] with its file and byte position. A [`Severity::Damage`] is something that the log would refuse
//!   to open with or that a reader would meet; a [`Severity::Note`] is what a crash may leave and recovery clears.
//!
//! ```
//! use ringlog_log::inspect::{self, Source};
//!
//! let empty: &[u8] = &[0; 4096];
//! let report = inspect::walk_segment(&mut { empty }, None, |batch| println!("{batch:?}"))?;
//! assert_eq!((report.batches, report.file_bytes), (0, 4096));
//! # Ok::<(), std::io::Error>(())
//! ```

mod directory;
mod report;
mod walk;

use std::io;

use ringlog_record::Offset;

use crate::checkpoint::Checkpoint;
use crate::limits::CHECKPOINT_SLOT_BYTES;

pub use self::directory::verify_directory;
pub use self::report::{
    BatchReport, BatchState, CheckpointReport, DirectoryReport, Finding, IndexPoint, IndexReport,
    Problem, SegmentReport, Severity, SkippedBytes,
};
pub use self::walk::walk_segment;

/// A file that is looked at.
pub trait Source {
    /// Its length.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn len_bytes(&mut self) -> io::Result<u64>;

    /// Reads at `position` to the front of `buf`; fewer bytes than it holds only at the end of the file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn read_at(&mut self, position: u64, buf: &mut [u8]) -> io::Result<usize>;
}

impl Source for &[u8] {
    fn len_bytes(&mut self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&mut self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(position)
            .unwrap_or(usize::MAX)
            .min(self.len());
        let len = buf.len().min(self.len() - from);
        buf[..len].copy_from_slice(&self[from..from + len]);
        Ok(len)
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn len_bytes(&mut self) -> io::Result<u64> {
        (**self).len_bytes()
    }

    fn read_at(&mut self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(position, buf)
    }
}

/// What the two slots of a checkpoint file hold; `None` for one that is empty or damaged. The one with the higher
/// sequence counts.
///
/// # Errors
///
/// What the system says.
pub fn read_checkpoint(source: &mut impl Source) -> io::Result<[Option<CheckpointReport>; 2]> {
    let mut slots = [None, None];
    for (number, found) in (0..).zip(&mut slots) {
        let mut slot = vec![0; CHECKPOINT_SLOT_BYTES];
        let len = source.read_at(number * slot.len() as u64, &mut slot)?;
        *found = Checkpoint::decode(&slot[..len])
            .filter(|checkpoint| checkpoint.sequence % 2 == number)
            .map(CheckpointReport::from);
    }
    Ok(slots)
}

/// What the index file of the segment with this base offset holds; `None` when it is damaged or of another segment.
///
/// # Errors
///
/// What the system says.
pub fn read_index(source: &mut impl Source, base: Offset) -> io::Result<Option<IndexReport>> {
    let len = usize::try_from(source.len_bytes()?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len.min(crate::index_file::FILE_BYTES_MAX)];
    let len = source.read_at(0, &mut bytes)?;
    Ok(crate::index_file::decode(&bytes[..len], base).map(|segment| IndexReport::from(&segment)))
}

#[cfg(test)]
mod tests;
