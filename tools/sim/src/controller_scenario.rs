//! Scenario `controller`: several controllers and brokers on one metadata store, without logs or sockets.
//!
//! Each turn somebody does something: a broker looks at the cluster and serves what it sees, a controller governs, an
//! administrator asks for something, a leader writes to its replicas or wants its ISR changed. Between any two writes a
//! broker may crash, at any of them the outcome may be unknown or the write late; sessions expire unseen, views lag.
//! Followers are modelled by how much they hold, so that an election that loses what was acknowledged is seen.
//! After the turns everything heals, and then every partition that can have a leader must have one.

mod broker;
mod checks;
mod fuse;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use ringlog_coord::config::ConfigChanges;
use ringlog_coord::controller::{NewTopic, Reassignment, init_cluster};
use ringlog_coord::ids::{ClusterId, DirectoryId};
use ringlog_coord::store::{MemoryStore, WriteFault};
use ringlog_coord::topic_name::TopicName;
use ringlog_reactor::sim::Chance;
use ringlog_record::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

use self::broker::{Broker, Life};
use self::checks::Checks;
use crate::report::SeedOutcome;
use crate::violation::Violation;

/// Rounds in which everybody has a turn, after which all is to be as it should be.
const ROUNDS_TO_HEAL: u32 = 40;

const TOPICS: [&str; 3] = ["a", "b", "c"];

/// What a broker's disks hold of each partition.
type Held = BTreeMap<(TopicId, PartitionIndex), Log>;

/// A log, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Log {
    /// How many records.
    end: u64,
    /// The newest epoch that it accepted anything of: it takes nothing of an older one.
    epoch: LeaderEpoch,
}

/// A broker's machine: what outlives its process.
struct Machine {
    id: BrokerId,
    directory: DirectoryId,
    held: Held,
    life: Option<Life>,
}

struct Run {
    plan: Chance,
    /// Sees everything, and never fails.
    witness: MemoryStore,
    machines: Vec<Machine>,
    checks: Checks,
    ids: u128,
    now_s: u64,
    /// One machine may lose its disks; when all do, no choice of a leader can help.
    has_lost_disks: bool,
    met: SeedOutcome,
}

/// What a future of the in-memory store comes to: it never waits.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    future.now_or_never()
}

/// Runs a seed.
///
/// # Errors
///
/// What a checker found first.
pub fn run(seed: u64) -> Result<SeedOutcome, Violation> {
    let mut plan = Chance::new(seed ^ 0xc0_0d1e_5eed);
    let witness = MemoryStore::new();
    now(init_cluster(&witness, ClusterId::new(1)));
    let brokers = u32::try_from(plan.between(3, 5)).unwrap_or(3);
    let machine = |id: u32| Machine {
        id: BrokerId::new(id),
        directory: DirectoryId::new(u128::from(id)),
        held: Held::new(),
        life: None,
    };
    let mut run = Run {
        witness,
        machines: (1..=brokers).map(machine).collect(),
        checks: Checks::default(),
        ids: 1000,
        now_s: 0,
        has_lost_disks: false,
        met: SeedOutcome::default(),
        plan,
    };
    for place in 0..run.machines.len() {
        run.start(place);
        run.broker_turn(place)?;
    }
    let turns = run.plan.between(60, 200);
    for _turn in 0..turns {
        run.turn()?;
    }
    run.heal()?;
    run.met.trace_hash = run.checks.trace_hash();
    Ok(run.met)
}

impl Run {
    fn turn(&mut self) -> Result<(), Violation> {
        self.now_s += self.plan.below(3);
        let place = self.plan.index(self.machines.len());
        match self.plan.below(40) {
            0..=11 => self.broker_turn(place)?,
            12..=16 => self.controller_turn(place)?,
            17..=20 => self.request()?,
            21..=26 => self.write(place)?,
            27..=29 => self.change_isr(place)?,
            30 => self.crash(place),
            31 => self.expire(place),
            32..=33 => self.trouble(place),
            34 => self.deliver_late(place),
            35 => self.lag(place),
            36 => self.replace_directory(place),
            _ => self.start(place),
        }
        self.check()
    }

    fn check(&mut self) -> Result<(), Violation> {
        self.checks.look(&self.witness)?;
        self.checks
            .data_of_deleted(&self.witness, self.machines.iter().map(|one| &one.held))
    }

    fn broker(&mut self, place: usize) -> Option<(&mut Life, &mut Held)> {
        let machine = self.machines.get_mut(place)?;
        Some((machine.life.as_mut()?, &mut machine.held))
    }

    /// A broker that is, or believes that it is, the controller; seldom any other.
    fn governing_place(&mut self) -> usize {
        let any = self.plan.index(self.machines.len());
        let governs = |machine: &Machine| machine.life.as_ref().is_some_and(Life::governs);
        let governing = (0..self.machines.len()).filter(|place| governs(&self.machines[*place]));
        let governing: Vec<usize> = governing.collect();
        if governing.is_empty() || self.plan.one_in(8) {
            return any;
        }
        governing[self.plan.index(governing.len())]
    }

    /// Starts a broker that does not run.
    fn start(&mut self, place: usize) {
        self.ids += 1;
        let (ids, witness) = (self.ids, self.witness.clone());
        let Some(machine) = self.machines.get_mut(place) else {
            return;
        };
        if machine.life.is_none() {
            machine.life = Broker::start(&witness, machine.id, machine.directory, ids);
        }
    }

    fn broker_turn(&mut self, place: usize) -> Result<(), Violation> {
        let committed = self.checks.committed().clone();
        let (now_s, ids) = (self.now_s, self.ids);
        self.ids += 1;
        let Some((life, held)) = self.broker(place) else {
            return Ok(());
        };
        let led = life.turn(now_s, ids, held);
        let id = life.id();
        for (partition, epoch) in led {
            let Some(machine) = self.machines.get_mut(place) else {
                continue;
            };
            let log = machine.held.entry(partition).or_default();
            log.epoch = log.epoch.max(epoch);
            let has = log.end;
            let must = committed.get(&partition).copied().unwrap_or(0);
            self.met.epochs_begun += 1;
            if has < must {
                let what = format!(
                    "broker {id} leads {partition:?} in epoch {epoch} with {has} records, and {must} were acknowledged"
                );
                return Err(Violation::Cluster {
                    checker: "acknowledged-lost",
                    what,
                });
            }
        }
        Ok(())
    }

    fn controller_turn(&mut self, place: usize) -> Result<(), Violation> {
        let now_s = self.now_s;
        let fuse = self
            .plan
            .one_in(6)
            .then(|| (self.plan.below(8), self.plan.coin()));
        let Some((life, _)) = self.broker(place) else {
            return Ok(());
        };
        if let Some((writes, is_done)) = fuse {
            life.burn_after(writes, is_done);
        }
        life.govern(now_s);
        if life.is_burnt() {
            self.crash(place);
        }
        Ok(())
    }

    /// An administrator asks whoever is the controller, or believes that it is.
    fn request(&mut self) -> Result<(), Violation> {
        let place = self.governing_place();
        let name: TopicName = match TOPICS[self.plan.index(TOPICS.len())].parse() {
            Ok(name) => name,
            Err(_) => return Ok(()),
        };
        self.ids += 1;
        let topic_id = TopicId::new(self.ids);
        let partitions = [1, 1, 2, 2, 3, 5, 8, 210][self.plan.index(8)];
        let replication_factor = u16::try_from(self.plan.between(1, 3)).unwrap_or(1);
        let others = self.plan.below(120);
        let kind = self.plan.below(10);
        let fuse = self
            .plan
            .one_in(6)
            .then(|| (self.plan.below(4), self.plan.coin()));
        let now_s = self.now_s;
        let brokers = u32::try_from(self.machines.len()).unwrap_or(3);
        let Some((life, _)) = self.broker(place) else {
            return Ok(());
        };
        if let Some((writes, is_done)) = fuse {
            life.burn_after(writes, is_done);
        }
        match kind {
            0..=4 => {
                let new = NewTopic {
                    name,
                    topic_id,
                    partitions,
                    replication_factor,
                    config: ConfigChanges::default(),
                };
                life.create(now_s, new);
            }
            5..=6 => life.delete(now_s, &name),
            7 => {
                let min_isr = u16::try_from(others % 3).unwrap_or(0) + 1;
                life.alter(now_s, &name, &format!("min_isr={min_isr}"));
            }
            8 => {
                let first = u32::try_from(others).unwrap_or(0) % brokers;
                let replicas: BTreeSet<u32> = (0..u32::from(replication_factor))
                    .map(|one| (first + one) % brokers + 1)
                    .collect();
                let replicas = replicas.into_iter().map(BrokerId::new).collect();
                let wanted = match others % 4 {
                    0 => Reassignment::Cancel,
                    _ => Reassignment::To(replicas),
                };
                life.reassign(now_s, &name, wanted);
            }
            _ => life.elect_or_drain(now_s, others.is_multiple_of(2)),
        }
        if life.is_burnt() {
            self.crash(place);
        }
        Ok(())
    }

    /// A leader appends to each of its partitions: acknowledged when all that are in sync, as it knows them, have it.
    fn write(&mut self, place: usize) -> Result<(), Violation> {
        let led = match self.broker(place) {
            Some((life, _)) => life.led(),
            None => return Ok(()),
        };
        for one in led.into_iter().take(8) {
            let Some(leader) = self.machines.get(place) else {
                continue;
            };
            let log = leader.held.get(&one.partition).copied().unwrap_or_default();
            let next = Log {
                end: log.end + 1,
                epoch: one.epoch,
            };
            let mut accepted = 0;
            for member in &one.maximal_isr {
                let follower = self
                    .machines
                    .iter_mut()
                    .find(|machine| machine.id == member.id);
                let Some(follower) = follower else { continue };
                let is_newer = follower
                    .held
                    .get(&one.partition)
                    .is_none_or(|log| log.epoch <= one.epoch);
                let accepts = match &follower.life {
                    Some(life) => life.accepts(one.partition, one.epoch, member.broker_epoch),
                    None => false,
                };
                if accepts && is_newer {
                    follower.held.insert(one.partition, next);
                    accepted += 1;
                }
            }
            self.met.records_appended += 1;
            if accepted == one.maximal_isr.len() && one.isr_len >= usize::from(one.min_isr) {
                self.checks.commit(one.partition, next.end);
            }
        }
        Ok(())
    }

    /// A leader wants those out of the ISR that do not follow, and those in that have caught up.
    fn change_isr(&mut self, place: usize) -> Result<(), Violation> {
        let wanted = match self.broker(place) {
            Some((life, _)) => life.led(),
            None => return Ok(()),
        };
        let mut alterations = Vec::new();
        for one in wanted.into_iter().take(20) {
            let mut isr = Vec::new();
            for replica in &one.replicas {
                let leader = self
                    .machines
                    .get(place)
                    .and_then(|own| own.held.get(&one.partition).copied());
                let log = Log {
                    epoch: one.epoch,
                    ..leader.unwrap_or_default()
                };
                let follower = self
                    .machines
                    .iter_mut()
                    .find(|machine| machine.id == *replica);
                let Some(follower) = follower else { continue };
                let epoch = follower
                    .life
                    .as_ref()
                    .and_then(|life| life.follows(one.partition, one.epoch));
                let is_newer = follower
                    .held
                    .get(&one.partition)
                    .is_none_or(|log| log.epoch <= one.epoch);
                if let Some(broker_epoch) = epoch.filter(|_| is_newer) {
                    follower.held.insert(one.partition, log);
                    isr.push(ringlog_coord::records::IsrMember {
                        id: *replica,
                        broker_epoch,
                    });
                }
            }
            alterations.push(one.alteration(isr));
        }
        if let Some((life, _)) = self.broker(place) {
            life.note_pending(&alterations);
        }
        let controller = self.governing_place();
        let now_s = self.now_s;
        if let Some((life, _)) = self.broker(controller) {
            life.alter_partitions(now_s, alterations);
        }
        Ok(())
    }

    /// The process of a broker is gone; its session ends at once, later, or with the next start.
    fn crash(&mut self, place: usize) {
        let ends = self.plan.coin();
        let Some(machine) = self.machines.get_mut(place) else {
            return;
        };
        if let Some(life) = machine.life.take() {
            self.met.crashes += 1;
            if ends {
                life.session().expire();
            } else {
                self.checks.leave_behind(life.session());
            }
        }
    }

    fn expire(&mut self, place: usize) {
        if let Some((life, _)) = self.broker(place) {
            life.session().expire();
        }
        if self.plan.coin() {
            self.checks.end_left_behind();
        }
    }

    fn trouble(&mut self, place: usize) {
        let fault = [
            WriteFault::NotDone,
            WriteFault::UnknownNotDone,
            WriteFault::UnknownDone,
            WriteFault::UnknownLate,
        ][self.plan.index(4)];
        let (cut, times) = (self.plan.one_in(4), self.plan.between(1, 5));
        let Some((life, _)) = self.broker(place) else {
            return;
        };
        if cut {
            life.session().disconnect();
        } else {
            for _time in 0..times {
                life.session().fail_write(fault);
            }
        }
    }

    fn deliver_late(&mut self, place: usize) {
        let heals = self.plan.coin();
        let Some((life, _)) = self.broker(place) else {
            return;
        };
        life.session().deliver_late();
        if heals {
            life.session().reconnect();
            life.session().catch_up();
        }
    }

    fn lag(&mut self, place: usize) {
        let catches_up = self.plan.coin();
        let Some((life, _)) = self.broker(place) else {
            return;
        };
        if catches_up {
            life.session().catch_up();
        } else {
            life.session().lag();
        }
    }

    /// The disks of a broker that does not run are replaced: what was on them is lost, and whoever counts on it is told.
    fn replace_directory(&mut self, place: usize) {
        let one_in = self.plan.one_in(3);
        self.ids += 1;
        let Some(machine) = self.machines.get_mut(place) else {
            return;
        };
        let may_lose = machine.life.is_none() && one_in && !self.has_lost_disks;
        if may_lose && !self.checks.is_needed(machine.id, &self.witness) {
            self.has_lost_disks = true;
            machine.directory = DirectoryId::new(self.ids);
            machine.held.clear();
        }
    }

    /// Everything works again; after some rounds all is as it should be.
    fn heal(&mut self) -> Result<(), Violation> {
        self.checks.end_left_behind();
        for place in 0..self.machines.len() {
            if let Some((life, _)) = self.broker(place) {
                life.session().heal();
                life.session().deliver_late();
                life.session().reconnect();
                life.session().catch_up();
            }
            self.start(place);
        }
        for _round in 0..ROUNDS_TO_HEAL {
            self.now_s += 1;
            for place in 0..self.machines.len() {
                self.start(place);
                self.broker_turn(place)?;
                let now_s = self.now_s;
                if let Some((life, _)) = self.broker(place) {
                    life.govern(now_s);
                }
                self.check()?;
            }
        }
        let lives = self
            .machines
            .iter()
            .filter_map(|machine| machine.life.as_ref());
        self.checks
            .healed(&self.witness, lives, self.machines.len())
    }
}
