//! Moving leaders: away from a broker that is to go, and back to those that are preferred.

use ringlog_coord::controller::{DeleteTopicError, DrainError};
use ringlog_coord::topic_name::TopicName;
use ringlog_record::BrokerId;
use ringlog_wire::{DrainBrokerResponse, ElectLeadersResponse, ErrorCode};

use super::topics::existing;
use super::{Serving, Surroundings};
use crate::failure::Failure;

impl From<DrainError> for Failure {
    fn from(error: DrainError) -> Self {
        match error {
            DrainError::Controller(error) => error.into(),
            DrainError::NotThere { .. } => Self::new(ErrorCode::InvalidRequest, error),
        }
    }
}

impl<E: Surroundings> Serving<E> {
    /// Has a broker lead nothing that another one can, and get nothing new, until it registers anew.
    pub(super) async fn drain_broker(
        &mut self,
        broker: BrokerId,
    ) -> Result<DrainBrokerResponse, Failure> {
        let drained = self.govern_with(async |controller, now| {
            controller.drain(now, broker).await?;
            // What it leads still can only come back to it.
            let image = controller.image();
            let topics = image
                .list()
                .into_iter()
                .filter_map(|topic| image.describe(&topic.name));
            let led = topics
                .flat_map(|topic| topic.partitions)
                .filter(|one| one.leader == Some(broker));
            Ok(led.count())
        });
        let leaders = u32::try_from(drained.await?).unwrap_or(u32::MAX);
        tracing::info!(broker = broker.get(), leaders, "a broker is drained");
        Ok(DrainBrokerResponse { leaders })
    }

    /// Has the preferred brokers lead, of one topic or of all, where they can.
    pub(super) async fn elect_leaders(
        &mut self,
        topic: Option<String>,
    ) -> Result<ElectLeadersResponse, Failure> {
        let topic: Option<TopicName> = topic.as_deref().map(existing).transpose()?;
        let elected = self.govern_with(async |controller, now| {
            let moved = controller.elect_leaders(now, topic.clone()).await?;
            Ok(match (moved, topic) {
                (None, Some(name)) => return Err(DeleteTopicError::NotFound { name }.into()),
                (moved, _) => moved.unwrap_or_default(),
            })
        });
        let moved = u32::try_from(elected.await?).unwrap_or(u32::MAX);
        tracing::info!(moved, "preferred brokers lead");
        Ok(ElectLeadersResponse { moved })
    }
}
