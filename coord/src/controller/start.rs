//! How a broker comes to life: it registers, becomes the controller, and takes its partitions.
//!
//! Each step is durable before the next, and all may be repeated: a crash between any two is answered by the
//! next start. The leader epoch of every partition is raised at every start, so that a log that came back
//! shorter is never taken for the one that was.

use std::num::NonZeroU16;

use ringlog_record::BrokerId;

use super::commit::Fence;
use super::error::{ControllerError, StartError};
use super::image::{Image, Stored, next_epoch, read};
use super::{Controller, DeletingTopic, PartitionAssignment};
use crate::ids::{BrokerEpoch, ControllerEpoch, DirectoryId, Incarnation};
use crate::limits;
use crate::paths;
use crate::records::{
    BrokerLife, BrokerRegistration, BrokerState, ControllerEpochRecord, ControllerRecord,
    IsrMember, PartitionState, Payload,
};
use crate::store::{Conflict, MetaOp, MetadataStore, MultiError, NodePath};

/// Whether a broker may come back with another data directory than its partitions are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplacedDirectory {
    /// No: the data may still be there, somewhere.
    #[default]
    Refuse,
    /// Yes: what was only in the old one is lost.
    Accept,
}

/// A broker about to start.
#[derive(Debug, Clone)]
pub struct BrokerStart {
    /// Its id.
    pub broker: BrokerId,
    /// This run of its process.
    pub incarnation: Incarnation,
    /// Where clients reach it, `host:port`.
    pub addresses: Vec<String>,
    /// How many shards it has.
    pub shards: NonZeroU16,
    /// Where it stands.
    pub rack: Option<String>,
    /// Its data directory.
    pub directory: DirectoryId,
    /// What to do when its partitions are in another one.
    pub replaced_directory: ReplacedDirectory,
}

/// What a broker that has started is to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedBroker {
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// Its office.
    pub controller_epoch: ControllerEpoch,
    /// The partitions that it leads, each in a new leader epoch, by topic name and index.
    pub assignment: Vec<PartitionAssignment>,
    /// Topics whose data is to be removed; each is followed by [`Controller::finish_delete`].
    pub deleting: Vec<DeletingTopic>,
}

impl<S: MetadataStore> Controller<S> {
    /// Starts the only broker of a cluster: registers it, takes office, removes what a crash left half
    /// created, and raises the leader epoch of every partition that the broker leads. The store belongs to a
    /// cluster ([`super::init_cluster`]). The broker is `fenced` until it says otherwise
    /// ([`Controller::set_broker_life`]), which it does when its logs are open.
    ///
    /// # Errors
    /// [`StartError`]. Whatever was written until then does no harm: start again.
    pub async fn start_broker(
        store: S,
        start: BrokerStart,
    ) -> Result<(Self, StartedBroker), StartError> {
        ensure_layout(&store).await?;
        let broker_epoch = register(&store, &start).await?;
        let fence = take_office(&store, start.broker, broker_epoch).await?;
        let image = Image::load(&store).await?;
        let mut controller = Self {
            store,
            broker: start.broker,
            shards: start.shards,
            broker_epoch,
            directory: start.directory,
            fence,
            image,
            stale: false,
            discovered: Vec::new(),
        };
        controller.accept_directory(&start).await?;
        controller.sweep_orphans().await?;
        controller.lead_own_partitions().await?;
        let started = StartedBroker {
            broker_epoch,
            controller_epoch: fence.epoch,
            assignment: controller.image.assignment_of(start.broker),
            deleting: controller.deleting(),
        };
        Ok((controller, started))
    }

    /// Where the broker is in its life.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn set_broker_life(&mut self, life: BrokerLife) -> Result<(), ControllerError> {
        let path = paths::broker_state(self.broker);
        let stored = read::<BrokerState, S>(&self.store, &path).await?;
        let body = BrokerState {
            state: life,
            broker_epoch: self.broker_epoch,
            directories: vec![self.directory],
        };
        let op = replace(&path, stored, body)?;
        self.fence
            .write(&self.store, "the broker's state", vec![op])
            .await
    }

    /// Refuses a data directory that is not the one with the partitions, and notes the one that is.
    async fn accept_directory(&mut self, start: &BrokerStart) -> Result<(), StartError> {
        let path = paths::broker_state(start.broker);
        let stored = read::<BrokerState, S>(&self.store, &path).await?;
        let directories = stored
            .map(|stored| stored.record.body.directories)
            .unwrap_or_default();
        if let Some(expected) = directories.first()
            && !directories.contains(&start.directory)
            && start.replaced_directory == ReplacedDirectory::Refuse
        {
            let topics = self.image.topics.values();
            let placements = topics.flat_map(|topic| &topic.placements);
            let partitions = placements
                .filter(|placement| placement.replicas.contains(&start.broker))
                .count();
            if partitions > 0 {
                return Err(StartError::DirectoryReplaced {
                    broker: start.broker,
                    partitions,
                    expected: *expected,
                    found: start.directory,
                });
            }
        }
        Ok(self.set_broker_life(BrokerLife::Fenced).await?)
    }

    /// Elects this broker wherever it may lead, in a new leader epoch, durably.
    async fn lead_own_partitions(&mut self) -> Result<(), ControllerError> {
        let (broker, broker_epoch, epoch) = (self.broker, self.broker_epoch, self.fence.epoch);
        let mut ops = Vec::new();
        let mut led = Vec::new();
        for topic in self.image.topics.values() {
            for (partition, _, stored) in topic.rows() {
                let path = paths::partition_state(topic.id(), partition);
                let Some(state) = elect(&path, &stored.record.body, broker, broker_epoch)? else {
                    continue;
                };
                let mut record = stored.record.clone();
                record.body = PartitionState {
                    controller_epoch: epoch,
                    ..state
                };
                ops.push(MetaOp::Set {
                    data: record.encode(&path)?,
                    path,
                    version: Some(stored.version),
                });
                let version = stored.version.next();
                led.push((topic.name.clone(), partition, Stored { record, version }));
            }
        }
        self.stale = true;
        self.fence
            .write_in_batches(&self.store, "raising the leader epochs", ops)
            .await?;
        self.stale = false;
        for (name, partition, stored) in led {
            let topic = self.image.topics.get_mut(&name);
            let index = usize::try_from(partition.get()).unwrap_or(usize::MAX);
            if let Some(state) = topic.and_then(|topic| topic.partitions.get_mut(index)) {
                *state = stored;
            }
        }
        Ok(())
    }
}

/// The state of a partition once `broker`, just registered, leads it; `None` when it must not: only a replica
/// that was in sync, or that still may be elected when none is, has everything that was acknowledged.
fn elect(
    path: &NodePath,
    state: &PartitionState,
    broker: BrokerId,
    broker_epoch: BrokerEpoch,
) -> Result<Option<PartitionState>, ControllerError> {
    let in_sync = state.isr.iter().any(|member| member.id == broker);
    let eligible = state.isr.is_empty() && state.elr.contains(&broker);
    if !in_sync && !eligible {
        return Ok(None);
    }
    let mut state = state.clone();
    state.leader = Some(broker);
    state.leader_epoch = next_epoch(path, state.leader_epoch)?;
    state.isr.retain(|member| member.id != broker);
    state.isr.insert(
        0,
        IsrMember {
            id: broker,
            broker_epoch,
        },
    );
    state.elr.retain(|member| *member != broker);
    Ok(Some(state))
}

/// Makes the nodes that hold only others, as far as they are missing.
async fn ensure_layout<S: MetadataStore>(store: &S) -> Result<(), ControllerError> {
    for path in paths::layout() {
        if store.read(&path).await?.is_some() {
            continue;
        }
        let create = MetaOp::Create {
            path,
            data: Vec::new(),
        };
        match store.multi(vec![create]).await {
            Ok(_) => {}
            Err(MultiError::Conflict {
                conflict: Conflict::NodeExists,
                ..
            }) => {}
            Err(error) => {
                return Err(ControllerError::from_multi(
                    "the layout of the metadata store",
                    error,
                ));
            }
        }
    }
    Ok(())
}

/// Registers the broker; takes the place of its own earlier run, never that of another broker.
async fn register<S: MetadataStore>(
    store: &S,
    start: &BrokerStart,
) -> Result<BrokerEpoch, StartError> {
    let path = paths::broker_id(start.broker);
    let registration = Payload::new(BrokerRegistration {
        incarnation: start.incarnation,
        addresses: start.addresses.clone(),
        cores: start.shards.get(),
        rack: start.rack.clone(),
        directories: vec![start.directory],
    });
    let data = registration.encode(&path).map_err(ControllerError::from)?;
    for _attempt in 0..=limits::UNKNOWN_RETRIES_MAX + 1 {
        let mut ops = Vec::new();
        if let Some(node) = store.read(&path).await.map_err(ControllerError::from)? {
            let old = Payload::<BrokerRegistration>::decode(&path, &node.data)
                .map_err(ControllerError::from)?;
            let mine = store.session().id;
            if old.body.incarnation == start.incarnation && node.stat.ephemeral_owner == Some(mine)
            {
                return Ok(node.stat.czxid.into());
            }
            // The lock of a data directory is held by one process: whoever had it has stopped.
            if !old.body.directories.contains(&start.directory) {
                return Err(StartError::DuplicateBroker {
                    broker: start.broker,
                    addresses: old.body.addresses.join(", "),
                });
            }
            ops.push(MetaOp::Delete {
                path: path.clone(),
                version: Some(node.stat.version),
            });
        }
        ops.push(MetaOp::CreateEphemeral {
            path: path.clone(),
            data: data.clone(),
        });
        match store.multi(ops).await {
            // Look again: it was done, and the node tells its epoch; or the old one went by itself meanwhile.
            Ok(_) | Err(MultiError::Unknown { .. } | MultiError::Conflict { .. }) => {}
            Err(error) => return Err(ControllerError::from_multi("the registration", error).into()),
        }
    }
    Err(StartError::Controller(ControllerError::UnknownOutcome {
        what: "the registration",
        reason: "the node changes again and again".to_owned(),
    }))
}

/// Makes the broker the controller, in a new controller epoch.
async fn take_office<S: MetadataStore>(
    store: &S,
    broker: BrokerId,
    broker_epoch: BrokerEpoch,
) -> Result<Fence, StartError> {
    let (office, counter) = (paths::controller(), paths::controller_epoch());
    for _attempt in 0..=limits::UNKNOWN_RETRIES_MAX {
        let mut ops = Vec::new();
        let last = read::<ControllerEpochRecord, S>(store, &counter).await?;
        let last_epoch = last.as_ref().map_or(0, |last| last.record.body.epoch.get());
        let last_version = last.as_ref().map(|last| last.version);
        if let Some(incumbent) = read::<ControllerRecord, S>(store, &office).await? {
            let record = &incumbent.record.body;
            let fence = last_version.map(|version| Fence {
                epoch: record.controller_epoch,
                version,
            });
            match fence {
                // An earlier attempt, whose outcome was unknown, was done.
                Some(fence)
                    if record.broker == broker
                        && record.broker_epoch == broker_epoch
                        && record.controller_epoch.get() == last_epoch =>
                {
                    return Ok(fence);
                }
                _ if record.broker != broker => {
                    return Err(StartError::OtherController {
                        broker: record.broker,
                    });
                }
                _ => ops.push(MetaOp::Delete {
                    path: office.clone(),
                    version: Some(incumbent.version),
                }),
            }
        }
        let epoch = ControllerEpoch::new(last_epoch + 1);
        let version =
            last_version.map_or(crate::store::Version::FIRST, crate::store::Version::next);
        ops.push(replace(&counter, last, ControllerEpochRecord { epoch })?);
        let record = Payload::new(ControllerRecord {
            broker,
            broker_epoch,
            controller_epoch: epoch,
        });
        ops.push(MetaOp::CreateEphemeral {
            data: record.encode(&office).map_err(ControllerError::from)?,
            path: office.clone(),
        });
        match store.multi(ops).await {
            Ok(_) => return Ok(Fence { epoch, version }),
            Err(MultiError::Unknown { .. } | MultiError::Conflict { .. }) => {}
            Err(error) => return Err(ControllerError::from_multi("taking office", error).into()),
        }
    }
    Err(StartError::Controller(ControllerError::UnknownOutcome {
        what: "taking office",
        reason: "the node changes again and again".to_owned(),
    }))
}

/// Creates a node, or sets it to another record with the unknown fields it has.
pub(super) fn replace<T: serde::Serialize>(
    path: &NodePath,
    stored: Option<Stored<T>>,
    body: T,
) -> Result<MetaOp, ControllerError> {
    Ok(match stored {
        None => MetaOp::Create {
            data: Payload::new(body).encode(path)?,
            path: path.clone(),
        },
        Some(Stored {
            mut record,
            version,
        }) => {
            record.body = body;
            MetaOp::Set {
                data: record.encode(path)?,
                path: path.clone(),
                version: Some(version),
            }
        }
    })
}
