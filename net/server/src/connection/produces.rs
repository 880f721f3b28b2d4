//! The produces of a connection that have no answer yet.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use ringlog_reactor::{Instant, Sleep};
use ringlog_wire::{Api, FrameHeader};

use super::Connection;
use crate::handlers::Produce;

/// In the order in which they came. There are never more than a connection may have requests under way, and those of
/// one log are settled together: all are looked at whenever one may be.
#[derive(Default)]
pub(super) struct Produces {
    waiting: RefCell<Vec<Waiting>>,
    /// No deadline of them comes before this.
    earliest: Cell<Option<Instant>>,
}

struct Waiting {
    header: FrameHeader,
    received: Instant,
    produce: Produce,
}

impl Produces {
    pub(super) fn push(&self, header: FrameHeader, received: Instant, produce: Produce) {
        let deadline = produce.deadline();
        if self.earliest.get().is_none_or(|known| deadline < known) {
            self.earliest.set(Some(deadline));
        }
        self.waiting.borrow_mut().push(Waiting {
            header,
            received,
            produce,
        });
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }
}

impl Connection {
    /// Answers produces, for as long as the connection lasts.
    pub(super) async fn answer_produces(&self) -> Infallible {
        let mut expiry: Option<(Instant, Sleep)> = None;
        poll_fn(|cx| {
            self.answer_ended(cx);
            while self.time_is_over(&mut expiry, cx) {
                self.give_up_expired();
            }
            Poll::Pending
        })
        .await
    }

    /// Answers the produces of which all is known.
    fn answer_ended(&self, cx: &mut Context<'_>) {
        self.produces.waiting.borrow_mut().retain_mut(|one| {
            let Poll::Ready(ended) = one.produce.poll_ended(&self.session, cx) else {
                return true;
            };
            self.end(Api::Produce, &one.header, one.received, ended);
            false
        });
    }

    /// Whether the earliest deadline has come. One timer does for all, since most are answered long before: it is set
    /// anew only when it has run out, or when an earlier deadline comes up.
    fn time_is_over(&self, expiry: &mut Option<(Instant, Sleep)>, cx: &mut Context<'_>) -> bool {
        let Some(earliest) = self.produces.earliest.get() else {
            return false;
        };
        let is_set = expiry.as_ref().is_some_and(|&(at, _)| at == earliest);
        if !is_set {
            let sleep = self.session.shard.reactor.sleep_until(earliest);
            *expiry = Some((earliest, sleep));
        }
        let over = expiry
            .as_mut()
            .is_some_and(|(_, sleep)| Pin::new(sleep).poll(cx).is_ready());
        if over {
            *expiry = None;
        }
        over
    }

    /// Answers those whose time is over, and finds the next deadline.
    fn give_up_expired(&self) {
        let now = self.session.shard.reactor.now();
        let mut waiting = self.produces.waiting.borrow_mut();
        waiting.retain_mut(|one| {
            if one.produce.deadline() > now {
                return true;
            }
            let ended = one.produce.give_up(&self.session);
            self.end(Api::Produce, &one.header, one.received, ended);
            false
        });
        let next = waiting.iter().map(|one| one.produce.deadline()).min();
        self.produces.earliest.set(next);
    }
}
