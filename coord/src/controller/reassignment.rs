//! Other replicas for a partition: added, awaited, and only then are the others removed. Pure.
//!
//! While it goes on, a placement has the replicas that are wanted first and those that are to go behind them.

use ringlog_record::{BrokerId, PartitionIndex, TopicId};

use super::election::Standing;
use super::error::{ControllerError, ReassignError};
use super::image::{Image, Stored};
use super::machine::{Op, Tell, Write};
use crate::ids::ChunkIndex;
use crate::limits::{CHUNK_PARTITIONS, REPLICAS_MAX};
use crate::paths;
use crate::records::{AssignmentChunk, PartitionState, Placement};
use crate::store::MetaOp;
use crate::topic_name::TopicName;

/// A placement that is to be written.
#[derive(Debug)]
pub(super) struct Moved {
    name: TopicName,
    topic_id: TopicId,
    partition: PartitionIndex,
    placement: Placement,
    /// The whole chunk, as it is to be.
    chunk: Stored<AssignmentChunk>,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Step {
    /// Those that are to go leave the ISR.
    State(TopicName, PartitionIndex, PartitionState),
    /// The placement is settled.
    Placement(Moved),
}

impl Moved {
    fn new(
        image: &Image,
        name: &TopicName,
        partition: PartitionIndex,
        placement: Placement,
    ) -> Option<Self> {
        let topic = image.topics.get(name)?;
        let index = ChunkIndex::of(partition);
        let mut chunk = topic
            .chunks
            .get(usize::try_from(index.get()).ok()?)?
            .clone();
        let first = index.get() * CHUNK_PARTITIONS;
        let partitions = topic.placements.iter().skip(usize::try_from(first).ok()?);
        let partitions = partitions.take(usize::try_from(CHUNK_PARTITIONS).ok()?);
        chunk.record.body.partitions = partitions.cloned().collect();
        let place = usize::try_from(partition.get() - first).ok()?;
        chunk
            .record
            .body
            .partitions
            .get_mut(place)?
            .clone_from(&placement);
        Some(Self {
            name: name.clone(),
            topic_id: topic.id(),
            partition,
            placement,
            chunk,
        })
    }

    pub(super) fn write(&self) -> Result<Write, ControllerError> {
        let path = paths::assignment(self.topic_id, ChunkIndex::of(self.partition));
        let op = MetaOp::Set {
            data: self.chunk.record.encode(&path)?,
            path,
            version: Some(self.chunk.version),
        };
        let ops = vec![Op {
            op,
            about: Some(self.name.clone()),
        }];
        Ok(Write {
            what: "the replicas of a partition",
            ops,
            tell: Tell::Brokers,
        })
    }

    pub(super) fn apply(self, image: &mut Image) {
        let Some(topic) = image.topics.get_mut(&self.name) else {
            return;
        };
        let chunk = usize::try_from(ChunkIndex::of(self.partition).get()).unwrap_or(usize::MAX);
        if let Some(known) = topic.chunks.get_mut(chunk) {
            known.version = self.chunk.version.next();
        }
        let partition = usize::try_from(self.partition.get()).unwrap_or(usize::MAX);
        if let Some(placement) = topic.placements.get_mut(partition) {
            *placement = self.placement;
        }
    }
}

/// Begins a reassignment, or turns one that goes on to another goal; nothing when all is so already.
pub(super) fn begin(
    image: &Image,
    standing: Standing<'_>,
    name: &TopicName,
    partition: PartitionIndex,
    wanted: Vec<BrokerId>,
) -> Result<Option<Moved>, ReassignError> {
    let unknown = || ReassignError::NotFound {
        name: name.clone(),
        partition,
    };
    let topic = image.topics.get(name).ok_or_else(unknown)?;
    let old = topic.placement(partition).ok_or_else(unknown)?;
    let distinct: std::collections::BTreeSet<_> = wanted.iter().collect();
    if wanted.is_empty()
        || wanted.len() > usize::from(REPLICAS_MAX)
        || distinct.len() != wanted.len()
    {
        return Err(ReassignError::Replicas {
            replicas_max: REPLICAS_MAX,
        });
    }
    if wanted.len() < usize::from(topic.config.topic.min_isr) {
        return Err(ReassignError::MinIsr {
            min_isr: topic.config.topic.min_isr,
        });
    }
    let settled = |placement: &Placement| -> Vec<BrokerId> {
        let replicas = placement.replicas.iter();
        replicas
            .filter(|one| !placement.adding.contains(one))
            .copied()
            .collect()
    };
    let have = settled(old);
    let adding: Vec<BrokerId> = wanted
        .iter()
        .filter(|one| !have.contains(one))
        .copied()
        .collect();
    if let Some(broker) = adding.iter().find(|broker| !standing.may_lead(**broker)) {
        return Err(ReassignError::NotActive { broker: *broker });
    }
    let removing: Vec<BrokerId> = have
        .iter()
        .filter(|one| !wanted.contains(one))
        .copied()
        .collect();
    let mut placement = old.clone();
    placement.replicas = wanted;
    placement.replicas.extend(&removing);
    placement.adding = adding;
    placement.removing = removing;
    if placement == *old {
        return Ok(None);
    }
    Ok(Moved::new(image, name, partition, placement))
}

/// The next step of the first reassignment that can go on.
pub(super) fn next(image: &Image, standing: Standing<'_>) -> Result<Option<Step>, ControllerError> {
    for topic in image.topics.values() {
        for (partition, placement, stored) in topic.rows() {
            if placement.adding.is_empty() && placement.removing.is_empty() {
                continue;
            }
            let state = &stored.record.body;
            let in_sync = |broker: &BrokerId| state.isr.iter().any(|member| member.id == *broker);
            let stays = |broker: &&BrokerId| !placement.removing.contains(broker);
            let staying = placement.replicas.iter().filter(stays);
            let leads = state.leader.is_some_and(|leader| {
                !placement.removing.contains(&leader) && standing.may_lead(leader)
            });
            let enough =
                staying.clone().filter(|one| in_sync(one)).count() >= usize::from(state.min_isr);
            if !leads || !enough || !placement.adding.iter().all(in_sync) {
                continue;
            }
            let mut without = state.clone();
            without
                .isr
                .retain(|member| !placement.removing.contains(&member.id));
            without
                .elr
                .retain(|broker| !placement.removing.contains(broker));
            if without != *state {
                return Ok(Some(Step::State(topic.name.clone(), partition, without)));
            }
            let mut settled = placement.clone();
            settled.replicas = staying.copied().collect();
            settled.adding.clear();
            settled.removing.clear();
            let moved = Moved::new(image, &topic.name, partition, settled);
            return Ok(moved.map(Step::Placement));
        }
    }
    Ok(None)
}
