//! One suite for every store: what the controller and everything above rely on.
//!
//! A store joins by a [`Harness`] and one line of `conformance!`.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{
    Conflict, MetaOp, MetadataStore, MultiError, NodePath, OpResult, SessionStatus, StoreError,
    Version, WatchEvent, WatchKind, Zxid,
};
use crate::limits;

/// How the suite gets at a store.
pub(crate) trait Harness {
    type Store: MetadataStore;

    /// A session on the one tree of this harness, which is empty at first.
    fn open(&mut self) -> Self::Store;

    /// Ends a session and opens another on the same tree.
    fn reopen(&mut self, store: Self::Store) -> Self::Store;
}

macro_rules! conformance {
    ($harness:expr, $($case:ident),* $(,)?) => {
        $(
            #[test]
            fn $case() {
                let mut harness = $harness;
                futures_executor::block_on($crate::store::conformance::$case(&mut harness));
            }
        )*
    };
    ($harness:expr) => {
        $crate::store::conformance::conformance!(
            $harness,
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
            oversized_multis_are_refused,
            ephemeral_nodes_name_their_session_and_have_no_children,
            ephemeral_nodes_go_with_their_session,
            persistent_nodes_outlive_sessions,
            zxids_grow_over_sessions,
            an_ephemeral_node_may_take_a_persistent_ones_place,
            a_closed_session_answers_nothing,
            a_session_that_ends_is_told,
            a_node_watch_fires_once_for_each_kind_of_change,
            a_children_watch_fires_for_children_only,
            a_watch_does_not_fire_for_what_failed,
            children_of_nothing_cannot_be_watched,
            watches_are_lost_with_the_session,
        );
    };
}
pub(crate) use conformance;

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

async fn data<S: MetadataStore>(store: &S, at: &str) -> Option<String> {
    let node = store.read(&path(at)).await.unwrap()?;
    Some(String::from_utf8(node.data).unwrap())
}

async fn refused<S: MetadataStore>(store: &S, ops: Vec<MetaOp>) -> (usize, Conflict) {
    match store.multi(ops).await {
        Err(MultiError::Conflict {
            index, conflict, ..
        }) => (index, conflict),
        other => panic!("not a conflict: {other:?}"),
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

pub(crate) async fn the_root_is_there_and_empty<H: Harness>(harness: &mut H) {
    let store = harness.open();
    assert_eq!(data(&store, "/").await.as_deref(), Some(""));
    assert_eq!(store.children(&NodePath::root()).await, Ok(Some(vec![])));
    assert_eq!(store.read(&path("/a")).await, Ok(None));
    assert_eq!(store.children(&path("/a")).await, Ok(None));
    assert_eq!(
        refused(&store, vec![delete("/", None)]).await,
        (0, Conflict::NotEmpty)
    );
    assert_eq!(
        refused(&store, vec![create("/", "x")]).await,
        (0, Conflict::NodeExists)
    );
}

pub(crate) async fn a_created_node_is_read_back<H: Harness>(harness: &mut H) {
    let store = harness.open();
    let results = store.multi(vec![create("/a", "one")]).await.unwrap();
    let node = store.read(&path("/a")).await.unwrap().unwrap();
    assert_eq!(node.data, b"one");
    assert_eq!(results, [OpResult::Created(node.stat)]);
    assert_eq!(node.stat.version, Version::FIRST);
    assert_eq!(node.stat.czxid, node.stat.mzxid);
    assert_eq!(node.stat.ephemeral_owner, None);
}

pub(crate) async fn versions_count_sets<H: Harness>(harness: &mut H) {
    let store = harness.open();
    store.multi(vec![create("/a", "0")]).await.unwrap();
    let created = store.read(&path("/a")).await.unwrap().unwrap().stat;
    for version in 0..3 {
        store
            .multi(vec![set("/a", "x", Some(version))])
            .await
            .unwrap();
    }
    store
        .multi(vec![set("/a", "whichever", None)])
        .await
        .unwrap();
    let node = store.read(&path("/a")).await.unwrap().unwrap();
    assert_eq!(node.stat.version, Version::new(4));
    assert_eq!(node.stat.czxid, created.czxid);
    assert!(node.stat.mzxid > created.mzxid);
    store
        .multi(vec![delete("/a", Some(4)), create("/a", "new")])
        .await
        .unwrap();
    let again = store.read(&path("/a")).await.unwrap().unwrap().stat;
    assert_eq!(again.version, Version::FIRST);
    assert!(again.czxid > node.stat.mzxid);
}

pub(crate) async fn zxids_grow_and_one_multi_has_one<H: Harness>(harness: &mut H) {
    let store = harness.open();
    store
        .multi(vec![
            create("/a", ""),
            create("/b", ""),
            set("/a", "x", None),
        ])
        .await
        .unwrap();
    store.multi(vec![create("/c", "")]).await.unwrap();
    let mut stats = Vec::new();
    for at in ["/a", "/b", "/c"] {
        stats.push(store.read(&path(at)).await.unwrap().unwrap().stat);
    }
    assert_eq!(stats[0].czxid, stats[1].czxid);
    assert_eq!(stats[0].mzxid, stats[0].czxid);
    assert!(stats[2].czxid > stats[1].czxid);
}

pub(crate) async fn a_parent_must_exist<H: Harness>(harness: &mut H) {
    let store = harness.open();
    assert_eq!(
        refused(&store, vec![create("/a/b", "")]).await,
        (0, Conflict::NoNode)
    );
    assert_eq!(
        refused(&store, vec![create("/a/b", ""), create("/a", "")]).await,
        (0, Conflict::NoNode)
    );
    store
        .multi(vec![create("/a", ""), create("/a/b", "")])
        .await
        .unwrap();
}

pub(crate) async fn a_node_is_created_once<H: Harness>(harness: &mut H) {
    let store = harness.open();
    store.multi(vec![create("/a", "first")]).await.unwrap();
    assert_eq!(
        refused(&store, vec![create("/a", "second")]).await,
        (0, Conflict::NodeExists)
    );
    assert_eq!(
        refused(&store, vec![create_ephemeral("/a", "third")]).await,
        (0, Conflict::NodeExists)
    );
    assert_eq!(data(&store, "/a").await.as_deref(), Some("first"));
}

pub(crate) async fn wrong_versions_are_refused<H: Harness>(harness: &mut H) {
    let store = harness.open();
    store.multi(vec![create("/a", "0")]).await.unwrap();
    store.multi(vec![set("/a", "1", Some(0))]).await.unwrap();
    for stale in [
        set("/a", "x", Some(0)),
        check("/a", Some(0)),
        delete("/a", Some(2)),
    ] {
        assert_eq!(
            refused(&store, vec![stale]).await,
            (0, Conflict::BadVersion)
        );
    }
    for missing in [set("/b", "x", None), check("/b", None), delete("/b", None)] {
        assert_eq!(refused(&store, vec![missing]).await, (0, Conflict::NoNode));
    }
    assert_eq!(data(&store, "/a").await.as_deref(), Some("1"));
}

pub(crate) async fn a_node_with_children_stays<H: Harness>(harness: &mut H) {
    let store = harness.open();
    // A neighbour whose name begins alike is no child.
    store
        .multi(vec![
            create("/a", ""),
            create("/a/b", ""),
            create("/a-b", ""),
        ])
        .await
        .unwrap();
    assert_eq!(
        refused(&store, vec![delete("/a", None)]).await,
        (0, Conflict::NotEmpty)
    );
    assert_eq!(
        refused(
            &store,
            vec![create("/c", ""), create("/c/d", ""), delete("/c", None)]
        )
        .await,
        (2, Conflict::NotEmpty)
    );
    store
        .multi(vec![delete("/a/b", None), delete("/a", None)])
        .await
        .unwrap();
    assert_eq!(
        store.children(&NodePath::root()).await,
        Ok(Some(vec!["a-b".to_owned()]))
    );
}

pub(crate) async fn a_failed_multi_does_nothing<H: Harness>(harness: &mut H) {
    let store = harness.open();
    store
        .multi(vec![create("/a", "0"), create("/b", "0")])
        .await
        .unwrap();
    let ops = vec![
        create("/c", ""),
        set("/a", "1", Some(0)),
        delete("/b", Some(0)),
        check("/a", Some(0)),
    ];
    assert_eq!(refused(&store, ops).await, (3, Conflict::BadVersion));
    assert_eq!(data(&store, "/a").await.as_deref(), Some("0"));
    assert_eq!(data(&store, "/b").await.as_deref(), Some("0"));
    assert_eq!(data(&store, "/c").await, None);
}

pub(crate) async fn a_multi_sees_its_own_effects<H: Harness>(harness: &mut H) {
    let store = harness.open();
    let ops = vec![
        create("/a", "0"),
        set("/a", "1", Some(0)),
        check("/a", Some(1)),
        create("/a/b", "x"),
        delete("/a/b", Some(0)),
        delete("/a", Some(1)),
    ];
    assert_eq!(store.multi(ops).await.unwrap().len(), 6);
    assert_eq!(store.children(&NodePath::root()).await, Ok(Some(vec![])));
}

pub(crate) async fn a_node_is_replaced_in_one_multi<H: Harness>(harness: &mut H) {
    let store = harness.open();
    store.multi(vec![create("/a", "old")]).await.unwrap();
    let old = store.read(&path("/a")).await.unwrap().unwrap().stat;
    let results = store
        .multi(vec![delete("/a", Some(0)), create_ephemeral("/a", "new")])
        .await
        .unwrap();
    let new = store.read(&path("/a")).await.unwrap().unwrap();
    assert_eq!(results, [OpResult::Deleted, OpResult::Created(new.stat)]);
    assert_eq!(new.data, b"new");
    assert!(new.stat.czxid > old.czxid);
    assert_eq!(new.stat.ephemeral_owner, Some(store.session().id));
}

pub(crate) async fn children_are_direct_ones_in_byte_order<H: Harness>(harness: &mut H) {
    let store = harness.open();
    let nodes = [
        "/a",
        "/a/z",
        "/a/10",
        "/a/9",
        "/a/9/deep",
        "/a/9/deep/er",
        "/a/9-",
        "/a/9.x",
        "/a/90",
        "/a0",
        "/ab",
    ];
    store
        .multi(nodes.map(|at| create(at, "")).into())
        .await
        .unwrap();
    let children = store.children(&path("/a")).await.unwrap().unwrap();
    assert_eq!(children, ["10", "9", "9-", "9.x", "90", "z"]);
    assert_eq!(
        store.children(&path("/a/9")).await.unwrap().unwrap(),
        ["deep"]
    );
    assert_eq!(
        store.children(&path("/a/z")).await.unwrap().unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(
        store.children(&NodePath::root()).await.unwrap().unwrap(),
        ["a", "a0", "ab"]
    );
}

pub(crate) async fn an_empty_multi_does_nothing<H: Harness>(harness: &mut H) {
    let store = harness.open();
    assert_eq!(store.multi(vec![]).await, Ok(vec![]));
}

pub(crate) async fn a_multi_of_checks_writes_nothing<H: Harness>(harness: &mut H) {
    let store = harness.open();
    store.multi(vec![create("/a", "0")]).await.unwrap();
    let before = store.read(&path("/a")).await;
    assert_eq!(
        store
            .multi(vec![check("/a", Some(0)), check("/", None)])
            .await,
        Ok(vec![OpResult::Checked; 2])
    );
    assert_eq!(store.read(&path("/a")).await, before);
}

pub(crate) async fn oversized_multis_are_refused<H: Harness>(harness: &mut H) {
    let store = harness.open();
    let many = vec![check("/", None); limits::MULTI_OPS_MAX + 1];
    assert!(matches!(
        store.multi(many).await,
        Err(MultiError::TooManyOps { .. })
    ));
    store
        .multi(vec![check("/", None); limits::MULTI_OPS_MAX])
        .await
        .unwrap();
    let large = vec![create("/a", &"x".repeat(limits::MULTI_BYTES_MAX))];
    assert!(matches!(
        store.multi(large).await,
        Err(MultiError::TooLarge { .. })
    ));
    let fits = "x".repeat(limits::MULTI_BYTES_MAX - limits::OP_OVERHEAD_BYTES - 2);
    store.multi(vec![create("/a", &fits)]).await.unwrap();
    assert_eq!(data(&store, "/a").await, Some(fits));
}

pub(crate) async fn ephemeral_nodes_name_their_session_and_have_no_children<H: Harness>(
    harness: &mut H,
) {
    let store = harness.open();
    store
        .multi(vec![create_ephemeral("/e", "me")])
        .await
        .unwrap();
    let stat = store.read(&path("/e")).await.unwrap().unwrap().stat;
    assert_eq!(stat.ephemeral_owner, Some(store.session().id));
    assert_eq!(
        refused(&store, vec![create("/e/child", "")]).await,
        (0, Conflict::EphemeralParent)
    );
    store
        .multi(vec![set("/e", "still me", Some(0))])
        .await
        .unwrap();
    let stat = store.read(&path("/e")).await.unwrap().unwrap().stat;
    assert_eq!(stat.ephemeral_owner, Some(store.session().id));
}

pub(crate) async fn ephemeral_nodes_go_with_their_session<H: Harness>(harness: &mut H) {
    let store = harness.open();
    store
        .multi(vec![
            create("/ids", ""),
            create_ephemeral("/ids/1", "a"),
            create_ephemeral("/top", "b"),
        ])
        .await
        .unwrap();
    let first = store.session().id;
    let store = harness.reopen(store);
    assert_ne!(store.session().id, first);
    assert_eq!(
        store.children(&path("/ids")).await.unwrap().unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(
        store.children(&NodePath::root()).await.unwrap().unwrap(),
        ["ids"]
    );
}

pub(crate) async fn persistent_nodes_outlive_sessions<H: Harness>(harness: &mut H) {
    let mut store = harness.open();
    store
        .multi(vec![
            create("/a", "0"),
            create("/a/b", "x"),
            create("/gone", ""),
        ])
        .await
        .unwrap();
    store
        .multi(vec![set("/a", "1", Some(0)), delete("/gone", Some(0))])
        .await
        .unwrap();
    let (a, b) = (
        store.read(&path("/a")).await,
        store.read(&path("/a/b")).await,
    );
    for _restart in 0..3 {
        store = harness.reopen(store);
        assert_eq!(store.read(&path("/a")).await, a);
        assert_eq!(store.read(&path("/a/b")).await, b);
        assert_eq!(store.read(&path("/gone")).await, Ok(None));
    }
    store.multi(vec![set("/a", "2", Some(1))]).await.unwrap();
}

pub(crate) async fn zxids_grow_over_sessions<H: Harness>(harness: &mut H) {
    let mut store = harness.open();
    let mut last = Zxid::new(0);
    for _restart in 0..4 {
        store.multi(vec![create_ephemeral("/e", "")]).await.unwrap();
        let czxid = store.read(&path("/e")).await.unwrap().unwrap().stat.czxid;
        assert!(czxid > last, "{czxid} after {last}");
        last = czxid;
        store = harness.reopen(store);
    }
}

pub(crate) async fn an_ephemeral_node_may_take_a_persistent_ones_place<H: Harness>(
    harness: &mut H,
) {
    let store = harness.open();
    store.multi(vec![create("/a", "persistent")]).await.unwrap();
    store
        .multi(vec![
            delete("/a", None),
            create_ephemeral("/a", "ephemeral"),
        ])
        .await
        .unwrap();
    let store = harness.reopen(store);
    assert_eq!(data(&store, "/a").await, None);
    store
        .multi(vec![create_ephemeral("/a", "ephemeral")])
        .await
        .unwrap();
    store
        .multi(vec![delete("/a", None), create("/a", "persistent")])
        .await
        .unwrap();
    let store = harness.reopen(store);
    assert_eq!(data(&store, "/a").await.as_deref(), Some("persistent"));
}

pub(crate) async fn a_closed_session_answers_nothing<H: Harness>(harness: &mut H) {
    let store = harness.open();
    store
        .multi(vec![create("/a", ""), create_ephemeral("/e", "")])
        .await
        .unwrap();
    store.close().await;
    assert_eq!(store.session().status, SessionStatus::Ended);
    assert_eq!(store.read(&path("/a")).await, Err(StoreError::SessionEnded));
    assert_eq!(
        store.children(&path("/a")).await,
        Err(StoreError::SessionEnded)
    );
    assert!(matches!(
        store.watch(&path("/a"), WatchKind::Node).await,
        Err(StoreError::SessionEnded)
    ));
    let refused = store.multi(vec![create("/b", "")]).await;
    assert_eq!(refused, Err(MultiError::NotDone(StoreError::SessionEnded)));
    store.close().await;
    let store = harness.reopen(store);
    assert_eq!(
        store.children(&NodePath::root()).await.unwrap().unwrap(),
        ["a"]
    );
}

pub(crate) async fn a_session_that_ends_is_told<H: Harness>(harness: &mut H) {
    let store = harness.open();
    let seen = store.session();
    assert_eq!(seen.status, SessionStatus::Connected);
    let mut changed = store.session_changed(&seen);
    assert!(poll_once(&mut changed).is_none());
    store.close().await;
    assert_eq!(changed.await.status, SessionStatus::Ended);
    assert_eq!(
        store.session_changed(&seen).await.status,
        SessionStatus::Ended
    );
}

pub(crate) async fn a_node_watch_fires_once_for_each_kind_of_change<H: Harness>(harness: &mut H) {
    let store = harness.open();
    for change in [create("/a", ""), set("/a", "1", None), delete("/a", None)] {
        let mut watch = store.watch(&path("/a"), WatchKind::Node).await.unwrap();
        assert!(poll_once(&mut watch).is_none());
        store
            .multi(vec![create("/elsewhere", ""), delete("/elsewhere", None)])
            .await
            .unwrap();
        assert!(poll_once(&mut watch).is_none());
        store.multi(vec![change]).await.unwrap();
        assert_eq!(watch.await, WatchEvent::Changed);
    }
}

pub(crate) async fn a_children_watch_fires_for_children_only<H: Harness>(harness: &mut H) {
    let store = harness.open();
    store.multi(vec![create("/a", "")]).await.unwrap();
    let at = path("/a");
    let children = || store.watch(&at, WatchKind::Children);
    let mut watch = children().await.unwrap();
    store.multi(vec![set("/a", "1", None)]).await.unwrap();
    assert!(poll_once(&mut watch).is_none());
    store.multi(vec![create("/a/b", "")]).await.unwrap();
    assert_eq!(watch.await, WatchEvent::Changed);

    let mut watch = children().await.unwrap();
    store
        .multi(vec![set("/a/b", "1", None), create("/a/b/c", "")])
        .await
        .unwrap();
    assert!(poll_once(&mut watch).is_none());
    store
        .multi(vec![delete("/a/b/c", None), delete("/a/b", None)])
        .await
        .unwrap();
    assert_eq!(watch.await, WatchEvent::Changed);

    let watch = children().await.unwrap();
    store.multi(vec![delete("/a", None)]).await.unwrap();
    assert_eq!(watch.await, WatchEvent::Changed);
}

pub(crate) async fn a_watch_does_not_fire_for_what_failed<H: Harness>(harness: &mut H) {
    let store = harness.open();
    let mut watch = store.watch(&path("/a"), WatchKind::Node).await.unwrap();
    refused(&store, vec![create("/a", ""), check("/b", None)]).await;
    assert!(poll_once(&mut watch).is_none());
}

pub(crate) async fn children_of_nothing_cannot_be_watched<H: Harness>(harness: &mut H) {
    let store = harness.open();
    let refused = store.watch(&path("/a"), WatchKind::Children).await;
    assert!(matches!(refused, Err(StoreError::NoNode { .. })));
}

pub(crate) async fn watches_are_lost_with_the_session<H: Harness>(harness: &mut H) {
    let store = harness.open();
    let watch = store.watch(&path("/a"), WatchKind::Node).await.unwrap();
    store.close().await;
    assert_eq!(watch.await, WatchEvent::Lost);
}
