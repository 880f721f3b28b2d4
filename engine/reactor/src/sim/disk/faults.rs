//! Failures that a test asks a simulated disk for.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::op::Op;
use crate::sim::random::Chance;

/// Which operations a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultyOp {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Syncs of files.
    Sync,
    /// Syncs of directories.
    SyncDir,
    /// Opening and creating.
    Open,
    /// Allocating blocks and changing the length.
    Resize,
    /// Renaming and removing.
    Rename,
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultTrigger {
    /// Every time.
    Always,
    /// The next so many times.
    Next(u32),
    /// After so many operations that it lets pass, once.
    After(u32),
    /// Each time with this probability.
    Probability(f64),
}

/// What a fault does to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultEffect {
    /// It fails: with ENOSPC for `StorageFull`, with EIO for all others.
    Error(io::ErrorKind),
    /// It never completes. Whether it has happened is decided at the next crash.
    Hang,
    /// It takes so much longer.
    Delay(Duration),
    /// One bit of what a read gives is another one than on the medium; nothing happens to other operations.
    FlipBit,
}

/// A failure to come.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskFault {
    /// What it strikes.
    pub op: FaultyOp,
    /// Strikes only paths that contain this.
    pub path_contains: String,
    /// When.
    pub trigger: FaultTrigger,
    /// What happens then.
    pub effect: FaultEffect,
}

fn kind_of(op: &Op) -> Option<FaultyOp> {
    Some(match op {
        Op::ReadAt { .. } => FaultyOp::Read,
        Op::WriteAt { .. } => FaultyOp::Write,
        Op::Sync { .. } => FaultyOp::Sync,
        Op::SyncDir { .. } => FaultyOp::SyncDir,
        Op::Open { .. } | Op::Mkdir { .. } => FaultyOp::Open,
        Op::Allocate { .. } | Op::Truncate { .. } => FaultyOp::Resize,
        Op::Rename { .. } | Op::Unlink { .. } | Op::Rmdir { .. } => FaultyOp::Rename,
        _ => return None,
    })
}

/// What is to happen to this operation, if anything.
pub(super) fn strike(
    faults: &mut Vec<DiskFault>,
    op: &Op,
    path: &Path,
    chance: &mut Chance,
) -> Option<FaultEffect> {
    let kind = kind_of(op)?;
    let path = path.to_string_lossy();
    let index = faults.iter_mut().position(|fault| {
        fault.op == kind && path.contains(&fault.path_contains) && fault.trigger.fires(chance)
    })?;
    let effect = faults[index].effect;
    if faults[index].trigger == FaultTrigger::Next(0) {
        faults.remove(index);
    }
    Some(effect)
}

impl FaultTrigger {
    fn fires(&mut self, chance: &mut Chance) -> bool {
        match self {
            Self::Always => true,
            Self::Next(0) => false,
            Self::Next(left) => {
                *left -= 1;
                true
            }
            Self::After(0) => {
                *self = Self::Next(0);
                true
            }
            Self::After(left) => {
                *left -= 1;
                false
            }
            Self::Probability(probability) => chance.with_probability(*probability),
        }
    }
}
