//! The metadata store of a broker: in its data directory, or ZooKeeper; and the clock beside it.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use ringlog_coord::store::{
    EmbeddedStore, MetadataStore, ZooKeeperAccess, ZooKeeperAddress, ZooKeeperStore,
};
use ringlog_server::Surroundings;
use rustix::time::{ClockId, clock_gettime};

use super::settings::Settings;
use crate::error::CommandError;

/// The file of the embedded metadata store in the data directory.
const STORE_FILE: &str = "metadata.redb";

/// After how long without contact ZooKeeper takes a broker for gone.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a broker that starts waits for ZooKeeper.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pause before it is asked for another session.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a broker keeps its metadata, and what time it is.
#[derive(Clone)]
pub(super) struct Metadata {
    zookeeper: Option<(ZooKeeperAddress, ZooKeeperAccess)>,
    /// The session of the start, until it is taken, and the one in use.
    sessions: Rc<RefCell<Sessions>>,
}

struct Sessions {
    first: Option<Rc<dyn MetadataStore>>,
    current: Rc<dyn MetadataStore>,
}

impl Metadata {
    /// Opens the store, or a session with it.
    pub(super) async fn open(settings: &Settings) -> Result<Self, CommandError> {
        let access = &settings.zookeeper_access;
        let zookeeper = settings.zookeeper.clone();
        let zookeeper = zookeeper.map(|address| (address, access.clone()));
        let first = match &zookeeper {
            Some((address, access)) => {
                let store = connect(address, access).await;
                store.map_err(|error| CommandError::failed("start the broker", error))?
            }
            None => embedded(&settings.broker.data_dir)?,
        };
        Ok(Self {
            zookeeper,
            sessions: Rc::new(RefCell::new(Sessions {
                first: Some(Rc::clone(&first)),
                current: first,
            })),
        })
    }

    /// Ends the session that is in use: the broker is about to end without a word.
    pub(super) async fn close(&self) {
        let current = Rc::clone(&self.sessions.borrow().current);
        current.close().await;
    }
}

async fn connect(
    address: &ZooKeeperAddress,
    access: &ZooKeeperAccess,
) -> Result<Rc<dyn MetadataStore>, String> {
    let store = ZooKeeperStore::connect(address, access, SESSION_TIMEOUT, PATIENCE).await;
    let store = store.map_err(|error| error.to_string())?;
    tracing::info!(%address, session = %store.session().id, "the metadata is in ZooKeeper");
    Ok(Rc::new(store))
}

fn embedded(data_dir: &Path) -> Result<Rc<dyn MetadataStore>, CommandError> {
    let store = EmbeddedStore::open(&data_dir.join(STORE_FILE))
        .map_err(|error| CommandError::failed("start the broker", error))?;
    Ok(Rc::new(store))
}

impl Surroundings for Metadata {
    type Store = Rc<dyn MetadataStore>;

    fn now(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
        Duration::new(seconds, nanos)
    }

    fn sleep(&self, time: Duration) -> LocalBoxFuture<'static, ()> {
        tokio::time::sleep(time).boxed_local()
    }

    fn open(&self) -> LocalBoxFuture<'static, Result<Self::Store, String>> {
        let sessions = Rc::clone(&self.sessions);
        let zookeeper = self.zookeeper.clone();
        let first = sessions.borrow_mut().first.take();
        async move {
            if let Some(first) = first {
                return Ok(first);
            }
            let Some((address, access)) = zookeeper else {
                // The file has failed: what is known is served on, and nothing is changed before the next start.
                return std::future::pending().await;
            };
            loop {
                match connect(&address, &access).await {
                    Ok(store) => {
                        sessions.borrow_mut().current = Rc::clone(&store);
                        return Ok(store);
                    }
                    Err(error) => {
                        tracing::warn!(error, "ZooKeeper is not reached; the broker tries again");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
        .boxed_local()
    }
}
