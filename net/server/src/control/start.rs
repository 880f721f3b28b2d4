//! How a broker starts. Each step leaves a state from which the next start can go on.
//!
//! 1. The data directory is made, locked, and its identity checked against the metadata store: a store that is lost,
//!    empty or of another cluster never costs data.
//! 2. The address is bound, so that an address in use is found out before anything is changed.
//! 3. The cluster is looked at. The data of topics that were being deleted is removed; directories that no topic has are
//!    set aside.
//! 4. The broker registers. From then on it is a member like any other ([`super::serve`]): somebody is or becomes the
//!    controller, which takes it in and gives it its partitions in new leader epochs; the shards open their logs.
//! 5. Once all that it leads is open, connections are taken.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use futures_channel::oneshot;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use ringlog_coord::controller::{
    BrokerStart, ReplacedDirectory, StartError, check_directory, cluster_id, init_cluster, register,
};
use ringlog_coord::directory::{
    Action, FormatJson, check_broker, check_identity, sort_topic_directories,
};
use ringlog_coord::ids::{ClusterId, DirectoryId, Incarnation};
use ringlog_coord::lease::Lease;
use ringlog_coord::observer::{Observer, Sight};
use ringlog_coord::store::{MetadataStore, SessionStatus};
use ringlog_reactor::mailbox;

use super::member::{Member, Served};
use super::producers::ProducerIds;
use super::request::ControlRequest;
use super::shards::Shards;
use super::{BrokerError, ControlTask, Serving, Surroundings, broker_view, random_from};
use crate::broker::BrokerConfig;
use crate::cluster_view::ClusterView;
use crate::connection::SOFTWARE;
use crate::partition_budget::PartitionBudget;
use crate::shard::command::{DirectoryCommand, DirectoryFound, ShardCommand};

/// Pictures of the cluster that a start may show before their numbers are those of another one.
const PICTURES_BITS: u32 = 20;

/// A broker that is starting.
pub(super) struct Starting {
    config: BrokerConfig,
    shards: Shards,
    ready: oneshot::Sender<SocketAddr>,
}

impl ControlTask {
    /// The requests, and everything else.
    pub(super) fn split(self) -> (mailbox::Receiver<ControlRequest>, Starting) {
        let starting = Starting {
            config: self.config,
            shards: self.shards,
            ready: self.ready,
        };
        (self.requests, starting)
    }
}

impl<E: Surroundings> Serving<E> {
    /// Starts the broker, up to its registration.
    pub(super) async fn start(starting: Starting, surroundings: E) -> Result<Self, BrokerError> {
        let found = starting.shards.directory(DirectoryCommand::Inspect).await?;
        let mut random = random_from(found.seed);
        let store = surroundings.open().await.map_err(BrokerError::Session)?;
        connected(&store).await;
        let lease = Lease::new(store.session().timeout, surroundings.now())?;
        let format = starting
            .settle_identity(&store, &found, &mut random)
            .await?;
        let address = starting.bind().await?;
        let Starting {
            config,
            shards,
            ready,
        } = starting;
        let told = config
            .advertised
            .clone()
            .unwrap_or_else(|| address.to_string());
        let registration = BrokerStart {
            broker: config.broker,
            incarnation: Incarnation::new(random_u128(&mut random)),
            addresses: vec![told.clone()],
            shards: config.shards,
            rack: config.rack.clone(),
            directory: format.directory_id,
            software: SOFTWARE.to_owned(),
            replaced_directory: ReplacedDirectory::Refuse,
        };
        let mut observer = Observer::new(store.clone());
        observer.look().await?;
        check_number(observer.sight(), &registration)?;
        check_directory(&observer.sight().image, &registration)?;
        let mut served = Served::default();
        sort_directories(&shards, &found, observer.sight(), &mut served).await?;
        tracing::info!(
            partitions_max = PartitionBudget::of(&config).partitions_max(),
            "partitions that the memory and the open files serve"
        );
        let epoch = register(&store, &registration).await?;
        Ok(Self {
            me: broker_view(&config, told, epoch.get()),
            session: store.session(),
            // Pictures of another start, or another broker, have other numbers.
            shown: Arc::new(ClusterView {
                picture: epoch.get() << PICTURES_BITS,
                ..ClusterView::default()
            }),
            member: Member::new(store, observer, epoch),
            surroundings: Rc::new(surroundings),
            config,
            shards,
            registration,
            served,
            controller: None,
            controller_at: std::time::Duration::ZERO,
            waiting: Vec::new(),
            lease,
            renewal: None,
            reopening: None,
            is_look_due: true,
            is_count_due: false,
            retry_at: None,
            ready: Some((ready, address)),
            cluster_id: format.cluster_id.to_string(),
            random,
            producer_ids: ProducerIds::default(),
        })
    }
}

impl Starting {
    /// Finds out whose data this is, and makes it somebody's when it is nobody's.
    async fn settle_identity<S: MetadataStore>(
        &self,
        store: &S,
        found: &DirectoryFound,
        random: &mut ChaCha8Rng,
    ) -> Result<FormatJson, BrokerError> {
        let format = found
            .format
            .as_deref()
            .map(FormatJson::decode)
            .transpose()?;
        if let Some(format) = &format {
            check_broker(format, self.config.broker)?;
        }
        let of_store = cluster_id(store).await?;
        let proposed = match check_identity(format, of_store, !found.topics.is_empty())? {
            Action::Use(format) => return Ok(format),
            Action::Initialise { cluster_id } => {
                cluster_id.unwrap_or_else(|| ClusterId::new(random_u128(random)))
            }
        };
        // The store first: a directory that names a cluster which no store has would be refused.
        let cluster = init_cluster(store, proposed).await?;
        let directory = DirectoryId::new(random_u128(random));
        let format = FormatJson::new(cluster, self.config.broker, directory);
        let bytes = format.encode()?;
        self.shards
            .directory(DirectoryCommand::WriteFormat(bytes))
            .await?;
        Ok(format)
    }

    /// Binds the address on every shard; the first one settles the port.
    async fn bind(&self) -> Result<SocketAddr, BrokerError> {
        let mut address = self.config.listen;
        for shard in self.shards.ids() {
            let bound = self
                .shards
                .ask(shard, |answer| ShardCommand::Listen { address, answer })
                .await?;
            address = bound.map_err(|error| BrokerError::Listen {
                address,
                reason: reason_of(&error),
            })?;
        }
        Ok(address)
    }
}

fn reason_of(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the address is in use: stop what listens there, or listen on another port".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: listen on one that it has".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not listen there: listen on a port above 1023".to_owned()
        }
        _ => error.to_string(),
    }
}

fn random_u128(random: &mut ChaCha8Rng) -> u128 {
    u128::from(random.next_u64()) << 64 | u128::from(random.next_u64())
}

/// Waits until a session is connected again that was cut right after it was opened.
async fn connected<S: MetadataStore>(store: &S) {
    let mut session = store.session();
    while session.status == SessionStatus::Disconnected {
        session = store.session_changed(&session).await;
    }
}

/// Refuses the number of another broker that is there: that is said first, whatever else does not fit.
fn check_number(sight: &Sight, registration: &BrokerStart) -> Result<(), StartError> {
    let other = sight
        .brokers
        .get(&registration.broker)
        .map(|live| &live.registration);
    match other.filter(|other| !other.directories.contains(&registration.directory)) {
        None => Ok(()),
        Some(other) => Err(StartError::DuplicateBroker {
            broker: registration.broker,
            addresses: other.addresses.join(", "),
        }),
    }
}

/// Removes what was being deleted, and sets aside what nobody knows.
async fn sort_directories(
    shards: &Shards,
    found: &DirectoryFound,
    sight: &Sight,
    served: &mut Served,
) -> Result<(), BrokerError> {
    let topics = sight.image.list();
    let known: BTreeSet<_> = topics.into_iter().map(|topic| topic.topic_id).collect();
    let deleting = sight.image.deleting();
    let deleted: BTreeSet<_> = deleting.iter().map(|one| one.topic_id).collect();
    let names = found.topics.iter().map(String::as_str);
    let sorted = sort_topic_directories(names, &known, &deleted);
    for (name, _) in &sorted.set_aside {
        tracing::warn!(
            name,
            "a topic directory that the metadata store does not know is set aside"
        );
    }
    for name in &sorted.aside {
        tracing::warn!(name, "a topic directory was set aside by an earlier start");
    }
    if !sorted.set_aside.is_empty() {
        shards
            .directory(DirectoryCommand::SetAside(sorted.set_aside))
            .await?;
    }
    for topic in &deleting {
        let remove = DirectoryCommand::RemoveTopic(topic.topic_id);
        let removed = shards.directory(remove).await;
        served.note_removal(topic.topic_id, removed.is_ok());
        match removed {
            Ok(_) => tracing::info!(topic = %topic.name, "the data of a deleted topic is removed"),
            // Nobody is served any of it: what cannot be removed now is no reason to serve nothing else either.
            Err(error) => {
                tracing::error!(topic = %topic.name, %error, "the data of a deleted topic cannot be removed; the next start tries again");
            }
        }
    }
    Ok(())
}
