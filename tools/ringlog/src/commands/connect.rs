//! The way to a broker.

use ringlog_client::{Client, ClientConfig};

use crate::cli::Bootstrap;
use crate::error::CommandError;

/// Connects to one of the brokers.
pub(crate) async fn connect(bootstrap: &Bootstrap) -> Result<Client, CommandError> {
    let connected = Client::connect(&bootstrap.bootstrap, ClientConfig::default()).await;
    connected.map_err(|error| CommandError::Failed(error.to_string()))
}
