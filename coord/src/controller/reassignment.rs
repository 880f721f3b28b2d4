//! Other replicas for a partition: added, awaited, and only then are the others removed. Pure.
//!
//! While it goes on, a placement has the replicas that are wanted first and those that are to go behind them, and beside
//! them those that it had before, in their order: cancelling it is a reassignment to these, which nothing has to be waited
//! for. Replicas that are given up so fall out of the ISR when the partition is next settled.

use std::collections::BTreeSet;

use ringlog_record::{BrokerId, PartitionIndex, TopicId};

use super::election::Standing;
use super::error::{ControllerError, ReassignError};
use super::image::{Image, Stored};
use super::machine::{Op, Tell, Write};
use crate::ids::ChunkIndex;
use crate::limits::{CHUNK_PARTITIONS, REPLICAS_MAX};
use crate::paths;
use crate::records::{AssignmentChunk, BrokerLife, PartitionState, Placement};
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

/// Which replicas a partition is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reassignment {
    /// These, the preferred leader first.
    To(Vec<BrokerId>),
    /// Those that it had before a reassignment that goes on.
    Cancel,
}

/// Begins a reassignment, or turns one that goes on to another goal; nothing when all is so already.
pub(super) fn begin(
    image: &Image,
    standing: Standing<'_>,
    name: &TopicName,
    partition: PartitionIndex,
    wanted: Reassignment,
) -> Result<Option<Moved>, ReassignError> {
    let not_found = || ReassignError::NotFound { name: name.clone() };
    let topic = image.topics.get(name).ok_or_else(not_found)?;
    let found = topic.placement(partition).zip(topic.state(partition));
    let (old, state) = found.ok_or_else(|| ReassignError::NoSuchPartition {
        name: name.clone(),
        partition,
        partitions: topic.record.record.body.partitions,
    })?;
    let wanted = match wanted {
        Reassignment::To(wanted) => {
            check(&wanted, topic.config.topic.min_isr)?;
            wanted
        }
        Reassignment::Cancel if old.before.is_empty() => {
            return Err(ReassignError::NothingToCancel {
                name: name.clone(),
                partition,
            });
        }
        Reassignment::Cancel => old.before.clone(),
    };
    let placement = turned(old, wanted);
    for broker in &placement.adding {
        match standing.life(*broker) {
            Some(BrokerLife::Active) => {}
            Some(BrokerLife::Draining) => {
                return Err(ReassignError::Draining { broker: *broker });
            }
            Some(BrokerLife::Fenced) | None => {
                return Err(ReassignError::NotThere { broker: *broker });
            }
        }
    }
    // Replicas that were to be added, and are not wanted any more, may be all that have everything.
    let state = &state.record.body;
    let in_sync = state.isr.iter().map(|member| member.id);
    let has_all: Vec<BrokerId> = in_sync.chain(state.elr.iter().copied()).collect();
    if !placement.replicas.iter().any(|one| has_all.contains(one)) {
        return Err(ReassignError::NobodyInSync { in_sync: has_all });
    }
    if placement == *old {
        return Ok(None);
    }
    Ok(Moved::new(image, name, partition, placement))
}

/// Refuses replicas that no partition of the topic can have.
fn check(wanted: &[BrokerId], min_isr: u16) -> Result<(), ReassignError> {
    let mut seen = BTreeSet::new();
    if let Some(broker) = wanted.iter().find(|broker| !seen.insert(**broker)) {
        return Err(ReassignError::Twice { broker: *broker });
    }
    if wanted.is_empty() || wanted.len() > usize::from(REPLICAS_MAX) {
        return Err(ReassignError::Replicas {
            asked: wanted.len(),
            replicas_max: REPLICAS_MAX,
        });
    }
    if wanted.len() < usize::from(min_isr) {
        return Err(ReassignError::MinIsr {
            asked: wanted.len(),
            min_isr,
        });
    }
    Ok(())
}

/// The placement on its way to other replicas, from wherever it was on its way to.
fn turned(old: &Placement, wanted: Vec<BrokerId>) -> Placement {
    let have: Vec<BrokerId> = match old.before.is_empty() {
        true => old.replicas.clone(),
        false => old.before.clone(),
    };
    let missing = |from: &[BrokerId], of: &[BrokerId]| -> Vec<BrokerId> {
        let missing = from.iter().filter(|one| !of.contains(one));
        missing.copied().collect()
    };
    let mut placement = old.clone();
    placement.adding = missing(&wanted, &have);
    placement.removing = missing(&have, &wanted);
    placement.replicas = wanted;
    placement.replicas.extend(&placement.removing);
    placement.before = match placement.is_moving() {
        true => have,
        false => Vec::new(),
    };
    placement
}

/// The next step of the first reassignment that can go on.
pub(super) fn next(image: &Image, standing: Standing<'_>) -> Result<Option<Step>, ControllerError> {
    for topic in image.topics.values() {
        for (partition, placement, stored) in topic.rows() {
            if !placement.is_moving() {
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
            settled.before.clear();
            let moved = Moved::new(image, &topic.name, partition, settled);
            return Ok(moved.map(Step::Placement));
        }
    }
    Ok(None)
}
