//! The leader of a partition as a pure machine: `step(event) -> actions`.
//!
//! It holds the in-sync set with the stable end of each member, the high watermark, and the produces that wait.
//! Invariants: the high watermark never goes back and is never above the stable end of a member of the in-sync
//! set, and it stands still while the set is smaller than `min_isr`; a produce with `acks = all` is answered only when
//! the high watermark has passed its last record; produces of one kind are answered in the order of their offsets;
//! what a follower says counts only when it says it to this leader epoch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ringlog_record::{BrokerId, LeaderEpoch, Offset};

/// When a produce is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// At once.
    None,
    /// When it is stable on the leader.
    Leader,
    /// When it is stable on every member of the in-sync set.
    All,
}

/// What an acknowledgement is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckLevel {
    /// In the leader's memory.
    LeaderMemory,
    /// On the leader's device.
    LeaderDurable,
    /// In the memory of every in-sync replica.
    AllMemory,
    /// On the device of every in-sync replica.
    AllDurable,
}

/// Names a produce that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What stable means for this partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// On the device.
    Durable,
    /// In memory.
    Memory,
}

/// What happens to a leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A produce was appended and ends at `end`; `stable_end` is that of the log right after it.
    Appended {
        /// Its name.
        ticket: Ticket,
        /// When it wants an answer.
        acks: Acks,
        /// The offset behind its last record.
        end: Offset,
        /// The stable end of the leader's log.
        stable_end: Offset,
    },
    /// The stable end of the leader's own log has moved.
    LocalStable(Offset),
    /// A follower said how far its log is stable.
    FollowerStable {
        /// Which.
        follower: BrokerId,
        /// The leader epoch that it follows; what is said to another leader does not count.
        leader_epoch: LeaderEpoch,
        /// Its stable end.
        stable_end: Offset,
    },
    /// The in-sync set was changed. The leader is always a member.
    IsrChanged(BTreeSet<BrokerId>),
    /// What stable means has changed.
    StabilityChanged(Stability),
    /// Leadership ended: the log failed, was closed, or another broker leads.
    Ended,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer a produce.
    Acknowledge {
        /// Which.
        ticket: Ticket,
        /// What the answer is worth.
        level: AckLevel,
    },
    /// Tell a produce that its outcome is unknown.
    Abandon(Ticket),
    /// The high watermark is now here: readers may go on.
    HighWatermark(Offset),
}

/// The leader of a partition.
#[derive(Clone, Debug)]
pub struct LeaderMachine {
    me: BrokerId,
    leader_epoch: LeaderEpoch,
    min_isr: usize,
    stability: Stability,
    /// What was appended below this was stable in memory only: a later answer does not claim more for it.
    durable_from: Offset,
    log_end: Offset,
    high_watermark: Offset,
    /// The stable end of each member of the in-sync set; `None` until it has said so.
    isr: BTreeMap<BrokerId, Option<Offset>>,
    awaiting_leader: Awaiting,
    awaiting_all: Awaiting,
    is_ended: bool,
}

/// What a leader begins with.
#[derive(Clone, Debug)]
pub struct LeaderStart {
    /// The broker that leads.
    pub me: BrokerId,
    /// The epoch that it leads.
    pub leader_epoch: LeaderEpoch,
    /// The in-sync set; the leader is added when it is missing.
    pub isr: BTreeSet<BrokerId>,
    /// Fewer members than this refuse `acks = all`, and hold the high watermark where it is.
    pub min_isr: usize,
    /// What stable means.
    pub stability: Stability,
    /// The high watermark that is known.
    pub high_watermark: Offset,
    /// The stable end of the leader's log, which is its log end: a leader begins behind what it has recovered.
    pub stable_end: Offset,
}

impl LeaderMachine {
    /// A leader that begins. Its high watermark may already be further than the one it was given.
    pub fn new(start: LeaderStart) -> Self {
        let mut isr: BTreeMap<_, _> = start.isr.into_iter().map(|member| (member, None)).collect();
        isr.insert(start.me, Some(start.stable_end));
        let mut machine = Self {
            me: start.me,
            leader_epoch: start.leader_epoch,
            min_isr: start.min_isr,
            stability: start.stability,
            durable_from: Offset::ZERO,
            log_end: start.stable_end,
            high_watermark: start.high_watermark.min(start.stable_end),
            isr,
            awaiting_leader: Awaiting::default(),
            awaiting_all: Awaiting::default(),
            is_ended: false,
        };
        machine.advance(&mut Vec::new());
        machine
    }

    /// The offset behind the last record that readers may see.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// What stable means.
    pub fn stability(&self) -> Stability {
        self.stability
    }

    /// Members of the in-sync set, the leader included.
    pub fn isr(&self) -> impl Iterator<Item = BrokerId> {
        self.isr.keys().copied()
    }

    /// Whether enough replicas are in sync for a produce with `acks = all`.
    pub fn has_min_isr(&self) -> bool {
        self.isr.len() >= self.min_isr
    }

    /// Produces that wait.
    pub fn waiting(&self) -> usize {
        self.awaiting_leader.0.len() + self.awaiting_all.0.len()
    }

    /// Takes an event; what is to be done is appended to `actions`.
    pub fn step(&mut self, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Appended {
                ticket,
                acks,
                end,
                stable_end,
            } => {
                self.log_end = self.log_end.max(end);
                self.wait(ticket, acks, end, actions);
                self.report(self.me, stable_end);
            }
            Event::LocalStable(stable_end) => self.report(self.me, stable_end),
            Event::FollowerStable {
                follower,
                leader_epoch,
                stable_end,
            } => {
                if leader_epoch == self.leader_epoch {
                    self.report(follower, stable_end);
                }
            }
            Event::IsrChanged(members) => self.change_isr(members),
            Event::StabilityChanged(stability) => self.change_stability(stability),
            Event::Ended => self.end(actions),
        }
        self.advance(actions);
    }

    fn wait(&mut self, ticket: Ticket, acks: Acks, end: Offset, actions: &mut Vec<Action>) {
        if self.is_ended {
            actions.push(Action::Abandon(ticket));
            return;
        }
        match acks {
            Acks::None => actions.push(Action::Acknowledge {
                ticket,
                level: AckLevel::LeaderMemory,
            }),
            Acks::Leader => {
                self.awaiting_leader.insert(end, ticket);
            }
            Acks::All => {
                self.awaiting_all.insert(end, ticket);
            }
        }
    }

    /// A member's stable end moves forward only; a broker that is not in sync does not count.
    fn report(&mut self, member: BrokerId, stable_end: Offset) {
        if let Some(known) = self.isr.get_mut(&member) {
            *known = Some(known.map_or(stable_end, |known| known.max(stable_end)));
        }
    }

    fn change_isr(&mut self, mut members: BTreeSet<BrokerId>) {
        members.insert(self.me);
        self.isr.retain(|member, _| members.contains(member));
        for member in members {
            self.isr.entry(member).or_insert(None);
        }
    }

    /// What was appended under the weaker promise may be in memory only, and no later answer says otherwise.
    fn change_stability(&mut self, stability: Stability) {
        if self.stability == Stability::Memory && stability == Stability::Durable {
            self.durable_from = self.log_end;
        }
        self.stability = stability;
    }

    fn end(&mut self, actions: &mut Vec<Action>) {
        self.is_ended = true;
        for waiting in [&mut self.awaiting_leader, &mut self.awaiting_all] {
            let tickets = waiting.0.drain(..);
            actions.extend(tickets.map(|(_, ticket)| Action::Abandon(ticket)));
        }
    }

    /// Moves the high watermark as far as it may go, and lets go who waited for that.
    fn advance(&mut self, actions: &mut Vec<Action>) {
        if self.is_ended {
            return;
        }
        // A member that has said nothing yet holds the high watermark where it is.
        let everybody = self.isr.values().copied().min().flatten();
        if let Some(everybody) = everybody
            && self.has_min_isr()
            && everybody > self.high_watermark
        {
            self.high_watermark = everybody;
            actions.push(Action::HighWatermark(everybody));
        }
        let local = self.isr.get(&self.me).copied().flatten();
        let local = local.unwrap_or(Offset::ZERO);
        let is_durable = |end| self.stability == Stability::Durable && end > self.durable_from;
        self.awaiting_leader.release(local, |end, ticket| {
            let level = if is_durable(end) {
                AckLevel::LeaderDurable
            } else {
                AckLevel::LeaderMemory
            };
            actions.push(Action::Acknowledge { ticket, level });
        });
        self.awaiting_all
            .release(self.high_watermark, |end, ticket| {
                let level = if is_durable(end) {
                    AckLevel::AllDurable
                } else {
                    AckLevel::AllMemory
                };
                actions.push(Action::Acknowledge { ticket, level });
            });
    }
}

/// Produces that wait, by the offset that lets them go; of one offset, those that came first go first. Its memory is
/// kept.
#[derive(Clone, Debug, Default)]
struct Awaiting(VecDeque<(Offset, Ticket)>);

impl Awaiting {
    fn insert(&mut self, end: Offset, ticket: Ticket) {
        // Only a batch that is sent again ends before one that came earlier.
        let place = match self.0.back() {
            Some(&(last, _)) if last > end => self.0.partition_point(|&(other, _)| other <= end),
            _ => self.0.len(),
        };
        self.0.insert(place, (end, ticket));
    }

    /// Hands those that `reached` lets go to `answer`, in the order of their offsets.
    fn release(&mut self, reached: Offset, mut answer: impl FnMut(Offset, Ticket)) {
        while let Some(&(end, ticket)) = self.0.front()
            && end <= reached
        {
            self.0.pop_front();
            answer(end, ticket);
        }
    }
}

#[cfg(test)]
mod tests;
