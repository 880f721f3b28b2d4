//! The driver on a ring of Linux: network and storage of one thread on one io_uring instance.
//!
//! The ring belongs to the thread that made it (SINGLE_ISSUER, DEFER_TASKRUN): the driver never leaves it. Every
//! operation is owned by the driver from [`Driver::submit`] until its completion has arrived, whoever has lost
//! interest meanwhile, so that the kernel never writes to memory that was given to somebody else. What the ring
//! of Linux 6.1 cannot do goes through one helper thread. Handles are file descriptors.
//!
//! The driver knows nothing of tasks, of what files contain, or of who waits.

mod clock;
mod descriptors;
mod flight;
mod helper;
mod net;
mod path;
mod platform;
mod probe;
mod send_header;
mod thread;
mod wake;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};
use rand::rngs::SysRng;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use self::descriptors::{DescriptorLimit, descriptor_limit, raise_descriptor_limit};
pub use self::net::probe_address;
pub use self::platform::UringPlatform;
pub use self::probe::{Finding, Verdict, probe};
pub use self::thread::set_thread_nice;

use self::flight::{Flight, Route, Step, discard, into_handle};
use self::helper::Helper;
use self::send_header::SendHeaders;
use self::wake::{Wake, WakeHandle};
use crate::driver::{Driver, DriverCounts, ListenOptions, Notify, Wait};
use crate::limits::{RING_COMPLETIONS, RING_DRAIN_MS, RING_ENTRIES};
use crate::op::{Completion, Handle, Op, OpId};
use crate::time::Instant;

/// How a ring is set up.
#[derive(Clone, Debug)]
pub struct UringConfig {
    /// How long a turn spins before it parks; zero parks at once.
    pub spin: Duration,
    /// Workers of the kernel for operations on files that block, such as fdatasync; zero leaves the kernel's
    /// default, which is 4 for each CPU.
    pub io_workers_max: u32,
    /// Durable writes carry RWF_DSYNC instead of being followed by an fdatasync: faster where the device has no volatile
    /// write cache, and never to be combined with spinning.
    pub writes_through: bool,
}

impl Default for UringConfig {
    fn default() -> Self {
        Self {
            spin: Duration::ZERO,
            io_workers_max: 16,
            writes_through: false,
        }
    }
}

/// User data of submissions that are not operations. Operations use their [`OpId`], which stays below all of
/// them.
mod tag {
    /// The read of the eventfd.
    pub(super) const WAKE_READ: u64 = u64::MAX;
    /// What another ring sends to wake this one.
    pub(super) const WAKE_MESSAGE: u64 = u64::MAX - 1;
    /// A cancellation.
    pub(super) const CANCEL: u64 = u64::MAX - 2;
    /// A wake that this ring sends: the base, plus the index of the peer.
    pub(super) const SENT_WAKE: u64 = 1 << 62;
    /// An operation's first submission, to which a second one is linked: the base, plus its [`super::OpId`].
    pub(super) const LINKED: u64 = 1 << 61;
}

/// Turns of the spin loop between two looks at the clock.
const SPINS_PER_CLOCK: u32 = 64;

/// How long a ring that is being closed waits before it cancels again what is still in flight.
const DRAIN_ROUND: Duration = Duration::from_millis(20);

/// The driver of one thread. Created on the thread that uses it, and never leaves it.
pub struct UringDriver {
    ring: IoUring,
    /// Operations in flight by their id; ids are dense, since a reactor takes them from a slab.
    slots: Vec<Option<Slot>>,
    in_flight: usize,
    /// Submissions that found the queue full, in order.
    backlog: VecDeque<Entry>,
    /// What ended without the ring.
    ended: VecDeque<Completion>,
    headers: SendHeaders,
    helper: Helper,
    wake: Arc<Wake>,
    /// Where the kernel reads the eventfd to.
    wake_count: Box<u64>,
    wake_read_armed: bool,
    /// The other drivers that this one has woken, by the index in the user data of the message.
    peers: Vec<Arc<Wake>>,
    /// Addresses of the listeners that share theirs.
    shared_listeners: BTreeMap<Handle, SocketAddr>,
    spin: Duration,
    writes_through: bool,
    counts: DriverCounts,
    random: ChaCha8Rng,
    _not_send: PhantomData<*const ()>,
}

struct Slot {
    flight: Flight,
    /// Somebody asked for an early end: an interruption is final.
    cancelled: bool,
}

impl UringDriver {
    /// Sets a ring up for the calling thread, and gives the handle that other threads wake it with.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the ring; [`probe`] says why in words.
    pub fn new(config: UringConfig) -> io::Result<(Self, Arc<dyn Notify>)> {
        let ring = build_ring()?;
        if config.io_workers_max > 0 {
            // Bounded workers serve files; zero leaves the unbounded ones as they are.
            let mut workers = [config.io_workers_max, 0];
            if let Err(error) = ring.submitter().register_iowq_max_workers(&mut workers) {
                tracing::warn!(%error, "the kernel keeps its own number of ring workers");
            }
        }
        // SAFETY: the ring outlives the borrow, which ends within this call.
        let ring_fd = unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) };
        let wake = Arc::new(Wake::new(ring_fd)?);
        let notify: Arc<dyn Notify> = Arc::new(WakeHandle(Arc::clone(&wake)));
        let helper = Helper::start(Arc::clone(&notify))?;
        let random = ChaCha8Rng::try_from_rng(&mut SysRng).map_err(io::Error::other)?;
        wake::enter_thread();
        let driver = Self {
            ring,
            slots: Vec::new(),
            in_flight: 0,
            backlog: VecDeque::new(),
            ended: VecDeque::new(),
            headers: SendHeaders::default(),
            helper,
            wake,
            wake_count: Box::new(0),
            wake_read_armed: false,
            peers: Vec::new(),
            shared_listeners: BTreeMap::new(),
            spin: config.spin,
            writes_through: config.writes_through,
            counts: DriverCounts::default(),
            random,
            _not_send: PhantomData,
        };
        Ok((driver, notify))
    }

    /// Puts a submission into the queue, or behind it when it is full.
    fn push(&mut self, entry: Entry) {
        self.counts.submissions += 1;
        if !self.backlog.is_empty() || !push_entry(&mut self.ring, &entry) {
            self.backlog.push_back(entry);
        }
    }

    /// Moves as much of the backlog into the queue as it takes.
    fn push_backlog(&mut self) {
        while let Some(entry) = self.backlog.front() {
            if !push_entry(&mut self.ring, entry) {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// Sends a flight's present stage to the ring.
    fn launch(&mut self, id: OpId, mut flight: Flight, cancelled: bool) {
        if let Some(linked) = flight.linked_entry() {
            let pair = [
                flight
                    .entry()
                    .flags(Flags::IO_LINK | Flags::SKIP_SUCCESS)
                    .user_data(tag::LINKED + id as u64),
                linked.user_data(id as u64),
            ];
            if self.backlog.is_empty() && push_pair(&mut self.ring, &pair) {
                self.counts.submissions += 2;
                self.occupy(id, flight, cancelled);
                return;
            }
            flight.unlink();
        }
        let entry = flight.entry().user_data(id as u64);
        self.occupy(id, flight, cancelled);
        self.push(entry);
    }

    fn occupy(&mut self, id: OpId, flight: Flight, cancelled: bool) {
        if id >= self.slots.len() {
            self.slots.resize_with(id + 1, || None);
        }
        // Dropping a flight that the kernel works on would free memory under it.
        assert!(
            self.slots[id].is_none(),
            "operation {id} is in flight already"
        );
        self.slots[id] = Some(Slot { flight, cancelled });
        self.in_flight += 1;
    }

    fn slot_mut(&mut self, user_data: u64) -> Option<&mut Slot> {
        let id = OpId::try_from(user_data).ok()?;
        self.slots.get_mut(id)?.as_mut()
    }

    fn vacate(&mut self, id: OpId) -> Option<Slot> {
        let slot = self.slots.get_mut(id)?.take()?;
        self.in_flight -= 1;
        Some(slot)
    }

    /// Queues what goes out with every turn: the read of the eventfd, wakes for other rings, the backlog.
    fn prepare_submissions(&mut self) {
        self.push_backlog();
        if !self.wake_read_armed {
            self.wake_read_armed = true;
            let count = (&raw mut *self.wake_count).cast();
            let read = opcode::Read::new(Fd(self.wake.eventfd()), count, 8).build();
            self.push(read.user_data(tag::WAKE_READ));
        }
        wake::drain_thread(|target| {
            self.counts.submissions += 1;
            let entry = wake_message(&mut self.peers, target);
            if !self.backlog.is_empty() || !push_entry(&mut self.ring, &entry) {
                self.backlog.push_back(entry);
            }
        });
    }

    /// Takes what has ended, from memory alone.
    fn reap(&mut self, completions: &mut Vec<Completion>) {
        completions.extend(self.ended.drain(..));
        while let Some(answer) = self.helper.answer() {
            self.vacate(answer.id);
            completions.push(answer);
        }
        loop {
            // One at a time: following up on one may need the submission queue.
            let Some(entry) = self.ring.completion().next() else {
                return;
            };
            self.complete(entry.user_data(), entry.result(), completions);
        }
    }

    fn complete(&mut self, user_data: u64, result: i32, completions: &mut Vec<Completion>) {
        self.counts.completions += 1;
        match user_data {
            tag::WAKE_READ => self.wake_read_armed = false,
            tag::WAKE_MESSAGE | tag::CANCEL => {}
            sent if sent >= tag::SENT_WAKE => {
                // Only failures are reported: the target could not take the message.
                let peer = usize::try_from(sent - tag::SENT_WAKE)
                    .ok()
                    .and_then(|index| self.peers.get(index));
                if let Some(peer) = peer
                    && result < 0
                {
                    peer.write_eventfd();
                }
            }
            linked if linked >= tag::LINKED => {
                // Success is silent. After a failure, or a write that was short, the kernel drops what was linked
                // without a word.
                let id = linked - tag::LINKED;
                if let Some(slot) = self.slot_mut(id) {
                    slot.flight = std::mem::replace(&mut slot.flight, Flight::Helped).broken();
                }
                self.complete_operation(id, result, completions);
            }
            id => self.complete_operation(id, result, completions),
        }
    }

    fn complete_operation(
        &mut self,
        user_data: u64,
        result: i32,
        completions: &mut Vec<Completion>,
    ) {
        let Ok(id) = OpId::try_from(user_data) else {
            return;
        };
        let Some(Slot { flight, cancelled }) = self.vacate(id) else {
            debug_assert!(
                false,
                "a completion for operation {id}, which is not in flight"
            );
            return;
        };
        // An interruption of what was to end early is its end.
        let result = if cancelled && result == -libc::EINTR {
            -libc::ECANCELED
        } else {
            result
        };
        match flight.complete(result, &mut self.headers) {
            Step::Done(output) => completions.push(Completion { id, output }),
            Step::Again(flight) => self.launch(id, flight, cancelled),
        }
    }

    /// Whether a completion can be taken without a system call.
    fn has_completions(&mut self) -> bool {
        !self.ended.is_empty() || self.helper.has_answers() || !self.ring.completion().is_empty()
    }

    /// Whether the kernel has something that only a system call brings out.
    fn needs_enter(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// Passes submissions on and runs what the kernel has deferred, without waiting.
    fn enter(&mut self) -> io::Result<()> {
        self.counts.enters += 1;
        entered(self.ring.submit())
    }

    fn poll(&mut self) -> io::Result<()> {
        if self.needs_enter() {
            self.enter()
        } else {
            Ok(())
        }
    }

    /// Spins until something completes, somebody notifies, or time is over; true when it is worth to reap.
    fn spin(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        let spin_end = self.now() + self.spin;
        let end = deadline.map_or(spin_end, |deadline| deadline.min(spin_end));
        loop {
            for _ in 0..SPINS_PER_CLOCK {
                self.poll()?;
                if self.has_completions() || self.wake.is_notified() {
                    return Ok(true);
                }
                std::hint::spin_loop();
            }
            if self.now() >= end {
                return Ok(false);
            }
        }
    }

    /// Waits in the kernel.
    fn park(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let timeout = deadline.map(|deadline| Timespec::from(deadline.since(self.now())));
        if !self.wake.park() {
            return self.poll();
        }
        self.counts.enters += 1;
        let waited = match &timeout {
            Some(timeout) => self
                .ring
                .submitter()
                .submit_with_args(1, &SubmitArgs::new().timespec(timeout)),
            None => self.ring.submit_and_wait(1),
        };
        entered(waited)
    }

    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let ready = self.has_completions() || self.wake.is_notified();
        // With a backlog the kernel does not know yet of everything that may end: do not wait for the rest.
        if ready || !self.backlog.is_empty() || deadline.is_some_and(|end| end <= self.now()) {
            return self.poll();
        }
        if !self.spin.is_zero() && self.spin(deadline)? {
            return Ok(());
        }
        self.park(deadline)
    }
}

impl Driver for UringDriver {
    fn submit(&mut self, id: OpId, op: Op) {
        if let Op::Close { handle } = &op
            && let Some(address) = self.shared_listeners.remove(handle)
        {
            net::forget_listener(address);
        }
        match Flight::route(op, &mut self.headers) {
            Route::Ring(mut flight) => {
                if self.writes_through {
                    flight.write_through();
                }
                self.launch(id, flight, false);
            }
            Route::Helper(job) => {
                self.occupy(id, Flight::Helped, false);
                self.helper.send(id, job);
            }
            Route::Ended(output) => self.ended.push_back(Completion { id, output }),
        }
    }

    fn cancel(&mut self, id: OpId) {
        let Some(Some(slot)) = self.slots.get_mut(id) else {
            return;
        };
        if slot.cancelled || !slot.flight.may_wait_for_ever() {
            return;
        }
        slot.cancelled = true;
        let cancel = opcode::AsyncCancel::new(id as u64).build();
        self.push(cancel.user_data(tag::CANCEL));
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.enter()
    }

    fn turn(&mut self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()> {
        self.prepare_submissions();
        match wait {
            Wait::Poll => self.poll()?,
            Wait::Until(deadline) => self.wait(deadline)?,
        }
        // Before reaping: whatever was published before a notify must be seen by what runs after this turn.
        self.wake.take();
        self.reap(completions);
        Ok(())
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        options: ListenOptions,
    ) -> io::Result<(Handle, SocketAddr)> {
        let (socket, local) = net::listen(address, options)?;
        let handle = into_handle(socket);
        if options.reuse_port {
            self.shared_listeners.insert(handle, local);
        }
        Ok((handle, local))
    }

    fn now(&self) -> Instant {
        clock::now()
    }

    fn ticks(&self) -> u64 {
        clock::ticks()
    }

    fn ticks_per_ms(&self) -> u64 {
        clock::ticks_per_ms()
    }

    fn counts(&self) -> DriverCounts {
        self.counts
    }

    fn writes_through(&self) -> bool {
        self.writes_through
    }

    fn unix_time_ms(&self) -> i64 {
        clock::unix_time_ms()
    }

    fn random_u64(&mut self) -> u64 {
        self.random.next_u64()
    }
}

impl UringDriver {
    /// Ends what is in flight and takes it back; false when the kernel did not return everything in time.
    fn drain(&mut self) -> bool {
        let end = self.now() + Duration::from_millis(RING_DRAIN_MS);
        let mut completions = Vec::new();
        loop {
            // Again in each round: an operation of two stages may have begun its second one.
            // Without a completion of its own, which would end the wait below.
            let cancel_all = opcode::AsyncCancel2::new(CancelBuilder::any())
                .build()
                .flags(Flags::SKIP_SUCCESS);
            self.push(cancel_all.user_data(tag::CANCEL));
            let timeout = Timespec::from(DRAIN_ROUND);
            let waited = self
                .ring
                .submitter()
                .submit_with_args(1, &SubmitArgs::new().timespec(&timeout));
            if let Err(error) = entered(waited) {
                tracing::error!(%error, "a ring could not be drained");
                return false;
            }
            self.push_backlog();
            self.reap(&mut completions);
            completions
                .drain(..)
                .for_each(|completion| discard(completion.output));
            if self.in_flight == 0 && !self.wake_read_armed {
                return true;
            }
            if self.now() >= end {
                return false;
            }
        }
    }
}

impl Drop for UringDriver {
    fn drop(&mut self) {
        self.wake.close();
        wake::leave_thread();
        for (_, address) in std::mem::take(&mut self.shared_listeners) {
            net::forget_listener(address);
        }
        if !self.drain() {
            // The kernel may still write to this memory: better to lose it than to give it to somebody else.
            tracing::error!(
                operations = self.in_flight,
                "the kernel kept operations of a ring that was closed"
            );
            let kept = (
                std::mem::take(&mut self.slots),
                std::mem::take(&mut self.wake_count),
            );
            let _leaked = ManuallyDrop::new(kept);
        }
    }
}

fn build_ring() -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(RING_COMPLETIONS)
        .dontfork()
        .build(RING_ENTRIES)
}

/// Puts an entry into the submission queue, passing on what is in it when it is full; false when the kernel
/// does not take any more now.
fn push_entry(ring: &mut IoUring, entry: &Entry) -> bool {
    for attempt in 0..2 {
        // SAFETY: the addresses in an entry belong to a flight (or to the driver itself), which is kept until
        // the completion has arrived.
        if unsafe { ring.submission().push(entry) }.is_ok() {
            return true;
        }
        if attempt == 0 && ring.submit().is_err() {
            return false;
        }
    }
    false
}

/// Puts two entries into the submission queue, the second linked to the first; false when there is no room for both.
/// A chain ends with the submission that it is part of.
fn push_pair(ring: &mut IoUring, pair: &[Entry; 2]) -> bool {
    for attempt in 0..2 {
        // SAFETY: as in `push_entry`.
        if unsafe { ring.submission().push_multiple(pair) }.is_ok() {
            return true;
        }
        if attempt == 0 && ring.submit().is_err() {
            return false;
        }
    }
    false
}

/// The message that wakes another ring; only its failure is reported.
fn wake_message(peers: &mut Vec<Arc<Wake>>, target: Arc<Wake>) -> Entry {
    let ring = Fd(target.ring_fd());
    let known = peers.iter().position(|peer| Arc::ptr_eq(peer, &target));
    let index = known
        .or_else(|| peers.iter().position(|peer| peer.is_closed()))
        .unwrap_or(peers.len());
    if index == peers.len() {
        peers.push(target);
    } else {
        peers[index] = target;
    }
    opcode::MsgRingData::new(ring, 0, tag::WAKE_MESSAGE, None)
        .build()
        .flags(Flags::SKIP_SUCCESS)
        .user_data(tag::SENT_WAKE + index as u64)
}

/// Sorts what entering the kernel came to: what merely means "nothing yet" or "try again" is no error.
fn entered(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            // Time is over; a signal came; the kernel is short of memory or of room for completions, which the
            // caller makes by reaping.
            Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests;
