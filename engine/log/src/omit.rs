//! Steps that can be left out, one at a time, to prove that the crash simulation notices.
//!
//! Only a build with the feature `omissions` leaves anything out, and only on a thread that was told to; no broker
//! is built with it. Without the feature [`Step::is_omitted`] is a constant.

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
}

impl Step {
    /// All steps.
    pub const ALL: [Self; 5] = [
        Self::SyncBeforeAck,
        Self::DirectorySync,
        Self::SyncAfterRecovery,
        Self::TornWindowZeroing,
        Self::OneWritePerBlock,
    ];

    /// Its name on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SyncBeforeAck => "sync-before-ack",
            Self::DirectorySync => "directory-sync",
            Self::SyncAfterRecovery => "sync-after-recovery",
            Self::TornWindowZeroing => "torn-window-zeroing",
            Self::OneWritePerBlock => "one-write-per-block",
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
