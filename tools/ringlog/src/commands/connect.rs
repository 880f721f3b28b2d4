//! The way to a broker: its address, or ZooKeeper, which knows all of them.

use std::time::Duration;

use ringlog_client::{Client, ClientConfig};
use ringlog_coord::controller::registered_brokers;
use ringlog_coord::store::{MetadataStore, ZooKeeperAddress, ZooKeeperStore};

use crate::cli::Bootstrap;
use crate::error::CommandError;

/// What an address of ZooKeeper begins with.
const ZOOKEEPER: &str = "zk://";

/// How long a server of ZooKeeper may take to answer.
const ZOOKEEPER_TIMEOUT: Duration = Duration::from_secs(6);

/// Connects to one of the brokers.
pub(crate) async fn connect(bootstrap: &Bootstrap) -> Result<Client, CommandError> {
    let brokers = brokers(&bootstrap.bootstrap).await?;
    let connected = Client::connect(&brokers, ClientConfig::default()).await;
    connected.map_err(|error| CommandError::Failed(error.to_string()))
}

/// The addresses of brokers that were given, or that are registered in the ZooKeeper that was.
async fn brokers(given: &[String]) -> Result<Vec<String>, CommandError> {
    // Commas stand between its servers too.
    let joined = given.join(",");
    let Some(zookeeper) = joined.strip_prefix(ZOOKEEPER) else {
        return Ok(given.to_vec());
    };
    let address: ZooKeeperAddress = zookeeper
        .parse()
        .map_err(|error| CommandError::Usage(format!("--bootstrap {joined}: {error}")))?;
    let failed = |error: &dyn std::fmt::Display| CommandError::Failed(error.to_string());
    let store = ZooKeeperStore::visit(&address, ZOOKEEPER_TIMEOUT).await;
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
