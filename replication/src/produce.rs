//! Producing: the append happens at once and in the order of the calls, the answer comes when it is due.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_channel::oneshot;
use ringlog_log::Appended;
use ringlog_reactor::Instant;
use ringlog_record::Offset;

use crate::error::ProduceError;
use crate::leader::{AckLevel, Acks, Event, Ticket};
use crate::partition::Inner;
use crate::status::PartitionEnds;

/// The answer to a produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceAck {
    /// Where the records are.
    pub appended: Appended,
    /// What the answer is worth.
    pub level: AckLevel,
    /// The partition at the time of the answer.
    pub ends: PartitionEnds,
    /// When it came so far.
    pub times: ProduceTimes,
}

/// When a produce reached each stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceTimes {
    /// It was in the log.
    pub appended: Instant,
    /// It was stable on the leader. Not before `appended`, and not behind `acknowledged`.
    pub stable: Instant,
    /// It was as stable as its acks asked for.
    pub acknowledged: Instant,
}

/// What is to become of a ticket.
pub(crate) enum Outcome {
    Acknowledged(AckLevel, Instant),
    Abandoned,
}

/// The produces that wait.
#[derive(Default)]
pub(crate) struct Tickets {
    waiting: BTreeMap<Ticket, oneshot::Sender<Outcome>>,
    next: u64,
}

impl Tickets {
    fn issue(&mut self) -> (Ticket, oneshot::Receiver<Outcome>) {
        let ticket = Ticket(self.next);
        self.next += 1;
        let (sender, receiver) = oneshot::channel();
        self.waiting.insert(ticket, sender);
        (ticket, receiver)
    }

    pub(crate) fn settle(&mut self, ticket: Ticket, outcome: Outcome) {
        if let Some(sender) = self.waiting.remove(&ticket) {
            // Nobody may be there any more: a connection that is gone needs no answer.
            drop(sender.send(outcome));
        }
    }
}

/// A produce that was appended: a future of its answer. Dropping it loses the answer, never the records.
#[must_use = "the answer comes from awaiting this"]
pub struct PendingProduce {
    partition: Rc<Inner>,
    appended: Appended,
    appended_at: Instant,
    /// Whether it was stable as soon as it was appended.
    is_stable: bool,
    outcome: oneshot::Receiver<Outcome>,
}

impl PendingProduce {
    /// Where the records are.
    pub fn appended(&self) -> Appended {
        self.appended
    }

    fn times(&self, acknowledged: Instant) -> ProduceTimes {
        let marks = self.partition.stable_marks.borrow();
        let stable = match self.is_stable {
            true => self.appended_at,
            // An answer that did not wait for it ends the stage.
            false => marks.reached(self.appended.log_end).unwrap_or(acknowledged),
        };
        ProduceTimes {
            appended: self.appended_at,
            stable: stable.max(self.appended_at).min(acknowledged),
            acknowledged,
        }
    }
}

impl Future for PendingProduce {
    type Output = Result<ProduceAck, ProduceError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(outcome) = Pin::new(&mut self.outcome).poll(cx) else {
            return Poll::Pending;
        };
        Poll::Ready(match outcome {
            Ok(Outcome::Acknowledged(level, acknowledged)) => Ok(ProduceAck {
                appended: self.appended,
                level,
                ends: self.partition.ends(),
                times: self.times(acknowledged),
            }),
            Ok(Outcome::Abandoned) | Err(oneshot::Canceled) => Err(ProduceError::UnknownOutcome {
                base_offset: self.appended.base_offset,
            }),
        })
    }
}

impl Inner {
    pub(crate) fn produce(
        self: &Rc<Self>,
        batches: &[u8],
        acks: Acks,
        expected: Option<Offset>,
    ) -> Result<PendingProduce, ProduceError> {
        if self.is_closed() {
            return Err(ProduceError::Closed);
        }
        if acks == Acks::All {
            self.check_min_isr()?;
        }
        let appended = match expected {
            Some(expected) => self.log.append_at(expected, batches, self.leader_epoch)?,
            None => self.log.append(batches, self.leader_epoch)?,
        };
        if !appended.is_duplicate {
            let mut recent_ends = self.recent_ends.borrow_mut();
            recent_ends.note(appended.log_end, batches.len());
        }
        let appended_at = self.reactor.now();
        let (ticket, outcome) = self.tickets.borrow_mut().issue();
        let stable_end = self.log.stable_end();
        self.step_at(
            Some(appended_at),
            Event::Appended {
                ticket,
                acks,
                end: appended.log_end,
                stable_end,
            },
        );
        Ok(PendingProduce {
            partition: Rc::clone(self),
            appended,
            appended_at,
            is_stable: stable_end >= appended.log_end,
            outcome,
        })
    }

    fn check_min_isr(&self) -> Result<(), ProduceError> {
        let machine = self.machine.borrow();
        if machine.has_min_isr() {
            return Ok(());
        }
        Err(ProduceError::NotEnoughReplicas {
            in_sync: machine.isr().count(),
        })
    }
}
