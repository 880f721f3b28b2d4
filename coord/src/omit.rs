//! Steps that can be left out, one at a time, to prove that the simulation of the controller notices.
//!
//! Only a build with the feature `omissions` leaves anything out, and only on a thread that was told to: the simulation has
//! it, and what is built together with it for tests. Without the feature [`Step::is_omitted`] is a constant.

/// A step that the agreement of a cluster rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A larger leader epoch at each election, also when the same broker comes again.
    EpochAtElection,
    /// A member of the ISR counts only in the registration in which it became one.
    MatchingBrokerEpoch,
    /// Replicas that fall out of an ISR that has become too small stay eligible.
    EligibleReplicas,
    /// The check of the controller's epoch in each of its writes.
    ControllerFence,
    /// The version of a partition's state in each write to it.
    PartitionVersion,
    /// The nodes of a topic before the name that makes it exist.
    CommitLast,
    /// The removal of what a create left that was never finished.
    Sweep,
    /// The nodes of a deleted topic stay until its brokers have removed the data.
    DeletionAwaited,
    /// Brokers are told of each change.
    TellOfChanges,
}

impl Step {
    /// All steps.
    pub const ALL: [Self; 9] = [
        Self::EpochAtElection,
        Self::MatchingBrokerEpoch,
        Self::EligibleReplicas,
        Self::ControllerFence,
        Self::PartitionVersion,
        Self::CommitLast,
        Self::Sweep,
        Self::DeletionAwaited,
        Self::TellOfChanges,
    ];

    /// Whether this thread leaves the step out.
    #[cfg(feature = "omissions")]
    #[must_use]
    pub fn is_omitted(self) -> bool {
        switch::OMITTED.get() == Some(self)
    }

    /// Whether this thread leaves the step out.
    #[cfg(not(feature = "omissions"))]
    #[inline]
    #[must_use]
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

    /// Leaves a step out on this thread; nothing with `None`.
    pub fn omit(step: Option<Step>) {
        OMITTED.set(step);
    }
}
