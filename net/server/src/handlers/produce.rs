//! Produce: the appends happen while the request is begun, the answer comes when all of them are.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_record::{ShardId, TopicPartition};
use ringlog_replication::Acks;
use ringlog_shard::{Lane, Reply};
use ringlog_wire::{
    ErrorCode, PartitionState, ProducePartition, ProduceReceipt, ProduceRequest,
    ProduceResponseDraft, ProducedPartition,
};

use super::{Begun, Ended, Notes, Outcome, Request, Response, Session};
use crate::failure::Failure;
use crate::shard::Shard;
use crate::shard::data::{BegunProduce, ProduceSpec};
use crate::shard::peer::{PeerReply, PeerRequest, Produced};
use crate::stages::Stages;

/// A partition of the request.
enum Part {
    Here(BegunProduce),
    There(TopicPartition, Reply<PeerReply>),
}

/// A partition of the answer.
struct Answered {
    produced: Produced,
    forwarded: bool,
}

pub(super) async fn begin(session: Rc<Session>, request: Request) -> Begun {
    let shard = Rc::clone(&session.shard);
    let wanted = match decode(&request) {
        Ok(wanted) => wanted,
        Err(failure) => return Begun::Done(Err(failure)),
    };
    let mut parts = Vec::with_capacity(wanted.slices.len());
    for (partition, range) in wanted.slices {
        let id = partition.id;
        let spec = ProduceSpec {
            id,
            batches: &request.payload[range.clone()],
            acks: wanted.acks,
            expected_offset: partition.expected_offset,
            received: request.received,
        };
        let part = match shard.owner(id) {
            Some(owner) if owner != shard.me => {
                forward(&shard, owner, spec, request.payload.slice(range)).await
            }
            // Nobody owns it: this shard says so as well as any.
            _ => Part::Here(shard.begin_produce(spec)),
        };
        parts.push(part);
    }
    let header = request.header;
    let bytes = request.payload.len() as u64;
    // The payload is copied where it belongs by now; its buffer is free for the next receive.
    drop(request);
    Begun::Running(Box::pin(async move {
        let deadline = shard.reactor.now() + wanted.timeout;
        let mut answered = Vec::with_capacity(parts.len());
        for part in parts {
            let left = deadline.since(shard.reactor.now());
            answered.push(finish(&shard, part, left).await);
        }
        let last = last_acknowledged(&answered);
        let stages = last.map(|(_, stages)| stages.receipt(shard.reactor.now()));
        let notes = Notes {
            partition: last
                .map(|(id, _)| id)
                .or_else(|| answered.first().map(|one| one.produced.id)),
            bytes,
            stages,
            parked: Duration::ZERO,
        };
        let outcome = if wanted.acks == Acks::None {
            report_silently(&answered);
            Ok(None)
        } else {
            let receipt = stages.filter(|_| wanted.wants_receipt);
            respond(&session, &header, &answered, receipt)
        };
        Ended { outcome, notes }
    }))
}

/// The partition that was acknowledged last, if any was.
fn last_acknowledged(answered: &[Answered]) -> Option<(TopicPartition, Stages)> {
    let acknowledged = answered.iter().filter_map(|one| {
        let at = one.produced.result.as_ref().ok()?;
        Some((one.produced.id, at.stages))
    });
    acknowledged.max_by_key(|(_, stages)| stages.times.acknowledged)
}

struct Wanted {
    acks: Acks,
    timeout: Duration,
    wants_receipt: bool,
    slices: Vec<(ProducePartition, std::ops::Range<usize>)>,
}

fn decode(request: &Request) -> Result<Wanted, Failure> {
    let produce = ProduceRequest::decode(request.body()?)?;
    Ok(Wanted {
        acks: match produce.acks() {
            ringlog_wire::Acks::None => Acks::None,
            ringlog_wire::Acks::Leader => Acks::Leader,
            ringlog_wire::Acks::All => Acks::All,
        },
        timeout: Duration::from_millis(produce.timeout_ms().into()),
        wants_receipt: produce.wants_receipt(),
        slices: produce.slices().collect(),
    })
}

async fn forward(shard: &Shard, owner: ShardId, spec: ProduceSpec<'_>, batches: Bytes) -> Part {
    let id = spec.id;
    shard.metrics.forwarded.add(1);
    let refused = |failure: Failure| {
        Part::Here(BegunProduce::Refused(Produced {
            id,
            state: PartitionState::default(),
            result: Err(failure),
        }))
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

async fn finish(shard: &Shard, part: Part, left: Duration) -> Answered {
    let (id, forwarded) = match &part {
        Part::Here(BegunProduce::Pending(pending)) => (pending.id, false),
        Part::Here(BegunProduce::Refused(produced)) => (produced.id, false),
        Part::There(id, _) => (*id, true),
    };
    let unknown = |message: &str| Produced {
        id,
        state: shard.state(id),
        result: Err(Failure::new(ErrorCode::UnknownOutcome, message)),
    };
    let wait = async {
        match part {
            Part::Here(begun) => shard.finish_produce(begun).await,
            Part::There(_, reply) => match reply.await {
                Ok(PeerReply::Produced(produced)) => produced,
                _ => unknown("the shard of the partition stopped before it answered"),
            },
        }
    };
    let produced = match shard.reactor.timeout(left, wait).await {
        Ok(produced) => produced,
        Err(_) => unknown("the records are not stable within the time-out of the request"),
    };
    Answered {
        produced,
        forwarded,
    }
}

/// A client that wants no answer is not told what went wrong either; the log is.
fn report_silently(answered: &[Answered]) {
    for one in answered {
        if let Err(failure) = &one.produced.result {
            tracing::debug!(partition = %one.produced.id, code = failure.code.name(), "an unacknowledged produce is refused");
        }
    }
}

fn respond(
    session: &Session,
    header: &ringlog_wire::FrameHeader,
    answered: &[Answered],
    receipt: Option<ProduceReceipt>,
) -> Outcome {
    let partitions: Vec<_> = answered
        .iter()
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
