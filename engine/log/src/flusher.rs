//! Group commit: what makes the appends of a shard durable, in rounds.
//!
//! A round writes the flush groups of all logs that wait, then syncs each file once; what is appended meanwhile
//! joins the next round. Nothing waits when nothing is under way. A log has one group in flight: its writes end
//! before those of the next group, which repeats the partial last block, begin. A group that a slow device holds up
//! leaves its round.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::join_all;
use ringlog_reactor::{Elapsed, Instant, Reactor, Task};

use crate::counters::LogCounters;
use crate::flush::FlushGroup;
use crate::limits::{FLUSHER_REST_MS, ROUND_PATIENCE_MS};
use crate::log::LogInner;
use crate::omit::Step;
use ringlog_reactor::Signal;

/// The flusher of a shard. Clones share it; it ends with the last one.
#[derive(Clone)]
pub struct Flusher {
    shared: Rc<Shared>,
    _task: Rc<Task<()>>,
}

struct Shared {
    waiting: RefCell<Waiting>,
    changed: Signal,
    /// When the last round ended; none while one is under way.
    last_round: Cell<Option<Instant>>,
}

#[derive(Default)]
struct Waiting {
    logs: BTreeMap<u64, (Rc<LogInner>, Instant)>,
    next_id: u64,
}

impl Flusher {
    /// Starts the flusher of a shard.
    pub fn start(reactor: &Reactor, counters: Rc<LogCounters>) -> Self {
        let shared = Rc::new(Shared {
            waiting: RefCell::default(),
            changed: Signal::default(),
            last_round: Cell::new(Some(Instant::default())),
        });
        let task = reactor.spawn(
            "flusher",
            run(reactor.clone(), Rc::clone(&shared), counters),
        );
        Self {
            shared,
            _task: Rc::new(task),
        }
    }

    /// Whether nothing is being flushed at `now`, nor was for so long that nobody seems about to.
    pub(crate) fn is_at_rest(&self, now: Instant) -> bool {
        let last = self.shared.last_round.get();
        last.is_some_and(|last| now.since(last) >= Duration::from_millis(FLUSHER_REST_MS))
    }

    /// A number for a log that will be flushed here.
    pub(crate) fn register(&self) -> u64 {
        let mut waiting = self.shared.waiting.borrow_mut();
        waiting.next_id += 1;
        waiting.next_id
    }

    /// Has a log flushed at `due`, or earlier when that was asked for before.
    pub(crate) fn flush(&self, log: &Rc<LogInner>, due: Instant) {
        let mut waiting = self.shared.waiting.borrow_mut();
        let sooner = match waiting.logs.get_mut(&log.id) {
            Some((_, at)) if *at <= due => false,
            Some((_, at)) => {
                *at = due;
                true
            }
            None => {
                waiting.logs.insert(log.id, (Rc::clone(log), due));
                true
            }
        };
        drop(waiting);
        if sooner {
            self.shared.changed.notify();
        }
    }
}

impl Shared {
    /// Takes the logs that are due, if there are any, and tells when the first of the others will be.
    fn take_due(&self, now: Instant, due: &mut Vec<Rc<LogInner>>) -> Option<Instant> {
        let logs = &mut self.waiting.borrow_mut().logs;
        logs.retain(|_, (log, at)| {
            let is_due = *at <= now;
            if is_due {
                due.push(Rc::clone(log));
            }
            !is_due
        });
        logs.values().map(|&(_, at)| at).min()
    }
}

/// Logs that wait own the flusher that they wait for. When nobody comes by any more, they are let go.
struct LetGo(Rc<Shared>);

impl Drop for LetGo {
    fn drop(&mut self) {
        let logs = std::mem::take(&mut self.0.waiting.borrow_mut().logs);
        drop(logs);
    }
}

async fn run(reactor: Reactor, shared: Rc<Shared>, counters: Rc<LogCounters>) {
    let _let_go = LetGo(Rc::clone(&shared));
    // Their memory is kept from round to round.
    let (mut due, mut groups) = (Vec::new(), Vec::new());
    loop {
        next_due(&reactor, &shared, &mut due).await;
        shared.last_round.set(None);
        round(&reactor, &counters, &mut due, &mut groups).await;
        shared.last_round.set(Some(reactor.now()));
    }
}

/// Flushes the logs that are due.
async fn round(
    reactor: &Reactor,
    counters: &LogCounters,
    due: &mut Vec<Rc<LogInner>>,
    groups: &mut Vec<FlushGroup>,
) {
    groups.extend(due.drain(..).filter_map(|log| LogInner::begin_group(&log)));
    if groups.is_empty() {
        return;
    }
    counters.flush_rounds.add(1);
    if Step::OneWritePerBlock.is_omitted() {
        for group in groups.drain(..) {
            reactor
                .spawn("flush group", async move {
                    if let Some(written) = group.write().await {
                        written.sync().await;
                    }
                })
                .detach();
        }
        reactor.yield_now().await;
        return;
    }
    if groups.len() == 1
        && let Some(group) = groups.pop()
    {
        within_round(reactor, group.commit(), async |()| {}).await;
        return;
    }
    if reactor.writes_through() {
        // Each is durable by itself: there is no sync for them to share.
        let commit = |group: FlushGroup| within_round(reactor, group.commit(), async |()| {});
        join_all(groups.drain(..).map(commit)).await;
        return;
    }
    let write = |group: FlushGroup| {
        within_round(reactor, group.write(), async |written| {
            if let Some(group) = written {
                group.sync().await;
            }
        })
    };
    let written = join_all(groups.drain(..).map(write)).await;
    let sync = |group: FlushGroup| within_round(reactor, group.sync(), async |()| {});
    join_all(written.into_iter().flatten().flatten().map(sync)).await;
}

/// What comes of `work`, if that is known before the round has waited for it long enough. Else the work leaves the round
/// and goes on by itself, and `rest` with what comes of it.
async fn within_round<T: 'static>(
    reactor: &Reactor,
    work: impl Future<Output = T> + 'static,
    rest: impl AsyncFnOnce(T) + 'static,
) -> Option<T> {
    let mut work = Box::pin(work);
    let patience = Duration::from_millis(ROUND_PATIENCE_MS);
    match reactor.timeout(patience, work.as_mut()).await {
        Ok(done) => Some(done),
        Err(Elapsed) => {
            let going_on = async move { rest(work.await).await };
            reactor.spawn("slow flush group", going_on).detach();
            None
        }
    }
}

/// Waits until logs are due, and takes them.
async fn next_due(reactor: &Reactor, shared: &Shared, due: &mut Vec<Rc<LogInner>>) {
    loop {
        let first = shared.take_due(reactor.now(), due);
        if !due.is_empty() {
            return;
        }
        let mut sleep = pin!(async {
            match first {
                Some(at) => reactor.sleep_until(at).await,
                None => std::future::pending().await,
            }
        });
        let mut registered = false;
        poll_fn(|cx| {
            if registered {
                // Woken by the signal or by the timer: look again either way.
                return Poll::Ready(());
            }
            registered = true;
            shared.changed.register(cx);
            sleep.as_mut().poll(cx)
        })
        .await;
    }
}
