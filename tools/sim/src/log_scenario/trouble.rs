//! What the device does in a life.

use std::io::ErrorKind;
use std::time::Duration;

use ringlog_reactor::sim::{Chance, DiskFault, FaultEffect, FaultTrigger, FaultyOp};

/// What the device does in a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// An operation on the directory of a partition goes wrong, after so many of its kind.
    Strikes {
        partition: u32,
        files: Files,
        op: FaultyOp,
        effect: FaultEffect,
        after: u32,
    },
    /// All writes or syncs of a partition are slow.
    Slow {
        partition: u32,
        op: FaultyOp,
        delay: Duration,
    },
    /// The device has this size for the first half of the life.
    Full { capacity_bytes: u64 },
    /// A bit of a segment or an index of a partition has turned over before the life.
    Rot { partition: u32 },
}

/// Which files of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Files {
    All,
    /// The segments, and their indexes, that were opened under their own names.
    Segments,
}

/// A recovery that is slow, or waits for an operation that never ends, may take so much longer.
pub(crate) const SILENCE: Duration = Duration::from_secs(70);

impl Trouble {
    pub(crate) fn draw(chance: &mut Chance, partitions: usize) -> Self {
        let partition = u32::try_from(chance.index(partitions)).unwrap_or(0);
        let after = u32::try_from(chance.below(16)).unwrap_or(0);
        match chance.below(16) {
            0..3 => Self::Full {
                capacity_bytes: chance.between(0, 8) << 20,
            },
            3 | 4 => Self::Rot { partition },
            5 => Self::Strikes {
                partition,
                files: Files::Segments,
                op: FaultyOp::Read,
                effect: FaultEffect::FlipBit,
                after,
            },
            6 => Self::Slow {
                partition,
                op: [FaultyOp::Write, FaultyOp::Sync][chance.index(2)],
                delay: Duration::from_millis(chance.between(1, 300)),
            },
            other => {
                let kinds = [
                    FaultyOp::Write,
                    FaultyOp::Write,
                    FaultyOp::Sync,
                    FaultyOp::Sync,
                    FaultyOp::Sync,
                    FaultyOp::Sync,
                    FaultyOp::Read,
                    FaultyOp::SyncDir,
                    FaultyOp::Open,
                    FaultyOp::Resize,
                    FaultyOp::Rename,
                ];
                Self::Strikes {
                    partition,
                    files: [Files::All, Files::Segments][chance.index(2)],
                    op: kinds[chance.index(kinds.len())],
                    effect: match other {
                        7 | 8 => FaultEffect::Hang,
                        _ => FaultEffect::Error(ErrorKind::Other),
                    },
                    after,
                }
            }
        }
    }

    /// One of the first syncs of a segment fails.
    pub(crate) fn draw_failing_sync(chance: &mut Chance, partitions: usize) -> Self {
        Self::Strikes {
            partition: u32::try_from(chance.index(partitions)).unwrap_or(0),
            files: Files::Segments,
            op: FaultyOp::Sync,
            effect: FaultEffect::Error(ErrorKind::Other),
            after: u32::try_from(chance.below(8)).unwrap_or(0),
        }
    }

    /// The fault of the disk, if it is one.
    pub(crate) fn fault(self) -> Option<DiskFault> {
        let (partition, files, op, effect, trigger) = match self {
            Self::Strikes {
                partition,
                files,
                op,
                effect,
                after,
            } => (partition, files, op, effect, FaultTrigger::After(after)),
            Self::Slow {
                partition,
                op,
                delay,
            } => {
                let effect = FaultEffect::Delay(delay);
                (partition, Files::All, op, effect, FaultTrigger::Always)
            }
            Self::Full { .. } | Self::Rot { .. } => return None,
        };
        // The names of segments begin with a 0.
        let name = match files {
            Files::All => "",
            Files::Segments => "/0",
        };
        Some(DiskFault {
            op,
            path_contains: format!("/topics/0/{partition}{name}"),
            trigger,
            effect,
        })
    }

    /// Whether the fault comes when the logs have recovered. A bit that only a read of recovery sees otherwise makes
    /// it cut off what is sound: it cannot tell that from a tear.
    pub(crate) fn waits_for_recovery(self) -> bool {
        matches!(
            self,
            Self::Strikes {
                effect: FaultEffect::FlipBit,
                ..
            }
        )
    }

    /// Whether it may take this partition offline. A bit that is wrong on its way only is read again.
    pub(crate) fn may_fail(self, index: u32) -> bool {
        match self {
            Self::Strikes {
                effect: FaultEffect::FlipBit,
                ..
            } => false,
            Self::Strikes { partition, .. } | Self::Rot { partition } => partition == index,
            Self::Slow { .. } | Self::Full { .. } => false,
        }
    }

    /// Whether it may make operations take long.
    pub(crate) fn is_slow(self) -> bool {
        matches!(
            self,
            Self::Slow { .. }
                | Self::Strikes {
                    effect: FaultEffect::Hang,
                    ..
                }
        )
    }
}
