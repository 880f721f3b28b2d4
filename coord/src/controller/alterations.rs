//! What leaders ask for: other in-sync replicas. Judged here, written by the machine in batches.

use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};
use thiserror::Error;

use super::election::Standing;
use super::image::{Image, Stored};
use crate::ids::BrokerEpoch;
use crate::records::{IsrMember, PartitionState};
use crate::store::Version;
use crate::topic_name::TopicName;

/// A leader wants these replicas to be the ISR of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionAlteration {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// Who asks.
    pub leader: BrokerId,
    /// In which registration.
    pub broker_epoch: BrokerEpoch,
    /// In which epoch it leads.
    pub leader_epoch: LeaderEpoch,
    /// The state that it knows.
    pub partition_epoch: Version,
    /// Who is to be in sync.
    pub isr: Vec<IsrMember>,
}

/// Why an ISR is not changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlterationRefused {
    /// There is no such partition.
    #[error("there is no such partition")]
    UnknownPartition,
    /// Somebody else leads it, or this broker in another epoch.
    #[error("the broker does not lead the partition in this epoch")]
    NotLeader,
    /// The state has changed since.
    #[error("the state of the partition has changed")]
    OldPartitionEpoch,
    /// A broker is no replica, or not there in this registration, or about to leave.
    #[error("broker {broker} cannot be in sync")]
    NotEligible {
        /// Which.
        broker: BrokerId,
    },
}

impl PartitionAlteration {
    /// The state that is to be, or why not.
    pub(super) fn judge<'a>(
        &self,
        image: &'a Image,
        standing: Standing<'_>,
    ) -> Result<(TopicName, &'a Stored<PartitionState>, PartitionState), AlterationRefused> {
        let topic = image
            .topics
            .values()
            .find(|topic| topic.id() == self.topic_id);
        let topic = topic.ok_or(AlterationRefused::UnknownPartition)?;
        let stored = topic.state(self.partition);
        let stored = stored.ok_or(AlterationRefused::UnknownPartition)?;
        let placement = topic.placement(self.partition);
        let placement = placement.ok_or(AlterationRefused::UnknownPartition)?;
        let old = &stored.record.body;
        let me = IsrMember {
            id: self.leader,
            broker_epoch: self.broker_epoch,
        };
        if old.leader != Some(self.leader)
            || old.leader_epoch != self.leader_epoch
            || !old.isr.contains(&me)
            || !self.isr.contains(&me)
        {
            return Err(AlterationRefused::NotLeader);
        }
        if stored.version != self.partition_epoch {
            return Err(AlterationRefused::OldPartitionEpoch);
        }
        for member in self.isr.iter().filter(|member| !old.isr.contains(member)) {
            let fits = placement.replicas.contains(&member.id)
                && !placement.removing.contains(&member.id)
                && standing.may_lead(member.id)
                && standing.live.get(&member.id).map(|live| live.epoch)
                    == Some(member.broker_epoch);
            if !fits {
                return Err(AlterationRefused::NotEligible { broker: member.id });
            }
        }
        let mut new = old.clone();
        new.isr.clone_from(&self.isr);
        new.isr.sort_unstable_by_key(|member| member.id);
        new.isr.dedup_by_key(|member| member.id);
        if new.isr.len() >= usize::from(new.min_isr) {
            new.elr.clear();
        } else {
            let gone = old.isr.iter().map(|member| member.id);
            let gone = gone.filter(|id| !self.isr.iter().any(|member| member.id == *id));
            new.elr.extend(gone);
            new.elr.sort_unstable();
            new.elr.dedup();
        }
        new.elr
            .retain(|broker| !self.isr.iter().any(|member| member.id == *broker));
        Ok((topic.name.clone(), stored, new))
    }
}
