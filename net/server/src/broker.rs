//! A broker, put together from a platform, a metadata store and settings: the same for the binary, on threads of
//! this machine, and for the simulation.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use futures_channel::oneshot;
use ringlog_log::SpaceGauge;
use ringlog_reactor::{CoreHandle, CoreMain, CoreSpec, Platform, mailbox};
use ringlog_record::{BrokerId, PartitionIndex, ShardId};
use ringlog_shard::mesh;

use crate::control::request::ControlRequest;
use crate::control::{BrokerError, ControlTask};
use crate::limits::{COMMANDS_MAX, CONNECTIONS_MAX, RETENTION_INTERVAL, SHARD_MEMORY_BYTES_MIN};
use crate::metrics::ShardMetrics;
use crate::shard::{self, BulkFactory, ShardSetup};
use crate::slow::SlowRequest;

/// What a broker is to be.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Its id.
    pub broker: BrokerId,
    /// Its data directory; made when it is missing.
    pub data_dir: PathBuf,
    /// The address that it listens on.
    pub listen: SocketAddr,
    /// The address that clients are told, `host:port`; the one that it listens on without.
    pub advertised: Option<String>,
    /// Where it stands.
    pub rack: Option<String>,
    /// Its shards.
    pub shards: NonZeroU16,
    /// The processor of each shard; shards beyond the list, or all without one, are not pinned.
    pub cpus: Vec<usize>,
    /// The memory of its buffers, all shards together, in bytes.
    pub memory_bytes: usize,
    /// Connections at a time, all shards together; each shard takes an equal part of them.
    pub connections_max: usize,
    /// Files and sockets that the process may have open; not looked at without.
    pub descriptors_max: Option<u64>,
    /// How long a core spins before it parks.
    pub spin: Duration,
    /// How often the age and size of partitions is looked at.
    pub retention_interval: Duration,
}

impl BrokerConfig {
    /// Broker 0 with one shard, in `data_dir`, listening on `listen`.
    pub fn new(data_dir: PathBuf, listen: SocketAddr) -> Self {
        Self {
            broker: BrokerId::new(0),
            data_dir,
            listen,
            advertised: None,
            rack: None,
            shards: NonZeroU16::MIN,
            cpus: Vec::new(),
            memory_bytes: 1 << 30,
            connections_max: CONNECTIONS_MAX,
            descriptors_max: None,
            spin: Duration::ZERO,
            retention_interval: RETENTION_INTERVAL,
        }
    }

    /// The least memory for so many shards, in bytes.
    pub fn memory_bytes_min(shards: NonZeroU16) -> usize {
        SHARD_MEMORY_BYTES_MIN * usize::from(shards.get())
    }
}

/// A broker that is about to start.
pub struct BrokerParts {
    /// To be run by whoever has the metadata store; the broker starts, serves and stops with it.
    pub control: ControlTask,
    /// Asks and stops the broker, from any thread.
    pub handle: BrokerHandle,
    /// Gives the address once clients are served.
    pub ready: oneshot::Receiver<SocketAddr>,
    /// The cores of the shards. They end when the control task has drained them.
    pub cores: Vec<CoreHandle>,
}

/// Starts the cores of a broker. Nothing else happens until its control task is run.
///
/// # Errors
///
/// When a core cannot be started, the memory is too little for so many, or clients could not be told an address.
pub fn start(
    platform: &dyn Platform,
    config: BrokerConfig,
    bulk: BulkFactory,
) -> io::Result<BrokerParts> {
    let memory_bytes_min = BrokerConfig::memory_bytes_min(config.shards);
    if config.memory_bytes < memory_bytes_min {
        let message = format!(
            "{} shards need at least {memory_bytes_min} bytes of memory, and {} are given",
            config.shards, config.memory_bytes
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    if config.listen.ip().is_unspecified() && config.advertised.is_none() {
        let message = format!(
            "clients cannot connect to {}, which stands for all addresses of this machine: give the host:port that they are to use as the advertised address",
            config.listen
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let shards = usize::from(config.shards.get());
    let memory_bytes = config.memory_bytes / shards;
    let (control_sender, requests) = mailbox::channel::<ControlRequest>(COMMANDS_MAX);
    let space = SpaceGauge::new();
    let mut cores = Vec::with_capacity(shards);
    let mut commanded = Vec::with_capacity(shards);
    for (index, port) in mesh(config.shards).into_iter().enumerate() {
        let (command_sender, commands) = mailbox::channel(COMMANDS_MAX);
        let setup = ShardSetup {
            broker: config.broker,
            data_dir: config.data_dir.clone(),
            control: control_sender.clone(),
            bulk: BulkFactory::clone(&bulk),
            space: space.clone(),
            memory_bytes,
            connections_max: config.connections_max.min(CONNECTIONS_MAX) / shards,
            retention_interval: config.retention_interval,
        };
        let spec = CoreSpec {
            name: format!("shard-{index}"),
            cpu: config.cpus.get(index).copied(),
            spin: config.spin,
            pool_bytes: memory_bytes,
        };
        let main: CoreMain =
            Box::new(move |reactor| Box::pin(shard::run(setup, port, commands, reactor)));
        cores.push(platform.launch(spec, main)?);
        commanded.push(command_sender);
    }
    let (ready_sender, ready) = oneshot::channel();
    Ok(BrokerParts {
        control: ControlTask::new(config, commanded, requests, ready_sender),
        handle: BrokerHandle {
            control: control_sender,
        },
        ready,
        cores,
    })
}

/// A partition that is not served, although it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfflinePartition {
    /// Name of its topic.
    pub topic: String,
    /// Which.
    pub partition: PartitionIndex,
    /// Why.
    pub reason: String,
}

/// Whether all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Partitions that are served.
    pub partitions: usize,
    /// Partitions that are not.
    pub offline: Vec<OfflinePartition>,
    /// Whether the broker's lease runs: it has lately written to the metadata store.
    pub is_lease_valid: bool,
    /// Whether it is the controller.
    pub is_controller: bool,
}

/// The slowest requests of a shard in the last minutes, the slowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardSlow {
    /// Which shard.
    pub shard: ShardId,
    /// The requests, each with the name of its topic if it has one that is still there.
    pub requests: Vec<(Option<String>, SlowRequest)>,
}

/// Asks and stops a broker, from any thread.
#[derive(Clone)]
pub struct BrokerHandle {
    control: mailbox::Sender<ControlRequest>,
}

impl BrokerHandle {
    /// What the shards have counted.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Stopped`] when the broker does not answer any more.
    pub async fn metrics(&self) -> Result<Vec<ShardMetrics>, BrokerError> {
        self.ask(ControlRequest::Metrics).await
    }

    /// Which requests were the slowest of late, by shard.
    ///
    /// # Errors
    ///
    /// As for [`BrokerHandle::metrics`].
    pub async fn slow(&self) -> Result<Vec<ShardSlow>, BrokerError> {
        self.ask(ControlRequest::Slow).await
    }

    /// Whether all is well.
    ///
    /// # Errors
    ///
    /// As for [`BrokerHandle::metrics`].
    pub async fn health(&self) -> Result<Health, BrokerError> {
        self.ask(ControlRequest::Health).await
    }

    /// Stops the broker: what is under way is finished, everything is made durable. Ends when that is done.
    ///
    /// # Errors
    ///
    /// As for [`BrokerHandle::metrics`].
    pub async fn shutdown(&self) -> Result<(), BrokerError> {
        self.ask(ControlRequest::Shutdown).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> ControlRequest,
    ) -> Result<T, BrokerError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.control.try_send(request(answer));
        sent.map_err(|_| BrokerError::Stopped)?;
        answered.await.map_err(|_| BrokerError::Stopped)
    }
}
