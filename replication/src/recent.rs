//! Where the last appends ended, to the byte: what the sparse index of the log is too coarse for.
//!
//! A parked fetch asks how many bytes lie between its offset and the high watermark. Both are where appends ended
//! not long ago, so that the answer is exact for those who keep up; for others the estimate of the log does.

use std::collections::VecDeque;

use ringlog_record::Offset;

use crate::limits::RECENT_ENDS_MAX;

/// The ends of the last appends in order, each with the bytes appended up to there since the partition was opened.
pub(crate) struct RecentEnds(VecDeque<(Offset, u64)>);

impl RecentEnds {
    /// Of a log that ends at `log_end`.
    pub(crate) fn new(log_end: Offset) -> Self {
        Self(VecDeque::from([(log_end, 0)]))
    }

    /// Notes an append of so many bytes.
    pub(crate) fn note(&mut self, log_end: Offset, bytes: usize) {
        let before = self.0.back().map_or(0, |&(_, bytes)| bytes);
        if self.0.len() == RECENT_ENDS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((log_end, before + bytes as u64));
    }

    /// Bytes from the append that holds `offset` to the last one that ends at or below `limit`, unless that is too
    /// long ago.
    pub(crate) fn bytes_between(&self, offset: Offset, limit: Offset) -> Option<u64> {
        let bytes_at = |offset: Offset| {
            let after = self.0.partition_point(|&(end, _)| end <= offset);
            after.checked_sub(1).map(|last| self.0[last].1)
        };
        Some(bytes_at(limit)?.saturating_sub(bytes_at(offset)?))
    }
}

#[cfg(test)]
mod tests;
