//! Sends what is ready, one request for each partition at a time, and again what surely was not stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringlog_record::PartitionIndex;
use ringlog_wire::ErrorCode;

use super::delivery::{Delivered, Waiting};
use super::{Shared, Target};
use crate::core::accumulator::{ReadyBatch, Urgency};
use crate::core::backoff::Backoff;
use crate::error::{ClientError, DeliveryError};
use crate::partition::{StoredBatches, produce_once};

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
    outcome: &Result<StoredBatches, DeliveryError>,
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
) -> Result<(StoredBatches, Duration), DeliveryError> {
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
) -> Result<StoredBatches, ClientError> {
    let topic = shared.client.topic(&target.topic).await?;
    let info = topic.partition(target.partition)?;
    let connection = shared.client.leader_connection(&topic.name, info).await?;
    let acks = shared.config.acks;
    produce_once(&connection, info.id, acks, payload.to_vec(), left).await
}
