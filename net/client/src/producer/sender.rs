//! Sends what is ready, one request for each partition at a time, and again what surely was not stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringlog_record::{Offset, PartitionIndex};
use ringlog_wire::{
    AckLevel, Acks, ErrorCode, ProducePartition, ProduceRequestDraft, ProduceResponse,
};

use super::delivery::{Delivered, Waiting};
use super::{Shared, Target};
use crate::core::accumulator::{ReadyBatch, Urgency};
use crate::core::backoff::Backoff;
use crate::error::{ClientError, DeliveryError};
use crate::limits::ANSWER_GRACE;

/// How long to sleep when there is nothing to wait for but a change.
const IDLE: Duration = Duration::from_secs(3600);

/// The life of a producer's sender.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let changed = shared.changed.notified();
        let now = Instant::now();
        let (ready, due) = {
            let mut state = shared.state();
            let urgency = if state.flushing > 0 || shared.config.linger.is_zero() {
                Urgency::Flush
            } else {
                Urgency::Linger
            };
            let ready = state.accumulator.take_ready(now, urgency);
            (ready, state.accumulator.next_due())
        };
        for (target, batches) in ready {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { deliver(&shared, target, batches).await });
        }
        let pause = due.map_or(IDLE, |due| due.saturating_duration_since(Instant::now()));
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Where the batches of a request were stored.
#[derive(Clone, Copy)]
struct Stored {
    base_offset: Offset,
    level: AckLevel,
}

/// Brings the batches of a partition to their outcome.
async fn deliver(shared: &Shared, target: Target, batches: Vec<ReadyBatch<Waiting>>) {
    let payload: Vec<Bytes> = batches.iter().map(|batch| batch.bytes.clone()).collect();
    let bytes: usize = payload.iter().map(Bytes::len).sum();
    let outcome = attempt_until_settled(shared, &target, &payload).await;
    let records: usize = batches.iter().map(|batch| batch.waiting.len()).sum();
    {
        let mut state = shared.state();
        let count = records as u64;
        match &outcome {
            Ok((_, took)) => {
                let stats = &mut state.stats;
                stats.records += count;
                stats.batches += batches.len() as u64;
                stats.bytes += bytes as u64;
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                stats.ack_us.saturating_record(micros.max(1));
            }
            Err(DeliveryError::UnknownOutcome { .. }) => state.stats.unknown += count,
            Err(_) => state.stats.failed += count,
        }
        state.accumulator.finished(&target, records);
    }
    let outcome = outcome.map(|(stored, _)| stored);
    let waiting = batches.into_iter().flat_map(|batch| batch.waiting);
    for (index, waiting) in (0..).zip(waiting) {
        waiting.settle(delivered(&outcome, target.partition, index));
    }
    shared.changed.notify_one();
    shared.settled.notify_waiters();
}

fn delivered(
    outcome: &Result<Stored, DeliveryError>,
    partition: PartitionIndex,
    index: u64,
) -> Result<Delivered, DeliveryError> {
    let stored = outcome.as_ref().map_err(Clone::clone)?;
    // The records of a produce are dense.
    let offset = stored.base_offset.checked_add(index);
    Ok(Delivered {
        partition,
        offset: offset.unwrap_or(stored.base_offset),
        level: stored.level,
    })
}

/// Sends until the records are stored, or are not, or nobody can say. Only what surely was not stored is sent again.
async fn attempt_until_settled(
    shared: &Shared,
    target: &Target,
    payload: &[Bytes],
) -> Result<(Stored, Duration), DeliveryError> {
    let timeout = shared.config.delivery_timeout;
    let deadline = Instant::now() + timeout;
    let mut backoff = Backoff::default();
    loop {
        let began = Instant::now();
        let left = deadline.saturating_duration_since(began);
        let error = match attempt(shared, target, payload, left).await {
            Ok(stored) => return Ok((stored, began.elapsed())),
            Err(error) => error,
        };
        if !error.is_definite() {
            return Err(DeliveryError::UnknownOutcome {
                reason: error.to_string(),
            });
        }
        // Another leader, or another shard after a restart: ask anew. Its failure shows in the next attempt.
        let is_elsewhere = matches!(
            &error,
            ClientError::Refused {
                code: ErrorCode::NotLeader
                    | ErrorCode::UnknownPartition
                    | ErrorCode::FencedLeaderEpoch,
                ..
            }
        );
        if !error.is_retriable() && !is_elsewhere {
            return Err(match error {
                ClientError::Refused { code, message } => DeliveryError::Refused { code, message },
                error => DeliveryError::Refused {
                    code: ErrorCode::None,
                    message: error.to_string(),
                },
            });
        }
        let pause = backoff.next_pause(chance(began));
        if Instant::now() + pause >= deadline {
            return Err(DeliveryError::Expired {
                timeout,
                reason: error.to_string(),
            });
        }
        shared.state().stats.retries += 1;
        tokio::time::sleep(pause).await;
        shared.client.refresh_topic(&target.topic).await.ok();
    }
}

/// Some jitter; nothing depends on its quality.
fn chance(began: Instant) -> u64 {
    u64::from(began.elapsed().subsec_nanos()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

async fn attempt(
    shared: &Shared,
    target: &Target,
    payload: &[Bytes],
    left: Duration,
) -> Result<Stored, ClientError> {
    let topic = shared.client.topic(&target.topic).await?;
    let info = topic.partition(target.partition)?;
    let connection = shared.client.leader_connection(&topic.name, info).await?;
    let len_bytes: usize = payload.iter().map(Bytes::len).sum();
    let partitions = [ProducePartition {
        id: info.id,
        len_bytes: u32::try_from(len_bytes).unwrap_or(u32::MAX),
    }];
    let draft = ProduceRequestDraft {
        acks: shared.config.acks,
        timeout_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
        partitions: &partitions,
    };
    if shared.config.acks == Acks::None {
        connection.tell(&draft, payload.to_vec()).await?;
        return Ok(Stored {
            base_offset: Offset::ZERO,
            level: AckLevel::None,
        });
    }
    let frame = connection
        .call(&draft, payload.to_vec(), left + ANSWER_GRACE)
        .await?;
    let address = connection.address();
    let body = frame.body().map_err(ClientError::frame(address))?;
    let response = ProduceResponse::decode(body).map_err(ClientError::decode(address))?;
    let produced = response.partitions().find(|one| one.id == info.id);
    let produced =
        produced.ok_or_else(|| ClientError::bad_answer(address, "the partition is missing"))?;
    if produced.error != ErrorCode::None {
        let message = produced.message.unwrap_or(produced.error.sentence());
        return Err(ClientError::Refused {
            code: produced.error,
            message: message.to_owned(),
        });
    }
    Ok(Stored {
        base_offset: produced.base_offset,
        level: produced.level,
    })
}
