//! What the client's errors mean to the user of a store.

use thiserror::Error as ThisError;
use zookeeper_client::Error;

use super::{ZooKeeperAccess, ZooKeeperAddress};
use crate::store::{Conflict, MultiError, StoreError};

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("cannot use ZooKeeper at {address}: {reason}")]
pub struct ConnectError {
    /// Where it was looked for.
    pub address: String,
    /// What happened.
    pub reason: String,
}

impl ConnectError {
    pub(super) fn new(address: &ZooKeeperAddress, access: &ZooKeeperAccess, error: Error) -> Self {
        let reason = match error {
            Error::Timeout | Error::ConnectionLoss | Error::NoHosts => match access.tls {
                None => "no server answers; see that one runs there and that this machine reaches it",
                Some(_) => {
                    "no server answers in TLS; see that one runs there, that its certificate is for that name and from \
                     the authority given, and that it takes this client's"
                }
            }
            .to_owned(),
            Error::NoAuth => match access.digest {
                None => "its nodes belong to a user; give the file with user and password (zookeeper_auth)",
                Some(_) => {
                    "its nodes belong to another user, or the password is wrong (zookeeper_auth)"
                }
            }
            .to_owned(),
            other => other.to_string(),
        };
        Self {
            address: address.to_string(),
            reason,
        }
    }
}

/// What an error means when nothing was to be written, or certainly was not.
pub(super) fn store_error(error: Error) -> StoreError {
    match error {
        Error::SessionExpired | Error::SessionMoved | Error::ClientClosed | Error::AuthFailed => {
            StoreError::SessionEnded
        }
        Error::NoAuth
        | Error::InvalidAcl
        | Error::QuotaExceeded
        | Error::NotReadOnly
        | Error::MarshallingError
        | Error::Unimplemented
        | Error::BadArguments(_) => StoreError::Refused {
            reason: error.to_string(),
        },
        other => StoreError::Disconnected {
            reason: other.to_string(),
        },
    }
}

/// What an error means to a write that was to be sent: unknown, unless it says that nothing was done.
pub(super) fn multi_error(error: Error) -> MultiError {
    match store_error(error) {
        StoreError::Disconnected { reason } => MultiError::Unknown { reason },
        not_done => MultiError::NotDone(not_done),
    }
}

/// The rule that an operation broke.
pub(super) fn conflict(error: &Error) -> Option<Conflict> {
    match error {
        Error::NodeExists => Some(Conflict::NodeExists),
        Error::NoNode => Some(Conflict::NoNode),
        Error::BadVersion => Some(Conflict::BadVersion),
        Error::NotEmpty => Some(Conflict::NotEmpty),
        Error::NoChildrenForEphemerals => Some(Conflict::EphemeralParent),
        _ => None,
    }
}
