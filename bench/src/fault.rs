//! Mistakes that load generators are known for, to show that the tests would notice them.

use std::cell::Cell;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Requests wait for those before them, and are measured from when they were sent.
    CoordinatedOmission,
    /// Response times count from the real send.
    FromRealSend,
    /// Percentiles of workers are averaged.
    AveragedPercentiles,
    /// Requests that are not answered when the time is over are forgotten.
    ForgottenTail,
}

thread_local! {
    static MADE: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// Makes a mistake from now on, on this thread; none makes none.
pub(crate) fn make(fault: Option<Fault>) {
    MADE.set(fault);
}

/// Whether it is made.
pub(crate) fn is_made(fault: Fault) -> bool {
    MADE.get() == Some(fault)
}
