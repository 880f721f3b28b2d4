//! What a metadata store answers when it cannot do what was asked.

use thiserror::Error;

use super::NodePath;

/// A question that the store did not answer, or a write that it certainly did not do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The node that the call is about does not exist.
    #[error("{path} does not exist in the metadata store")]
    NoNode {
        /// The node.
        path: NodePath,
    },
    /// The session is over: its ephemeral nodes are gone, and nothing more can be done with it.
    #[error("the session with the metadata store has ended")]
    SessionEnded,
    /// The store cannot be reached now.
    #[error("the metadata store cannot be reached: {reason}")]
    Disconnected {
        /// What the connection said.
        reason: String,
    },
    /// More requests are waiting than the store takes.
    #[error("{waiting} requests already wait for the metadata store")]
    Overloaded {
        /// The bound that was reached.
        waiting: usize,
    },
    /// The store does not do that for this user, however often it is asked.
    #[error("the metadata store refuses: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The store failed and answers nothing until it is opened again.
    #[error("the metadata store has failed: {reason}; start the broker again once that is mended")]
    Failed {
        /// The first failure.
        reason: String,
    },
}

/// The rule of a multi that did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Conflict {
    /// To be created, but already there.
    #[error("it exists already")]
    NodeExists,
    /// The node, or the parent of the one to be created, is not there.
    #[error("it, or its parent, does not exist")]
    NoNode,
    /// Somebody else has written it in between.
    #[error("it has another version")]
    BadVersion,
    /// To be deleted, but it has children.
    #[error("it has children")]
    NotEmpty,
    /// The parent is ephemeral, and such nodes have no children.
    #[error("its parent is ephemeral")]
    EphemeralParent,
}

/// Why a multi was not done, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MultiError {
    /// An operation could not be done; nothing was.
    #[error("cannot write {path} (operation {index}): {conflict}")]
    Conflict {
        /// Which operation, from 0.
        index: usize,
        /// Its node.
        path: NodePath,
        /// What stood against it.
        conflict: Conflict,
    },
    /// Too many operations; nothing was done.
    #[error("{ops} operations in one multi, at most {ops_max} are allowed")]
    TooManyOps {
        /// How many.
        ops: usize,
        /// The bound.
        ops_max: usize,
    },
    /// Too many bytes; nothing was done.
    #[error("{bytes} bytes in one multi, at most {bytes_max} are allowed")]
    TooLarge {
        /// How many.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// It was done, or was not, or will be later: nobody can say.
    #[error("nobody can say whether the write was done: {reason}")]
    Unknown {
        /// What happened while the answer was waited for.
        reason: String,
    },
    /// Nothing was done.
    #[error(transparent)]
    NotDone(#[from] StoreError),
}
