//! The way to a broker: its address, or ZooKeeper, which knows all of them.

use std::time::Duration;

use ringlog_client::{Client, ClientConfig};
use ringlog_coord::controller::registered_brokers;
use ringlog_coord::store::{MetadataStore, ZooKeeperAddress, ZooKeeperStore};

use crate::cli::Bootstrap;
use crate::error::CommandError;
use crate::zookeeper_access;

/// What an address of ZooKeeper begins with.
const ZOOKEEPER: &str = "zk://";

/// How long a server of ZooKeeper may take to answer.
const ZOOKEEPER_TIMEOUT: Duration = Duration::from_secs(6);

/// Connects to one of the brokers.
pub(crate) async fn connect(bootstrap: &Bootstrap) -> Result<Client, CommandError> {
    let brokers = brokers(bootstrap).await?;
    let connected = Client::connect(&brokers, ClientConfig::default()).await;
    connected.map_err(|error| CommandError::Failed(error.to_string()))
}

/// The addresses of brokers that were given, or that are registered in the ZooKeeper that was.
async fn brokers(bootstrap: &Bootstrap) -> Result<Vec<String>, CommandError> {
    let given = &bootstrap.bootstrap;
    // Commas stand between its servers too.
    let joined = given.join(",");
    let Some(zookeeper) = joined.strip_prefix(ZOOKEEPER) else {
        return Ok(given.clone());
    };
    let address: ZooKeeperAddress = zookeeper
        .parse()
        .map_err(|error| CommandError::Usage(format!("--bootstrap {joined}: {error}")))?;
    let access = zookeeper_access::read(&bootstrap.zookeeper)?;
    let failed = |error: &dyn std::fmt::Display| CommandError::Failed(error.to_string());
    let store = ZooKeeperStore::visit(&address, &access, ZOOKEEPER_TIMEOUT).await;
    let store = store.map_err(|error| failed(&error))?;
    let registered = registered_brokers(&store).await;
    store.close().await;
    let registered = registered.map_err(|error| failed(&error))?;
    let brokers: Vec<String> = registered
        .into_values()
        .filter_map(|live| live.registration.addresses.into_iter().next())
        .collect();
    if brokers.is_empty() {
        let message = format!(
            "no broker is registered at {joined}: is the path behind the servers the one that brokers are started with?"
        );
        return Err(CommandError::Failed(message));
    }
    Ok(brokers)
}
