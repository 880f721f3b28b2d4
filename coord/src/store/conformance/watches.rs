//! Watches of a session that stays connected.

use super::{Harness, check, create, delete, path, poll_once, refused, set};
use crate::store::{MetadataStore, StoreError, WatchEvent, WatchKind};

pub(crate) async fn a_node_watch_fires_once_for_each_kind_of_change<H: Harness>(harness: &mut H) {
    let store = harness.open().await;
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
    let store = harness.open().await;
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
    let store = harness.open().await;
    let mut watch = store.watch(&path("/a"), WatchKind::Node).await.unwrap();
    refused(&store, vec![create("/a", ""), check("/b", None)]).await;
    assert!(poll_once(&mut watch).is_none());
}

pub(crate) async fn a_watch_given_up_leaves_the_others<H: Harness>(harness: &mut H) {
    let store = harness.open().await;
    store.multi(vec![create("/a", "")]).await.unwrap();
    let at = path("/a");
    for kind in [WatchKind::Node, WatchKind::Children] {
        let given_up = store.watch(&at, kind).await.unwrap();
        let mut node = store.watch(&at, WatchKind::Node).await.unwrap();
        let mut children = store.watch(&at, WatchKind::Children).await.unwrap();
        drop(given_up);
        // Whatever giving it up sends, the store has dealt with it once it answers this.
        store.read(&at).await.unwrap();
        store.multi(vec![create("/a/b", "")]).await.unwrap();
        assert_eq!(poll_once(&mut children), Some(WatchEvent::Changed));
        assert!(poll_once(&mut node).is_none());
        store
            .multi(vec![delete("/a/b", None), set("/a", "x", None)])
            .await
            .unwrap();
        assert_eq!(poll_once(&mut node), Some(WatchEvent::Changed));
    }
}

/// What a loop does that follows a node: watch, read, wait, and again.
pub(crate) async fn a_watch_may_be_set_again_at_once<H: Harness>(harness: &mut H) {
    let store = harness.open().await;
    let at = path("/a");
    store.multi(vec![create("/a", "0")]).await.unwrap();
    for round in 0..20 {
        let watch = store.watch(&at, WatchKind::Node).await.unwrap();
        let other = store.watch(&at, WatchKind::Node).await.unwrap();
        store
            .multi(vec![set("/a", &round.to_string(), Some(round))])
            .await
            .unwrap();
        assert_eq!(watch.await, WatchEvent::Changed);
        assert_eq!(other.await, WatchEvent::Changed);
    }
}

pub(crate) async fn children_of_nothing_cannot_be_watched<H: Harness>(harness: &mut H) {
    let store = harness.open().await;
    let refused = store.watch(&path("/a"), WatchKind::Children).await;
    assert!(matches!(refused, Err(StoreError::NoNode { .. })));
}

pub(crate) async fn watches_are_lost_with_the_session<H: Harness>(harness: &mut H) {
    let store = harness.open().await;
    let watch = store.watch(&path("/a"), WatchKind::Node).await.unwrap();
    store.close().await;
    assert_eq!(watch.await, WatchEvent::Lost);
}
