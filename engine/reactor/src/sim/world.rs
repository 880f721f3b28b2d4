//! The world: its clock, its queue of events, and the loop that steps through them.

mod outside;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_queue::SegQueue;

use super::disk::{CrashKind, Disk, DiskToken};
use super::driver::{SimDriver, SimNotify};
use super::net::{Context, Effects, Handles, Net, NetEvent};
use super::platform::SimPlatform;
use super::random::{Chance, Trace};
use super::{CoreId, DiskConfig, NodeId, SimConfig};
use crate::buf::BufferPool;
use crate::driver::ListenOptions;
use crate::executor::Core;
use crate::op::{Completion, Handle, Op, OpId, Output, SyncKind};
use crate::platform::{CoreHandle, LocalFuture};
use crate::reactor::Reactor;
use crate::time::Instant;

/// Wall-clock time at the start of a world: 2026-01-01T00:00:00Z.
const EPOCH_UNIX_MS: i64 = 1_767_225_600_000;

/// Buffer pool of the cores that [`SimWorld::block_on`] and [`SimWorld::launch_local`] make, in bytes.
const LOCAL_POOL_BYTES: usize = 256 << 20;

/// Makes the future of a core. Unlike a [`crate::platform::CoreMain`] it need not be `Send`.
type LocalMain = Box<dyn FnOnce(Reactor) -> LocalFuture>;

enum Event {
    Start {
        core: CoreId,
        main: LocalMain,
    },
    Run {
        core: CoreId,
    },
    Timer {
        core: CoreId,
    },
    Complete {
        core: CoreId,
        completion: Completion,
    },
    Disk {
        node: NodeId,
        core: CoreId,
        id: OpId,
        token: DiskToken,
        /// What follows when the operation has done all of its work.
        linked: Option<LinkedSync>,
    },
    Net(NetEvent),
}

struct CoreSlot {
    node: NodeId,
    core: Rc<Core>,
    finished: Arc<AtomicBool>,
    /// The time of the timer event that is queued for it.
    timer: Option<u64>,
}

struct Node {
    disk: Disk,
    clock_skew_ms: i64,
}

/// When an event is due; equal times are ordered by chance, and then by age.
type Due = (u64, u64, u64);

pub(super) struct State {
    config: SimConfig,
    now: u64,
    chance: Chance,
    trace: Trace,
    queue: BTreeMap<Due, Event>,
    queued: u64,
    nodes: Vec<Node>,
    cores: BTreeMap<CoreId, CoreSlot>,
    cores_started: u64,
    net: Net,
    handles: Handles,
    /// The buffers of the test's own cores, reused from one to the next.
    local_pool: BufferPool,
}

pub(super) struct Shared {
    pub(super) state: RefCell<State>,
    woken: Arc<SegQueue<CoreId>>,
    running: Cell<bool>,
}

/// A simulated world. Clones are handles to the same one. A future that runs in it must not own one: the world
/// would then own itself and never be freed.
#[derive(Clone)]
pub struct SimWorld(Rc<Shared>);

impl SimWorld {
    /// The world that `seed` names, without nodes.
    pub fn new(seed: u64, config: SimConfig) -> Self {
        let state = State {
            config,
            now: 0,
            chance: Chance::new(seed),
            trace: Trace::new(),
            queue: BTreeMap::new(),
            queued: 0,
            nodes: Vec::new(),
            cores: BTreeMap::new(),
            cores_started: 0,
            net: Net::new(config.net),
            handles: Handles::default(),
            local_pool: BufferPool::new(LOCAL_POOL_BYTES),
        };
        let woken = Arc::new(SegQueue::new());
        Self(Rc::new(Shared {
            state: RefCell::new(state),
            woken,
            running: Cell::new(false),
        }))
    }

    /// A new node with an empty disk.
    pub fn add_node(&self) -> NodeId {
        let mut state = self.0.state.borrow_mut();
        let node = NodeId(u16::try_from(state.nodes.len()).unwrap_or(u16::MAX));
        let disk = Disk::new(state.config.disk.capacity_bytes);
        state.nodes.push(Node {
            disk,
            clock_skew_ms: 0,
        });
        node
    }

    /// Starts cores on `node`.
    pub fn platform(&self, node: NodeId) -> SimPlatform {
        SimPlatform::new(self.clone(), node)
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.0.state.borrow().now()
    }

    /// A random number of this world.
    pub fn random_u64(&self) -> u64 {
        self.0.state.borrow_mut().chance.any()
    }

    /// A hash of everything that happened so far.
    pub fn trace_hash(&self) -> u64 {
        self.0.state.borrow().trace.value()
    }

    /// Starts a core on a node for the test's own code.
    pub fn launch_local<F>(
        &self,
        node: NodeId,
        main: impl FnOnce(Reactor) -> F + 'static,
    ) -> CoreHandle
    where
        F: Future<Output = ()> + 'static,
    {
        let pool = self.local_pool();
        self.launch_core(node, pool, Box::new(|reactor| Box::pin(main(reactor))))
            .1
    }

    fn local_pool(&self) -> BufferPool {
        self.0.state.borrow().local_pool.clone()
    }

    pub(super) fn launch_core(
        &self,
        node: NodeId,
        pool: BufferPool,
        main: LocalMain,
    ) -> (CoreId, CoreHandle) {
        let mut state = self.0.state.borrow_mut();
        state.cores_started += 1;
        let id = CoreId(state.cores_started);
        let world = Rc::downgrade(&self.0);
        let driver = SimDriver {
            world,
            core: id,
            node,
            last_now: Cell::new(state.now()),
        };
        let notify = SimNotify {
            core: id,
            woken: Arc::clone(&self.0.woken),
        };
        let core = Rc::new(Core::new(Box::new(driver), Arc::new(notify), pool));
        let finished = Arc::new(AtomicBool::new(false));
        state.cores.insert(
            id,
            CoreSlot {
                node,
                core,
                finished: Arc::clone(&finished),
                timer: None,
            },
        );
        let at = state.now + state.chance.between(1_000, 100_000);
        state.push(at, Event::Start { core: id, main });
        (id, CoreHandle::new(finished, None))
    }

    /// Runs `main` on a core of its own until it is done; `None` when it is not done after `timeout`, or its
    /// node crashed.
    pub fn block_on<T, F>(
        &self,
        node: NodeId,
        timeout: Duration,
        main: impl FnOnce(Reactor) -> F + 'static,
    ) -> Option<T>
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
        let result = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&result);
        let main: LocalMain = Box::new(move |reactor| {
            let future = main(reactor);
            Box::pin(async move {
                let value = future.await;
                *slot.borrow_mut() = Some(value);
            })
        });
        let (core, _) = self.launch_core(node, self.local_pool(), main);
        self.run_until(timeout, || result.borrow().is_some());
        self.end_core(core);
        result.take()
    }

    /// Runs the world until `condition` holds, looked at after each event, or until `timeout` has passed; says
    /// whether it holds.
    pub fn run_until(&self, timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
        let deadline = (self.now() + timeout).as_nanos();
        loop {
            if condition() {
                return true;
            }
            self.collect_woken();
            let next = self
                .0
                .state
                .borrow()
                .queue
                .first_key_value()
                .map(|(due, _)| due.0);
            if next.is_none_or(|at| at > deadline) {
                let mut state = self.0.state.borrow_mut();
                state.now = state.now.max(deadline);
                return false;
            }
            self.step();
        }
    }

    /// Runs the world for `duration`.
    pub fn run_for(&self, duration: Duration) {
        self.run_until(duration, || false);
    }

    /// Kills a node: its cores and their tasks are dropped, its connections reset, its disk loses what `kind`
    /// says. Launching on the node again restarts it. Not to be called from inside a core.
    pub fn crash(&self, node: NodeId, kind: CrashKind) {
        assert!(
            !self.0.running.get(),
            "a node cannot be crashed from inside a core"
        );
        let (slots, starts) = {
            let mut state = self.0.state.borrow_mut();
            let now = state.now;
            state.trace.note(&[now, 0xdead, u64::from(node.0)]);
            let ids: Vec<CoreId> = state
                .cores
                .iter()
                .filter(|(_, slot)| slot.node == node)
                .map(|(&id, _)| id)
                .collect();
            let slots: Vec<CoreSlot> = ids.iter().filter_map(|id| state.cores.remove(id)).collect();
            for &id in &ids {
                state.net.forget_core(id);
            }
            let State { nodes, chance, .. } = &mut *state;
            if let Some(node) = nodes.get_mut(usize::from(node.0)) {
                node.disk.crash(kind, chance);
            }
            state.with_net(|net, cx| net.crash(node, cx));
            (slots, state.take_starts(|core| ids.contains(&core)))
        };
        // Their destructors may reach for the world.
        drop(starts);
        drop(slots);
    }

    /// Queues a run of each core that was woken from outside.
    fn collect_woken(&self) {
        let mut state = self.0.state.borrow_mut();
        while let Some(core) = self.0.woken.pop() {
            let at = state.now + state.chance.between(200, 20_000);
            state.push(at, Event::Run { core });
        }
    }

    /// Carries the next event out.
    fn step(&self) {
        let event = {
            let mut state = self.0.state.borrow_mut();
            let Some(((at, _, _), event)) = state.queue.pop_first() else {
                return;
            };
            // Later than it was due when a task has held its core meanwhile.
            state.now = state.now.max(at);
            let summary = event.summary();
            state.trace.note(&[at, summary.0, summary.1, summary.2]);
            event
        };
        match event {
            Event::Start { core, main } => {
                let slot = self
                    .slot(core)
                    .map(|(core, finished)| (core.reactor(), finished));
                if let Some((reactor, finished)) = slot {
                    let future = reactor.clone();
                    let future = async move {
                        main(future).await;
                        finished.store(true, Ordering::Release);
                    };
                    reactor.spawn("main", future).detach();
                    self.run_core(core);
                }
            }
            Event::Run { core } => self.run_core(core),
            Event::Timer { core } => {
                if let Some(slot) = self.0.state.borrow_mut().cores.get_mut(&core) {
                    slot.timer = None;
                }
                self.run_core(core);
            }
            Event::Complete { core, completion } => self.complete(core, completion),
            Event::Disk {
                node,
                core,
                id,
                token,
                linked,
            } => {
                let output = {
                    let mut state = self.0.state.borrow_mut();
                    let now_ms = state.unix_time_ms(node);
                    let State {
                        nodes,
                        handles,
                        chance,
                        ..
                    } = &mut *state;
                    let disk = nodes
                        .get_mut(usize::from(node.0))
                        .map(|node| &mut node.disk);
                    disk.and_then(|disk| disk.finish(token, handles.next(), now_ms, chance))
                };
                if let Some(output) = output {
                    self.0.state.borrow_mut().trace.note(&[outcome(&output)]);
                    if let Some(sync) = linked
                        && matches!(output, Output::Count(Ok(written)) if written == sync.after_bytes)
                    {
                        let state = &mut *self.0.state.borrow_mut();
                        state.submit_disk(node, core, id, sync.op(), None);
                        return;
                    }
                    self.complete(core, Completion { id, output });
                }
            }
            Event::Net(event) => self
                .0
                .state
                .borrow_mut()
                .with_net(|net, cx| net.event(event, cx)),
        }
    }

    fn complete(&self, core: CoreId, completion: Completion) {
        match self.slot(core) {
            Some((slot, _)) => {
                slot.complete(completion);
                self.run_core(core);
            }
            None => {
                if let Output::Handle(Ok(handle)) | Output::Accepted(Ok((handle, _))) =
                    completion.output
                {
                    self.0.state.borrow_mut().close_now(handle);
                }
            }
        }
    }

    fn slot(&self, core: CoreId) -> Option<(Rc<Core>, Arc<AtomicBool>)> {
        let state = self.0.state.borrow();
        state
            .cores
            .get(&core)
            .map(|slot| (Rc::clone(&slot.core), Arc::clone(&slot.finished)))
    }

    fn run_core(&self, id: CoreId) {
        let Some((core, finished)) = self.slot(id) else {
            return;
        };
        self.0.running.set(true);
        core.run_ready();
        self.0.running.set(false);
        if finished.load(Ordering::Acquire) {
            drop(core);
            self.end_core(id);
            return;
        }
        if let Some(at) = core.next_timer().map(Instant::as_nanos) {
            let mut state = self.0.state.borrow_mut();
            let at = at.max(state.now);
            if let Some(slot) = state.cores.get_mut(&id)
                && slot.timer.is_none_or(|queued| at < queued)
            {
                slot.timer = Some(at);
                state.push(at, Event::Timer { core: id });
            }
        }
    }

    /// Ends a core as the end of its thread does: what it had open is closed.
    fn end_core(&self, core: CoreId) {
        let (slot, starts) = {
            let mut state = self.0.state.borrow_mut();
            let slot = state.cores.remove(&core);
            state.net.forget_core(core);
            (slot, state.take_starts(|started| started == core))
        };
        drop(starts);
        drop(slot);
    }
}

impl State {
    pub(super) fn now(&self) -> Instant {
        Instant::from_nanos(self.now)
    }

    pub(super) fn writes_through(&self) -> bool {
        self.config.disk.writes_through
    }

    pub(super) fn unix_time_ms(&self, node: NodeId) -> i64 {
        let skew_ms = self
            .nodes
            .get(usize::from(node.0))
            .map_or(0, |node| node.clock_skew_ms);
        EPOCH_UNIX_MS + skew_ms + i64::try_from(self.now / 1_000_000).unwrap_or(i64::MAX / 2)
    }

    pub(super) fn random_u64(&mut self) -> u64 {
        self.chance.any()
    }

    fn push(&mut self, at: u64, event: Event) {
        self.queued += 1;
        let due = (at, self.chance.any(), self.queued);
        self.queue.insert(due, event);
    }

    fn with_net<R>(&mut self, body: impl FnOnce(&mut Net, &mut Context<'_>) -> R) -> R {
        let mut effects = Effects::default();
        let Self {
            now,
            chance,
            handles,
            net,
            ..
        } = self;
        let mut context = Context {
            now: *now,
            chance,
            handles,
            effects: &mut effects,
        };
        let result = body(net, &mut context);
        for (at, event) in effects.events {
            self.push(at, Event::Net(event));
        }
        for (at, core, completion) in effects.completions {
            self.push(at, Event::Complete { core, completion });
        }
        result
    }

    /// Takes the starts of cores that will never run out of the queue.
    fn take_starts(&mut self, of: impl Fn(CoreId) -> bool) -> Vec<Event> {
        let dues: Vec<Due> = self
            .queue
            .iter()
            .filter(|(_, event)| matches!(event, Event::Start { core, .. } if of(*core)))
            .map(|(&due, _)| due)
            .collect();
        dues.iter()
            .filter_map(|due| self.queue.remove(due))
            .collect()
    }

    fn close_now(&mut self, handle: Handle) {
        self.with_net(|net, cx| net.close(handle, cx));
        for node in &mut self.nodes {
            node.disk.close(handle);
        }
    }

    pub(super) fn listen(
        &mut self,
        node: NodeId,
        address: SocketAddr,
        options: ListenOptions,
    ) -> io::Result<(Handle, SocketAddr)> {
        self.net.listen(node, address, options, &mut self.handles)
    }

    pub(super) fn cancel(&mut self, core: CoreId, id: OpId) {
        if self.cores.contains_key(&core) {
            self.with_net(|net, cx| net.cancel(core, id, cx));
        }
    }

    pub(super) fn submit(&mut self, node: NodeId, core: CoreId, id: OpId, op: Op) {
        if !self.cores.contains_key(&core) {
            // The last words of a core that has ended: only closing still means anything.
            if let Op::Close { handle } = op {
                self.close_now(handle);
            }
            return;
        }
        match op {
            Op::Accept { listener } => self.with_net(|net, cx| net.accept(core, id, listener, cx)),
            Op::Connect { address } => {
                self.with_net(|net, cx| net.connect(core, id, node, address, cx))
            }
            Op::Recv { socket, buf, range } => {
                self.with_net(|net, cx| net.recv(core, id, socket, buf, range, cx));
            }
            Op::Send { socket, data } => {
                self.with_net(|net, cx| net.send(core, id, socket, data, cx))
            }
            Op::Shutdown { socket } => {
                let result = self.with_net(|net, cx| net.shutdown(socket, cx));
                self.complete_soon(core, id, Output::Unit(result));
            }
            Op::Close { handle } if self.net.owns(handle) => {
                self.with_net(|net, cx| net.close(handle, cx));
                self.complete_soon(core, id, Output::Unit(Ok(())));
            }
            Op::WriteSync {
                file,
                position,
                data,
            } => {
                let linked = Some(LinkedSync {
                    file,
                    after_bytes: data.len(),
                });
                let write = Op::WriteAt {
                    file,
                    position,
                    data,
                };
                self.submit_disk(node, core, id, write, linked);
            }
            op => self.submit_disk(node, core, id, op, None),
        }
    }

    fn submit_disk(
        &mut self,
        node: NodeId,
        core: CoreId,
        id: OpId,
        op: Op,
        linked: Option<LinkedSync>,
    ) {
        let at = self.now + latency(&self.config.disk, &op, &mut self.chance);
        let Some(slot) = self.nodes.get_mut(usize::from(node.0)) else {
            return;
        };
        let (token, delay) = slot.disk.begin(op, &mut self.chance);
        let Some(delay) = delay else {
            return;
        };
        let delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX / 2);
        self.push(
            at.saturating_add(delay),
            Event::Disk {
                node,
                core,
                id,
                token,
                linked,
            },
        );
    }

    fn complete_soon(&mut self, core: CoreId, id: OpId, output: Output) {
        let at = self.now + self.chance.between(500, 8_000);
        self.push(
            at,
            Event::Complete {
                core,
                completion: Completion { id, output },
            },
        );
    }
}

/// A sync that follows a write of so many bytes, if it was not short.
struct LinkedSync {
    file: Handle,
    after_bytes: usize,
}

impl LinkedSync {
    fn op(&self) -> Op {
        Op::Sync {
            file: self.file,
            kind: SyncKind::Data,
        }
    }
}

/// How long a disk takes for an operation, in nanoseconds.
fn latency(config: &DiskConfig, op: &Op, chance: &mut Chance) -> u64 {
    let (usual_us, bytes) = match op {
        Op::ReadAt { len, .. } => (config.read_us, *len as u64),
        Op::WriteAt { data, .. } => (config.write_us, data.len() as u64),
        Op::Sync { .. } | Op::SyncDir { .. } => (config.sync_us, 0),
        _ => (config.metadata_us, 0),
    };
    let factor_max = if chance.one_in(config.slow_one_in) {
        10_000
    } else {
        2_000
    };
    // Two bytes a nanosecond: the sequential rate of the reference device.
    usual_us * chance.between(500, factor_max) + bytes / 2
}

/// What came of an operation, for the trace.
fn outcome(output: &Output) -> u64 {
    match output {
        Output::Count(Ok(count)) | Output::Buf(Ok(count), _) | Output::Sent(Ok(count), _) => {
            *count as u64
        }
        Output::Unit(Ok(())) | Output::Handle(Ok(_)) | Output::Accepted(Ok(_)) => 1,
        Output::Stat(Ok(stat)) => stat.len_bytes,
        Output::Entries(Ok(entries)) => entries.len() as u64,
        Output::Space(Ok(space)) => space.available_bytes,
        _ => u64::MAX,
    }
}

impl Event {
    /// Kind, subject and detail, for the trace.
    fn summary(&self) -> (u64, u64, u64) {
        match self {
            Self::Start { core, .. } => (1, core.0, 0),
            Self::Run { core } => (2, core.0, 0),
            Self::Timer { core } => (3, core.0, 0),
            Self::Complete { core, completion } => (4, core.0, outcome(&completion.output)),
            Self::Disk { core, id, .. } => (5, core.0, *id as u64),
            Self::Net(NetEvent::Arrive { core, .. }) => (6, core.0, 0),
            Self::Net(NetEvent::Deliver { .. }) => (7, 0, 0),
            Self::Net(NetEvent::Flush { .. }) => (8, 0, 0),
        }
    }
}

#[cfg(test)]
mod tests;
