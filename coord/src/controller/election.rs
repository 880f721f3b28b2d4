//! Who leads a partition, and who is in sync, once brokers have come or gone. Pure.
//!
//! A broker in another registration than the one in the ISR is not the same member: it may have missed what was
//! acknowledged meanwhile. So a broker that left or came again falls out of the ISR; while that leaves fewer than
//! `min_isr`, nothing can have been acknowledged without those that fell out, and they stay eligible (the ELR, KIP-966).

use std::collections::BTreeMap;

use ringlog_record::BrokerId;

use super::error::ControllerError;
use super::image::{Stored, next_epoch};
use super::machine::LiveBroker;
use crate::config::TopicConfig;
use crate::ids::BrokerEpoch;
use crate::omit::Step;
use crate::records::{BrokerLife, BrokerState, IsrMember, PartitionState, Placement};
use crate::store::NodePath;

/// Which brokers are there, and how far each is in its life.
#[derive(Clone, Copy)]
pub(super) struct Standing<'a> {
    pub(super) live: &'a BTreeMap<BrokerId, LiveBroker>,
    pub(super) states: &'a BTreeMap<BrokerId, Stored<BrokerState>>,
}

impl Standing<'_> {
    /// Where a broker that is registered is in its life; none while the controller has not taken it in.
    pub(super) fn life(&self, broker: BrokerId) -> Option<BrokerLife> {
        let live = self.live.get(&broker)?;
        let state = &self.states.get(&broker)?.record.body;
        (state.broker_epoch == live.epoch).then_some(state.state)
    }

    /// The registration of a broker that is not fenced.
    fn epoch(&self, broker: BrokerId) -> Option<BrokerEpoch> {
        match self.life(broker)? {
            BrokerLife::Active | BrokerLife::Draining => Some(self.live.get(&broker)?.epoch),
            BrokerLife::Fenced => None,
        }
    }

    /// Whether a broker may be given leaders.
    pub(super) fn may_lead(&self, broker: BrokerId) -> bool {
        self.life(broker) == Some(BrokerLife::Active)
    }

    fn is_member(&self, member: IsrMember) -> bool {
        let epoch = self.epoch(member.id);
        epoch == Some(member.broker_epoch)
            || (epoch.is_some() && Step::MatchingBrokerEpoch.is_omitted())
    }

    /// The first of these that may lead.
    fn first(&self, mut candidates: impl Iterator<Item = BrokerId>) -> Option<BrokerId> {
        candidates.find(|broker| self.may_lead(*broker))
    }
}

/// The state that a partition is to have; none when it has it.
pub(super) fn settle(
    path: &NodePath,
    placement: &Placement,
    old: &PartitionState,
    config: &TopicConfig,
    standing: Standing<'_>,
) -> Result<Option<PartitionState>, ControllerError> {
    let mut new = old.clone();
    give_up(&mut new, placement);
    shrink(&mut new, standing);
    let leader = choose(placement, &mut new, config, standing);
    let is_same = leader.is_some()
        && leader == old.leader
        && old
            .isr
            .iter()
            .any(|member| Some(member.id) == leader && standing.is_member(*member));
    if leader.is_some() && !is_same && !Step::EpochAtElection.is_omitted() {
        new.leader_epoch = next_epoch(path, old.leader_epoch)?;
    }
    new.leader = leader;
    if new.isr.len() >= usize::from(new.min_isr) {
        new.elr.clear();
    }
    step_back(&mut new, standing);
    // Whoever may lead by one rule must be found by the other: never while nobody is in sync.
    if new.min_isr != config.min_isr && !new.isr.is_empty() {
        new.min_isr = config.min_isr;
        new.elr.clear();
    }
    Ok((new != *old).then_some(new))
}

/// Takes out who is not a replica any more, after a reassignment that was cancelled or turned: as long as somebody stays
/// who has all records.
fn give_up(state: &mut PartitionState, placement: &Placement) {
    let is_replica = |broker: BrokerId| placement.replicas.contains(&broker);
    let mut in_sync = state.isr.iter().map(|member| member.id);
    if in_sync.any(is_replica) || state.elr.iter().copied().any(is_replica) {
        state.isr.retain(|member| is_replica(member.id));
        state.elr.retain(|broker| is_replica(*broker));
    }
}

/// Takes members out of the ISR that are not there any more, and keeps those eligible that must be.
fn shrink(state: &mut PartitionState, standing: Standing<'_>) {
    let (kept, gone): (Vec<_>, Vec<_>) = state
        .isr
        .iter()
        .copied()
        .partition(|member| standing.is_member(*member));
    if kept.len() < usize::from(state.min_isr) && !Step::EligibleReplicas.is_omitted() {
        for member in &gone {
            if !state.elr.contains(&member.id) {
                state.elr.push(member.id);
            }
        }
    }
    state.isr = kept;
}

/// Takes brokers that are about to leave out of an ISR that is large enough without them.
fn step_back(state: &mut PartitionState, standing: Standing<'_>) {
    let (leader, min_isr) = (state.leader, usize::from(state.min_isr));
    let leaves = |member: &IsrMember| {
        Some(member.id) != leader && standing.life(member.id) == Some(BrokerLife::Draining)
    };
    while state.isr.len() > min_isr
        && let Some(index) = state.isr.iter().position(leaves)
    {
        state.isr.remove(index);
    }
}

/// Chooses the leader among those that have everything that was acknowledged, and makes it a member.
fn choose(
    placement: &Placement,
    state: &mut PartitionState,
    config: &TopicConfig,
    standing: Standing<'_>,
) -> Option<BrokerId> {
    let in_sync = |broker: BrokerId| state.isr.iter().any(|member| member.id == broker);
    let stays = |broker: &BrokerId| {
        in_sync(*broker) && standing.may_lead(*broker) && !placement.removing.contains(broker)
    };
    if let Some(leader) = state.leader.filter(stays) {
        return Some(leader);
    }
    let replicas = || placement.replicas.iter().copied();
    let wanted = replicas().filter(|broker| !placement.removing.contains(broker));
    let preferred = standing.first(wanted.filter(|broker| in_sync(*broker)));
    let any = || standing.first(replicas().filter(|broker| in_sync(*broker)));
    // One that is about to go goes on when nobody else can.
    let last = || {
        state
            .leader
            .filter(|leader| in_sync(*leader))
            .or(state.isr.first().map(|one| one.id))
    };
    if let Some(leader) = preferred.or_else(any).or_else(last) {
        return Some(leader);
    }
    let is_live = |broker: &BrokerId| standing.epoch(*broker).is_some();
    let eligible = standing
        .first(state.elr.iter().copied())
        .or_else(|| state.elr.iter().copied().find(is_live));
    let unclean = || {
        let found = config
            .unclean_election
            .then(|| standing.first(replicas()))
            .flatten()?;
        tracing::warn!(broker = %found, "an unclean election: what only others had is lost");
        Some(found)
    };
    let (leader, is_clean) = match eligible {
        Some(leader) => (leader, true),
        None => (unclean()?, false),
    };
    let broker_epoch = standing.epoch(leader)?;
    state.isr = vec![IsrMember {
        id: leader,
        broker_epoch,
    }];
    state.elr.retain(|broker| *broker != leader);
    if !is_clean {
        state.elr.clear();
        state.recovery = true;
    }
    Some(leader)
}

/// The state once the preferred broker leads; none when it does, or cannot.
pub(super) fn prefer(
    path: &NodePath,
    placement: &Placement,
    state: &PartitionState,
    standing: Standing<'_>,
) -> Result<Option<PartitionState>, ControllerError> {
    let Some(preferred) = placement.replicas.first().copied() else {
        return Ok(None);
    };
    let in_sync = state
        .isr
        .iter()
        .any(|member| member.id == preferred && standing.is_member(*member));
    let is_wanted = state.leader != Some(preferred) && in_sync && standing.may_lead(preferred);
    if !is_wanted || placement.removing.contains(&preferred) {
        return Ok(None);
    }
    let mut new = state.clone();
    new.leader = Some(preferred);
    new.leader_epoch = next_epoch(path, state.leader_epoch)?;
    Ok(Some(new))
}

/// The state once a broker whose data is lost is neither in sync nor eligible; none when it is not anyway.
pub(super) fn without(state: &PartitionState, lost: BrokerId) -> Option<PartitionState> {
    let mut new = state.clone();
    new.isr.retain(|member| member.id != lost);
    new.elr.retain(|broker| *broker != lost);
    if new.leader == Some(lost) {
        new.leader = None;
    }
    (new != *state).then_some(new)
}

#[cfg(test)]
mod tests;
