//! Producing: the append happens at once and in the order of the calls, the answer comes when it is due.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_channel::oneshot;
use ringlog_log::Appended;

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
}

/// What is to become of a ticket.
pub(crate) enum Outcome {
    Acknowledged(AckLevel),
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
    outcome: oneshot::Receiver<Outcome>,
}

impl PendingProduce {
    /// Where the records are.
    pub fn appended(&self) -> Appended {
        self.appended
    }
}

impl Future for PendingProduce {
    type Output = Result<ProduceAck, ProduceError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(outcome) = Pin::new(&mut self.outcome).poll(cx) else {
            return Poll::Pending;
        };
        Poll::Ready(match outcome {
            Ok(Outcome::Acknowledged(level)) => Ok(ProduceAck {
                appended: self.appended,
                level,
                ends: self.partition.ends(),
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
    ) -> Result<PendingProduce, ProduceError> {
        if self.is_closed() {
            return Err(ProduceError::Closed);
        }
        if acks == Acks::All {
            self.check_min_isr()?;
        }
        let appended = self.log.append(batches, self.leader_epoch)?;
        self.recent_ends
            .borrow_mut()
            .note(appended.log_end, batches.len());
        let (ticket, outcome) = self.tickets.borrow_mut().issue();
        self.step(Event::Appended {
            ticket,
            acks,
            end: appended.log_end,
            stable_end: self.log.stable_end(),
        });
        Ok(PendingProduce {
            partition: Rc::clone(self),
            appended,
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
