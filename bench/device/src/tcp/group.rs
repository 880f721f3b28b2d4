//! Group commit: requests that come in while a group is being written and synced make up the next one.
//!
//! The groups lie in the file one behind the other without gaps, as in a log: each write begins with the block in
//! which the one before it ended, so that no block has two writes in flight and small requests share blocks.

use std::ops::Range;

use crate::error::DeviceError;
use crate::limits::BLOCK_BYTES;
use crate::memory::Layout;
use crate::ring::{Block, Completion, Ring, Token, WriteKind};

/// Token of the write of a group: above those of connections.
pub(super) const WRITE: Token = 1 << 62;
/// Token of its sync.
pub(super) const SYNC: Token = WRITE + 1;

/// Requests of one connection that wait for a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) connection: usize,
    pub(super) requests: usize,
}

struct Group {
    /// Its memory: first the block in which the group before it ended.
    part: Range<usize>,
    used: usize,
    position: u64,
    waiting: Vec<Waiting>,
}

pub(super) struct GroupCommit {
    filling: Group,
    /// Written and synced, or free.
    other: Group,
    flushing: bool,
    flushed_bytes: usize,
    file_bytes: u64,
    commits: u64,
}

impl GroupCommit {
    /// Two groups of `group_bytes` each.
    pub(super) fn new(group_bytes: usize, file_bytes: u64, layout: &mut Layout) -> Self {
        let mut group = || Group {
            part: layout.part(group_bytes),
            used: 0,
            position: 0,
            waiting: Vec::new(),
        };
        Self {
            filling: group(),
            other: group(),
            flushing: false,
            flushed_bytes: 0,
            file_bytes,
            commits: 0,
        }
    }

    /// How many bytes the next group still takes.
    pub(super) fn room(&self) -> usize {
        self.filling.part.len() - self.filling.used
    }

    /// Copies requests into the next group; the caller has looked at the room.
    pub(super) fn add(&mut self, requests: Range<usize>, waiting: Waiting, ring: &mut Ring) {
        let end = self.filling.part.start + self.filling.used;
        self.filling.used += requests.len();
        ring.memory_mut().copy_within(requests, end);
        self.filling.waiting.push(waiting);
    }

    /// Writes and syncs the next group, unless one is under way or nothing waits.
    pub(super) fn flush(&mut self, ring: &mut Ring) -> Result<(), DeviceError> {
        if self.flushing || self.filling.waiting.is_empty() {
            return Ok(());
        }
        self.flushing = true;
        let group = &self.filling;
        self.flushed_bytes = group.used.next_multiple_of(BLOCK_BYTES);
        let block = Block {
            part: group.part.start..group.part.start + self.flushed_bytes,
            position: group.position,
        };
        ring.write(WRITE, block, WriteKind::BeforeNext)?;
        ring.sync_data(SYNC)?;
        self.begin_next(ring);
        Ok(())
    }

    /// The other memory becomes the next group: behind this one, or at the start of the file.
    fn begin_next(&mut self, ring: &mut Ring) {
        let (group, next) = (&self.filling, &mut self.other);
        let begun = group.used % BLOCK_BYTES;
        let whole = group.used - begun;
        let position = group.position + whole as u64;
        if position + next.part.len() as u64 <= self.file_bytes {
            let last_block = group.part.start + whole;
            ring.memory_mut()
                .copy_within(last_block..last_block + begun, next.part.start);
            (next.position, next.used) = (position, begun);
        } else {
            (next.position, next.used) = (0, 0);
        }
        std::mem::swap(&mut self.filling, &mut self.other);
    }

    /// Checks that the write was whole.
    pub(super) fn written(&self, completion: Completion) -> Result<(), DeviceError> {
        completion.moved_all("write", self.flushed_bytes)
    }

    /// Who is to be answered now that the group is on the device. To be given back to [`GroupCommit::recycle`].
    pub(super) fn synced(&mut self, completion: Completion) -> Result<Vec<Waiting>, DeviceError> {
        completion.moved_all("fdatasync", 0)?;
        self.flushing = false;
        self.commits += 1;
        Ok(std::mem::take(&mut self.other.waiting))
    }

    /// Takes the list back for the next group.
    pub(super) fn recycle(&mut self, mut answered: Vec<Waiting>) {
        answered.clear();
        self.other.waiting = answered;
    }

    /// Groups on the device so far.
    pub(super) fn commits(&self) -> u64 {
        self.commits
    }
}
