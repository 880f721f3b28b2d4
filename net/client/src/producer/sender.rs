//! Sends what is ready, one request for each partition at a time, and again what surely was not stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringlog_record::PartitionIndex;

use super::delivery::{Delivered, Waiting};
use super::{Shared, Target};
use crate::core::accumulator::{ReadyBatch, Urgency};
use crate::core::retry::{Metadata, Retry, Verdict};
use crate::error::{ClientError, DeliveryError};
use crate::partition::{Produce, StoredBatches, produce_once};
use crate::transport::chance;

/// How long to sleep when there is nothing to wait for but a change.
const IDLE: Duration = Duration::from_secs(3600);

/// The life of a producer's sender.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let changed = shared.changed.notified();
        let now = Instant::now();
        let (ready, due) = {
            let mut state = shared.state();
            let urgency = if state.hurrying > 0 || shared.config.linger.is_zero() {
                Urgency::Flush
            } else {
                Urgency::Linger
            };
            let ready = state.accumulator.take_ready(now, urgency);
            for (target, _) in &ready {
                // Records without a key go on with another partition.
                state.sticky.batch_done(&target.topic, target.partition);
            }
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
    let since = batches.iter().map(|batch| batch.since).min();
    let since = since.unwrap_or_else(Instant::now);
    let outcome = match shared.in_flight.acquire().await {
        Ok(_turn) => attempt_until_settled(shared, &target, &payload, since).await,
        Err(_) => Err(DeliveryError::Closed),
    };
    let records: usize = batches.iter().map(|batch| batch.waiting.len()).sum();
    {
        let mut state = shared.state();
        let count = records as u64;
        match &outcome {
            Ok((stored, took)) => {
                let stats = &mut state.stats;
                stats.records += count;
                stats.batches += batches.len() as u64;
                stats.bytes += bytes as u64;
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                stats.ack_us.saturating_record(micros.max(1));
                if let Some(receipt) = &stored.receipt {
                    stats.stages.record(receipt);
                }
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
        receipt: stored.receipt,
    })
}

/// Sends until the records are stored, or are not, or nobody can say. Only what surely was not stored is sent again.
async fn attempt_until_settled(
    shared: &Shared,
    target: &Target,
    payload: &[Bytes],
    since: Instant,
) -> Result<(StoredBatches, Duration), DeliveryError> {
    let timeout = shared.config.delivery_timeout;
    let expired = |reason: String| DeliveryError::Expired { timeout, reason };
    let began = Instant::now();
    let mut retry = Retry::until(since + timeout);
    loop {
        let Some(left) = retry.left(Instant::now()) else {
            return Err(expired("it was not sent before".to_owned()));
        };
        let error = match attempt(shared, target, payload, left).await {
            Ok(stored) => return Ok((stored, began.elapsed())),
            Err(error) => error,
        };
        match retry.after(&error, Instant::now(), chance()) {
            Verdict::Unknown => {
                let reason = error.to_string();
                return Err(DeliveryError::UnknownOutcome { reason });
            }
            Verdict::Refused => {
                let code = error.code();
                let message = match error {
                    ClientError::Refused { message, .. } => message,
                    error => error.to_string(),
                };
                return Err(DeliveryError::Refused { code, message });
            }
            Verdict::Expired => return Err(expired(error.to_string())),
            Verdict::Again { pause, metadata } => {
                shared.state().stats.retries += 1;
                tokio::time::sleep(pause).await;
                if metadata == Metadata::Refresh {
                    // A failure of this shows in the next attempt.
                    shared.client.refresh_topic(&target.topic).await.ok();
                }
            }
        }
    }
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
    let produce = Produce {
        id: info.id,
        acks: shared.config.acks,
        batches: payload.to_vec(),
        timeout: left,
        wants_receipt: shared.config.wants_receipts,
    };
    produce_once(&connection, produce).await
}
