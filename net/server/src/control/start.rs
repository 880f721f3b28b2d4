//! How a broker starts. Each step leaves a state from which the next start can go on.
//!
//! 1. The data directory is made, locked, and its identity checked against the metadata store: a store that is lost,
//!    empty or of another cluster never costs data.
//! 2. The address is bound, so that an address in use is found out before anything is changed.
//! 3. The broker registers, takes office and raises the leader epoch of each of its partitions, durably.
//! 4. Topics that were being deleted are removed; directories that no topic has are set aside.
//! 5. The shards open their logs.
//! 6. Everybody is told, and connections are taken.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use ringlog_coord::controller::{
    BrokerStart, Controller, PartitionAssignment, ReplacedDirectory, StartedBroker, cluster_id,
    init_cluster,
};
use ringlog_coord::directory::{
    Action, FormatJson, check_broker, check_identity, sort_topic_directories,
};
use ringlog_coord::ids::{ClusterId, DirectoryId, Incarnation};
use ringlog_coord::records::BrokerLife;
use ringlog_coord::store::MetadataStore;
use ringlog_record::ShardId;

use super::producers::ProducerIds;
use super::{BrokerError, ControlTask, Serving, broker_view, random_from};
use crate::partition_budget::PartitionBudget;
use crate::shard::command::{DirectoryCommand, DirectoryFound, ShardCommand};

impl ControlTask {
    /// Starts the broker, up to taking connections.
    pub(super) async fn start<S: MetadataStore>(
        &mut self,
        store: S,
    ) -> Result<Serving<S>, BrokerError> {
        let found = self.shards.directory(DirectoryCommand::Inspect).await?;
        let mut random = random_from(found.seed);
        let format = self.settle_identity(&store, &found, &mut random).await?;
        let address = self.bind().await?;
        let told = self
            .config
            .advertised
            .clone()
            .unwrap_or_else(|| address.to_string());
        let start = BrokerStart {
            broker: self.config.broker,
            incarnation: Incarnation::new(random_u128(&mut random)),
            addresses: vec![told.clone()],
            shards: self.config.shards,
            rack: self.config.rack.clone(),
            directory: format.directory_id,
            replaced_directory: ReplacedDirectory::Refuse,
        };
        let (controller, started) = Controller::start_broker(store, start).await?;
        let mut serving = Serving {
            shards: self.shards.clone(),
            shard_count: self.config.shards,
            budget: PartitionBudget::of(&self.config),
            controller,
            me: broker_view(&self.config, told, started.broker_epoch.get()),
            cluster_id: format.cluster_id.to_string(),
            random,
            producer_ids: ProducerIds::default(),
        };
        serving.sort_directories(&found, &started).await?;
        serving.warn_when_over_budget(&started.assignment);
        serving.open_all(started.assignment).await?;
        serving
            .controller
            .set_broker_life(BrokerLife::Active)
            .await?;
        serving.stock_producer_ids().await;
        serving.publish().await;
        self.shards.accept();
        if let Some(ready) = self.ready.take() {
            // Whoever started the broker may not care.
            ready.send(address).ok();
        }
        Ok(serving)
    }

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

impl<S: MetadataStore> Serving<S> {
    /// Removes what was being deleted, and sets aside what nobody knows.
    async fn sort_directories(
        &mut self,
        found: &DirectoryFound,
        started: &StartedBroker,
    ) -> Result<(), BrokerError> {
        let known: BTreeSet<_> = self
            .controller
            .list()
            .into_iter()
            .map(|topic| topic.topic_id)
            .collect();
        let deleting: BTreeSet<_> = started.deleting.iter().map(|one| one.topic_id).collect();
        let names = found.topics.iter().map(String::as_str);
        let sorted = sort_topic_directories(names, &known, &deleting);
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
            self.shards
                .directory(DirectoryCommand::SetAside(sorted.set_aside))
                .await?;
        }
        for topic in &started.deleting {
            let remove = DirectoryCommand::RemoveTopic(topic.topic_id);
            // Nobody is served any of it: what cannot be removed now is no reason to serve nothing else either.
            if let Err(error) = self.shards.directory(remove).await {
                tracing::error!(topic = %topic.name, %error, "the data of a deleted topic cannot be removed; the next start tries again");
                continue;
            }
            self.controller.finish_delete(topic.topic_id).await?;
            tracing::info!(topic = %topic.name, "an unfinished deletion is finished");
        }
        Ok(())
    }

    /// Partitions that were made when the broker had more memory are served all the same: they share what there is.
    fn warn_when_over_budget(&self, assignment: &[PartitionAssignment]) {
        let partitions_max = self.budget.partitions_max();
        tracing::info!(
            partitions = assignment.len(),
            partitions_max,
            "partitions that the memory and the open files serve"
        );
        if let Err(error) = self.budget.check(&[], assignment) {
            tracing::warn!(%error, "the partitions need more than the broker has for them");
        }
    }

    /// Has the shards open their logs.
    async fn open_all(&self, assignment: Vec<PartitionAssignment>) -> Result<(), BrokerError> {
        let partitions = assignment.len();
        let failed = self.open(assignment).await?;
        tracing::info!(partitions, offline = failed.len(), "the logs are open");
        Ok(())
    }

    /// Opens partitions on the shards that own them; gives how many could not be opened, with the reasons.
    pub(super) async fn open(
        &self,
        assignment: Vec<PartitionAssignment>,
    ) -> Result<Vec<(ringlog_record::TopicPartition, String)>, BrokerError> {
        let mut by_shard: BTreeMap<ShardId, Vec<PartitionAssignment>> = BTreeMap::new();
        for one in assignment {
            let shard = one.shard(self.shard_count);
            by_shard.entry(shard).or_default().push(one);
        }
        self.shards.open(self.me.broker, by_shard).await
    }
}
