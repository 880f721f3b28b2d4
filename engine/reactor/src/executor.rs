//! The single-threaded executor of a core: tasks, operations in flight, timers, and the turn of the loop.
//!
//! Owned by the thread of its core. Only `Remote` is shared: other threads push the tasks that they wake into
//! it and end the wait of a parked core. The protocol is: the core sets PARKED, fences, looks at the remote
//! queue once more, and only then waits; a waker pushes first, fences, and notifies when it finds PARKED. One of
//! the two therefore always sees the other.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};
use std::task::{Context, Poll, Wake, Waker};

use crossbeam_queue::SegQueue;
use slab::Slab;

use crate::buf::BufferPool;
use crate::driver::{Driver, Notify, Wait};
use crate::limits::TASKS_PER_TURN;
use crate::meter::LoopMeter;
use crate::op::{Completion, Op, OpId, Output};
use crate::reactor::Reactor;
use crate::time::Instant;
use crate::timer::Timers;

const AWAKE: u8 = 0;
const PARKED: u8 = 1;

/// The part of a core that other threads see.
pub(crate) struct Remote {
    /// Tasks woken by other threads. Bounded by the tasks: each is in here at most once.
    woken: SegQueue<usize>,
    state: AtomicU8,
    notify: Arc<dyn Notify>,
}

impl Remote {
    fn wake(&self, key: usize) {
        self.woken.push(key);
        fence(Ordering::SeqCst);
        if self.state.load(Ordering::Relaxed) == PARKED
            && self.state.swap(AWAKE, Ordering::SeqCst) == PARKED
        {
            self.notify.notify();
        }
    }

    /// Declares the core parked; false when a wake came in meanwhile and it must not wait.
    fn park(&self) -> bool {
        self.state.store(PARKED, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.woken.is_empty() {
            return true;
        }
        self.unpark();
        false
    }

    fn unpark(&self) {
        self.state.store(AWAKE, Ordering::SeqCst);
    }
}

/// Which core runs on this thread just now, and the tasks woken on it.
struct Local {
    core: Cell<usize>,
    woken: RefCell<VecDeque<usize>>,
}

thread_local! {
    static LOCAL: Local = const { Local { core: Cell::new(0), woken: RefCell::new(VecDeque::new()) } };
}

struct TaskWaker {
    key: usize,
    scheduled: AtomicBool,
    remote: Arc<Remote>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.scheduled.swap(true, Ordering::AcqRel) {
            return;
        }
        let here = LOCAL.try_with(|local| {
            let mine = local.core.get() == Arc::as_ptr(&self.remote).addr();
            if mine {
                local.woken.borrow_mut().push_back(self.key);
            }
            mine
        });
        if here != Ok(true) {
            self.remote.wake(self.key);
        }
    }
}

type BoxedTask = Pin<Box<dyn Future<Output = ()>>>;

struct TaskSlot {
    /// `None` while the task is being polled.
    future: Option<BoxedTask>,
    waker: Arc<TaskWaker>,
    generation: u64,
    cancelled: bool,
    name: &'static str,
}

enum OpState {
    Waiting(Option<Waker>),
    Done(Output),
    /// Nobody waits; what comes back is dropped, and a handle in it is closed.
    Abandoned,
}

/// What a core owns; reached through [`Reactor`] by its tasks.
pub(crate) struct Inner {
    pub(crate) driver: RefCell<Box<dyn Driver>>,
    pub(crate) timers: RefCell<Timers>,
    pub(crate) pool: BufferPool,
    ops: RefCell<Slab<OpState>>,
    tasks: RefCell<Slab<TaskSlot>>,
    remote: Arc<Remote>,
    generations: Cell<u64>,
    /// A write was submitted and not passed on yet.
    has_write: Cell<bool>,
    pub(crate) meter: LoopMeter,
}

impl Inner {
    /// Hands an operation to the driver; the future gives what it came to.
    pub(crate) fn submit(self: &Rc<Self>, op: Op) -> OpFuture {
        let id = self.ops.borrow_mut().insert(OpState::Waiting(None));
        self.meter.submitted();
        if op.is_write() {
            self.has_write.set(true);
        }
        self.driver.borrow_mut().submit(id, op);
        OpFuture {
            inner: Rc::clone(self),
            id,
            taken: false,
        }
    }

    /// Hands over an operation whose outcome nobody needs.
    pub(crate) fn submit_detached(&self, op: Op) {
        let id = self.ops.borrow_mut().insert(OpState::Abandoned);
        self.meter.submitted();
        self.driver.borrow_mut().submit(id, op);
    }

    fn complete(&self, completion: Completion) {
        let Completion { id, output } = completion;
        let mut ops = self.ops.borrow_mut();
        let Some(state) = ops.get_mut(id) else {
            debug_assert!(
                false,
                "the driver completed operation {id}, which is not in flight"
            );
            return;
        };
        match std::mem::replace(state, OpState::Done(output)) {
            OpState::Waiting(waker) => {
                drop(ops);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            OpState::Abandoned | OpState::Done(_) => {
                let state = ops.remove(id);
                drop(ops);
                if let OpState::Done(
                    Output::Handle(Ok(handle)) | Output::Accepted(Ok((handle, _))),
                ) = state
                {
                    self.submit_detached(Op::Close { handle });
                }
            }
        }
    }

    pub(crate) fn spawn<T: 'static>(
        self: &Rc<Self>,
        name: &'static str,
        future: impl Future<Output = T> + 'static,
    ) -> Task<T> {
        let join = Rc::new(RefCell::new(Join::Running(None)));
        let result = Rc::clone(&join);
        let future: BoxedTask = Box::pin(async move {
            let value = future.await;
            if let Join::Running(Some(waker)) = result.replace(Join::Done(value)) {
                waker.wake();
            }
        });
        let generation = self.generations.get();
        self.generations.set(generation + 1);
        let mut tasks = self.tasks.borrow_mut();
        let entry = tasks.vacant_entry();
        let key = entry.key();
        let waker = Arc::new(TaskWaker {
            key,
            scheduled: AtomicBool::new(false),
            remote: Arc::clone(&self.remote),
        });
        entry.insert(TaskSlot {
            future: Some(future),
            waker: Arc::clone(&waker),
            generation,
            cancelled: false,
            name,
        });
        drop(tasks);
        waker.wake();
        Task {
            join,
            key,
            generation,
            inner: Rc::downgrade(self),
            detached: false,
        }
    }

    fn cancel(&self, key: usize, generation: u64) {
        let removed = {
            let Ok(mut tasks) = self.tasks.try_borrow_mut() else {
                return;
            };
            match tasks.get_mut(key) {
                Some(slot) if slot.generation == generation => {
                    if slot.future.is_none() {
                        slot.cancelled = true;
                        return;
                    }
                    tasks.remove(key)
                }
                _ => return,
            }
        };
        drop(removed);
    }

    /// Polls a task; gives its name, unless it is gone.
    fn poll_task(&self, key: usize) -> Option<&'static str> {
        let (mut future, waker, name) = {
            let mut tasks = self.tasks.borrow_mut();
            let slot = tasks.get_mut(key)?;
            (slot.future.take()?, Arc::clone(&slot.waker), slot.name)
        };
        waker.scheduled.store(false, Ordering::Release);
        let std_waker = Waker::from(waker);
        let ready = future
            .as_mut()
            .poll(&mut Context::from_waker(&std_waker))
            .is_ready();
        let mut tasks = self.tasks.borrow_mut();
        let slot = tasks.get_mut(key)?;
        if ready || slot.cancelled {
            let slot = tasks.remove(key);
            drop(tasks);
            drop(slot);
            drop(future);
        } else {
            slot.future = Some(future);
        }
        Some(name)
    }

    fn ticks(&self) -> u64 {
        self.driver.borrow().ticks()
    }

    /// Notes that a task held the core for too long.
    #[cold]
    fn stalled(&self, task: &'static str, ticks: u64) {
        let now = self.driver.borrow().now();
        if let Some(report) = self.meter.stalled(task, ticks, now) {
            let held_us = u64::try_from(report.held.as_micros()).unwrap_or(u64::MAX);
            tracing::warn!(
                task,
                held_us,
                stalls = report.stalls,
                "a task held its core for too long"
            );
        }
    }
}

enum Join<T> {
    Running(Option<Waker>),
    Done(T),
    Taken,
}

/// A spawned task: a future of its result. Dropping it cancels the task; [`Task::detach`] lets it run.
#[must_use = "dropping a task cancels it: await, keep, or detach it"]
pub struct Task<T> {
    join: Rc<RefCell<Join<T>>>,
    key: usize,
    generation: u64,
    inner: Weak<Inner>,
    detached: bool,
}

impl<T> Task<T> {
    /// Lets the task run to its end on its own.
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        !matches!(*self.join.borrow(), Join::Running(_))
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut join = self.join.borrow_mut();
        if let Join::Running(waker) = &mut *join {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        match std::mem::replace(&mut *join, Join::Taken) {
            Join::Done(value) => Poll::Ready(value),
            Join::Running(_) | Join::Taken => Poll::Pending,
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if !self.detached
            && let Some(inner) = self.inner.upgrade()
        {
            inner.cancel(self.key, self.generation);
        }
    }
}

/// An operation in flight. When it is dropped the driver keeps the operation's buffers until it completes.
pub(crate) struct OpFuture {
    inner: Rc<Inner>,
    id: OpId,
    taken: bool,
}

impl Future for OpFuture {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        let output = {
            let mut ops = self.inner.ops.borrow_mut();
            let Some(state) = ops.get_mut(self.id) else {
                return Poll::Pending;
            };
            match state {
                OpState::Waiting(waker) => {
                    *waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                OpState::Abandoned => return Poll::Pending,
                OpState::Done(_) => {}
            }
            ops.remove(self.id)
        };
        self.taken = true;
        match output {
            OpState::Done(output) => Poll::Ready(output),
            OpState::Waiting(_) | OpState::Abandoned => Poll::Pending,
        }
    }
}

impl Drop for OpFuture {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let done = {
            let Ok(mut ops) = self.inner.ops.try_borrow_mut() else {
                return;
            };
            match ops.get_mut(self.id) {
                Some(state @ OpState::Waiting(_)) => {
                    *state = OpState::Abandoned;
                    None
                }
                Some(OpState::Done(_)) => Some(ops.remove(self.id)),
                _ => return,
            }
        };
        match done {
            None => {
                if let Ok(mut driver) = self.inner.driver.try_borrow_mut() {
                    driver.cancel(self.id);
                }
            }
            Some(OpState::Done(Output::Handle(Ok(handle)) | Output::Accepted(Ok((handle, _))))) => {
                self.inner.submit_detached(Op::Close { handle });
            }
            Some(_) => {}
        }
    }
}

/// A core: the executor with its driver. Dropping it drops all its tasks.
pub struct Core {
    inner: Rc<Inner>,
    /// Woken tasks while the core is not running.
    woken: RefCell<VecDeque<usize>>,
}

impl Core {
    /// A core over `driver`; `notify` ends the driver's wait from any thread.
    pub fn new(driver: Box<dyn Driver>, notify: Arc<dyn Notify>, pool: BufferPool) -> Self {
        let remote = Remote {
            woken: SegQueue::new(),
            state: AtomicU8::new(PARKED),
            notify,
        };
        let meter = LoopMeter::new(driver.ticks_per_ms());
        let inner = Inner {
            driver: RefCell::new(driver),
            timers: RefCell::default(),
            pool,
            ops: RefCell::default(),
            tasks: RefCell::default(),
            remote: Arc::new(remote),
            generations: Cell::new(0),
            has_write: Cell::new(false),
            meter,
        };
        Self {
            inner: Rc::new(inner),
            woken: RefCell::default(),
        }
    }

    /// A handle for the code that runs on this core.
    pub fn reactor(&self) -> Reactor {
        Reactor::new(Rc::clone(&self.inner))
    }

    /// Gives an operation's outcome to whoever waits for it.
    pub fn complete(&self, completion: Completion) {
        self.entered(|| self.inner.complete(completion));
    }

    /// The earliest timer.
    pub fn next_timer(&self) -> Option<Instant> {
        self.inner.timers.borrow().next()
    }

    /// Runs until no task is ready and no timer is due, and leaves the core parked: the next wake from outside
    /// notifies. This is how the simulation runs a core.
    pub fn run_ready(&self) {
        self.entered(|| {
            self.inner.remote.unpark();
            loop {
                self.fire_timers();
                // A simulated driver has nothing to pass on, and nothing that fails.
                let more = self.poll_tasks(TASKS_PER_TURN).unwrap_or(false);
                if !more && !self.timer_is_due() && self.inner.remote.park() {
                    self.inner.meter.parked();
                    return;
                }
            }
        });
    }

    /// Runs the core on this thread until `main` is done; the tasks that are left are dropped with the core.
    ///
    /// # Errors
    ///
    /// When the driver fails.
    pub fn block_on<T: 'static>(&self, main: impl Future<Output = T> + 'static) -> io::Result<T> {
        let task = self.inner.spawn("main", main);
        self.entered(|| {
            let mut completions = Vec::new();
            self.inner.remote.unpark();
            loop {
                self.fire_timers();
                let more = self.poll_tasks(TASKS_PER_TURN)?;
                if let Join::Done(value) = task.join.replace(Join::Running(None)) {
                    return Ok(value);
                }
                let wait = if !more && self.inner.remote.park() {
                    self.inner.meter.parked();
                    Wait::Until(self.next_timer())
                } else {
                    Wait::Poll
                };
                self.inner.has_write.set(false);
                let result = self.inner.driver.borrow_mut().turn(wait, &mut completions);
                self.inner.remote.unpark();
                result?;
                for completion in completions.drain(..) {
                    self.inner.complete(completion);
                }
            }
        })
    }

    /// Polls at most `budget` tasks; true when some are still ready. A write that one of them began is passed on before
    /// the next one is polled: the device works meanwhile. So the answers to one flush group are written while the next
    /// group is.
    fn poll_tasks(&self, budget: usize) -> io::Result<bool> {
        let meter = &self.inner.meter;
        let began = self.inner.ticks();
        let mut polled = began;
        for _ in 0..budget {
            let next = LOCAL
                .with(|local| local.woken.borrow_mut().pop_front())
                .or_else(|| self.inner.remote.woken.pop());
            let Some(key) = next else { break };
            if self.inner.has_write.replace(false) {
                self.inner.driver.borrow_mut().pass_on()?;
            }
            let Some(name) = self.inner.poll_task(key) else {
                continue;
            };
            let now = self.inner.ticks();
            let took = now.saturating_sub(polled);
            polled = now;
            if meter.polled(took) {
                self.inner.stalled(name, took);
            }
        }
        meter.turned(polled.saturating_sub(began));
        let local_is_empty = LOCAL.with(|local| local.woken.borrow().is_empty());
        Ok(!local_is_empty || !self.inner.remote.woken.is_empty())
    }

    fn timer_is_due(&self) -> bool {
        let now = self.inner.driver.borrow().now();
        self.next_timer().is_some_and(|at| at <= now)
    }

    fn fire_timers(&self) {
        if self.next_timer().is_none() {
            return;
        }
        let now = self.inner.driver.borrow().now();
        loop {
            let due = self.inner.timers.borrow_mut().pop_due(now);
            let Some(waker) = due else { return };
            waker.wake();
        }
    }

    /// Runs `body` with this core as the thread's current one.
    fn entered<R>(&self, body: impl FnOnce() -> R) -> R {
        let _guard = Entered::new(self);
        body()
    }

    /// Names of the tasks alive, for diagnosis.
    pub fn task_names(&self) -> Vec<&'static str> {
        self.inner
            .tasks
            .borrow()
            .iter()
            .map(|(_, slot)| slot.name)
            .collect()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // A task may own handles that spawn or cancel while they are dropped: never drop one inside a borrow.
        loop {
            let slot = {
                let mut tasks = self.inner.tasks.borrow_mut();
                let Some(key) = tasks.iter().next().map(|(key, _)| key) else {
                    break;
                };
                tasks.remove(key)
            };
            drop(slot);
        }
    }
}

/// Makes a core the thread's current one while it lives; the one before is current again afterwards.
struct Entered<'a> {
    core: &'a Core,
    outer: usize,
    outer_woken: VecDeque<usize>,
}

impl<'a> Entered<'a> {
    fn new(core: &'a Core) -> Self {
        let mine = core.woken.take();
        let (outer, outer_woken) = LOCAL.with(|local| {
            let outer = local.core.replace(Arc::as_ptr(&core.inner.remote).addr());
            (outer, local.woken.replace(mine))
        });
        Self {
            core,
            outer,
            outer_woken,
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let outer_woken = std::mem::take(&mut self.outer_woken);
        let mine = LOCAL.with(|local| {
            local.core.set(self.outer);
            local.woken.replace(outer_woken)
        });
        self.core.woken.replace(mine);
    }
}

#[cfg(test)]
mod tests;
