use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ringlog_zookeeper::{Direction, Proxy, Server};
use zookeeper_client::{AddWatchMode, Client};

use super::{ZooKeeperAccess, ZooKeeperAddress, ZooKeeperStore};
use crate::limits;
use crate::store::conformance::{
    Harness, Lost, Remote, conformance, create, data, path, remote_conformance, set,
};
use crate::store::{
    MetaOp, MetadataStore, MultiError, NodePath, OpResult, SessionStatus, StoreError, WatchEvent,
    WatchKind,
};

mod broker;

/// Neither identity nor encryption.
const OPEN: ZooKeeperAccess = ZooKeeperAccess {
    digest: None,
    tls: None,
};

/// Long enough for a machine that is busy, short enough to be waited for.
const SESSION: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(30);
/// A case that takes longer hangs.
const CASE_MAX: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);

/// One server for all tests of the process, which it ends with; each test has a root of its own.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start().unwrap())
}

struct ZooKeeper {
    proxy: Proxy,
    root: String,
}

impl ZooKeeper {
    fn new() -> Self {
        static ROOTS: AtomicU32 = AtomicU32::new(0);
        Self {
            proxy: Proxy::start(server().address()).unwrap(),
            root: format!("/test-{}", ROOTS.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn address(&self) -> ZooKeeperAddress {
        format!("{}{}", self.proxy.address(), self.root)
            .parse()
            .unwrap()
    }
}

impl Harness for ZooKeeper {
    type Store = ZooKeeperStore;

    fn block_on<F: Future<Output = ()>>(case: F) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            tokio::time::timeout(CASE_MAX, case)
                .await
                .expect("the case hangs");
        });
    }

    async fn open(&mut self) -> ZooKeeperStore {
        ZooKeeperStore::connect(&self.address(), &OPEN, SESSION, PATIENCE)
            .await
            .unwrap()
    }

    async fn reopen(&mut self, store: ZooKeeperStore) -> ZooKeeperStore {
        store.close().await;
        self.open().await
    }
}

impl Remote for ZooKeeper {
    async fn witness(&mut self) -> ZooKeeperStore {
        let address = format!("{}{}", server().address(), self.root);
        ZooKeeperStore::connect(&address.parse().unwrap(), &OPEN, SESSION, PATIENCE)
            .await
            .unwrap()
    }

    fn cut(&mut self, _: &ZooKeeperStore) {
        self.proxy.cut();
    }

    fn restore(&mut self, _: &ZooKeeperStore) {
        self.proxy.open();
    }

    async fn expire(&mut self, _: &ZooKeeperStore, ephemeral: &NodePath) {
        let witness = self.witness().await;
        self.proxy.cut();
        while witness.read(ephemeral).await.unwrap().is_some() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn lose(
        &mut self,
        store: &ZooKeeperStore,
        lost: Lost,
        ops: Vec<MetaOp>,
    ) -> Result<Vec<OpResult>, MultiError> {
        let witness = self.witness().await;
        let first = ops[0].clone();
        self.proxy.hold(match lost {
            Lost::Request => Direction::Requests,
            Lost::Answer => Direction::Answers,
        });
        let severed = async {
            tokio::time::sleep(10 * PAUSE).await;
            if lost == Lost::Answer
                && let MetaOp::Create { path, .. } = first
            {
                while witness.read(&path).await.unwrap().is_none() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
            self.proxy.sever();
            self.proxy.open();
        };
        let (outcome, ()) = futures_util::join!(store.multi(ops), severed);
        outcome
    }
}

conformance!(ZooKeeper, ZooKeeper::new());
remote_conformance!(ZooKeeper, ZooKeeper::new());

/// Why the store has none: the day this fails, the client sets them again.
#[test]
fn the_clients_persistent_watches_are_silent_after_a_reconnect() {
    ZooKeeper::block_on(async {
        let mut harness = ZooKeeper::new();
        let witness = harness.witness().await;
        witness.multi(vec![create("/a", "0")]).await.unwrap();
        let servers = harness.proxy.address().to_string();
        let client = Client::connect(&servers).await.unwrap();
        let client = client.chroot(harness.root.clone()).unwrap();
        let mut watcher = client.watch("/a", AddWatchMode::Persistent).await.unwrap();
        let mut states = client.state_watcher();
        witness.multi(vec![set("/a", "1", None)]).await.unwrap();
        assert_eq!(watcher.changed().await.path, "/a");
        harness.proxy.sever();
        while states.changed().await != zookeeper_client::SessionState::SyncConnected {}
        witness.multi(vec![set("/a", "2", None)]).await.unwrap();
        // What the server had to tell was told before this is answered.
        assert_eq!(client.get_data("/a").await.unwrap().0, b"2");
        let mut told = Vec::new();
        while let Ok(event) = tokio::time::timeout(PAUSE, watcher.changed()).await {
            told.push(event.path);
        }
        assert!(told.iter().all(String::is_empty), "{told:?}");
    });
}

#[test]
fn everything_works_over_a_slow_connection() {
    ZooKeeper::block_on(async {
        let mut harness = ZooKeeper::new();
        let store = harness.open().await;
        harness.proxy.delay(Duration::from_millis(100));
        store.multi(vec![create("/a", "0")]).await.unwrap();
        let watch = store.watch(&path("/a"), WatchKind::Node).await.unwrap();
        store.multi(vec![set("/a", "1", Some(0))]).await.unwrap();
        assert_eq!(watch.await, WatchEvent::Changed);
        assert_eq!(data(&store, "/a").await.as_deref(), Some("1"));
        assert_eq!(store.session().connects, 1);
    });
}

#[test]
fn only_so_many_requests_wait_for_an_answer() {
    ZooKeeper::block_on(async {
        let mut harness = ZooKeeper::new();
        let store = harness.open().await;
        harness.proxy.hold(Direction::Answers);
        let at = path("/a");
        let mut reads: Vec<_> = (0..=limits::ZOOKEEPER_REQUESTS_MAX)
            .map(|_| store.read(&at))
            .collect();
        let last = reads.pop().unwrap();
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(
            reads
                .iter_mut()
                .all(|read| read.as_mut().poll(&mut cx).is_pending())
        );
        assert!(matches!(last.await, Err(StoreError::Overloaded { .. })));
        harness.proxy.open();
        for read in reads {
            assert_eq!(read.await, Ok(None));
        }
        assert_eq!(store.read(&at).await, Ok(None));
    });
}

#[test]
fn the_time_out_is_the_one_that_the_server_grants() {
    ZooKeeper::block_on(async {
        let harness = ZooKeeper::new();
        let asked = Duration::from_secs(3600);
        let store = ZooKeeperStore::connect(&harness.address(), &OPEN, asked, PATIENCE)
            .await
            .unwrap();
        assert_eq!(store.session().timeout, Some(Duration::from_secs(20)));
    });
}

#[test]
fn a_server_that_is_not_there_is_an_error_with_its_address() {
    ZooKeeper::block_on(async {
        let harness = ZooKeeper::new();
        harness.proxy.cut();
        let short = Duration::from_millis(200);
        let error = ZooKeeperStore::connect(&harness.address(), &OPEN, short, short)
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&harness.address().to_string()), "{text}");
        assert!(text.contains("no server answers"), "{text}");
    });
}

#[test]
fn nodes_made_with_a_password_are_for_that_user_alone() {
    ZooKeeper::block_on(async {
        let harness = ZooKeeper::new();
        let address = harness.address();
        let user = |identity: &str| ZooKeeperAccess {
            digest: Some(identity.parse().unwrap()),
            tls: None,
        };
        let own = user("ringlog:s3cret");
        let store = ZooKeeperStore::connect(&address, &own, SESSION, PATIENCE).await;
        let store = store.unwrap();
        let ephemeral = crate::store::conformance::create_ephemeral("/e", "");
        store
            .multi(vec![create("/a", "1"), ephemeral])
            .await
            .unwrap();
        let anybody = Client::connect(&server().address().to_string())
            .await
            .unwrap();
        for node in ["", "/a", "/e"] {
            let read = anybody.get_data(&format!("{}{node}", harness.root)).await;
            assert_eq!(read.unwrap_err(), zookeeper_client::Error::NoAuth, "{node}");
        }
        let again = ZooKeeperStore::visit(&address, &own, SESSION)
            .await
            .unwrap();
        assert!(again.read(&path("/a")).await.unwrap().is_some());
        for (access, said) in [
            (OPEN, "its nodes belong to a user"),
            (user("ringlog:guessed"), "the password is wrong"),
        ] {
            let refused = ZooKeeperStore::connect(&address, &access, SESSION, PATIENCE).await;
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
    });
}

#[test]
fn a_store_that_is_dropped_leaves_no_session() {
    ZooKeeper::block_on(async {
        let mut harness = ZooKeeper::new();
        let witness = harness.witness().await;
        let store = harness.open().await;
        store
            .multi(vec![crate::store::conformance::create_ephemeral("/e", "")])
            .await
            .unwrap();
        let gone = witness.watch(&path("/e"), WatchKind::Node).await.unwrap();
        let since = std::time::Instant::now();
        drop(store);
        assert_eq!(gone.await, WatchEvent::Changed);
        assert!(since.elapsed() < SESSION, "it ended by its time-out");
        assert_eq!(witness.session().status, SessionStatus::Connected);
    });
}
