//! Sessions, and the nodes that live with them.

use super::{Harness, create, create_ephemeral, data, delete, path, poll_once, refused, set};
use crate::store::{
    Conflict, MetadataStore, MultiError, NodePath, SessionStatus, StoreError, WatchKind, Zxid,
};

pub(crate) async fn ephemeral_nodes_name_their_session_and_have_no_children<H: Harness>(
    harness: &mut H,
) {
    let store = harness.open().await;
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
    let store = harness.open().await;
    store
        .multi(vec![
            create("/ids", ""),
            create_ephemeral("/ids/1", "a"),
            create_ephemeral("/top", "b"),
        ])
        .await
        .unwrap();
    let first = store.session().id;
    let store = harness.reopen(store).await;
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
    let mut store = harness.open().await;
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
        store = harness.reopen(store).await;
        assert_eq!(store.read(&path("/a")).await, a);
        assert_eq!(store.read(&path("/a/b")).await, b);
        assert_eq!(store.read(&path("/gone")).await, Ok(None));
    }
    store.multi(vec![set("/a", "2", Some(1))]).await.unwrap();
}

pub(crate) async fn zxids_grow_over_sessions<H: Harness>(harness: &mut H) {
    let mut store = harness.open().await;
    let mut last = Zxid::new(0);
    for _restart in 0..4 {
        store.multi(vec![create_ephemeral("/e", "")]).await.unwrap();
        let czxid = store.read(&path("/e")).await.unwrap().unwrap().stat.czxid;
        assert!(czxid > last, "{czxid} after {last}");
        last = czxid;
        store = harness.reopen(store).await;
    }
}

pub(crate) async fn an_ephemeral_node_may_take_a_persistent_ones_place<H: Harness>(
    harness: &mut H,
) {
    let store = harness.open().await;
    store.multi(vec![create("/a", "persistent")]).await.unwrap();
    store
        .multi(vec![
            delete("/a", None),
            create_ephemeral("/a", "ephemeral"),
        ])
        .await
        .unwrap();
    let store = harness.reopen(store).await;
    assert_eq!(data(&store, "/a").await, None);
    store
        .multi(vec![create_ephemeral("/a", "ephemeral")])
        .await
        .unwrap();
    store
        .multi(vec![delete("/a", None), create("/a", "persistent")])
        .await
        .unwrap();
    let store = harness.reopen(store).await;
    assert_eq!(data(&store, "/a").await.as_deref(), Some("persistent"));
}

pub(crate) async fn a_closed_session_answers_nothing<H: Harness>(harness: &mut H) {
    let store = harness.open().await;
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
    let store = harness.reopen(store).await;
    assert_eq!(
        store.children(&NodePath::root()).await.unwrap().unwrap(),
        ["a"]
    );
}

pub(crate) async fn a_session_that_ends_is_told<H: Harness>(harness: &mut H) {
    let store = harness.open().await;
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
