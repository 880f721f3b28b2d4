//! Scenario `broker`: the broker as it is shipped, on a simulated machine, and clients on another one.
//!
//! A run is a row of lives. Each starts the broker over the data and the metadata store of the one before, compares
//! through the wire protocol all that it holds with what its clients know, lets producers, a reader and an
//! administrator loose on it, and ends in a crash of the process or the power: at any time, while it starts, or
//! after it was stopped in order. Then the clients die too, so that every request under way is of unknown outcome.

mod admin;
mod client;
mod crowd;
mod knowledge;
mod producer;
mod reader;
mod settings;
mod store_trouble;
mod verifier;
mod wire;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringlog_coord::store::MemoryStore;
use ringlog_reactor::sim::{Chance, CrashKind, NodeId, SimConfig, SimWorld};
use ringlog_server::{BrokerConfig, BrokerError, BrokerHandle, BulkFactory, OnReactor};

use self::client::Client;
use self::knowledge::{Existence, Knowledge};
use self::wire::Stop;
use crate::files::{Bulk, SimFiles};
use crate::report::SeedOutcome;
use crate::violation::{Violation, not_served};

/// Longest virtual time that anything may take when nothing hinders it.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a broker may have been starting when it crashes, in microseconds.
const IN_START_US_MAX: u64 = 4_000;
/// How long the clients outlive their broker, in microseconds.
const ORPHANED_US_MAX: u64 = 2_000;

/// How often the age and size of partitions is looked at where their settings change.
const RETENTION_INTERVAL: Duration = Duration::from_millis(2);
/// Connections that each shard takes in the runs in which more come.
const CROWDED_SHARD_CONNECTIONS: u64 = 8;

type Ended = Rc<RefCell<Option<Result<(), BrokerError>>>>;

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Crash,
    InStart,
    Stopped,
}

struct Run {
    world: SimWorld,
    broker: NodeId,
    clients: NodeId,
    address: SocketAddr,
    store: MemoryStore,
    plan: Chance,
    shards: NonZeroU16,
    producers: u32,
    large_one_in: u64,
    life_us_max: u64,
    /// Whether settings of topics are changed.
    alters: bool,
    /// Whether the metadata store fails in some lives.
    store_fails: bool,
    /// How many more connections come at a time, if too many.
    crowd: Option<u64>,
    knowledge: Rc<RefCell<Knowledge>>,
    /// Holds another disk, and runs nothing.
    spare: NodeId,
    /// When the disk is exchanged; a chance of its own.
    exchange: Chance,
}

/// A broker that was started.
struct Running {
    handle: BrokerHandle,
    /// Its session with the metadata store.
    store: MemoryStore,
    ready: futures_channel::oneshot::Receiver<SocketAddr>,
    ended: Ended,
}

/// Runs a seed.
///
/// # Errors
///
/// What a checker found first.
pub fn run(seed: u64) -> Result<SeedOutcome, Violation> {
    let mut plan = Chance::new(seed ^ 0xb40c_e45e_ed00_5eed);
    let world = SimWorld::new(seed, SimConfig::default());
    let (broker, clients) = (world.add_node(), world.add_node());
    let spare = world.add_node();
    let shards = u16::try_from(plan.between(1, 3)).unwrap_or(1);
    let mut run = Run {
        world,
        broker,
        clients,
        address: SocketAddr::from(([10, 0, 0, 1], 9400)),
        store: MemoryStore::new(),
        shards: NonZeroU16::new(shards).unwrap_or(NonZeroU16::MIN),
        producers: u32::try_from(plan.between(1, 3)).unwrap_or(1),
        large_one_in: [4, 50][plan.index(2)],
        life_us_max: [4_000, 15_000][plan.index(2)],
        alters: plan.coin(),
        store_fails: plan.one_in(3),
        crowd: plan.one_in(4).then(|| plan.between(4, 30)),
        plan,
        knowledge: Rc::default(),
        spare,
        exchange: Chance::new(seed ^ 0x0d15_c0f5_0e0e_5eed),
    };
    let lives = run.plan.between(2, 5);
    for number in 0..lives {
        let ending = match run.plan.below(8) {
            0 if number > 0 => Ending::InStart,
            1 => Ending::Stopped,
            _ => Ending::Crash,
        };
        run.live(ending)?;
    }
    run.live(Ending::Stopped)?;
    run.finish()
}

impl Run {
    fn live(&mut self, ending: Ending) -> Result<(), Violation> {
        if self.exchange.one_in(8) {
            self.start_on_another_disk()?;
        }
        let mut running = self.start()?;
        self.knowledge.borrow_mut().store_fails = false;
        if ending == Ending::InStart {
            let time_us = self.plan.below(IN_START_US_MAX);
            self.world.run_for(Duration::from_micros(time_us));
            self.knowledge.borrow_mut().met.crashes_in_recovery += 1;
            return self.crash();
        }
        self.await_ready(&mut running)?;
        self.verify()?;
        self.let_loose(&running);
        let time_us = self.plan.between(500, self.life_us_max);
        self.world.run_for(Duration::from_micros(time_us));
        if ending == Ending::Stopped {
            if self.plan.coin() {
                self.resume(&running)?;
            }
            self.stop(&running)?;
        }
        self.crash()
    }

    fn start(&self) -> Result<Running, Violation> {
        let mut config = BrokerConfig::new(PathBuf::from("/data"), self.address);
        config.shards = self.shards;
        config.memory_bytes = BrokerConfig::memory_bytes_min(self.shards);
        if self.alters {
            config.retention_interval = RETENTION_INTERVAL;
        }
        if self.crowd.is_some() {
            let connections = CROWDED_SHARD_CONNECTIONS * u64::from(self.shards.get());
            config.connections_max = usize::try_from(connections).unwrap_or(usize::MAX);
        }
        let bulk: BulkFactory =
            Arc::new(|reactor| Rc::new(SimFiles::new(reactor.clone(), Bulk::Works)));
        let platform = self.world.platform(self.broker);
        let parts = ringlog_server::start(&platform, config, bulk)
            .map_err(|error| not_served(0, &error))?;
        let ended: Ended = Rc::default();
        let store = self.store.new_session();
        let (slot, session) = (Rc::clone(&ended), store.clone());
        let control = parts.control;
        self.world
            .launch_local(self.broker, move |reactor| async move {
                let result = control.run(OnReactor::new(reactor, session)).await;
                *slot.borrow_mut() = Some(result);
            });
        Ok(Running {
            handle: parts.handle,
            store,
            ready: parts.ready,
            ended,
        })
    }

    /// A broker whose disk was replaced by another one does not serve: what it had acknowledged would be gone. It leaves
    /// everything as it is, so that the right disk can be put back.
    fn start_on_another_disk(&self) -> Result<(), Violation> {
        let is_there = |topic: &knowledge::Topic| topic.existence == Existence::Yes;
        let is_known = self.knowledge.borrow().topics.values().any(is_there);
        if !is_known {
            // It may never have served, and then any disk is as good.
            return Ok(());
        }
        self.world.swap_disks(self.broker, self.spare);
        let mut running = self.start()?;
        let refused = match self.await_ready(&mut running) {
            Ok(()) => Err(not_served(
                0,
                &"the disk was exchanged, and the broker serves",
            )),
            // It says why.
            Err(Violation::NotServed { .. }) => Ok(()),
            Err(violation) => Err(violation),
        };
        self.world.crash(self.broker, CrashKind::Process);
        self.world.swap_disks(self.broker, self.spare);
        self.knowledge.borrow_mut().met.disks_exchanged += 1;
        refused
    }

    fn await_ready(&self, running: &mut Running) -> Result<(), Violation> {
        let mut is_ready = false;
        self.world.run_until(PATIENCE, || {
            is_ready = matches!(running.ready.try_recv(), Ok(Some(_)));
            is_ready || running.ended.borrow().is_some()
        });
        match running.ended.borrow().as_ref() {
            _ if is_ready => Ok(()),
            Some(Err(error)) => Err(not_served(0, error)),
            _ => Err(no_progress("starting")),
        }
    }

    fn verify(&self) -> Result<(), Violation> {
        let client = self.launcher();
        let verified = self
            .world
            .block_on(self.clients, PATIENCE, move |reactor| async move {
                verifier::verify(&client(reactor)).await
            });
        match verified {
            None => Err(no_progress("reading all there is")),
            Some(Ok(())) => Ok(()),
            Some(Err(Stop::Violation(violation))) => Err(violation),
            Some(Err(Stop::Gone)) => Err(not_served(0, &"the connection was closed")),
        }
    }

    /// Starts the clients, and what troubles them.
    fn let_loose(&mut self, running: &Running) {
        if self.store_fails && self.plan.coin() {
            self.knowledge.borrow_mut().store_fails = true;
            let store = running.store.clone();
            self.world.launch_local(self.clients, move |reactor| {
                store_trouble::trouble(reactor, store)
            });
        }
        if let Some(size) = self.crowd {
            let (client, handle) = (self.launcher(), running.handle.clone());
            self.world.launch_local(self.clients, move |reactor| {
                crowd::crowd(client(reactor), handle, size, CROWDED_SHARD_CONNECTIONS)
            });
        }
        let large_one_in = self.large_one_in;
        for producer in 0..self.producers {
            let client = self.launcher();
            self.world.launch_local(self.clients, move |reactor| {
                client(reactor).for_ever(async move |client: &Client, connection| {
                    producer::produce(client, producer, large_one_in, connection).await
                })
            });
        }
        let client = self.launcher();
        self.world.launch_local(self.clients, move |reactor| {
            client(reactor).for_ever(reader::read)
        });
        let client = self.launcher();
        self.world.launch_local(self.clients, move |reactor| {
            client(reactor).for_ever(admin::administer)
        });
    }

    /// Makes clients, on whatever core they come to be.
    fn launcher(&self) -> impl FnOnce(ringlog_reactor::Reactor) -> Client + use<> {
        let (knowledge, address, shards) =
            (Rc::clone(&self.knowledge), self.address, self.shards.get());
        let alters = self.alters;
        move |reactor| Client {
            reactor,
            knowledge,
            address,
            shards,
            alters,
        }
    }

    /// The clients are gone and the metadata store works again: whoever comes now is served, whatever was before.
    fn resume(&mut self, running: &Running) -> Result<(), Violation> {
        self.world.crash(self.clients, CrashKind::Process);
        running.store.reconnect();
        running.store.heal();
        self.knowledge.borrow_mut().store_fails = false;
        let client = self.launcher();
        let resumed = self
            .world
            .block_on(self.clients, PATIENCE, move |reactor| async move {
                resume(&client(reactor)).await
            });
        match resumed {
            None => Err(no_progress("resuming")),
            Some(Err(Stop::Violation(violation))) => Err(violation),
            Some(Ok(()) | Err(Stop::Gone)) => Ok(()),
        }
    }

    /// Stops the broker as SIGTERM does: what was acknowledged is durable then, whatever the topic.
    fn stop(&self, running: &Running) -> Result<(), Violation> {
        let handle = running.handle.clone();
        let stopped = self
            .world
            .block_on(self.clients, PATIENCE, move |_| async move {
                handle.shutdown().await
            });
        match stopped {
            None => return Err(no_progress("stopping")),
            Some(Err(error)) => return Err(not_served(0, &error)),
            Some(Ok(())) => {}
        }
        let knowledge = &mut *self.knowledge.borrow_mut();
        for partition in knowledge
            .topics
            .values_mut()
            .flat_map(|topic| &mut topic.partitions)
        {
            partition.history.durable_to(partition.high_watermark);
        }
        knowledge.met.closed_in_order += 1;
        Ok(())
    }

    fn crash(&mut self) -> Result<(), Violation> {
        let kind = if self.plan.one_in(3) {
            CrashKind::Process
        } else {
            CrashKind::Power
        };
        {
            let met = &mut self.knowledge.borrow_mut().met;
            met.crashes += 1;
            met.power_losses += u64::from(kind == CrashKind::Power);
            met.crashes_with_unsynced += u64::from(self.world.has_unsynced(self.broker));
        }
        self.world.crash(self.broker, kind);
        let orphaned_us = self.plan.below(ORPHANED_US_MAX);
        self.world.run_for(Duration::from_micros(orphaned_us));
        self.world.crash(self.clients, CrashKind::Process);
        self.knowledge
            .borrow_mut()
            .violation
            .take()
            .map_or(Ok(()), Err)
    }

    fn finish(self) -> Result<SeedOutcome, Violation> {
        let knowledge = self.knowledge.borrow();
        let disk = self.world.disk_stats(self.broker);
        let partitions = knowledge
            .topics
            .values()
            .flat_map(|topic| &topic.partitions);
        Ok(SeedOutcome {
            torn_sectors: disk.torn_sectors,
            records_checked: partitions
                .clone()
                .map(|partition| partition.history.checked())
                .sum(),
            removals_seen: partitions
                .map(|partition| partition.history.removals())
                .sum(),
            trace_hash: self.world.trace_hash(),
            ..knowledge.met
        })
    }
}

/// Creates a topic as soon as a connection is taken.
async fn resume(client: &Client) -> Result<(), Stop> {
    loop {
        match client.connect().await {
            Ok(mut connection) => {
                let created = client.knowledge.borrow().met.topics_created;
                admin::create(client, &mut connection).await?;
                if client.knowledge.borrow().met.topics_created > created {
                    return Ok(());
                }
            }
            Err(Stop::Gone) => {}
            Err(stop) => return Err(stop),
        }
        client.pause(1_000).await;
    }
}

fn no_progress(what: &'static str) -> Violation {
    Violation::NoProgress {
        partition: 0,
        what,
        seconds: PATIENCE.as_secs(),
    }
}
