//! The offsets that a group has committed.

use ringlog_record::{LeaderEpoch, Offset, TopicPartition};
use ringlog_wire::{
    CommittedOffset, OffsetCommitPartition, OffsetCommitRequest, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchResponse,
};

use crate::admin::refusal;
use crate::client::Client;
use crate::error::ClientError;

/// The offsets of one group: how far it has read, kept by the broker.
#[derive(Clone, Debug)]
pub struct GroupOffsets {
    client: Client,
    group: String,
}

/// How far a group has read a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffset {
    /// Which partition.
    pub id: TopicPartition,
    /// What the group wants to read next.
    pub offset: Offset,
    /// Leader epoch of the last record that it read.
    pub leader_epoch: Option<LeaderEpoch>,
    /// What it wants to find beside it again, at most 1 KiB.
    pub metadata: String,
}

impl GroupOffset {
    /// The offset to read next, and nothing beside it.
    #[must_use]
    pub fn new(id: TopicPartition, offset: Offset) -> Self {
        Self {
            id,
            offset,
            leader_epoch: None,
            metadata: String::new(),
        }
    }
}

impl GroupOffsets {
    /// The offsets of the group of this name, 1 to 255 bytes. It need not have committed any.
    #[must_use]
    pub fn new(client: &Client, group: impl Into<String>) -> Self {
        Self {
            client: client.clone(),
            group: group.into(),
        }
    }

    /// Commits offsets. They are durable when this returns. A failure that [`ClientError::is_retriable`] or whose outcome is
    /// unknown may be tried again with the same offsets.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: the first that was refused; others may be committed.
    pub async fn commit(&self, offsets: &[GroupOffset]) -> Result<(), ClientError> {
        let partitions = offsets.iter().map(|one| OffsetCommitPartition {
            id: one.id,
            offset: one.offset,
            leader_epoch: one.leader_epoch,
            metadata: one.metadata.clone(),
        });
        let request = OffsetCommitRequest {
            group: self.group.clone(),
            partitions: partitions.collect(),
        };
        let (connection, frame) = self.client.ask_coordinator(&request).await?;
        let address = connection.address();
        let body = frame.body();
        let response = OffsetCommitResponse::decode(body).map_err(ClientError::decode(address))?;
        if response.partitions.len() != offsets.len() {
            return Err(ClientError::bad_answer(
                address,
                "it is not as long as the request",
            ));
        }
        let mut results = response.partitions.into_iter();
        results.try_for_each(|one| refusal(one.error, one.message))
    }

    /// What the group has committed for these partitions, in their order; `None` where it has committed nothing.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: the first that was refused.
    pub async fn committed(
        &self,
        ids: &[TopicPartition],
    ) -> Result<Vec<Option<GroupOffset>>, ClientError> {
        let found = self.fetch(Some(ids.to_vec())).await?;
        Ok(found.into_iter().map(group_offset).collect())
    }

    /// All that the group has committed, by topic and partition.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn all(&self) -> Result<Vec<GroupOffset>, ClientError> {
        let found = self.fetch(None).await?;
        Ok(found.into_iter().filter_map(group_offset).collect())
    }

    async fn fetch(
        &self,
        partitions: Option<Vec<TopicPartition>>,
    ) -> Result<Vec<CommittedOffset>, ClientError> {
        let count = partitions.as_ref().map(Vec::len);
        let request = OffsetFetchRequest {
            group: self.group.clone(),
            partitions,
        };
        let (connection, frame) = self.client.ask_coordinator(&request).await?;
        let address = connection.address();
        let body = frame.body();
        let response = OffsetFetchResponse::decode(body).map_err(ClientError::decode(address))?;
        if count.is_some_and(|count| count != response.partitions.len()) {
            return Err(ClientError::bad_answer(
                address,
                "it is not as long as the request",
            ));
        }
        for one in &response.partitions {
            refusal(one.error, one.message.clone())?;
        }
        Ok(response.partitions)
    }
}

fn group_offset(found: CommittedOffset) -> Option<GroupOffset> {
    let offset = found.offset?;
    Some(GroupOffset {
        id: found.id,
        offset,
        leader_epoch: found.leader_epoch,
        metadata: found.metadata,
    })
}
