//! Produce: the appends happen while the request is begun, the answer comes when all of them are.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use ringlog_reactor::Instant;
use ringlog_record::{ShardId, TopicPartition};
use ringlog_replication::Acks;
use ringlog_shard::{Lane, Reply};
use ringlog_wire::{
    ErrorCode, FrameHeader, PartitionState, ProduceReceipt, ProduceRequest, ProduceResponseDraft,
    ProducedPartition,
};
use smallvec::SmallVec;

use super::{Ended, Notes, Outcome, Request, Response, Session};
use crate::failure::Failure;
use crate::shard::Shard;
use crate::shard::data::{BegunProduce, PendingAppend, ProduceSpec};
use crate::shard::peer::{PeerReply, PeerRequest, Produced};
use crate::stages::Stages;

/// A produce whose records are in the logs of this shard, or on their way to those of others. The connection that it
/// came from asks it for its answer: a task of its own would cost more than the append.
pub(crate) struct Produce {
    header: FrameHeader,
    acks: Acks,
    wants_receipt: bool,
    /// Bytes of records.
    bytes: u64,
    /// When it is answered whatever it has come to.
    deadline: Instant,
    parts: SmallVec<[Part; 1]>,
}

/// A partition of the request.
enum Part {
    Here(PendingAppend),
    There(TopicPartition, Reply<PeerReply>),
    Over(Answered),
}

/// A partition of the answer.
struct Answered {
    produced: Produced,
    forwarded: bool,
}

/// Appends what belongs here before it returns, and sends the rest on.
pub(super) async fn begin(shard: &Shard, request: Request) -> Result<Produce, Failure> {
    let wanted = ProduceRequest::decode(request.body())?;
    let acks = match wanted.acks() {
        ringlog_wire::Acks::None => Acks::None,
        ringlog_wire::Acks::Leader => Acks::Leader,
        ringlog_wire::Acks::All => Acks::All,
    };
    let mut parts = SmallVec::new();
    for (partition, range) in wanted.slices() {
        let id = partition.id;
        let spec = ProduceSpec {
            id,
            batches: &request.payload[range.clone()],
            acks,
            expected_offset: partition.expected_offset,
            received: request.received,
        };
        let part = match shard.owner(id) {
            Some(owner) if owner != shard.me => {
                forward(shard, owner, spec, request.payload.slice(range)).await
            }
            // Nobody owns it: this shard says so as well as any.
            _ => append(shard, spec),
        };
        parts.push(part);
    }
    let timeout = Duration::from_millis(wanted.timeout_ms().into());
    Ok(Produce {
        header: request.header,
        acks,
        wants_receipt: wanted.wants_receipt(),
        bytes: request.payload.len() as u64,
        deadline: request.received + timeout,
        parts,
    })
}

impl Produce {
    /// When it is answered whatever it has come to, by [`Produce::give_up`].
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What it came to, once all of it is known; not to be asked again then.
    pub(crate) fn poll_ended(&mut self, session: &Session, cx: &mut Context<'_>) -> Poll<Ended> {
        let mut is_over = true;
        for part in &mut self.parts {
            is_over &= part.poll_over(&session.shard, cx).is_ready();
        }
        if is_over {
            Poll::Ready(self.ended(session))
        } else {
            Poll::Pending
        }
    }

    /// What it came to until now: the rest may still happen.
    pub(crate) fn give_up(&mut self, session: &Session) -> Ended {
        let shard = &session.shard;
        for part in &mut self.parts {
            if let Part::Here(PendingAppend { id, .. }) | Part::There(id, _) = part {
                let id = *id;
                let message = "the records are not stable within the time-out of the request";
                part.end(unknown(shard, id, message));
            }
        }
        self.ended(session)
    }

    fn ended(&self, session: &Session) -> Ended {
        let answered = || {
            self.parts.iter().filter_map(|part| match part {
                Part::Over(answered) => Some(answered),
                Part::Here(_) | Part::There(..) => None,
            })
        };
        let last = last_acknowledged(answered());
        let now = session.shard.reactor.now();
        let stages = last.map(|(_, stages)| stages.receipt(now));
        let notes = Notes {
            partition: last
                .map(|(id, _)| id)
                .or_else(|| answered().next().map(|one| one.produced.id)),
            bytes: self.bytes,
            stages,
            parked: Duration::ZERO,
            ended: Some(now),
        };
        let outcome = if self.acks == Acks::None {
            report_silently(answered());
            Ok(None)
        } else {
            let receipt = stages.filter(|_| self.wants_receipt);
            respond(session, &self.header, answered(), receipt)
        };
        Ended { outcome, notes }
    }
}

impl Part {
    /// Whether it has come to its end.
    fn poll_over(&mut self, shard: &Shard, cx: &mut Context<'_>) -> Poll<()> {
        let produced = match self {
            Self::Here(append) => ready!(append.poll_produced(shard, cx)),
            Self::There(id, reply) => match ready!(Pin::new(reply).poll(cx)) {
                Ok(PeerReply::Produced(produced)) => produced,
                _ => unknown(
                    shard,
                    *id,
                    "the shard of the partition stopped before it answered",
                ),
            },
            Self::Over(_) => return Poll::Ready(()),
        };
        self.end(produced);
        Poll::Ready(())
    }

    fn end(&mut self, produced: Produced) {
        let forwarded = matches!(self, Self::There(..));
        *self = Self::Over(Answered {
            produced,
            forwarded,
        });
    }
}

fn unknown(shard: &Shard, id: TopicPartition, message: &str) -> Produced {
    Produced {
        id,
        state: shard.state(id),
        result: Err(Failure::new(ErrorCode::UnknownOutcome, message)),
    }
}

/// The partition that was acknowledged last, if any was.
fn last_acknowledged<'a>(
    answered: impl Iterator<Item = &'a Answered>,
) -> Option<(TopicPartition, Stages)> {
    let acknowledged = answered.filter_map(|one| {
        let at = one.produced.result.as_ref().ok()?;
        Some((one.produced.id, at.stages))
    });
    acknowledged.max_by_key(|(_, stages)| stages.times.acknowledged)
}

fn append(shard: &Shard, spec: ProduceSpec<'_>) -> Part {
    match shard.begin_produce(spec) {
        BegunProduce::Pending(append) => Part::Here(append),
        BegunProduce::Refused(produced) => Part::Over(Answered {
            produced,
            forwarded: false,
        }),
    }
}

async fn forward(shard: &Shard, owner: ShardId, spec: ProduceSpec<'_>, batches: Bytes) -> Part {
    let id = spec.id;
    shard.metrics.forwarded.add(1);
    let refused = |failure: Failure| {
        Part::Over(Answered {
            produced: Produced {
                id,
                state: PartitionState::default(),
                result: Err(failure),
            },
            forwarded: false,
        })
    };
    let Some(slot) = shard.router.slot(owner, Lane::Work).await else {
        return refused(Failure::unknown_partition(id));
    };
    let call = PeerRequest::Produce {
        id,
        batches,
        acks: spec.acks,
        expected_offset: spec.expected_offset,
        received: spec.received,
    };
    match shard.router.send(owner, slot, call) {
        Ok(reply) => Part::There(id, reply),
        Err(gone) => refused(gone.into()),
    }
}

/// A client that wants no answer is not told what went wrong either; the log is.
fn report_silently<'a>(answered: impl Iterator<Item = &'a Answered>) {
    for one in answered {
        if let Err(failure) = &one.produced.result {
            tracing::debug!(partition = %one.produced.id, code = failure.code.name(), "an unacknowledged produce is refused");
        }
    }
}

fn respond<'a>(
    session: &Session,
    header: &FrameHeader,
    answered: impl Iterator<Item = &'a Answered>,
    receipt: Option<ProduceReceipt>,
) -> Outcome {
    let partitions: SmallVec<[_; 1]> = answered
        .map(|one| match &one.produced.result {
            Ok(at) => ProducedPartition {
                id: one.produced.id,
                error: ErrorCode::None,
                message: None,
                state: one.produced.state,
                base_offset: at.base_offset,
                level: at.level,
                forwarded: one.forwarded,
                log_end: None,
            },
            Err(failure) => ProducedPartition {
                state: one.produced.state,
                log_end: failure.log_end,
                forwarded: one.forwarded,
                ..ProducedPartition::refused(one.produced.id, failure.code, &failure.message)
            },
        })
        .collect();
    let draft = ProduceResponseDraft {
        partitions: &partitions,
        receipt,
        throttle_ms: session.held.take_ms(&session.shard.reactor),
    };
    let head = session.shard.encode(header.correlation_id(), &draft)?;
    Ok(Some(Response::without_payload(head)))
}
