//! A shard: a core with its partitions, its listener, its connections.
//!
//! Everything here lives on one core. What comes from outside comes as a message: commands of the control task,
//! calls of other shards, frames of clients. Between two awaits nobody else changes anything.

pub(crate) mod command;
pub(crate) mod data;
mod directory;
mod drain;
pub(crate) mod groups;
mod listen;
mod partitions;
pub(crate) mod peer;
mod retention;
mod run;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_log::limits::READ_AHEAD_BYTES;
use ringlog_log::{BulkFiles, CacheBudget, ColdReads, LogEnv, SpaceGauge};
use ringlog_reactor::{File, Reactor, Signal, mailbox};
use ringlog_record::{BrokerId, ShardId, TopicPartition};
use ringlog_replication::Partition;
use ringlog_shard::{Budget, Router};
use ringlog_wire::limits::{FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use ringlog_wire::{CorrelationId, Encoder, ErrorResponse, Message};

use self::groups::Groups;
use self::listen::Listening;
use self::peer::{PeerReply, PeerRequest};
use crate::cluster_view::ClusterView;
use crate::control::request::ControlRequest;
use crate::ending::Ending;
use crate::failure::Failure;
use crate::limits::{
    ANSWERS_PART, CACHE_PART, GROUPS_PART, HUGE_FRAMES_PART, LARGE_FRAME_BYTES_MAX,
    LARGE_FRAMES_PART, OUTBOXES_PART, READ_AHEAD_PART, RECEIVES_PART, RECV_BYTES_MAX, WATCHES_PART,
    part_of,
};
use crate::metrics::Metrics;
use crate::slow::SlowRequests;

pub(crate) use self::partitions::log_config;
pub(crate) use self::run::run;

/// Makes the port behind which a shard has its files prepared, on the core of the shard.
pub type BulkFactory = Arc<dyn Fn(&Reactor) -> Rc<dyn BulkFiles> + Send + Sync>;

/// What a shard is made from; moved to its core, with its port and its commands.
pub(crate) struct ShardSetup {
    pub(crate) broker: BrokerId,
    pub(crate) data_dir: PathBuf,
    pub(crate) control: mailbox::Sender<ControlRequest>,
    pub(crate) bulk: BulkFactory,
    pub(crate) space: SpaceGauge,
    pub(crate) memory_bytes: usize,
    pub(crate) connections_max: usize,
    pub(crate) retention_interval: Duration,
}

/// A shard.
pub(crate) struct Shard {
    pub(crate) me: ShardId,
    pub(crate) broker: BrokerId,
    pub(crate) reactor: Reactor,
    pub(crate) router: Router<PeerRequest, PeerReply>,
    pub(crate) control: mailbox::Sender<ControlRequest>,
    pub(crate) metrics: Metrics,
    pub(crate) slow: SlowRequests,
    data_dir: PathBuf,
    env: LogEnv,
    partitions: RefCell<BTreeMap<TopicPartition, Partition>>,
    /// Partitions that are not served, and why.
    offline: RefCell<BTreeMap<TopicPartition, String>>,
    /// Partitions whose logs did not close: something may still be written to them, so they are not opened again.
    unclosed: RefCell<BTreeSet<TopicPartition>>,
    /// The groups that are kept in partitions of this shard.
    groups: RefCell<BTreeMap<TopicPartition, Rc<Groups>>>,
    /// Memory that they may take.
    groups_bytes_max: usize,
    view: RefCell<Arc<ClusterView>>,
    /// Comes with the next view.
    next_view: RefCell<Ending>,
    encoder: RefCell<Encoder>,
    connections_max: usize,
    /// Bytes of large frames being received.
    large_frames: Budget,
    /// Bytes of still larger ones.
    huge_frames: Budget,
    /// Bytes that parked fetches take.
    pub(crate) watches: Budget,
    /// Bytes of records in answers.
    pub(crate) answers: Budget,
    /// Bytes of answers that wait to be sent.
    pub(crate) outboxes_bytes: Rc<Cell<usize>>,
    /// So many of them, and only connections without any are read from.
    pub(crate) outboxes_bytes_max: usize,
    /// Bytes of larger receives in which nothing has come in yet.
    pub(crate) receives: Budget,
    drain: Ending,
    /// Notified when a connection or a call of a peer has ended while the shard drains.
    calmed: Signal,
    listening: RefCell<Listening>,
    /// Held for as long as the broker uses the data directory.
    lock: RefCell<Option<File>>,
}

impl Shard {
    fn new(setup: &ShardSetup, router: Router<PeerRequest, PeerReply>, reactor: Reactor) -> Self {
        let part = |part, bytes_min| part_of(setup.memory_bytes, part, bytes_min);
        let mut env = LogEnv::new(
            reactor.clone(),
            (setup.bulk)(&reactor),
            CacheBudget::new(part(CACHE_PART, 0)),
            setup.space.clone(),
        );
        env.cold = ColdReads::new(part(READ_AHEAD_PART, READ_AHEAD_BYTES));
        Self {
            me: router.me(),
            broker: setup.broker,
            slow: SlowRequests::new(reactor.now()),
            reactor,
            router,
            control: setup.control.clone(),
            metrics: Metrics::default(),
            data_dir: setup.data_dir.clone(),
            env,
            partitions: RefCell::default(),
            offline: RefCell::default(),
            unclosed: RefCell::default(),
            groups: RefCell::default(),
            groups_bytes_max: part(GROUPS_PART, 0),
            view: RefCell::default(),
            next_view: RefCell::default(),
            encoder: RefCell::new(Encoder::new()),
            connections_max: setup.connections_max,
            large_frames: Budget::new(part(LARGE_FRAMES_PART, LARGE_FRAME_BYTES_MAX)),
            huge_frames: Budget::new(part(HUGE_FRAMES_PART, FRAME_BYTES_MAX)),
            watches: Budget::new(part(WATCHES_PART, 0)),
            answers: Budget::new(part(ANSWERS_PART, PAYLOAD_BYTES_MAX)),
            outboxes_bytes: Rc::default(),
            outboxes_bytes_max: part(OUTBOXES_PART, 0),
            receives: Budget::new(part(RECEIVES_PART, RECV_BYTES_MAX)),
            drain: Ending::default(),
            calmed: Signal::default(),
            listening: RefCell::default(),
            lock: RefCell::default(),
        }
    }

    /// The picture of the cluster.
    pub(crate) fn view(&self) -> Arc<ClusterView> {
        Arc::clone(&self.view.borrow())
    }

    /// Has another picture of the cluster from now on.
    fn set_view(&self, view: Arc<ClusterView>) {
        self.view.replace(view);
        self.next_view.take().come();
    }

    /// Ends with the next picture of the cluster.
    pub(crate) fn next_view(&self) -> impl Future<Output = ()> + Unpin + use<> {
        self.next_view.borrow().wait()
    }

    /// The shard that owns a partition.
    pub(crate) fn owner(&self, id: TopicPartition) -> Option<ShardId> {
        self.view.borrow().owner(id)
    }

    /// What a frame of this length, too long for an ordinary receive, is received on account of.
    pub(crate) fn frames(&self, frame_bytes: usize) -> &Budget {
        if frame_bytes > LARGE_FRAME_BYTES_MAX {
            &self.huge_frames
        } else {
            &self.large_frames
        }
    }

    /// Whether the broker is about to stop.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain.has_come()
    }

    /// Ends when the broker is about to stop.
    pub(crate) fn drain_began(&self) -> impl Future<Output = ()> + Unpin + use<> {
        self.drain.wait()
    }

    /// Header and body of a message.
    pub(crate) fn encode<M: Message>(
        &self,
        correlation_id: CorrelationId,
        message: &M,
    ) -> Result<Bytes, Failure> {
        let encoded = self.encoder.borrow_mut().encode(correlation_id, message);
        encoded.map_err(|error| Failure::new(ringlog_wire::ErrorCode::Internal, error))
    }

    /// Header and body of an error.
    pub(crate) fn encode_error(
        &self,
        api: u16,
        correlation_id: CorrelationId,
        error: &ErrorResponse,
    ) -> Option<Bytes> {
        let encoded = self
            .encoder
            .borrow_mut()
            .encode_error(api, correlation_id, error);
        encoded
            .inspect_err(|error| tracing::error!(%error, "an error response could not be encoded"))
            .ok()
    }
}
