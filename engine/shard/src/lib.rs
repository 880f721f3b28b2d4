//! Messages between pinned cores: each shard has an inbox, and calls its peers.
//!
//! **Duty.** A [`mesh`] of shards: [`Router::slot`] reserves the right to one call at a peer, [`Router::send`] makes
//! it, the peer takes it from its [`Inbox`] and answers. A slot covers the request *and* the place of its reply, so
//! the inboxes are never full and two shards that call each other never wait for each other's room: who has no slot
//! waits before it has sent anything. A [`Budget`] of the reactor is
//! the same for bytes: who has no [`Share`] waits.
//!
//! **Thread.** A [`Port`] is made anywhere and moved to its core; [`Router`] and [`Inbox`] stay there.
//!
//! **Invariants.** Calls of one shard to one peer arrive in the order in which they were sent. A call that is
//! dropped unanswered is seen by the caller as [`Gone`].
//!
//! **Must not know.** Topics, partitions, connections: requests and replies are whatever the user says.
#![forbid(unsafe_code)]

mod call;
pub mod limits;
mod router;

pub use call::{Call, Gone, Inbox, Reply, ReplyTo};
pub use ringlog_reactor::{Budget, Share};
pub use router::{Lane, Port, Router, Slot, mesh};
