//! The ZooKeeper store: the metadata of a cluster.
//!
//! Duty: the semantics of [`super`] over one session of the crate `zookeeper-client`, and what that crate leaves open:
//!
//! - While the connection is lost the client queues requests without bound and sends them later. Here they are refused
//!   at once, and only so many wait for an answer.
//! - It does not set persistent watches again after a reconnect. Here all watches are one-shot, and all that had not
//!   fired are lost at a reconnect, whatever the client does about them.
//! - It gives up a session only after 7/5 of its time-out: later than the server. Nothing is fenced by it here.
//!
//! A request that was in flight when the connection was lost has an unknown outcome; every other failure of a write
//! means that it was not done.
//!
//! Threads: the store is used on one thread with a tokio runtime, on which the client's task runs too. Sockets are
//! polled by a thread of the crate async-io.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use zookeeper_client::{
    Acls, Client, CreateMode, Error, EventType, MultiWriteError, MultiWriteResult, SessionState,
    StateWatcher,
};

use super::session::SessionCell;
use super::{
    Conflict, MetaOp, MetadataStore, MultiError, Node, NodePath, OpResult, Session, SessionId,
    SessionStatus, Stat, StoreError, Version, Watch, WatchEvent, WatchKind, Zxid,
};
use crate::limits;

mod access;
mod address;
mod error;

pub use access::{
    DigestIdentity, NoIdentity, PemIdentity, TlsError, ZooKeeperAccess, ZooKeeperTls,
};
pub use address::{AddressError, ZooKeeperAddress};
pub use error::ConnectError;
use error::{conflict, multi_error, store_error};

/// A session with ZooKeeper. Clones share it; it is closed when the last one is dropped.
#[derive(Debug, Clone)]
pub struct ZooKeeperStore {
    /// None once closed: the client ends the session when nobody has it any more.
    client: Arc<Mutex<Option<Client>>>,
    /// Of the nodes that it makes.
    acls: Acls<'static>,
    session: SessionCell,
    requests: Arc<AtomicUsize>,
    watches: Arc<AtomicUsize>,
}

impl ZooKeeperStore {
    /// Opens a session, of `timeout` as far as the servers allow it, and makes the root of the store when it is
    /// missing. Tries for `patience` to reach a server. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError`]: no server was reached in time, or it refuses this client.
    pub async fn connect(
        address: &ZooKeeperAddress,
        access: &ZooKeeperAccess,
        timeout: Duration,
        patience: Duration,
    ) -> Result<Self, ConnectError> {
        let client = reach(address, access, timeout, patience).await?;
        if !address.root().is_root() {
            let persistent = CreateMode::Persistent.with_acls(access.acls());
            let made = client.mkdir(address.root().as_str(), &persistent).await;
            made.map_err(|error| ConnectError::new(address, access, error))?;
        }
        Self::with(client, address, access).await
    }

    /// Opens a session to look around: nothing is made, and no server is waited for. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError`]: no server was reached, or it refuses this client.
    pub async fn visit(
        address: &ZooKeeperAddress,
        access: &ZooKeeperAccess,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let client = reach(address, access, timeout, Duration::ZERO).await?;
        Self::with(client, address, access).await
    }

    async fn with(
        client: Client,
        address: &ZooKeeperAddress,
        access: &ZooKeeperAccess,
    ) -> Result<Self, ConnectError> {
        let root = address.root().as_str();
        // Any identity is let in; whether it may read shows when it does.
        match client.list_children(root).await {
            Ok(_) | Err(Error::NoNode) => {}
            Err(error) => return Err(ConnectError::new(address, access, error)),
        }
        // The path was checked.
        let client = client.chroot(root).unwrap_or_else(|client| client);
        let id = SessionId::new(client.session_id().0.cast_unsigned());
        let session = SessionCell::connected(id, Some(client.session_timeout()));
        tokio::spawn(follow(client.state_watcher(), session.clone()));
        Ok(Self {
            client: Arc::new(Mutex::new(Some(client))),
            acls: access.acls(),
            session,
            requests: Arc::default(),
            watches: Arc::default(),
        })
    }

    /// The client and a place among those that wait, if a request would be sent at once.
    fn reach(&self) -> Result<(Client, Permit), StoreError> {
        self.session.live()?;
        let kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let client = kept.clone().ok_or(StoreError::SessionEnded)?;
        drop(kept);
        match client.state() {
            SessionState::SyncConnected => {
                let permit = Permit::take(&self.requests, limits::ZOOKEEPER_REQUESTS_MAX)?;
                Ok((client, permit))
            }
            state if state.is_terminated() => {
                self.session.end();
                Err(StoreError::SessionEnded)
            }
            _ => Err(StoreError::Disconnected {
                reason: "the connection to ZooKeeper is lost".to_owned(),
            }),
        }
    }
}

/// Connects, with a sentence now and then for whoever waits.
async fn reach(
    address: &ZooKeeperAddress,
    access: &ZooKeeperAccess,
    timeout: Duration,
    patience: Duration,
) -> Result<Client, ConnectError> {
    let since = Instant::now();
    loop {
        // It tries for as long as the time-out of the session.
        let connector = Client::connector().with_session_timeout(timeout);
        match access.connect(connector, address).await {
            Ok(client) => return Ok(client),
            Err(Error::Timeout | Error::ConnectionLoss) if since.elapsed() < patience => {
                tracing::warn!(servers = address.servers(), "ZooKeeper does not answer yet");
            }
            Err(error) => return Err(ConnectError::new(address, access, error)),
        }
    }
}

/// Keeps the session as its user sees it like the client's.
async fn follow(mut states: StateWatcher, session: SessionCell) {
    let mut state = states.state();
    loop {
        match state {
            SessionState::Disconnected | SessionState::ConnectedReadOnly => {
                tracing::warn!("the connection to ZooKeeper is lost");
                session.disconnect();
            }
            // The first one is counted already, and of two changes only the last may be seen.
            SessionState::SyncConnected => {}
            SessionState::AuthFailed | SessionState::Expired | SessionState::Closed => {
                session.end();
                return;
            }
        }
        state = states.changed().await;
        if state == SessionState::SyncConnected {
            tracing::info!("connected to ZooKeeper again");
            session.reconnect();
        }
    }
}

/// A place among a bounded number; given back when dropped.
#[derive(Debug)]
struct Permit(Arc<AtomicUsize>);

impl Permit {
    fn take(taken: &Arc<AtomicUsize>, max: usize) -> Result<Self, StoreError> {
        let waiting = taken.fetch_add(1, Ordering::Relaxed);
        let permit = Self(Arc::clone(taken));
        if waiting >= max {
            return Err(StoreError::Overloaded { waiting });
        }
        Ok(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn zxid(zxid: i64) -> Zxid {
    Zxid::new(zxid.cast_unsigned())
}

fn stat(stat: &zookeeper_client::Stat) -> Stat {
    Stat {
        czxid: zxid(stat.czxid),
        mzxid: zxid(stat.mzxid),
        version: Version::new(stat.version.cast_unsigned()),
        ephemeral_owner: (stat.ephemeral_owner != 0)
            .then(|| SessionId::new(stat.ephemeral_owner.cast_unsigned())),
    }
}

fn version(version: Option<Version>) -> Option<i32> {
    version.map(|version| version.get().cast_signed())
}

/// The conflict of an operation that concerns the root, which the client does not send.
fn root_conflict(op: &MetaOp) -> Option<Conflict> {
    match op {
        MetaOp::Create { path, .. } | MetaOp::CreateEphemeral { path, .. } if path.is_root() => {
            Some(Conflict::NodeExists)
        }
        MetaOp::Delete { path, .. } if path.is_root() => Some(Conflict::NotEmpty),
        _ => None,
    }
}

#[async_trait(?Send)]
impl MetadataStore for ZooKeeperStore {
    async fn read(&self, path: &NodePath) -> Result<Option<Node>, StoreError> {
        let (client, _permit) = self.reach()?;
        match client.get_data(path.as_str()).await {
            Ok((data, found)) => Ok(Some(Node {
                data,
                stat: stat(&found),
            })),
            Err(Error::NoNode) => Ok(None),
            Err(error) => Err(store_error(error)),
        }
    }

    async fn children(&self, path: &NodePath) -> Result<Option<Vec<String>>, StoreError> {
        let (client, _permit) = self.reach()?;
        match client.list_children(path.as_str()).await {
            Ok(mut names) => {
                names.sort_unstable();
                Ok(Some(names))
            }
            Err(Error::NoNode) => Ok(None),
            Err(error) => Err(store_error(error)),
        }
    }

    async fn multi(&self, ops: Vec<MetaOp>) -> Result<Vec<OpResult>, MultiError> {
        limits::check_multi(&ops)?;
        let (client, _permit) = self.reach()?;
        let refused = |index: usize, conflict| {
            let path = ops
                .get(index)
                .map_or(NodePath::root(), |op| op.path().clone());
            MultiError::Conflict {
                index,
                path,
                conflict,
            }
        };
        if let Some((index, conflict)) =
            (ops.iter().enumerate()).find_map(|(index, op)| Some((index, root_conflict(op)?)))
        {
            return Err(refused(index, conflict));
        }
        let persistent = CreateMode::Persistent.with_acls(self.acls);
        let ephemeral = CreateMode::Ephemeral.with_acls(self.acls);
        let mut writer = client.new_multi_writer();
        for op in &ops {
            let path = op.path().as_str();
            let added = match op {
                MetaOp::Create { data, .. } => writer.add_create(path, data, &persistent),
                MetaOp::CreateEphemeral { data, .. } => writer.add_create(path, data, &ephemeral),
                MetaOp::Set {
                    data, version: at, ..
                } => writer.add_set_data(path, data, version(*at)),
                MetaOp::Check { version: at, .. } => {
                    writer.add_check_version(path, version(*at).unwrap_or(-1))
                }
                MetaOp::Delete { version: at, .. } => writer.add_delete(path, version(*at)),
            };
            added.map_err(|error| MultiError::NotDone(store_error(error)))?;
        }
        match writer.commit().await {
            Ok(results) => Ok(results.iter().map(op_result).collect()),
            Err(MultiWriteError::OperationFailed { index, source }) => match conflict(&source) {
                Some(conflict) => Err(refused(index, conflict)),
                None => Err(MultiError::NotDone(store_error(source))),
            },
            Err(MultiWriteError::RequestFailed { source }) => Err(multi_error(source)),
        }
    }

    async fn watch(&self, path: &NodePath, kind: WatchKind) -> Result<Watch, StoreError> {
        let connects = self.session.get().connects;
        let (client, _permit) = self.reach()?;
        let kept = Permit::take(&self.watches, limits::WATCHES_MAX)?;
        let set = match kind {
            WatchKind::Node => {
                let set = client.check_and_watch_stat(path.as_str()).await;
                set.map(|(_, watcher)| watcher)
            }
            WatchKind::Children => {
                let set = client.list_and_watch_children(path.as_str()).await;
                set.map(|(_, watcher)| watcher)
            }
        };
        let watcher = match set {
            Ok(watcher) => watcher,
            Err(Error::NoNode) => return Err(StoreError::NoNode { path: path.clone() }),
            Err(error) => return Err(store_error(error)),
        };
        Ok(Watch::new(self.session.clone(), connects, async move {
            let _kept = kept;
            match watcher.changed().await.event_type {
                EventType::Session => WatchEvent::Lost,
                _ => WatchEvent::Changed,
            }
        }))
    }

    fn session(&self) -> Session {
        self.session.get()
    }

    async fn session_changed(&self, seen: &Session) -> Session {
        self.session.changed(seen).await
    }

    async fn close(&self) {
        let client = {
            let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
            kept.take()
        };
        drop(client);
        let ended = async {
            let mut session = self.session.get();
            while session.status != SessionStatus::Ended {
                session = self.session.changed(&session).await;
            }
        };
        if tokio::time::timeout(limits::ZOOKEEPER_CLOSE_MAX, ended)
            .await
            .is_err()
        {
            tracing::warn!("ZooKeeper does not answer: the session ends by its time-out");
            self.session.end();
        }
    }
}

fn op_result(result: &MultiWriteResult) -> OpResult {
    match result {
        MultiWriteResult::Create { .. } => OpResult::Created,
        MultiWriteResult::SetData { stat: set } => OpResult::Set(stat(set)),
        MultiWriteResult::Delete => OpResult::Deleted,
        // The client may grow others; none was asked for.
        _ => OpResult::Checked,
    }
}

#[cfg(test)]
mod tests;
