//! The open loop: a request leaves when it is due, whatever became of those before it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Share;
use super::slots::{Ready, Slots};
use crate::error::BenchError;
#[cfg(test)]
use crate::fault::{Fault, is_made};
use crate::limits::DRAIN;
use crate::pacer::Pacer;
use crate::schedule::Schedule;

/// How often a saturated worker looks whether time is over.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How often a worker that sleeps looks whether the run is to end before its time.
const LOOK_FOR_END: Duration = Duration::from_millis(200);

/// What a worker's requests share.
struct Running {
    share: Share,
    slots: RefCell<Slots>,
    /// Told when a request is over.
    ended: Notify,
}

/// Loads the connections of a worker as the schedule says until the window is over, and waits for the answers. Must run
/// within a local set.
pub(crate) async fn open_loop(
    share: Share,
    mut schedule: Schedule,
    pacer: &Pacer,
) -> Result<(), BenchError> {
    let window = share.seen.borrow().window;
    let outstanding_max = share.outstanding_max;
    let running = Rc::new(Running {
        slots: RefCell::new(Slots::new(share.shape, share.worker, share.workers)),
        share,
        ended: Notify::new(),
    });
    let mut requests = JoinSet::new();
    let mut turn = 0;
    'sending: loop {
        let intended = schedule.next();
        if intended >= window.until || running.share.stop.is_told() {
            break;
        }
        // A worker with more to do than time sends at once what is due, but lets answers come in between.
        if running.share.since_begin() < intended {
            wait(&running.share, pacer, intended).await?;
            if running.share.stop.is_told() {
                break;
            }
        } else if turn % 64 == 63 {
            tokio::task::yield_now().await;
        }
        while running.slots.borrow().out() >= outstanding_max {
            // Saturated: what follows leaves late, which makes the run invalid.
            if running.share.stop.is_told() {
                break 'sending;
            }
            if running.share.since_begin() >= window.until + DRAIN {
                return unanswered(&running, &mut requests);
            }
            let ended = running.ended.notified();
            tokio::time::timeout(LOOK_AGAIN, ended).await.ok();
        }
        #[cfg(test)]
        let intended = if is_made(Fault::CoordinatedOmission) {
            while requests.join_next().await.is_some() {}
            running.share.since_begin().max(intended)
        } else {
            intended
        };
        let ready = running.slots.borrow_mut().take(intended);
        let connection = turn % running.share.connections.len();
        turn += 1;
        requests.spawn_local(one(Rc::clone(&running), connection, intended, ready));
        // What is over need not be kept until the end.
        while requests.try_join_next().is_some() {}
    }
    #[cfg(test)]
    if is_made(Fault::ForgottenTail) {
        requests.abort_all();
        return Ok(());
    }
    let all = async { while requests.join_next().await.is_some() {} };
    let now = running.share.since_begin();
    let is_stopped = running.share.stop.is_told();
    let end = if is_stopped { now } else { window.until };
    let left = (end + DRAIN).saturating_sub(now);
    if tokio::time::timeout(left, all).await.is_err() {
        return unanswered(&running, &mut requests);
    }
    Ok(())
}

/// Sleeps until a request is due, but not beyond the end of a run that is ended before its time.
async fn wait(share: &Share, pacer: &Pacer, intended: Duration) -> Result<(), BenchError> {
    while share.since_begin() < intended && !share.stop.is_told() {
        let at = intended.min(share.since_begin() + LOOK_FOR_END);
        pacer.sleep_until(share.begin + at).await?;
    }
    Ok(())
}

/// What was not answered failed; it is not left out.
fn unanswered(running: &Running, requests: &mut JoinSet<()>) -> Result<(), BenchError> {
    let left = running.slots.borrow().out();
    let kind = format!("no answer within {DRAIN:?} after the end");
    let mut seen = running.share.seen.borrow_mut();
    seen.failed(u64::try_from(left).unwrap_or(u64::MAX), &kind);
    requests.abort_all();
    Ok(())
}

async fn one(running: Rc<Running>, connection: usize, intended: Duration, ready: Ready) {
    let share = &running.share;
    let sent = share.since_begin();
    #[cfg(test)]
    let intended = if is_made(Fault::FromRealSend) {
        sent
    } else {
        intended
    };
    share.send(connection, &ready, intended, sent).await;
    running.slots.borrow_mut().give(ready.request);
    running.ended.notify_one();
}
