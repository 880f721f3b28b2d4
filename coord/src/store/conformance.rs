//! One suite for every store: what the controller and everything above rely on.
//!
//! A store joins by a [`Harness`] and one line of `conformance!`. One that is reached over a connection, and may have
//! other users, implements [`Remote`] besides and adds `remote_conformance!`.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{Conflict, MetaOp, MetadataStore, MultiError, NodePath, Version};

pub(crate) mod nodes;
pub(crate) mod remote;
pub(crate) mod sessions;
pub(crate) mod watches;

/// How the suite gets at a store.
pub(crate) trait Harness {
    type Store: MetadataStore;

    /// Runs a case, on whatever executor the store needs.
    fn block_on<F: Future<Output = ()>>(case: F);

    /// A session on the one tree of this harness, which is empty at first.
    async fn open(&mut self) -> Self::Store;

    /// Ends a session and opens another on the same tree.
    async fn reopen(&mut self, store: Self::Store) -> Self::Store;
}

/// What becomes of a write whose answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It was not done.
    Request,
    /// It was done.
    Answer,
}

/// How the suite gets at a store over a connection. All sessions but those of [`Remote::witness`] share the connection
/// that is cut.
pub(crate) trait Remote: Harness {
    /// Another client of the same tree, whose connection is never cut.
    async fn witness(&mut self) -> Self::Store;

    /// Cuts the connection, until it is restored.
    fn cut(&mut self, store: &Self::Store);

    /// Lets the session connect again, as far as it still can.
    fn restore(&mut self, store: &Self::Store);

    /// Cuts the connection until the store has ended the session, with this ephemeral node of its.
    async fn expire(&mut self, store: &Self::Store, ephemeral: &NodePath);

    /// Does a multi whose answer is lost.
    async fn lose(
        &mut self,
        store: &Self::Store,
        lost: Lost,
        ops: Vec<MetaOp>,
    ) -> Result<Vec<super::OpResult>, MultiError>;
}

macro_rules! cases {
    ($harness:ty, $new:expr, $($module:ident: $($case:ident),+;)+) => {
        $($(
            #[test]
            fn $case() {
                <$harness as $crate::store::conformance::Harness>::block_on(async {
                    let mut harness: $harness = $new;
                    $crate::store::conformance::$module::$case(&mut harness).await;
                });
            }
        )+)+
    };
}
pub(crate) use cases;

macro_rules! conformance {
    ($harness:ty, $new:expr) => {
        $crate::store::conformance::cases!(
            $harness, $new,
            nodes:
                the_root_is_there_and_empty,
                a_created_node_is_read_back,
                versions_count_sets,
                zxids_grow_and_one_multi_has_one,
                a_parent_must_exist,
                a_node_is_created_once,
                wrong_versions_are_refused,
                a_node_with_children_stays,
                a_failed_multi_does_nothing,
                a_multi_sees_its_own_effects,
                a_node_is_replaced_in_one_multi,
                children_are_direct_ones_in_byte_order,
                an_empty_multi_does_nothing,
                a_multi_of_checks_writes_nothing,
                oversized_multis_are_refused;
            sessions:
                ephemeral_nodes_name_their_session_and_have_no_children,
                ephemeral_nodes_go_with_their_session,
                persistent_nodes_outlive_sessions,
                zxids_grow_over_sessions,
                an_ephemeral_node_may_take_a_persistent_ones_place,
                a_closed_session_answers_nothing,
                a_session_that_ends_is_told;
            watches:
                a_node_watch_fires_once_for_each_kind_of_change,
                a_children_watch_fires_for_children_only,
                a_watch_does_not_fire_for_what_failed,
                a_watch_given_up_leaves_the_others,
                a_watch_may_be_set_again_at_once,
                children_of_nothing_cannot_be_watched,
                watches_are_lost_with_the_session;
        );
    };
}
pub(crate) use conformance;

macro_rules! remote_conformance {
    ($harness:ty, $new:expr) => {
        $crate::store::conformance::cases!(
            $harness, $new,
            remote:
                sessions_see_what_others_wrote,
                of_two_creates_one_is_done,
                ephemeral_nodes_end_with_their_own_session_only,
                an_ephemeral_node_is_taken_over_from_a_session_that_lives,
                watches_fire_for_the_writes_of_others,
                nothing_is_asked_while_the_connection_is_cut,
                a_session_outlives_a_cut,
                a_watch_ends_when_the_node_changed_during_a_cut,
                a_watch_is_not_silent_after_a_cut,
                a_watch_set_after_a_cut_fires,
                a_session_that_expired_unseen_ends,
                a_write_that_was_lost_is_unknown_and_not_done,
                a_write_whose_answer_was_lost_is_unknown_and_done,
                a_lost_answer_to_a_conflict_is_unknown_too;
        );
    };
}
pub(crate) use remote_conformance;

pub(crate) fn path(text: &str) -> NodePath {
    NodePath::parse(text).unwrap()
}

pub(crate) fn create(at: &str, data: &str) -> MetaOp {
    MetaOp::Create {
        path: path(at),
        data: data.into(),
    }
}

pub(crate) fn create_ephemeral(at: &str, data: &str) -> MetaOp {
    MetaOp::CreateEphemeral {
        path: path(at),
        data: data.into(),
    }
}

pub(crate) fn set(at: &str, data: &str, version: Option<u32>) -> MetaOp {
    MetaOp::Set {
        path: path(at),
        data: data.into(),
        version: version.map(Version::new),
    }
}

pub(crate) fn check(at: &str, version: Option<u32>) -> MetaOp {
    MetaOp::Check {
        path: path(at),
        version: version.map(Version::new),
    }
}

pub(crate) fn delete(at: &str, version: Option<u32>) -> MetaOp {
    MetaOp::Delete {
        path: path(at),
        version: version.map(Version::new),
    }
}

pub(crate) async fn data<S: MetadataStore>(store: &S, at: &str) -> Option<String> {
    let node = store.read(&path(at)).await.unwrap()?;
    Some(String::from_utf8(node.data).unwrap())
}

pub(crate) async fn refused<S: MetadataStore>(store: &S, ops: Vec<MetaOp>) -> (usize, Conflict) {
    match store.multi(ops).await {
        Err(MultiError::Conflict {
            index, conflict, ..
        }) => (index, conflict),
        other => panic!("not a conflict: {other:?}"),
    }
}

pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
