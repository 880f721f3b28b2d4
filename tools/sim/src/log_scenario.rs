//! Scenario `log`: the logs of a few partitions on one node, straight on the storage engine.
//!
//! A run is a row of incarnations. Each opens every log under a new leader epoch, compares all that is in it with
//! the history, appends and reads at random, and ends in a crash at a random time, now and then while it still
//! recovers. The last one is left alone: it must recover, take appends, make them stable and close.

mod files;
mod incarnation;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use ringlog_reactor::sim::{Chance, CrashKind, NodeId, SimConfig, SimWorld};

use self::incarnation::Incarnation;
use crate::history::{History, RecordId, Violation};
use crate::report::SeedOutcome;

/// Longest virtual time that anything may take when nothing hinders it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What outlives the crashes of the node: the clients' knowledge, and what the run asks of the next incarnation.
pub(crate) struct Clients {
    pub(crate) histories: Vec<History>,
    pub(crate) next_record: RecordId,
    pub(crate) violation: Option<Violation>,
    pub(crate) partitions_recovered: usize,
    pub(crate) torn_tails: u64,
    pub(crate) done: bool,
}

impl Clients {
    /// Notes the first violation.
    pub(crate) fn check(&mut self, result: Result<(), Violation>) {
        if let Err(violation) = result {
            self.violation.get_or_insert(violation);
        }
    }
}

/// The same for all incarnations of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) partitions: u32,
    pub(crate) segment_bytes: u64,
    pub(crate) value_bytes_max: u64,
    pub(crate) records_per_batch_max: u64,
    pub(crate) pause_us_max: u64,
    pub(crate) life_us_max: u64,
    pub(crate) cache_bytes: usize,
    pub(crate) deletes: bool,
}

impl Workload {
    fn draw(chance: &mut Chance) -> Self {
        let large = chance.one_in(4);
        let pause_us_max = [20, 200, 1_000][chance.index(3)];
        Self {
            partitions: u32::try_from(chance.between(1, 3)).unwrap_or(1),
            segment_bytes: if chance.coin() { 1 << 20 } else { 16 << 20 },
            value_bytes_max: if large { 60_000 } else { 3_000 },
            records_per_batch_max: chance.between(1, 4),
            pause_us_max,
            // Some hundred batches between two crashes, whether they come fast or slowly.
            life_us_max: pause_us_max * 100 + 1_000,
            cache_bytes: if chance.coin() { 64 << 10 } else { 4 << 20 },
            deletes: chance.one_in(3),
        }
    }
}

/// Runs a seed.
///
/// # Errors
///
/// What a checker found first.
pub fn run(seed: u64) -> Result<SeedOutcome, Violation> {
    // The plan has a chance of its own, so that it does not depend on how the engine uses the world's.
    let mut plan = Chance::new(seed ^ 0x5eed_0f10_95ea_5eed);
    let world = SimWorld::new(seed, SimConfig::default());
    let node = world.add_node();
    let workload = Workload::draw(&mut plan);
    let histories: Vec<History> = (0..workload.partitions).map(History::new).collect();
    let clients = Rc::new(RefCell::new(Clients {
        histories,
        next_record: 1,
        violation: None,
        partitions_recovered: 0,
        torn_tails: 0,
        done: false,
    }));
    for partition in 0..workload.partitions {
        world
            .make_dir_all(node, &directory(partition))
            .map_err(|error| Violation::NotServed {
                partition,
                reason: error.to_string(),
            })?;
    }
    let mut outcome = SeedOutcome::default();
    let crashes = plan.between(2, 6);
    for epoch in 1..=crashes {
        start(&world, node, &clients, workload, epoch, false);
        let in_recovery = epoch > 1 && plan.one_in(4);
        if in_recovery {
            world.run_for(Duration::from_micros(plan.below(3_000)));
        } else {
            await_recovery(&world, &clients, workload)?;
            world.run_for(Duration::from_micros(plan.below(workload.life_us_max)));
        }
        if let Some(violation) = clients.borrow_mut().violation.take() {
            return Err(violation);
        }
        let kind = if plan.one_in(4) {
            CrashKind::Process
        } else {
            CrashKind::Power
        };
        outcome.crashes += 1;
        outcome.crashes_with_unsynced += u64::from(world.has_unsynced(node));
        let recovered = clients.borrow().partitions_recovered == workload.partitions as usize;
        outcome.crashes_in_recovery += u64::from(!recovered);
        world.crash(node, kind);
    }
    start(&world, node, &clients, workload, crashes + 1, true);
    await_recovery(&world, &clients, workload)?;
    let ended = world.run_until(PATIENCE, || {
        clients.borrow().done || clients.borrow().violation.is_some()
    });
    let mut clients = clients.borrow_mut();
    if let Some(violation) = clients.violation.take() {
        return Err(violation);
    }
    if !ended {
        let (what, seconds) = ("appending, reading and closing", PATIENCE.as_secs());
        return Err(Violation::NoProgress {
            partition: 0,
            what,
            seconds,
        });
    }
    let disk = world.disk_stats(node);
    outcome.torn_sectors = disk.torn_sectors;
    outcome.injected_failures = disk.injected_failures;
    outcome.torn_tails = clients.torn_tails;
    outcome.records_appended = clients.next_record - 1;
    outcome.records_checked = clients.histories.iter().map(History::checked).sum();
    outcome.trace_hash = world.trace_hash();
    Ok(outcome)
}

fn directory(partition: u32) -> PathBuf {
    PathBuf::from(format!("/data/topics/0/{partition}"))
}

fn start(
    world: &SimWorld,
    node: NodeId,
    clients: &Rc<RefCell<Clients>>,
    workload: Workload,
    epoch: u64,
    last: bool,
) {
    clients.borrow_mut().partitions_recovered = 0;
    let incarnation = Incarnation {
        clients: Rc::clone(clients),
        workload,
        epoch: u32::try_from(epoch).unwrap_or(u32::MAX),
        last,
    };
    world.launch_local(node, move |reactor| incarnation.run(reactor));
}

fn await_recovery(
    world: &SimWorld,
    clients: &Rc<RefCell<Clients>>,
    workload: Workload,
) -> Result<(), Violation> {
    let recovered = world.run_until(PATIENCE, || {
        let clients = clients.borrow();
        clients.violation.is_some() || clients.partitions_recovered == workload.partitions as usize
    });
    if let Some(violation) = clients.borrow_mut().violation.take() {
        return Err(violation);
    }
    if !recovered {
        let (what, seconds) = ("recovery", PATIENCE.as_secs());
        return Err(Violation::NoProgress {
            partition: 0,
            what,
            seconds,
        });
    }
    Ok(())
}
