//! The shards, as the control task commands them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_channel::oneshot;
use futures_util::future::join_all;
use ringlog_coord::config::TopicConfigs;
use ringlog_coord::controller::PartitionAssignment;
use ringlog_reactor::mailbox;
use ringlog_record::{BrokerId, PartitionIndex, ShardId, TopicId, TopicPartition};

use super::BrokerError;
use crate::cluster_view::ClusterView;
use crate::metrics::ShardMetrics;
use crate::shard::command::{
    Answer, DirectoryCommand, DirectoryFound, PartitionReport, ShardCommand,
};
use crate::slow::SlowRequest;

/// The way to the shards.
#[derive(Clone)]
pub(super) struct Shards(Vec<mailbox::Sender<ShardCommand>>);

impl Shards {
    pub(super) fn new(shards: Vec<mailbox::Sender<ShardCommand>>) -> Self {
        Self(shards)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ShardId> {
        (0..self.0.len()).map(|index| ShardId::new(u16::try_from(index).unwrap_or(u16::MAX)))
    }

    /// Commands one shard and waits for its answer.
    pub(super) async fn ask<T>(
        &self,
        shard: ShardId,
        command: impl FnOnce(Answer<T>) -> ShardCommand,
    ) -> Result<T, BrokerError> {
        let (answer, answered) = oneshot::channel();
        let shard = self.0.get(usize::from(shard.get()));
        let shard = shard.ok_or(BrokerError::Stopped)?;
        // One control task, which waits for each answer: the mailbox is never full.
        let sent = shard.try_send(command(answer));
        sent.map_err(|_| BrokerError::Stopped)?;
        answered.await.map_err(|_| BrokerError::Stopped)
    }

    /// Commands all shards and waits for the answers of those that are there.
    pub(super) async fn ask_all<T>(&self, command: impl Fn(Answer<T>) -> ShardCommand) -> Vec<T> {
        let asked = self.ids().map(|shard| self.ask(shard, &command));
        let answers = join_all(asked).await;
        answers.into_iter().filter_map(Result::ok).collect()
    }

    /// Works on the data directory.
    pub(super) async fn directory(
        &self,
        command: DirectoryCommand,
    ) -> Result<DirectoryFound, BrokerError> {
        let done = self
            .ask(ShardId::new(0), |answer| ShardCommand::Directory {
                command,
                answer,
            })
            .await?;
        done.map_err(BrokerError::Directory)
    }

    /// Opens partitions on the shards that own them; gives those that could not be opened.
    pub(super) async fn open(
        &self,
        broker: BrokerId,
        partitions: BTreeMap<ShardId, Vec<PartitionAssignment>>,
    ) -> Result<Vec<(TopicPartition, String)>, BrokerError> {
        let asked = partitions.into_iter().map(|(shard, partitions)| {
            self.ask(shard, move |answer| ShardCommand::Open {
                broker,
                partitions,
                answer,
            })
        });
        let mut failed = Vec::new();
        for answer in join_all(asked).await {
            failed.extend(answer?);
        }
        Ok(failed)
    }

    /// Closes partitions, each on its shard.
    pub(super) async fn close(
        &self,
        partitions: &[(TopicPartition, ShardId)],
    ) -> Result<(), BrokerError> {
        let mut by_shard: BTreeMap<ShardId, Vec<TopicPartition>> = BTreeMap::new();
        for (id, shard) in partitions {
            by_shard.entry(*shard).or_default().push(*id);
        }
        let asked = by_shard.into_iter().map(|(shard, partitions)| {
            self.ask(shard, move |answer| ShardCommand::Close {
                partitions,
                answer,
            })
        });
        join_all(asked).await.into_iter().collect()
    }

    pub(super) async fn publish(&self, view: Arc<ClusterView>) {
        self.ask_all(|answer| ShardCommand::Publish {
            view: Arc::clone(&view),
            answer,
        })
        .await;
    }

    pub(super) async fn describe(&self, topic: Option<TopicId>) -> Vec<PartitionReport> {
        let reports = self.ask_all(|answer| ShardCommand::Describe { topic, answer });
        reports.await.into_iter().flatten().collect()
    }

    pub(super) async fn metrics(&self) -> Vec<ShardMetrics> {
        self.ask_all(|answer| ShardCommand::Metrics { answer })
            .await
    }

    pub(super) async fn slow(&self) -> Vec<(ShardId, Vec<SlowRequest>)> {
        self.ask_all(|answer| ShardCommand::Slow { answer }).await
    }

    pub(super) async fn delete(&self, topic: TopicId) -> Result<(), String> {
        let deleted = self.ask_all(|answer| ShardCommand::Delete { topic, answer });
        deleted.await.into_iter().collect()
    }

    /// Gives the partitions that do not have their new durability yet.
    pub(super) async fn set_config(
        &self,
        topic: TopicId,
        configs: &TopicConfigs,
    ) -> Vec<PartitionIndex> {
        let set = self.ask_all(|answer| ShardCommand::SetConfig {
            topic,
            configs: configs.clone(),
            answer,
        });
        let mut pending: Vec<_> = set.await.into_iter().flatten().collect();
        pending.sort_unstable();
        pending
    }

    /// Lets all shards take connections.
    pub(super) fn accept(&self) {
        for shard in &self.0 {
            // A shard that is gone takes none.
            drop(shard.try_send(ShardCommand::Accept));
        }
    }

    /// Stops all shards. They have closed their logs when this returns, and then, not before, the data directory is
    /// free for another broker.
    pub(super) async fn stop(&self) {
        self.ask_all(|answer| ShardCommand::Drain { answer }).await;
        self.ask_all(|answer| ShardCommand::End { answer }).await;
    }
}
