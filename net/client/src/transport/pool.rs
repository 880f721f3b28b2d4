//! The connections of a client: one for each shard of each broker that it talks to, made when needed.
//!
//! One attempt at a time is made for each: those who come meanwhile share its outcome, and after a failure nobody
//! tries again before a pause with jitter, however many ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ringlog_record::ShardId;

use super::{Connection, ConnectionConfig, chance};
use crate::core::backoff::Backoff;
use crate::error::ConnectError;

type Key = (String, Option<ShardId>);

/// The connections of a client.
#[derive(Debug)]
pub(crate) struct Pool {
    config: ConnectionConfig,
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    open: Mutex<Option<Arc<Connection>>>,
    attempts: tokio::sync::Mutex<Attempts>,
}

#[derive(Debug, Default)]
struct Attempts {
    backoff: Backoff,
    /// How the last one failed, and when the next may be made.
    failed: Option<(ConnectError, Instant)>,
}

impl Slot {
    fn open(&self) -> Option<Arc<Connection>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().filter(|open| open.is_open()).map(Arc::clone)
    }

    fn set(&self, made: &Arc<Connection>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open = Some(Arc::clone(made));
    }
}

impl Pool {
    /// No connections yet.
    pub(crate) fn new(config: ConnectionConfig) -> Self {
        Self {
            config,
            slots: Mutex::default(),
        }
    }

    fn slot(&self, address: &str, shard: Option<ShardId>) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry((address.to_owned(), shard)).or_default();
        Arc::clone(slot)
    }

    /// The connection to a shard of a broker; made when there is none.
    ///
    /// # Errors
    ///
    /// How this attempt failed, or the last one when its pause is not over.
    pub(crate) async fn connection(
        &self,
        address: &str,
        shard: Option<ShardId>,
    ) -> Result<Arc<Connection>, ConnectError> {
        let slot = self.slot(address, shard);
        if let Some(open) = slot.open() {
            return Ok(open);
        }
        let mut attempts = slot.attempts.lock().await;
        if let Some(open) = slot.open() {
            return Ok(open);
        }
        if let Some((error, not_before)) = &attempts.failed
            && Instant::now() < *not_before
        {
            return Err(error.clone());
        }
        match Connection::connect(address, shard, &self.config).await {
            Ok(made) => {
                *attempts = Attempts::default();
                let made = Arc::new(made);
                slot.set(&made);
                Ok(made)
            }
            Err(error) => {
                let pause = attempts.backoff.next_pause(chance());
                attempts.failed = Some((error.clone(), Instant::now() + pause));
                Err(error)
            }
        }
    }
}
