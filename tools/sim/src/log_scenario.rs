//! Scenario `log`: the logs of a few partitions on one node, straight on the storage engine.
//!
//! A run is a row of lives. Each opens every log, compares all that is in it with the history, begins an epoch,
//! appends, reads, deletes and closes at random, and ends in a crash: at any time, while it still recovers, just
//! after a roll began, or after it was closed in order. In some runs the device fails or fills up on the way. The
//! last life is left alone: it must recover, take appends, make them stable and close.

mod clients;
mod incarnation;
mod partition;
mod rot;
mod trouble;
mod workload;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use ringlog_reactor::sim::{Chance, CrashKind, NodeId, SimConfig, SimWorld};

use self::clients::Clients;
use self::incarnation::Incarnation;
use self::rot::Rot;
use self::trouble::{SILENCE, Trouble};
use self::workload::{Ending, Life, Workload};
use crate::history::History;
use crate::report::SeedOutcome;
use crate::violation::{Violation, not_served};

/// Longest virtual time that anything may take when nothing hinders it.
const PATIENCE: Duration = Duration::from_secs(5);
/// A device that had been full is taken for writing again within this time.
const RESUME_PATIENCE: Duration = Duration::from_secs(5);
/// How long after the begin of a roll the power goes, at most, in microseconds.
const IN_ROLL_US_MAX: u64 = 600;
/// How long a recovery may have gone on when the power goes, in microseconds.
const IN_RECOVERY_US_MAX: u64 = 3_000;
/// The size of the device when it is not full.
const CAPACITY_BYTES: u64 = 64 << 30;

/// A run, from outside of the node.
struct Run {
    world: SimWorld,
    node: NodeId,
    plan: Chance,
    workload: Rc<Workload>,
    clients: Rc<RefCell<Clients>>,
    were_closed: bool,
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
    let workload = Rc::new(Workload::draw(&mut plan));
    for (partition, _) in (0..).zip(&workload.partitions) {
        world
            .make_dir_all(node, &directory(partition))
            .map_err(|error| not_served(partition, &error))?;
    }
    let clients = Rc::new(RefCell::new(Clients::new(&workload)));
    let mut run = Run {
        world,
        node,
        plan,
        workload,
        clients,
        were_closed: false,
    };
    for number in 0..run.workload.lives {
        let life = Life::draw(&mut run.plan, &run.workload, number == 0);
        run.live(life)?;
    }
    run.finish()
}

fn directory(partition: u32) -> PathBuf {
    PathBuf::from(format!("/data/topics/0/{partition}"))
}

impl Run {
    fn live(&mut self, life: Life) -> Result<(), Violation> {
        let rot = match life.trouble {
            Some(Trouble::Rot { partition }) => {
                let directory = directory(partition);
                Rot::begin(&self.world, self.node, &directory, &mut self.plan)
            }
            _ => None,
        };
        self.clients.borrow_mut().met.bits_turned += u64::from(rot.is_some());
        self.start(life);
        self.clients.borrow_mut().life.trouble = life.trouble;
        if let Some(Trouble::Full { capacity_bytes }) = life.trouble {
            self.world.set_capacity(self.node, capacity_bytes);
        }
        let fault = life.trouble.and_then(Trouble::fault);
        let waits = life.trouble.is_some_and(Trouble::waits_for_recovery);
        if let Some(fault) = fault.clone().filter(|_| !waits) {
            self.world.inject(self.node, fault);
        }
        let in_recovery = life.ending == Ending::InRecovery;
        let mut was_closed = false;
        if in_recovery {
            let time_us = self.plan.below(IN_RECOVERY_US_MAX);
            self.world.run_for(Duration::from_micros(time_us));
        } else {
            if !matches!(life.trouble, Some(Trouble::Full { .. })) {
                self.await_recovery()?;
            }
            if let Some(fault) = fault.filter(|_| waits) {
                self.world.inject(self.node, fault);
            }
            let length = life.length(&mut self.plan, &self.workload);
            self.world.run_for(length / 2);
            if let Some(jump_ms) = life.clock_jump_ms {
                let clients = &mut *self.clients.borrow_mut();
                let before_ms = self.world.unix_time_ms(self.node);
                for history in &mut clients.histories {
                    history.clock_set_off(before_ms, jump_ms);
                }
                self.world.skew_clock(self.node, jump_ms);
                clients.met.clock_jumps += 1;
            }
            self.world.run_for(length / 2);
            if let Some(Trouble::Full { .. }) = life.trouble {
                self.make_room()?;
            }
            match life.ending {
                Ending::InRoll => self.await_roll(),
                Ending::Closed => was_closed = self.close(life)?,
                Ending::Crash | Ending::InRecovery => {}
            }
        }
        self.crash(life);
        if let Some(rot) = rot {
            rot.end(&self.world, self.node);
        }
        self.were_closed = was_closed;
        self.violation()
    }

    fn violation(&self) -> Result<(), Violation> {
        self.clients
            .borrow_mut()
            .violation
            .take()
            .map_or(Ok(()), Err)
    }

    fn start(&self, life: Life) {
        let now_ms = self.world.unix_time_ms(self.node);
        for history in &mut self.clients.borrow_mut().histories {
            history.starting(now_ms);
        }
        let incarnation = Incarnation {
            clients: Rc::clone(&self.clients),
            workload: Rc::clone(&self.workload),
            role: life.role,
            were_closed: self.were_closed,
        };
        self.world
            .launch_local(self.node, move |reactor| incarnation.run(reactor));
    }

    fn await_recovery(&self) -> Result<(), Violation> {
        self.await_clients(self.patience(), "recovery", |clients, partitions| {
            clients.life.settled == partitions
        })
    }

    /// How long anything may take in this life.
    fn patience(&self) -> Duration {
        let is_slow = self
            .clients
            .borrow()
            .life
            .trouble
            .is_some_and(Trouble::is_slow);
        if is_slow {
            PATIENCE + SILENCE
        } else {
            PATIENCE
        }
    }

    /// Runs until something holds of the clients, which must happen.
    fn await_clients(
        &self,
        patience: Duration,
        what: &'static str,
        holds: impl Fn(&Clients, usize) -> bool,
    ) -> Result<(), Violation> {
        let partitions = self.workload.partitions.len();
        let held = self.world.run_until(patience, || {
            let clients = self.clients.borrow();
            clients.violation.is_some() || holds(&clients, partitions)
        });
        self.violation()?;
        if held {
            return Ok(());
        }
        Err(Violation::NoProgress {
            partition: 0,
            what,
            seconds: patience.as_secs(),
        })
    }

    /// The device has room again: what was refused must be taken.
    fn make_room(&self) -> Result<(), Violation> {
        self.world.set_capacity(self.node, CAPACITY_BYTES);
        self.await_recovery()?;
        let before = self.clients.borrow().life.durable_records;
        let can_append = {
            let clients = self.clients.borrow();
            let has_sync = self.workload.partitions.iter().any(|plan| plan.is_sync());
            clients.life.offline == 0 && clients.life.appends && has_sync
        };
        if !can_append {
            return Ok(());
        }
        let what = "appending after the device had room again";
        self.await_clients(RESUME_PATIENCE, what, |clients, _| {
            clients.life.durable_records > before || clients.life.offline > 0
        })
    }

    /// Goes on until a log rolls, for a while at most, and a little into that.
    fn await_roll(&mut self) {
        let before = self.clients.borrow().rolls();
        let patience = Duration::from_micros(self.workload.life_us_max);
        let rolled = self.world.run_until(patience, || {
            self.clients.borrow().violation.is_some() || self.clients.borrow().rolls() > before
        });
        self.clients.borrow_mut().met.crashes_in_roll += u64::from(rolled);
        let time_us = self.plan.below(IN_ROLL_US_MAX);
        self.world.run_for(Duration::from_micros(time_us));
    }

    /// Closes all logs; says whether all were.
    fn close(&self, life: Life) -> Result<bool, Violation> {
        self.clients.borrow_mut().life.is_closing = true;
        self.await_clients(self.patience(), "closing", |clients, partitions| {
            clients.life.closed + clients.life.offline >= partitions
        })?;
        let clients = &mut *self.clients.borrow_mut();
        let closed = clients.life.offline == 0 && life.trouble.is_none();
        clients.met.closed_in_order += u64::from(closed);
        Ok(closed)
    }

    fn crash(&self, life: Life) {
        let settled = self.clients.borrow().life.settled == self.workload.partitions.len();
        {
            let met = &mut self.clients.borrow_mut().met;
            met.crashes += 1;
            met.power_losses += u64::from(life.crash == CrashKind::Power);
            met.crashes_with_unsynced += u64::from(self.world.has_unsynced(self.node));
            met.crashes_in_recovery += u64::from(!settled);
        }
        self.world.crash(self.node, life.crash);
        self.world.clear_faults(self.node);
        self.world.set_capacity(self.node, CAPACITY_BYTES);
        self.clients.borrow_mut().end_life();
    }

    fn finish(mut self) -> Result<SeedOutcome, Violation> {
        self.start(Life::LAST);
        self.await_recovery()?;
        self.await_clients(
            PATIENCE,
            "appending, reading and closing",
            |clients, partitions| clients.life.closed == partitions,
        )?;
        self.were_closed = true;
        let clients = &mut *self.clients.borrow_mut();
        clients.end_life();
        let disk = self.world.disk_stats(self.node);
        Ok(SeedOutcome {
            torn_sectors: disk.torn_sectors,
            injected_failures: disk.injected_failures,
            hung_operations: disk.hung_operations,
            flipped_reads: disk.flipped_reads,
            removals_seen: clients.histories.iter().map(History::removals).sum(),
            records_checked: clients.histories.iter().map(History::checked).sum(),
            trace_hash: self.world.trace_hash(),
            ..clients.met
        })
    }
}
