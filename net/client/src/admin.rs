//! Administrative requests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use ringlog_record::{BrokerId, Offset, PartitionIndex, TimestampMs};
use ringlog_wire::{
    AlterPartitionReassignmentRequest, AlterPartitionReassignmentResponse, AlterTopicRequest,
    AlterTopicResponse, CreateTopicRequest, CreateTopicResponse, DeleteRecordsPartition,
    DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicRequest, DeleteTopicResponse,
    DescribeClusterRequest, DescribeClusterResponse, DescribeTopicRequest, DescribeTopicResponse,
    DrainBrokerRequest, DrainBrokerResponse, ElectLeadersRequest, ElectLeadersResponse, ErrorCode,
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListedOffset, OffsetPosition,
    Setting, TopicSelection, WatchClusterRequest, WatchClusterResponse,
};

use crate::client::{Client, PartitionInfo, TopicInfo};
use crate::consumer::offset_of_time;
use crate::error::{AdminError, ClientError, ConsumeError};
use crate::limits::ANSWER_GRACE;

/// A setting of a topic.
pub type TopicSetting = Setting;

/// A topic that was made.
pub type CreatedTopic = CreateTopicResponse;

/// What a topic is after a change: its settings, and the partitions that keep their durability until they are empty.
pub type AlteredTopic = AlterTopicResponse;

/// A partition of a topic with its state.
pub type DescribedPartition = ringlog_wire::DescribedPartition;

/// A topic with the state of its partitions.
pub type DescribedTopic = DescribeTopicResponse;

/// The replicas of a partition, and what of them is under way.
pub type ReassignedPartition = AlterPartitionReassignmentResponse;

/// Administers a cluster.
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
}

macro_rules! ask {
    ($self:ident, $request:expr, $response:ident) => {
        ask!($self.client.ask(&$request), $response)
    };
    ($asked:expr, $response:ident) => {{
        let (connection, frame) = $asked.await?;
        let address = connection.address();
        let body = frame.body();
        $response::decode(body).map_err(ClientError::decode(address))
    }};
}

impl Admin {
    /// Administers the cluster of `client`.
    pub fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Makes a topic; it can be produced to when this returns.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn create_topic(
        &self,
        name: &str,
        partitions: u32,
        settings: Vec<TopicSetting>,
    ) -> Result<CreatedTopic, AdminError> {
        // None: what the broker does untold.
        self.create_replicated_topic(name, partitions, 0, settings)
            .await
    }

    /// As [`Admin::create_topic`], with so many replicas of each partition.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn create_replicated_topic(
        &self,
        name: &str,
        partitions: u32,
        replication_factor: u16,
        settings: Vec<TopicSetting>,
    ) -> Result<CreatedTopic, AdminError> {
        let request = CreateTopicRequest {
            name: name.to_owned(),
            partitions,
            settings,
            replication_factor,
        };
        ask!(self.client.ask_controller(&request), CreateTopicResponse)
    }

    /// Removes a topic and its records.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn delete_topic(&self, name: &str) -> Result<(), AdminError> {
        let request = DeleteTopicRequest {
            name: name.to_owned(),
        };
        // Also when it fails: it may be gone.
        self.client.forget(name);
        ask!(self.client.ask_controller(&request), DeleteTopicResponse).map(drop)
    }

    /// Changes settings; those in `unset` get their defaults back.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn alter_topic(
        &self,
        name: &str,
        set: Vec<TopicSetting>,
        unset: Vec<String>,
    ) -> Result<AlteredTopic, AdminError> {
        let request = AlterTopicRequest {
            name: name.to_owned(),
            set,
            unset,
            partition: None,
        };
        ask!(self.client.ask_controller(&request), AlterTopicResponse)
    }

    /// Changes settings of one partition, which can have its own `durability`; those in `unset` are those of the topic
    /// again.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn alter_partition(
        &self,
        name: &str,
        partition: PartitionIndex,
        set: Vec<TopicSetting>,
        unset: Vec<String>,
    ) -> Result<AlteredTopic, AdminError> {
        let request = AlterTopicRequest {
            name: name.to_owned(),
            set,
            unset,
            partition: Some(partition),
        };
        ask!(self.client.ask_controller(&request), AlterTopicResponse)
    }

    /// All topics.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn list_topics(&self) -> Result<Vec<TopicInfo>, AdminError> {
        self.client.refresh(TopicSelection::All).await
    }

    /// All topics, those included that brokers keep for themselves; their names begin with `__`.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn list_all_topics(&self) -> Result<Vec<TopicInfo>, AdminError> {
        self.client.refresh(TopicSelection::AllAndInternal).await
    }

    /// A topic with its settings and the state of its partitions.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn describe_topic(&self, name: &str) -> Result<DescribedTopic, AdminError> {
        let request = DescribeTopicRequest {
            name: name.to_owned(),
        };
        let mut described = ask!(self, request, DescribeTopicResponse)?;
        // Each broker knows the logs that it has open.
        let elsewhere = described
            .partitions
            .iter()
            .filter(|one| one.error == ErrorCode::NotLeader);
        let leaders: BTreeSet<BrokerId> = elsewhere.filter_map(|one| one.leader).collect();
        if !leaders.is_empty() {
            // They are found by their ids.
            self.client
                .refresh(TopicSelection::Named(Vec::new()))
                .await?;
        }
        let asked = leaders
            .into_iter()
            .map(|leader| self.described_by(leader, &request));
        // One that does not answer leaves its partitions as another broker sees them.
        for (leader, answer) in join_all(asked).await.into_iter().flatten() {
            for (known, told) in described.partitions.iter_mut().zip(answer.partitions) {
                if known.leader == Some(leader) && told.leader == Some(leader) {
                    *known = told;
                }
            }
        }
        Ok(described)
    }

    /// What a broker says of a topic; nothing when it cannot be asked.
    async fn described_by(
        &self,
        broker: BrokerId,
        request: &DescribeTopicRequest,
    ) -> Option<(BrokerId, DescribeTopicResponse)> {
        let address = self.client.broker_address(broker)?;
        let timeout = self.client.config().request_timeout;
        let asked = self.client.ask_address(&address, request, timeout);
        let answer: Result<_, AdminError> = async { ask!(asked, DescribeTopicResponse) }.await;
        Some((broker, answer.ok()?))
    }

    /// Brokers and totals.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn describe_cluster(&self) -> Result<DescribeClusterResponse, AdminError> {
        ask!(self, DescribeClusterRequest, DescribeClusterResponse)
    }

    /// Has a broker lead nothing that another one can, and get nothing new, until it registers anew; gives how many partitions
    /// it leads still, since no other broker has their records.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn drain_broker(&self, broker: BrokerId) -> Result<u32, AdminError> {
        let request = DrainBrokerRequest { broker };
        let drained = ask!(self.client.ask_controller(&request), DrainBrokerResponse)?;
        Ok(drained.leaders)
    }

    /// Has the preferred brokers lead, of one topic or of all, where they can; gives how many leaders were moved.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn elect_leaders(&self, topic: Option<String>) -> Result<u32, AdminError> {
        let request = ElectLeadersRequest { topic };
        let elected = ask!(self.client.ask_controller(&request), ElectLeadersResponse)?;
        Ok(elected.moved)
    }

    /// Gives a partition other replicas, the preferred leader first. Brokers that are added catch up before any goes; until
    /// all of them are in sync, `adding` and `removing` of the answer say what is under way, and the partition is served as
    /// before.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn reassign_partition(
        &self,
        topic: &str,
        partition: PartitionIndex,
        replicas: Vec<BrokerId>,
    ) -> Result<ReassignedPartition, AdminError> {
        self.alter_reassignment(topic, partition, Some(replicas))
            .await
    }

    /// Leaves a partition with the replicas that it had before the reassignment that is under way.
    ///
    /// # Errors
    ///
    /// [`AdminError`], with `invalid_request` when none is under way.
    pub async fn cancel_reassignment(
        &self,
        topic: &str,
        partition: PartitionIndex,
    ) -> Result<ReassignedPartition, AdminError> {
        self.alter_reassignment(topic, partition, None).await
    }

    async fn alter_reassignment(
        &self,
        topic: &str,
        partition: PartitionIndex,
        replicas: Option<Vec<BrokerId>>,
    ) -> Result<ReassignedPartition, AdminError> {
        let request = AlterPartitionReassignmentRequest {
            topic: topic.to_owned(),
            partition,
            replicas,
        };
        let asked = self.client.ask_controller(&request);
        ask!(asked, AlterPartitionReassignmentResponse)
    }

    /// Waits until a broker has another picture of the cluster than `seen`, for as long as `wait` at most; gives the picture
    /// that it has. Begin with 0, which is answered at once. Another broker may be asked after a failure: its pictures are
    /// others.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn watch_cluster(&self, seen: u64, wait: Duration) -> Result<u64, AdminError> {
        let request = WatchClusterRequest {
            seen,
            max_wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        };
        let asked = self.client.ask_within(&request, wait + ANSWER_GRACE);
        let response: WatchClusterResponse = ask!(asked, WatchClusterResponse)?;
        Ok(response.picture)
    }

    /// An offset of a partition by position or time; by time it is that of the first batch that may hold such a
    /// record, none when all are older.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn offset(
        &self,
        topic: &TopicInfo,
        partition: PartitionIndex,
        position: OffsetPosition,
    ) -> Result<Option<(Offset, Option<TimestampMs>)>, AdminError> {
        let listed = self.offsets(topic, &[(partition, position)]).await?;
        let listed = listed.into_iter().next();
        let listed = listed.ok_or_else(|| ClientError::bad_answer(&topic.name, "it is empty"))?;
        refusal(listed.error, listed.message)?;
        Ok(listed.offset.map(|offset| (offset, listed.timestamp)))
    }

    /// Offsets of partitions by position or time, and where those partitions stand; each with an error of its own. They
    /// come in the order of the brokers that lead them. One request goes to each broker.
    ///
    /// # Errors
    ///
    /// [`AdminError`] when a broker cannot be asked.
    pub async fn offsets(
        &self,
        topic: &TopicInfo,
        positions: &[(PartitionIndex, OffsetPosition)],
    ) -> Result<Vec<ListedOffset>, AdminError> {
        let mut brokers: BTreeMap<Option<BrokerId>, Vec<(&PartitionInfo, OffsetPosition)>> =
            BTreeMap::new();
        for &(partition, position) in positions {
            let info = topic.partition(partition)?;
            let asked = brokers.entry(info.leader).or_default();
            asked.push((info, position));
        }
        let mut listed = Vec::with_capacity(positions.len());
        for asked in brokers.into_values() {
            let Some((first, _)) = asked.first() else {
                continue;
            };
            let connection = self.client.leader_connection(&topic.name, first).await?;
            let partitions = asked.iter().map(|&(info, position)| ListOffsetsPartition {
                id: info.id,
                position,
            });
            let request = ListOffsetsRequest {
                partitions: partitions.collect(),
            };
            let timeout = self.client.config().request_timeout;
            let frame = connection.call(&request, Vec::new(), timeout).await?;
            let address = connection.address();
            let body = frame.body();
            let response =
                ListOffsetsResponse::decode(body).map_err(ClientError::decode(address))?;
            listed.extend(response.partitions);
        }
        Ok(listed)
    }

    /// The offsets behind the last records of partitions that can be read.
    ///
    /// # Errors
    ///
    /// [`AdminError`], that of a partition too.
    pub async fn end_offsets(
        &self,
        topic: &TopicInfo,
        partitions: &[PartitionIndex],
    ) -> Result<Vec<(PartitionIndex, Offset)>, AdminError> {
        let latest = |&partition| (partition, OffsetPosition::Latest);
        let positions: Vec<_> = partitions.iter().map(latest).collect();
        let mut ends = Vec::with_capacity(partitions.len());
        for listed in self.offsets(topic, &positions).await? {
            refusal(listed.error, listed.message)?;
            let end = listed.offset.unwrap_or(listed.state.high_watermark);
            ends.push((listed.id.partition, end));
        }
        Ok(ends)
    }

    /// The offset behind the last record of a partition that can be read.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn end_offset(
        &self,
        topic: &TopicInfo,
        partition: PartitionIndex,
    ) -> Result<Offset, AdminError> {
        let latest = self
            .offset(topic, partition, OffsetPosition::Latest)
            .await?;
        Ok(latest.map_or(Offset::ZERO, |(offset, _)| offset))
    }

    /// The first record of a partition that is not older than `time`, and its time; none when all are older.
    ///
    /// # Errors
    ///
    /// [`ConsumeError`]: batches are read to find the record.
    pub async fn offset_of_time(
        &self,
        topic: &TopicInfo,
        partition: PartitionIndex,
        time: TimestampMs,
    ) -> Result<Option<(Offset, TimestampMs)>, ConsumeError> {
        offset_of_time(self, topic, partition, time).await
    }

    /// Moves the log start of a partition to `before`; gives the log start.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn delete_records(
        &self,
        topic: &TopicInfo,
        partition: PartitionIndex,
        before: Offset,
    ) -> Result<Offset, AdminError> {
        let info = topic.partition(partition)?;
        let connection = self.client.leader_connection(&topic.name, info).await?;
        let request = DeleteRecordsRequest {
            partitions: vec![DeleteRecordsPartition {
                id: info.id,
                before,
            }],
        };
        let timeout = self.client.config().request_timeout;
        let frame = connection.call(&request, Vec::new(), timeout).await?;
        let address = connection.address();
        let body = frame.body();
        let response = DeleteRecordsResponse::decode(body).map_err(ClientError::decode(address))?;
        let deleted = response.partitions.into_iter().next();
        let deleted = deleted.ok_or_else(|| ClientError::bad_answer(address, "it is empty"))?;
        refusal(deleted.error, deleted.message)?;
        Ok(deleted.state.log_start)
    }
}

/// What an entry of an answer says went wrong.
pub(crate) fn refusal(code: ErrorCode, message: Option<String>) -> Result<(), ClientError> {
    if code == ErrorCode::None {
        return Ok(());
    }
    Err(ClientError::Refused {
        code,
        message: message.unwrap_or_else(|| code.sentence().to_owned()),
    })
}
