//! Several clients, and connections that are cut.

use super::{Lost, Remote, create, create_ephemeral, data, delete, path, poll_once, refused, set};
use crate::store::{
    Conflict, MetadataStore, MultiError, SessionStatus, StoreError, WatchEvent, WatchKind,
};

/// Waits until the session is in that state.
async fn until<S: MetadataStore>(store: &S, status: SessionStatus) {
    let mut session = store.session();
    while session.status != status {
        session = store.session_changed(&session).await;
    }
}

async fn cut_and_told<H: Remote>(harness: &mut H, store: &H::Store) {
    harness.cut(store);
    until(store, SessionStatus::Disconnected).await;
}

async fn restored<H: Remote>(harness: &mut H, store: &H::Store) {
    harness.restore(store);
    until(store, SessionStatus::Connected).await;
}

pub(crate) async fn sessions_see_what_others_wrote<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    let other = harness.witness().await;
    assert_ne!(store.session().id, other.session().id);
    store.multi(vec![create("/a", "one")]).await.unwrap();
    // A write of one's own, since a read alone may be stale.
    other.multi(vec![create("/b", "")]).await.unwrap();
    assert_eq!(data(&other, "/a").await.as_deref(), Some("one"));
    assert_eq!(
        refused(&other, vec![set("/a", "two", Some(1))]).await,
        (0, Conflict::BadVersion)
    );
    other.multi(vec![set("/a", "two", Some(0))]).await.unwrap();
    assert_eq!(
        refused(&store, vec![set("/a", "three", Some(0))]).await,
        (0, Conflict::BadVersion)
    );
}

pub(crate) async fn of_two_creates_one_is_done<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    let other = harness.witness().await;
    let (one, two) = futures_util::join!(
        store.multi(vec![create_ephemeral("/office", "one")]),
        other.multi(vec![create_ephemeral("/office", "two")]),
    );
    let (winner, loser) = match (one.is_ok(), two.is_ok()) {
        (true, false) => (store.session().id, two),
        (false, true) => (other.session().id, one),
        both => panic!("{both:?}"),
    };
    assert!(matches!(
        loser,
        Err(MultiError::Conflict {
            conflict: Conflict::NodeExists,
            ..
        })
    ));
    let node = store.read(&path("/office")).await.unwrap().unwrap();
    assert_eq!(node.stat.ephemeral_owner, Some(winner));
}

pub(crate) async fn ephemeral_nodes_end_with_their_own_session_only<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    let other = harness.witness().await;
    store
        .multi(vec![create_ephemeral("/one", "")])
        .await
        .unwrap();
    other
        .multi(vec![create_ephemeral("/two", "")])
        .await
        .unwrap();
    let watch = other.watch(&path("/one"), WatchKind::Node).await.unwrap();
    store.close().await;
    assert_eq!(watch.await, WatchEvent::Changed);
    assert_eq!(data(&other, "/one").await, None);
    assert_eq!(data(&other, "/two").await.as_deref(), Some(""));
}

/// What a restarted broker does before its old session has ended.
pub(crate) async fn an_ephemeral_node_is_taken_over_from_a_session_that_lives<H: Remote>(
    harness: &mut H,
) {
    let old = harness.open().await;
    let new = harness.witness().await;
    old.multi(vec![create_ephemeral("/id", "old")])
        .await
        .unwrap();
    // A write of one's own, since a read alone may be stale.
    new.multi(vec![create("/a", "")]).await.unwrap();
    let found = new.read(&path("/id")).await.unwrap().unwrap();
    new.multi(vec![
        delete("/id", Some(found.stat.version.get())),
        create_ephemeral("/id", "new"),
    ])
    .await
    .unwrap();
    old.close().await;
    let kept = new.read(&path("/id")).await.unwrap().unwrap();
    assert_eq!(kept.data, b"new");
    assert_eq!(kept.stat.ephemeral_owner, Some(new.session().id));
    assert!(kept.stat.czxid > found.stat.czxid);
}

pub(crate) async fn watches_fire_for_the_writes_of_others<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    let other = harness.witness().await;
    store.multi(vec![create("/ids", "")]).await.unwrap();
    let at = path("/ids");
    let children = store.watch(&at, WatchKind::Children).await.unwrap();
    let node = store.watch(&path("/n"), WatchKind::Node).await.unwrap();
    // A write of one's own, since the other's server may be behind.
    other.multi(vec![create("/n", "")]).await.unwrap();
    other
        .multi(vec![create_ephemeral("/ids/1", "")])
        .await
        .unwrap();
    assert_eq!(node.await, WatchEvent::Changed);
    assert_eq!(children.await, WatchEvent::Changed);
    // Whoever is told of a change can see it.
    assert_eq!(store.children(&at).await, Ok(Some(vec!["1".to_owned()])));
}

pub(crate) async fn nothing_is_asked_while_the_connection_is_cut<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    let other = harness.witness().await;
    let seen = store.session();
    cut_and_told(harness, &store).await;
    let at = path("/a");
    assert!(matches!(
        store.read(&at).await,
        Err(StoreError::Disconnected { .. })
    ));
    assert!(matches!(
        store.children(&at).await,
        Err(StoreError::Disconnected { .. })
    ));
    assert!(matches!(
        store.watch(&at, WatchKind::Node).await,
        Err(StoreError::Disconnected { .. })
    ));
    assert!(matches!(
        store.multi(vec![create("/a", "")]).await,
        Err(MultiError::NotDone(StoreError::Disconnected { .. }))
    ));
    restored(harness, &store).await;
    let now = store.session();
    assert_eq!(now.id, seen.id);
    assert!(now.connects > seen.connects);
    // What was refused is not done later either.
    store.multi(vec![create("/b", "")]).await.unwrap();
    assert_eq!(data(&store, "/a").await, None);
    assert_eq!(data(&other, "/a").await, None);
}

pub(crate) async fn a_session_outlives_a_cut<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    let other = harness.witness().await;
    store.multi(vec![create_ephemeral("/e", "")]).await.unwrap();
    let before = store.read(&path("/e")).await;
    cut_and_told(harness, &store).await;
    other.multi(vec![create("/b", "")]).await.unwrap();
    assert_eq!(data(&other, "/e").await.as_deref(), Some(""));
    restored(harness, &store).await;
    assert_eq!(store.read(&path("/e")).await, before);
    store.multi(vec![set("/e", "mine", None)]).await.unwrap();
}

pub(crate) async fn a_watch_ends_when_the_node_changed_during_a_cut<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    let other = harness.witness().await;
    store.multi(vec![create("/a", "0")]).await.unwrap();
    let (at, absent) = (path("/a"), path("/absent"));
    let node = store.watch(&at, WatchKind::Node).await.unwrap();
    let children = store.watch(&at, WatchKind::Children).await.unwrap();
    let creation = store.watch(&absent, WatchKind::Node).await.unwrap();
    cut_and_told(harness, &store).await;
    other
        .multi(vec![
            set("/a", "1", None),
            create("/a/b", ""),
            create("/absent", ""),
        ])
        .await
        .unwrap();
    restored(harness, &store).await;
    // Changed or lost: either way the user reads again, and sees what happened.
    futures_util::join!(node, children, creation);
    assert_eq!(data(&store, "/a").await.as_deref(), Some("1"));
    assert_eq!(store.children(&at).await, Ok(Some(vec!["b".to_owned()])));
    assert_eq!(data(&store, "/absent").await.as_deref(), Some(""));
}

/// A client that does not set its watches again after a reconnect is told nothing of what changes from then on.
pub(crate) async fn a_watch_is_not_silent_after_a_cut<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    let other = harness.witness().await;
    store.multi(vec![create("/a", "0")]).await.unwrap();
    let at = path("/a");
    let node = store.watch(&at, WatchKind::Node).await.unwrap();
    let children = store.watch(&at, WatchKind::Children).await.unwrap();
    cut_and_told(harness, &store).await;
    restored(harness, &store).await;
    other
        .multi(vec![set("/a", "1", None), create("/a/b", "")])
        .await
        .unwrap();
    // They end, by the change or by the loss of the connection: one that stayed silent would hang here.
    futures_util::join!(node, children);
}

pub(crate) async fn a_watch_set_after_a_cut_fires<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    let other = harness.witness().await;
    store.multi(vec![create("/a", "0")]).await.unwrap();
    let at = path("/a");
    let lost = store.watch(&at, WatchKind::Node).await.unwrap();
    cut_and_told(harness, &store).await;
    restored(harness, &store).await;
    lost.await;
    let mut node = store.watch(&at, WatchKind::Node).await.unwrap();
    let mut children = store.watch(&at, WatchKind::Children).await.unwrap();
    assert!(poll_once(&mut node).is_none() && poll_once(&mut children).is_none());
    other
        .multi(vec![set("/a", "1", None), create("/a/b", "")])
        .await
        .unwrap();
    assert_eq!(node.await, WatchEvent::Changed);
    assert_eq!(children.await, WatchEvent::Changed);
}

pub(crate) async fn a_session_that_expired_unseen_ends<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    let other = harness.witness().await;
    store
        .multi(vec![create("/a", ""), create_ephemeral("/e", "")])
        .await
        .unwrap();
    let watch = store.watch(&path("/a"), WatchKind::Node).await.unwrap();
    harness.expire(&store, &path("/e")).await;
    other.multi(vec![create("/b", "")]).await.unwrap();
    assert_eq!(data(&other, "/e").await, None);
    harness.restore(&store);
    until(&store, SessionStatus::Ended).await;
    assert_eq!(watch.await, WatchEvent::Lost);
    assert_eq!(store.read(&path("/a")).await, Err(StoreError::SessionEnded));
    assert_eq!(
        store.multi(vec![create("/c", "")]).await,
        Err(MultiError::NotDone(StoreError::SessionEnded))
    );
}

pub(crate) async fn a_write_that_was_lost_is_unknown_and_not_done<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    let lost = harness
        .lose(&store, Lost::Request, vec![create("/a", "")])
        .await;
    assert!(matches!(lost, Err(MultiError::Unknown { .. })), "{lost:?}");
    until(&store, SessionStatus::Connected).await;
    store.multi(vec![create("/a", "again")]).await.unwrap();
}

pub(crate) async fn a_write_whose_answer_was_lost_is_unknown_and_done<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    let ops = vec![create("/a", "0"), create_ephemeral("/e", "")];
    let lost = harness.lose(&store, Lost::Answer, ops.clone()).await;
    assert!(matches!(lost, Err(MultiError::Unknown { .. })), "{lost:?}");
    until(&store, SessionStatus::Connected).await;
    assert_eq!(refused(&store, ops).await, (0, Conflict::NodeExists));
    let node = store.read(&path("/e")).await.unwrap().unwrap();
    assert_eq!(node.stat.ephemeral_owner, Some(store.session().id));
}

pub(crate) async fn a_lost_answer_to_a_conflict_is_unknown_too<H: Remote>(harness: &mut H) {
    let store = harness.open().await;
    store.multi(vec![create("/a", "0")]).await.unwrap();
    let lost = harness
        .lose(&store, Lost::Answer, vec![set("/a", "1", Some(7))])
        .await;
    assert!(matches!(lost, Err(MultiError::Unknown { .. })), "{lost:?}");
    until(&store, SessionStatus::Connected).await;
    assert_eq!(data(&store, "/a").await.as_deref(), Some("0"));
}
