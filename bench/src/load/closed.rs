//! The closed loop: a connection sends its next request when one is answered.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::task::JoinSet;

use super::Share;
use super::slots::Slots;
use crate::error::BenchError;
use crate::limits::ERROR_PAUSE;

/// Loads the connections of a worker until the window is over. Must run within a local set.
pub(crate) async fn closed_loop(share: Share, in_flight: usize) -> Result<(), BenchError> {
    let slots = Slots::new(share.shape, share.worker, share.workers);
    let slots = Rc::new(RefCell::new(slots));
    let share = Rc::new(share);
    let mut loops = JoinSet::new();
    for connection in 0..share.connections.len() {
        for _ in 0..in_flight {
            let (share, slots) = (Rc::clone(&share), Rc::clone(&slots));
            loops.spawn_local(async move { one_after_the_other(&share, connection, &slots).await });
        }
    }
    while let Some(ended) = loops.join_next().await {
        ended.map_err(|error| BenchError::Generator {
            what: "send requests",
            reason: error.to_string(),
        })?;
    }
    Ok(())
}

async fn one_after_the_other(share: &Share, connection: usize, slots: &RefCell<Slots>) {
    let until = share.seen.borrow().window.until;
    loop {
        let sent = share.since_begin();
        if sent >= until || share.stop.is_told() {
            return;
        }
        let ready = slots.borrow_mut().take(sent);
        if !share.send(connection, &ready, sent, sent).await {
            tokio::time::sleep(ERROR_PAUSE).await;
        }
        slots.borrow_mut().give(ready.request);
    }
}
