//! Nodes, versions and multis.

use super::{Harness, check, create, create_ephemeral, data, delete, path, refused, set};
use crate::limits;
use crate::store::{Conflict, MetadataStore, MultiError, NodePath, OpResult, Version};

pub(crate) async fn the_root_is_there_and_empty<H: Harness>(harness: &mut H) {
    let store = harness.open().await;
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
    let store = harness.open().await;
    let results = store.multi(vec![create("/a", "one")]).await.unwrap();
    let node = store.read(&path("/a")).await.unwrap().unwrap();
    assert_eq!(node.data, b"one");
    assert_eq!(results, [OpResult::Created]);
    assert_eq!(node.stat.version, Version::FIRST);
    assert_eq!(node.stat.czxid, node.stat.mzxid);
    assert_eq!(node.stat.ephemeral_owner, None);
}

pub(crate) async fn versions_count_sets<H: Harness>(harness: &mut H) {
    let store = harness.open().await;
    store.multi(vec![create("/a", "0")]).await.unwrap();
    let created = store.read(&path("/a")).await.unwrap().unwrap().stat;
    for version in 0..3 {
        store
            .multi(vec![set("/a", "x", Some(version))])
            .await
            .unwrap();
    }
    let results = store
        .multi(vec![set("/a", "whichever", None)])
        .await
        .unwrap();
    let node = store.read(&path("/a")).await.unwrap().unwrap();
    assert_eq!(results, [OpResult::Set(node.stat)]);
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
    let store = harness.open().await;
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
    let store = harness.open().await;
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
    let store = harness.open().await;
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
    let store = harness.open().await;
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
    let store = harness.open().await;
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
    let store = harness.open().await;
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
    let store = harness.open().await;
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
    let store = harness.open().await;
    store.multi(vec![create("/a", "old")]).await.unwrap();
    let old = store.read(&path("/a")).await.unwrap().unwrap().stat;
    let results = store
        .multi(vec![delete("/a", Some(0)), create_ephemeral("/a", "new")])
        .await
        .unwrap();
    let new = store.read(&path("/a")).await.unwrap().unwrap();
    assert_eq!(results, [OpResult::Deleted, OpResult::Created]);
    assert_eq!(new.data, b"new");
    assert!(new.stat.czxid > old.czxid);
    assert_eq!(new.stat.ephemeral_owner, Some(store.session().id));
}

pub(crate) async fn children_are_direct_ones_in_byte_order<H: Harness>(harness: &mut H) {
    let store = harness.open().await;
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
    let store = harness.open().await;
    assert_eq!(store.multi(vec![]).await, Ok(vec![]));
}

pub(crate) async fn a_multi_of_checks_writes_nothing<H: Harness>(harness: &mut H) {
    let store = harness.open().await;
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
    let store = harness.open().await;
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
