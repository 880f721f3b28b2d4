//! A simulated cluster of one broker and one client machine.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringlog_coord::store::MemoryStore;
use ringlog_log::NoBulkFiles;
use ringlog_reactor::Reactor;
use ringlog_reactor::sim::{CrashKind, NodeId, SimConfig, SimWorld};
use ringlog_server::{BrokerConfig, BrokerError, BrokerHandle, BrokerParts, OnReactor};

pub(crate) const DATA_DIR: &str = "/data";
const PATIENCE: Duration = Duration::from_secs(3600);

pub(crate) struct World {
    pub(crate) sim: SimWorld,
    pub(crate) broker: NodeId,
    pub(crate) client: NodeId,
    store: MemoryStore,
    shards: u16,
}

type Ended = Rc<RefCell<Option<Result<(), BrokerError>>>>;

/// A broker that was started.
pub(crate) struct Running {
    pub(crate) handle: BrokerHandle,
    ended: Ended,
}

impl World {
    pub(crate) fn new(seed: u64, shards: u16) -> Self {
        let sim = SimWorld::new(seed, SimConfig::default());
        let (broker, client) = (sim.add_node(), sim.add_node());
        Self {
            sim,
            broker,
            client,
            store: MemoryStore::new(),
            shards,
        }
    }

    pub(crate) fn address() -> SocketAddr {
        "10.0.0.1:9400".parse().unwrap()
    }

    pub(crate) fn config(&self) -> BrokerConfig {
        let mut config = BrokerConfig::new(PathBuf::from(DATA_DIR), Self::address());
        config.shards = NonZeroU16::new(self.shards).unwrap();
        config.memory_bytes = BrokerConfig::memory_bytes_min(config.shards);
        config.retention_interval = Duration::from_secs(5);
        config
    }

    /// The metadata store is lost: the next start finds an empty one.
    pub(crate) fn lose_store(&mut self) {
        self.store = MemoryStore::new();
    }

    /// A session of another broker of the cluster.
    pub(crate) fn another_session(&self) -> MemoryStore {
        self.store.another_session()
    }

    /// Starts a broker and waits until it serves, or says why it does not.
    pub(crate) fn try_start(&self) -> Result<Running, BrokerError> {
        self.try_start_with(self.config())
    }

    pub(crate) fn try_start_with(&self, config: BrokerConfig) -> Result<Running, BrokerError> {
        self.try_start_in(self.store.new_session(), config)
    }

    /// Starts a broker in a session that ends so long after its last contact, as one of a cluster has; gives that, too.
    pub(crate) fn start_with_timeout(&self, timeout: Duration) -> (Running, MemoryStore) {
        let session = self.store.another_session_with_timeout(timeout);
        match self.try_start_in(session.clone(), self.config()) {
            Ok(running) => (running, session),
            Err(error) => panic!("{error}"),
        }
    }

    fn try_start_in(
        &self,
        store: MemoryStore,
        config: BrokerConfig,
    ) -> Result<Running, BrokerError> {
        let platform = self.sim.platform(self.broker);
        let bulk: ringlog_server::BulkFactory = Arc::new(|_| Rc::new(NoBulkFiles));
        let parts = ringlog_server::start(&platform, config, bulk).unwrap();
        let BrokerParts {
            control,
            handle,
            mut ready,
            cores: _,
        } = parts;
        let ended: Ended = Rc::default();
        let slot = Rc::clone(&ended);
        self.sim
            .launch_local(self.broker, move |reactor| async move {
                let result = control.run(OnReactor::new(reactor, store)).await;
                *slot.borrow_mut() = Some(result);
            });
        let mut is_ready = false;
        self.sim.run_until(PATIENCE, || {
            is_ready = matches!(ready.try_recv(), Ok(Some(_)));
            is_ready || ended.borrow().is_some()
        });
        if is_ready {
            return Ok(Running { handle, ended });
        }
        Err(ended.take().expect("the broker did something").unwrap_err())
    }

    pub(crate) fn start(&self) -> Running {
        match self.try_start() {
            Ok(running) => running,
            Err(error) => panic!("{error}"),
        }
    }

    /// Stops the broker as SIGTERM does.
    pub(crate) fn stop(&self, running: Running) {
        let handle = running.handle.clone();
        self.sim
            .block_on(self.client, PATIENCE, move |_| async move {
                handle.shutdown().await
            })
            .expect("the broker stops in time")
            .unwrap();
        assert!(running.ended.borrow().as_ref().is_some_and(Result::is_ok));
        self.sim.crash(self.broker, CrashKind::Process);
    }

    pub(crate) fn crash(&self, kind: CrashKind) {
        self.sim.crash(self.broker, kind);
    }

    /// Runs a client to its end.
    pub(crate) fn client<T: 'static, F: Future<Output = T> + 'static>(
        &self,
        main: impl FnOnce(Reactor) -> F + 'static,
    ) -> T {
        self.sim
            .block_on(self.client, PATIENCE, main)
            .expect("the client came to its end")
    }
}
