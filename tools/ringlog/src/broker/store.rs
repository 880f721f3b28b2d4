//! The metadata store of a broker: in its data directory, or ZooKeeper.

use std::rc::Rc;
use std::time::Duration;

use ringlog_coord::store::{EmbeddedStore, MetadataStore, SessionStatus, ZooKeeperStore};
use ringlog_server::BrokerHandle;

use super::settings::Settings;
use crate::error::CommandError;

/// The file of the embedded metadata store in the data directory.
const STORE_FILE: &str = "metadata.redb";

/// After how long without contact ZooKeeper takes a broker for gone.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a broker that starts waits for ZooKeeper.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the store, or a session with it.
pub(super) async fn open(settings: &Settings) -> Result<Rc<dyn MetadataStore>, CommandError> {
    if let Some(address) = &settings.zookeeper {
        let store = ZooKeeperStore::connect(address, SESSION_TIMEOUT, PATIENCE).await;
        let store = store.map_err(|error| CommandError::failed("start the broker", error))?;
        tracing::info!(%address, session = %store.session().id, "the metadata is in ZooKeeper");
        return Ok(Rc::new(store));
    }
    let store = EmbeddedStore::open(&settings.broker.data_dir.join(STORE_FILE))
        .map_err(|error| CommandError::failed("start the broker", error))?;
    Ok(Rc::new(store))
}

/// Drains the broker once its session with ZooKeeper has ended: it is registered no more, so others may take it for
/// gone. Never returns: draining ends the control task.
pub(super) async fn drain_when_lost(
    settings: &Settings,
    store: &Rc<dyn MetadataStore>,
    broker: &BrokerHandle,
) {
    let mut session = store.session();
    while settings.zookeeper.is_none() || session.status != SessionStatus::Ended {
        session = store.session_changed(&session).await;
    }
    tracing::error!("the session with ZooKeeper has ended: the broker stops");
    // It may be stopping already.
    broker.shutdown().await.ok();
    std::future::pending().await
}

/// The reason why a broker whose session with ZooKeeper has ended did not go on.
pub(super) fn is_lost(
    settings: &Settings,
    store: &Rc<dyn MetadataStore>,
) -> Result<(), CommandError> {
    if settings.zookeeper.is_none() || store.session().status != SessionStatus::Ended {
        return Ok(());
    }
    let reason =
        "the session with ZooKeeper has ended; start the broker again, which registers it anew";
    Err(CommandError::failed("go on", reason))
}
