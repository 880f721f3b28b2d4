use std::future::Future;
use std::path::PathBuf;

use futures_executor::block_on;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{EmbeddedStore, OpenError};
use crate::store::conformance::{self, Harness, conformance, create};
use crate::store::{MemoryStore, MetaOp, MetadataStore, Node, NodePath, StoreError, Version};

mod power;

struct Embedded {
    directory: TempDir,
}

impl Embedded {
    fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("metadata.redb")
    }

    fn open_file(&self) -> EmbeddedStore {
        EmbeddedStore::open(&self.path()).unwrap()
    }

    fn reopen_file(&self, store: EmbeddedStore) -> EmbeddedStore {
        drop(store);
        self.open_file()
    }
}

impl Harness for Embedded {
    type Store = EmbeddedStore;

    fn block_on<F: Future<Output = ()>>(case: F) {
        block_on(case);
    }

    async fn open(&mut self) -> EmbeddedStore {
        self.open_file()
    }

    async fn reopen(&mut self, store: EmbeddedStore) -> EmbeddedStore {
        self.reopen_file(store)
    }
}

conformance!(Embedded, Embedded::new());

#[test]
fn a_store_in_use_is_refused_and_free_again_once_dropped() {
    let embedded = Embedded::new();
    let store = embedded.open_file();
    let handle = store.clone();
    drop(store);
    assert!(matches!(
        EmbeddedStore::open(&embedded.path()),
        Err(OpenError::InUse { .. })
    ));
    drop(handle);
    embedded.open_file();
}

#[test]
fn a_missing_directory_is_an_error_with_its_path() {
    let embedded = Embedded::new();
    let path = embedded.directory.path().join("missing/metadata.redb");
    let error = EmbeddedStore::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }));
    assert!(error.to_string().contains("missing/metadata.redb"));
}

#[test]
fn what_was_answered_is_there_without_a_clean_end() {
    let embedded = Embedded::new();
    let store = embedded.open_file();
    block_on(async {
        store.multi(vec![create("/a", "kept")]).await.unwrap();
    });
    // The file as it is on the device when the process is killed.
    let copy = embedded.directory.path().join("copy.redb");
    std::fs::copy(embedded.path(), &copy).unwrap();
    let reopened = EmbeddedStore::open(&copy).unwrap();
    let node = block_on(reopened.read(&conformance::path("/a")))
        .unwrap()
        .unwrap();
    assert_eq!(node.data, b"kept");
}

#[test]
fn a_full_queue_is_refused_not_waited_for() {
    let embedded = Embedded::new();
    let store = embedded.open_file();
    block_on(async {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let stuck = store.ask(move |_| released.recv().is_ok());
        let mut stuck = Box::pin(stuck);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(stuck.as_mut().poll(&mut cx).is_pending());
        let path = NodePath::root();
        let mut reads: Vec<_> = (0..=crate::limits::STORE_REQUESTS_MAX + 1)
            .map(|_| store.read(&path))
            .collect();
        let mut refused = 0;
        for read in &mut reads {
            if let std::task::Poll::Ready(answer) = read.as_mut().poll(&mut cx) {
                assert!(matches!(answer, Err(StoreError::Overloaded { .. })));
                refused += 1;
            }
        }
        assert!(refused > 0);
        release.send(()).unwrap();
    });
}

/// Every node, by path.
async fn dump<S: MetadataStore>(store: &S) -> Vec<(NodePath, Node)> {
    let mut nodes = Vec::new();
    let mut left = vec![NodePath::root()];
    while let Some(path) = left.pop() {
        let node = store.read(&path).await.unwrap().unwrap();
        left.extend(
            store
                .children(&path)
                .await
                .unwrap()
                .unwrap()
                .into_iter()
                .map(|child| path.join(child)),
        );
        nodes.push((path, node));
    }
    nodes
}

#[derive(Debug, Clone)]
enum Step {
    Multi(Vec<MetaOp>),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let path = prop_oneof![
        Just("/a"),
        Just("/a/b"),
        Just("/a/b/c"),
        Just("/a-b"),
        Just("/d"),
    ];
    let version = prop_oneof![3 => Just(None), 1 => (0_u32..3).prop_map(|version| Some(Version::new(version)))];
    let op = (path, version, 0_u8..5, any::<u8>()).prop_map(|(path, version, kind, byte)| {
        let path = conformance::path(path);
        let data = vec![byte];
        match kind {
            0 => MetaOp::CreateEphemeral { path, data },
            1 => MetaOp::Set {
                path,
                data,
                version,
            },
            2 => MetaOp::Delete { path, version },
            3 => MetaOp::Check { path, version },
            _ => MetaOp::Create { path, data },
        }
    });
    let multi = prop::collection::vec(op, 1..4).prop_map(Step::Multi);
    prop::collection::vec(prop_oneof![12 => multi, 1 => Just(Step::Reopen)], 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The versions and the data, though not the zxids: a new session takes one on disk, none in memory.
    #[test]
    fn the_file_and_the_memory_agree_over_restarts(steps in steps()) {
        let embedded = Embedded::new();
        let mut file = embedded.open_file();
        let mut memory = MemoryStore::new();
        for step in steps {
            match step {
                Step::Multi(ops) => {
                    let (on_disk, in_memory) = block_on(async {
                        (file.multi(ops.clone()).await, memory.multi(ops).await)
                    });
                    prop_assert_eq!(on_disk.map(|results| results.len()), in_memory.map(|results| results.len()));
                }
                Step::Reopen => {
                    file = embedded.reopen_file(file);
                    memory = memory.new_session();
                }
            }
            let plain = |nodes: Vec<(NodePath, Node)>| -> Vec<_> {
                nodes
                    .into_iter()
                    .map(|(path, node)| (path, node.data, node.stat.version, node.stat.ephemeral_owner.is_some()))
                    .collect()
            };
            prop_assert_eq!(plain(block_on(dump(&file))), plain(block_on(dump(&memory))));
        }
    }
}
