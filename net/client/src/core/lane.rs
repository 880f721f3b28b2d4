//! The batches of one partition that are on their way, in their order: which is sent next, with which sequence number,
//! and what an answer means.
//!
//! An idempotent lane gives each batch the next sequence number when it is sent for the first time. An attempt that ends
//! without an answer is made again with the same number: the broker stores it once. Up to five batches are under way;
//! those behind one that was not stored are told "out of order" by the broker, and are sent again behind it. A lane that
//! is not idempotent has one batch under way, and never sends again what may have been stored.
//!
//! **A batch that is given up** leaves a gap in the numbers that nothing can close. Those in front of it are brought to
//! their end first; then the lane begins a new epoch with number 0. A batch behind the gap can only be in the log if
//! all from the gap on are, so that it shares the unknown outcome of those in front of it, or surely was not stored and
//! is sent in the new epoch.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ringlog_record::{ProducerEpoch, ProducerId, ProducerStamp, Sequence};
use ringlog_wire::ErrorCode;

use super::backoff::Backoff;
use crate::error::{ClientError, DeliveryError};
use crate::limits::IDEMPOTENT_IN_FLIGHT_MAX;

/// How a lane sends.
#[derive(Clone, Copy, Debug)]
pub struct LaneConfig {
    /// Whether batches are numbered, so that they can be sent again.
    pub is_idempotent: bool,
    /// Batches under way at a time: at most [`IDEMPOTENT_IN_FLIGHT_MAX`], and one without numbers.
    pub in_flight_max: usize,
    /// How long a batch may take from its first record on.
    pub delivery_timeout: Duration,
    /// How long one attempt may take.
    pub request_timeout: Duration,
}

/// An attempt at sending a batch; each has another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptNumber(u64);

/// A batch to be sent now.
#[derive(Debug)]
pub struct Attempt<'a, B> {
    /// Names the attempt in [`Lane::answered`].
    pub number: AttemptNumber,
    /// The batch.
    pub batch: &'a mut B,
    /// What goes into its header.
    pub stamp: Option<ProducerStamp>,
    /// How long the attempt may take.
    pub timeout: Duration,
    /// Whether it was sent before.
    pub is_retry: bool,
}

/// A batch that has come to its end.
#[derive(Debug)]
pub struct Settled<B, T> {
    /// The batch.
    pub batch: B,
    /// What became of it.
    pub outcome: Result<T, DeliveryError>,
}

/// Which producer id a lane needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeededProducer {
    /// Any that the partition never saw, such as that of other lanes.
    Any,
    /// One that nobody has used: all epochs of the last one are used up.
    Another,
}

/// Whether what is known of leaders and shards can still be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// The broker is the right one, it cannot now.
    Keep,
    /// Ask anew.
    Refresh,
}

#[derive(Debug)]
struct Entry<B> {
    batch: B,
    records: u32,
    deadline: Instant,
    /// Given with the first attempt in the present epoch.
    sequence: Option<Sequence>,
    under_way: Option<UnderWay>,
    attempts: u32,
    /// Whether a broker has seen it with its number, or may have.
    was_sent: bool,
    /// Whether an attempt ended without an answer.
    may_be_stored: bool,
    /// How the last attempt failed.
    failure: Option<String>,
    /// Set when it is not sent any more: what its outcome is if it surely was not stored.
    given_up: Option<DeliveryError>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    number: AttemptNumber,
    /// Whether everything in front of it was stored when it was sent.
    is_first: bool,
}

/// What an answer means for a batch.
enum Meaning {
    /// It is to be sent again: it surely was not stored, or can be told apart from the first time.
    Again {
        may_be_stored: bool,
        metadata: Metadata,
    },
    /// It waits for one in front of it.
    OutOfOrder,
    /// Another life of the producer has written.
    Fenced,
    /// It was stored, nobody knows where.
    StoredBefore,
    /// Nobody can say whether it was stored.
    Unknown,
    /// It was not stored and never will be.
    Refused,
}

/// The batches of a partition that are on their way. `B` is a batch, `T` what is known of one that was stored.
#[derive(Debug)]
pub struct Lane<B, T> {
    config: LaneConfig,
    producer: Option<(ProducerId, ProducerEpoch)>,
    needed: NeededProducer,
    next_sequence: Sequence,
    next_attempt: u64,
    entries: VecDeque<Entry<B>>,
    backoff: Backoff,
    /// Nothing is sent before.
    resume_at: Option<Instant>,
    /// A new epoch begins as soon as nothing of the present one is under way.
    is_turning: bool,
    /// What the broker said when it had seen a newer life of this producer.
    fenced: Option<String>,
    settled: Vec<Settled<B, T>>,
}

impl<B, T> Lane<B, T> {
    /// An empty lane.
    pub fn new(config: LaneConfig) -> Self {
        let most = if config.is_idempotent {
            IDEMPOTENT_IN_FLIGHT_MAX
        } else {
            1
        };
        Self {
            config: LaneConfig {
                in_flight_max: config.in_flight_max.clamp(1, most),
                ..config
            },
            producer: None,
            needed: NeededProducer::Any,
            next_sequence: Sequence::ZERO,
            next_attempt: 0,
            entries: VecDeque::new(),
            backoff: Backoff::default(),
            resume_at: None,
            is_turning: false,
            fenced: None,
            settled: Vec::new(),
        }
    }

    fn needs_producer(&self) -> bool {
        self.config.is_idempotent && self.producer.is_none() && self.fenced.is_none()
    }

    /// Which producer id it needs before it can send, if something waits for one now.
    pub fn wants_producer(&self, now: Instant) -> Option<NeededProducer> {
        let is_paused = self.resume_at.is_some_and(|at| now < at);
        let wants = self.needs_producer() && self.is_waiting() && !is_paused;
        wants.then_some(self.needed)
    }

    /// No producer id was to be had; `chance` is any random number.
    pub fn producer_failed(&mut self, error: &ClientError, now: Instant, chance: u64) {
        let may_pass = !error.is_definite() || error.is_retriable() || error.is_elsewhere();
        for entry in &mut self.entries {
            entry.failure = Some(error.to_string());
            if !may_pass {
                entry.given_up.get_or_insert_with(|| refusal(error.clone()));
            }
        }
        if may_pass {
            self.pause(now, chance);
        }
        self.settle_front();
    }

    /// Numbers what is sent from now on as this producer, from 0. The id must be one that this partition never saw, or
    /// the epoch higher than any that it saw of it.
    pub fn set_producer(&mut self, id: ProducerId, epoch: ProducerEpoch) {
        self.producer = Some((id, epoch));
        self.next_sequence = Sequence::ZERO;
    }

    /// Whether it takes another batch.
    pub fn has_room(&self) -> bool {
        self.entries.len() < self.config.in_flight_max
    }

    /// Whether no batch is on its way.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.settled.is_empty()
    }

    /// The outcomes that were found out since this was asked last.
    pub fn take_settled(&mut self) -> Vec<Settled<B, T>> {
        std::mem::take(&mut self.settled)
    }

    /// Takes a batch of so many records, the first of which came at `since`.
    pub fn push(&mut self, batch: B, records: u32, since: Instant) {
        self.entries.push_back(Entry {
            batch,
            records,
            deadline: since + self.config.delivery_timeout,
            sequence: None,
            under_way: None,
            attempts: 0,
            was_sent: false,
            may_be_stored: false,
            failure: None,
            given_up: self.fenced.clone().map(fenced),
        });
        self.settle_front();
    }

    /// The next batch to be sent, if one may be sent now. It is under way from now on, until [`Lane::answered`].
    pub fn next(&mut self, now: Instant) -> Option<Attempt<'_, B>> {
        let is_paused = self.resume_at.is_some_and(|at| now < at);
        if self.needs_producer() || self.is_turning || is_paused {
            return None;
        }
        if self.in_flight() >= self.config.in_flight_max {
            return None;
        }
        let index = (self.entries.iter()).position(|entry| entry.under_way.is_none())?;
        let producer = self.producer.filter(|_| self.config.is_idempotent);
        let number = AttemptNumber(self.next_attempt);
        // What lies behind one that is given up is out of order: it waits for the next epoch.
        let mut up_to_it = self.entries.iter().take(index + 1);
        if up_to_it.any(|entry| entry.given_up.is_some()) {
            return None;
        }
        let entry = self.entries.get_mut(index)?;
        let left = entry.deadline.saturating_duration_since(now);
        if left.is_zero() {
            // `expire` has the word.
            return None;
        }
        self.next_attempt += 1;
        let stamp = producer.map(|(id, epoch)| {
            let base_sequence = *entry.sequence.get_or_insert_with(|| {
                let sequence = self.next_sequence;
                self.next_sequence = sequence.after(entry.records);
                sequence
            });
            ProducerStamp {
                id,
                epoch,
                base_sequence,
            }
        });
        entry.under_way = Some(UnderWay {
            number,
            is_first: index == 0,
        });
        entry.attempts += 1;
        Some(Attempt {
            number,
            batch: &mut entry.batch,
            stamp,
            timeout: left.min(self.config.request_timeout),
            is_retry: entry.attempts > 1,
        })
    }

    /// An attempt has come to its end; `chance` is any random number.
    pub fn answered(
        &mut self,
        attempt: AttemptNumber,
        answer: Result<T, ClientError>,
        now: Instant,
        chance: u64,
    ) -> Metadata {
        let is_it = |entry: &Entry<B>| entry.under_way.is_some_and(|one| one.number == attempt);
        let Some(index) = self.entries.iter().position(is_it) else {
            return Metadata::Keep;
        };
        let metadata = match answer {
            Ok(stored) => {
                self.backoff.reset();
                self.resume_at = None;
                if let Some(entry) = self.entries.remove(index) {
                    self.settled.push(Settled {
                        batch: entry.batch,
                        outcome: Ok(stored),
                    });
                }
                Metadata::Keep
            }
            Err(error) => self.failed(index, error, now, chance),
        };
        self.settle_front();
        metadata
    }

    fn failed(&mut self, index: usize, error: ClientError, now: Instant, chance: u64) -> Metadata {
        let meaning = self.meaning(&error);
        let Some(entry) = self.entries.get_mut(index) else {
            return Metadata::Keep;
        };
        let was_first = entry.under_way.take().is_some_and(|one| one.is_first);
        entry.failure = Some(error.to_string());
        entry.was_sent |= !error.is_definite() || matches!(error, ClientError::Refused { .. });
        match meaning {
            Meaning::Again {
                may_be_stored,
                metadata,
            } => {
                entry.may_be_stored |= may_be_stored;
                self.pause(now, chance);
                return metadata;
            }
            // Sent again with what is in front of it, or behind it.
            Meaning::OutOfOrder if !was_first => {
                let mut in_front = self.entries.iter().take(index);
                if in_front.all(|one| one.under_way.is_some()) {
                    self.pause(now, chance);
                }
            }
            // All in front of it was stored, and the broker knows nothing of it: this producer was idle for so long that
            // it is forgotten, or records are lost. It begins anew.
            Meaning::OutOfOrder => {
                tracing::warn!(%error, "the broker does not know what this producer stored before; it begins a new epoch");
                if entry.may_be_stored {
                    entry.given_up = Some(refusal(error));
                } else {
                    self.is_turning = true;
                }
            }
            Meaning::Unknown => {
                entry.may_be_stored = true;
                entry.given_up = Some(refusal(error));
            }
            Meaning::Refused => entry.given_up = Some(refusal(error)),
            Meaning::StoredBefore => {
                if let Some(entry) = self.entries.remove(index) {
                    self.settled.push(Settled {
                        batch: entry.batch,
                        outcome: Err(DeliveryError::StoredBefore),
                    });
                }
            }
            Meaning::Fenced => {
                let reason = error.to_string();
                for entry in &mut self.entries {
                    entry.given_up.get_or_insert_with(|| fenced(reason.clone()));
                }
                self.fenced = Some(reason);
            }
        }
        Metadata::Keep
    }

    fn meaning(&self, error: &ClientError) -> Meaning {
        let code = match error {
            ClientError::Refused { code, .. } => Some(*code),
            _ => None,
        };
        let may_be_stored = !error.is_definite();
        match code {
            Some(ErrorCode::OutOfOrderSequence) if self.config.is_idempotent => Meaning::OutOfOrder,
            Some(ErrorCode::FencedProducer) if self.config.is_idempotent => Meaning::Fenced,
            Some(ErrorCode::DuplicateSequence) if self.config.is_idempotent => {
                Meaning::StoredBefore
            }
            _ if may_be_stored && !self.config.is_idempotent => Meaning::Unknown,
            _ if may_be_stored || error.is_retriable() || error.is_elsewhere() => {
                let is_here = code.is_some() && !error.is_elsewhere();
                Meaning::Again {
                    may_be_stored,
                    metadata: if is_here {
                        Metadata::Keep
                    } else {
                        Metadata::Refresh
                    },
                }
            }
            _ => Meaning::Refused,
        }
    }

    /// Gives up what has had its time. What is under way is not: its attempt ends in time by itself.
    pub fn expire(&mut self, now: Instant) {
        let timeout = self.config.delivery_timeout;
        for entry in &mut self.entries {
            if entry.under_way.is_none() && entry.deadline <= now {
                let failure = entry.failure.clone();
                let reason = failure.unwrap_or_else(|| "it was not sent before".to_owned());
                let expired = || DeliveryError::Expired { timeout, reason };
                entry.given_up.get_or_insert_with(expired);
            }
        }
        self.settle_front();
    }

    /// When there is something to do again that no answer brings about: to send, or to expire.
    pub fn wakes_at(&self) -> Option<Instant> {
        let waiting = || self.entries.iter().filter(|one| one.under_way.is_none());
        let expires = waiting().map(|entry| entry.deadline).min();
        let resumes = self.resume_at.filter(|_| waiting().next().is_some());
        expires.into_iter().chain(resumes).min()
    }

    fn is_waiting(&self) -> bool {
        self.entries.iter().any(|one| one.under_way.is_none())
    }

    fn in_flight(&self) -> usize {
        let under_way = self.entries.iter().filter(|one| one.under_way.is_some());
        under_way.count()
    }

    /// Nothing is sent for a while. What fails together, as with a connection, makes for one pause.
    fn pause(&mut self, now: Instant, chance: u64) {
        if self.resume_at.is_none_or(|at| at <= now) {
            self.resume_at = Some(now + self.backoff.next_pause(chance));
        }
    }

    fn begin_epoch(&mut self) {
        self.is_turning = false;
        self.next_sequence = Sequence::ZERO;
        for entry in &mut self.entries {
            entry.sequence = None;
            entry.was_sent = false;
        }
        self.needed = NeededProducer::Another;
        self.producer = self
            .producer
            .and_then(|(id, epoch)| Some((id, epoch.next()?)));
    }

    /// When the front was given up and nothing is under way any more: settles what shares its fate, and numbers the rest
    /// anew.
    fn settle_front(&mut self) {
        if self.in_flight() > 0 {
            return;
        }
        if self.is_turning {
            self.begin_epoch();
        }
        let front = self.entries.front();
        if front.is_none_or(|front| front.given_up.is_none()) {
            return;
        }
        let was_sent = self.entries.iter().any(|one| one.was_sent);
        let first = self.entries.front().and_then(|one| one.sequence);
        let mut may_be_stored = true;
        for mut entry in std::mem::take(&mut self.entries) {
            may_be_stored &= entry.may_be_stored;
            if may_be_stored {
                let reason = entry.failure.unwrap_or_default();
                self.settled.push(Settled {
                    batch: entry.batch,
                    outcome: Err(DeliveryError::UnknownOutcome { reason }),
                });
            } else if let Some(error) = entry.given_up {
                self.settled.push(Settled {
                    batch: entry.batch,
                    outcome: Err(error),
                });
            } else {
                entry.sequence = None;
                entry.may_be_stored = false;
                self.entries.push_back(entry);
            }
        }
        match first {
            _ if self.fenced.is_some() => {}
            Some(_) if was_sent => self.begin_epoch(),
            // No broker has seen these numbers: they are given again.
            Some(first) => self.next_sequence = first,
            None => {}
        }
    }
}

fn fenced(message: String) -> DeliveryError {
    DeliveryError::Refused {
        code: ErrorCode::FencedProducer,
        message,
    }
}

fn refusal(error: ClientError) -> DeliveryError {
    let code = error.code();
    let message = match error {
        ClientError::Refused { message, .. } => message,
        error => error.to_string(),
    };
    DeliveryError::Refused { code, message }
}

#[cfg(test)]
mod tests;
