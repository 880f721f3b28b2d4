//! Other replicas for a partition.

use ringlog_coord::controller::{ReassignError, Reassignment};
use ringlog_wire::{
    AlterPartitionReassignmentRequest, AlterPartitionReassignmentResponse, ErrorCode,
};

use super::topics::existing;
use super::{Serving, Surroundings};
use crate::failure::Failure;

impl From<ReassignError> for Failure {
    fn from(error: ReassignError) -> Self {
        let code = match error {
            ReassignError::Controller(error) => return error.into(),
            ReassignError::NotFound { .. } => ErrorCode::UnknownTopic,
            ReassignError::NoSuchPartition { .. } => ErrorCode::UnknownPartition,
            ReassignError::Replicas { .. }
            | ReassignError::Twice { .. }
            | ReassignError::MinIsr { .. }
            | ReassignError::NotThere { .. }
            | ReassignError::Draining { .. }
            | ReassignError::NothingToCancel { .. }
            | ReassignError::NobodyInSync { .. } => ErrorCode::InvalidRequest,
        };
        Self::new(code, error)
    }
}

impl<E: Surroundings> Serving<E> {
    /// Gives a partition other replicas, or stops doing so; tells which it has then.
    pub(super) async fn reassign(
        &mut self,
        wanted: AlterPartitionReassignmentRequest,
    ) -> Result<AlterPartitionReassignmentResponse, Failure> {
        let name = existing(&wanted.topic)?;
        let partition = wanted.partition;
        let goal = wanted
            .replicas
            .map_or(Reassignment::Cancel, Reassignment::To);
        let reassigned = self.govern_with(async |controller, now| {
            controller.reassign(now, &name, partition, goal).await?;
            let described = controller.image().describe(&name);
            let mut partitions = described.into_iter().flat_map(|topic| topic.partitions);
            Ok(partitions.find(|one| one.partition == partition))
        });
        let placed = reassigned.await?.ok_or_else(|| {
            let name = name.clone();
            Failure::from(ReassignError::NotFound { name })
        })?;
        tracing::info!(
            topic = %name,
            partition = partition.get(),
            replicas = ?placed.replicas,
            adding = ?placed.adding,
            removing = ?placed.removing,
            "a partition is reassigned"
        );
        Ok(AlterPartitionReassignmentResponse {
            replicas: placed.replicas,
            adding: placed.adding,
            removing: placed.removing,
        })
    }
}
