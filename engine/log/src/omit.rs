//! Steps that can be left out, one at a time, to prove that the crash simulation notices.
//!
//! Only a build with the feature `omissions` leaves anything out, and only on a thread that was told to: the simulation has
//! it, and what is built together with it for tests. Without the feature [`Step::is_omitted`] is a constant.

/// A step that durability, or what is served, rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The sync of the segment file before a flush group counts as durable.
    SyncBeforeAck,
    /// The sync of a directory after its entries have changed.
    DirectorySync,
    /// The sync of what recovery found before it counts as durable.
    SyncAfterRecovery,
    /// Zeros over what a torn flush group left behind the end.
    TornWindowZeroing,
    /// One flush group of a log in flight at a time.
    OneWritePerBlock,
    /// The CRC of what is read from disk.
    CrcOnRead,
    /// Being offline after a sync that failed, instead of trying it again.
    OfflineAfterFailedSync,
    /// The checkpoint that recovery found, written once more before anything follows from it.
    CheckpointRewrite,
    /// The durable log start before segments below it are removed.
    LogStartBeforeRemoval,
    /// The durable reservation of offsets before a log in memory gives them out.
    OffsetReservation,
}

impl Step {
    /// All steps.
    pub const ALL: [Self; 10] = [
        Self::SyncBeforeAck,
        Self::DirectorySync,
        Self::SyncAfterRecovery,
        Self::TornWindowZeroing,
        Self::OneWritePerBlock,
        Self::CrcOnRead,
        Self::OfflineAfterFailedSync,
        Self::CheckpointRewrite,
        Self::LogStartBeforeRemoval,
        Self::OffsetReservation,
    ];

    /// Its name on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SyncBeforeAck => "sync-before-ack",
            Self::DirectorySync => "directory-sync",
            Self::SyncAfterRecovery => "sync-after-recovery",
            Self::TornWindowZeroing => "torn-window-zeroing",
            Self::OneWritePerBlock => "one-write-per-block",
            Self::CrcOnRead => "crc-on-read",
            Self::OfflineAfterFailedSync => "offline-after-failed-sync",
            Self::CheckpointRewrite => "checkpoint-rewrite",
            Self::LogStartBeforeRemoval => "log-start-before-removal",
            Self::OffsetReservation => "offset-reservation",
        }
    }

    /// Whether this thread leaves the step out.
    #[cfg(feature = "omissions")]
    pub fn is_omitted(self) -> bool {
        switch::OMITTED.get() == Some(self)
    }

    /// Whether this thread leaves the step out.
    #[cfg(not(feature = "omissions"))]
    #[inline]
    pub const fn is_omitted(self) -> bool {
        false
    }
}

#[cfg(feature = "omissions")]
pub use switch::omit;

#[cfg(feature = "omissions")]
mod switch {
    use std::cell::Cell;

    use super::Step;

    thread_local! {
        pub(super) static OMITTED: Cell<Option<Step>> = const { Cell::new(None) };
    }

    /// Leaves a step out on this thread from now on, or none.
    pub fn omit(step: Option<Step>) {
        OMITTED.set(step);
    }
}
