//! Producing: the append happens at once and in the order of the calls, the answer comes when it is due.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use ringlog_log::Appended;
use ringlog_reactor::Instant;
use ringlog_record::Offset;
use slab::Slab;

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

/// The produces that wait. A ticket is the place of one; it is given to another when the machine has settled it and
/// nobody asks for the outcome any more, so that a steady load makes no memory for its waits.
#[derive(Default)]
pub(crate) struct Tickets(Slab<Place>);

enum Place {
    /// The machine has not settled it; who waits, if somebody looked already.
    Waiting(Option<Waker>),
    /// The machine has not settled it, and nobody waits any more.
    Forgotten,
    Settled(Outcome),
}

fn key_of(ticket: Ticket) -> usize {
    usize::try_from(ticket.0).unwrap_or(usize::MAX)
}

impl Tickets {
    fn issue(&mut self) -> Ticket {
        Ticket(self.0.insert(Place::Waiting(None)) as u64)
    }

    /// Settles a ticket; gives who is to be woken, which may look in here.
    pub(crate) fn settle(&mut self, ticket: Ticket, outcome: Outcome) -> Option<Waker> {
        let place = self.0.get_mut(key_of(ticket))?;
        match std::mem::replace(place, Place::Settled(outcome)) {
            Place::Waiting(waker) => waker,
            // A connection that is gone needs no answer.
            Place::Forgotten | Place::Settled(_) => {
                self.0.remove(key_of(ticket));
                None
            }
        }
    }

    /// The outcome, which can be had once; else `waker` is woken when there is one.
    fn outcome(&mut self, ticket: Ticket, waker: &Waker) -> Option<Outcome> {
        let key = key_of(ticket);
        match self.0.get_mut(key)? {
            Place::Waiting(Some(known)) => known.clone_from(waker),
            Place::Waiting(none) => *none = Some(waker.clone()),
            Place::Forgotten => {}
            Place::Settled(_) => {
                if let Place::Settled(outcome) = self.0.remove(key) {
                    return Some(outcome);
                }
            }
        }
        None
    }

    /// Nobody waits any more.
    fn forget(&mut self, ticket: Ticket) {
        let key = key_of(ticket);
        match self.0.get_mut(key) {
            Some(Place::Settled(_)) => drop(self.0.remove(key)),
            Some(place) => *place = Place::Forgotten,
            None => {}
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
    /// `None` once the outcome was given out.
    ticket: Option<Ticket>,
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
        let outcome = self.ticket.and_then(|ticket| {
            let mut tickets = self.partition.tickets.borrow_mut();
            tickets.outcome(ticket, cx.waker())
        });
        let Some(outcome) = outcome else {
            return Poll::Pending;
        };
        self.ticket = None;
        Poll::Ready(match outcome {
            Outcome::Acknowledged(level, acknowledged) => Ok(ProduceAck {
                appended: self.appended,
                level,
                ends: self.partition.ends(),
                times: self.times(acknowledged),
            }),
            Outcome::Abandoned => Err(ProduceError::UnknownOutcome {
                base_offset: self.appended.base_offset,
            }),
        })
    }
}

impl Drop for PendingProduce {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.partition.tickets.borrow_mut().forget(ticket);
        }
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
        let ticket = self.tickets.borrow_mut().issue();
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
            ticket: Some(ticket),
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
