//! Sends the batches of one partition: a task that lives as long as there are any.
//!
//! [`Lane`] decides what is sent and what an answer means; this takes batches from the accumulator, compresses and stamps
//! them, finds the connection, and tells those who wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ringlog_record::PartitionIndex;
use ringlog_wire::Acks;
use tokio::sync::Notify;

use super::batch::Sealed;
use super::delivery::{Delivered, Waiting};
use super::{Shared, Target};
use crate::client::TopicInfo;
use crate::core::accumulator::Urgency;
use crate::core::lane::{AttemptNumber, Lane, LaneConfig, Metadata, Settled};
use crate::error::{ClientError, DeliveryError};
use crate::partition::{BegunProduce, Produce, StoredBatches, begin_produce};
use crate::transport::chance;

/// How long to sleep when there is nothing to wait for but a change.
const IDLE: Duration = Duration::from_secs(3600);

pub(super) type PartitionLane = Lane<Sealed, StoredBatches>;

/// Sends what there is for a partition, until there is nothing.
pub(super) async fn run(shared: Arc<Shared>, target: Target, wake: Arc<Notify>) {
    let lane = shared.state().lanes.remove(&target);
    let lane = lane.unwrap_or_else(|| {
        Lane::new(LaneConfig {
            is_idempotent: shared.config.idempotent && shared.config.acks != Acks::None,
            in_flight_max: shared.config.max_in_flight,
            delivery_timeout: shared.config.delivery_timeout,
            request_timeout: shared.client.config().request_timeout,
        })
    });
    let mut sender = Sender {
        shared,
        target,
        lane,
        seen: None,
        metadata: Metadata::Keep,
    };
    let mut calls = FuturesUnordered::new();
    loop {
        let due = sender.fill();
        sender.lane.expire(Instant::now());
        sender.identify().await;
        while let Some((number, begun)) = sender.begin_next().await {
            match begun {
                Ok(begun) => calls.push(async move { (number, begun.answer().await) }),
                Err(error) => sender.answered(number, Err(error)),
            }
        }
        if sender.settle() {
            // There is room for what waits behind.
            continue;
        }
        if sender.lane.is_empty() {
            match sender.release() {
                None => return,
                Some(still) => sender = still,
            }
        }
        let wakes_at = sender.lane.wakes_at().into_iter().chain(due).min();
        let now = Instant::now();
        let pause = wakes_at.map_or(IDLE, |at| at.saturating_duration_since(now));
        tokio::select! {
            Some((number, answer)) = calls.next(), if !calls.is_empty() => {
                sender.answered(number, answer);
            }
            () = wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The state of the task.
struct Sender {
    shared: Arc<Shared>,
    target: Target,
    lane: PartitionLane,
    /// The topic as it was when the last attempt was made.
    seen: Option<Arc<TopicInfo>>,
    metadata: Metadata,
}

impl Sender {
    /// Takes as many batches as the lane has room for. Gives when the open batch is to be looked at again, if only time
    /// is missing.
    fn fill(&mut self) -> Option<Instant> {
        while self.lane.has_room() {
            let now = Instant::now();
            let ready = {
                let mut state = self.shared.state();
                let urgency = if state.hurrying > 0 || self.shared.config.linger.is_zero() {
                    Urgency::Flush
                } else {
                    Urgency::Linger
                };
                let ready = state.accumulator.take_ready(&self.target, now, urgency);
                let Some(ready) = ready else {
                    return state.accumulator.due(&self.target);
                };
                // Records without a key go on with another partition.
                let target = &self.target;
                state.sticky.batch_done(&target.topic, target.partition);
                ready
            };
            let since = ready.since;
            match Sealed::new(ready, self.shared.config.compression) {
                Ok(sealed) => {
                    let records = sealed.records();
                    self.lane.push(sealed, records, since);
                }
                Err((waiting, error)) => self.tell(&Err(error), waiting),
            }
        }
        None
    }

    /// Gets a producer id, if there is something to send that needs one.
    async fn identify(&mut self) {
        let now = Instant::now();
        let Some(need) = self.lane.wants_producer(now) else {
            return;
        };
        let until = self.lane.wakes_at().unwrap_or(now + IDLE);
        let identity = self.shared.identity(need);
        match tokio::time::timeout_at(until.into(), identity).await {
            Ok(Ok((id, epoch))) => self.lane.set_producer(id, epoch),
            Ok(Err(error)) => {
                let now = Instant::now();
                self.lane.producer_failed(&error, now, chance());
            }
            // Something expires now, and the next attempt begins with it.
            Err(_) => self.lane.expire(Instant::now()),
        }
    }

    /// Begins the next attempt, if one may be made now.
    async fn begin_next(&mut self) -> Option<(AttemptNumber, Result<BegunProduce, ClientError>)> {
        let now = Instant::now();
        let attempt = self.lane.next(now)?;
        let (number, timeout) = (attempt.number, attempt.timeout);
        let batch = attempt.batch.stamped(attempt.stamp, now);
        if attempt.is_retry {
            self.shared.state().stats.retries += 1;
        }
        let begun = match batch {
            Ok(batch) => {
                let begin = self.begin(batch, timeout);
                let in_time = tokio::time::timeout(timeout, begin).await;
                in_time.unwrap_or_else(|_| Err(self.not_in_time(timeout)))
            }
            Err(error) => Err(error),
        };
        Some((number, begun))
    }

    async fn begin(
        &mut self,
        batch: Bytes,
        timeout: Duration,
    ) -> Result<BegunProduce, ClientError> {
        let client = &self.shared.client;
        if std::mem::replace(&mut self.metadata, Metadata::Keep) == Metadata::Refresh {
            // A failure of this shows below.
            client
                .refresh_unless_new(&self.target.topic, self.seen.as_ref())
                .await
                .ok();
        }
        let topic = client.topic(&self.target.topic).await?;
        let info = topic.partition(self.target.partition)?;
        let connection = client.leader_connection(&topic.name, info).await?;
        let produce = Produce {
            id: info.id,
            acks: self.shared.config.acks,
            batches: batch,
            timeout,
            wants_receipt: self.shared.config.wants_receipts,
        };
        self.seen = Some(topic);
        begin_produce(&connection, produce).await
    }

    fn not_in_time(&self, timeout: Duration) -> ClientError {
        let Target { topic, partition } = &self.target;
        ClientError::NotSent {
            address: format!("the leader of partition {partition} of {topic:?}"),
            reason: format!("it cannot be reached within {timeout:?}"),
        }
    }

    fn answered(&mut self, number: AttemptNumber, answer: Result<StoredBatches, ClientError>) {
        let now = Instant::now();
        let metadata = self.lane.answered(number, answer, now, chance());
        if metadata == Metadata::Refresh {
            self.metadata = metadata;
        }
    }

    /// Tells those who wait what became of their records. Gives whether there was anything to tell.
    fn settle(&mut self) -> bool {
        let settled = self.lane.take_settled();
        let is_any = !settled.is_empty();
        for Settled { batch, outcome } in settled {
            if let Ok(stored) = &outcome {
                let mut state = self.shared.state();
                let stats = &mut state.stats;
                stats.batches += 1;
                stats.bytes += batch.len_bytes() as u64;
                let micros = u64::try_from(batch.took().as_micros()).unwrap_or(u64::MAX);
                stats.ack_us.saturating_record(micros.max(1));
                if let Some(receipt) = &stored.receipt {
                    stats.stages.record(receipt);
                }
            }
            self.tell(&outcome, batch.into_waiting());
        }
        is_any
    }

    fn tell(&self, outcome: &Result<StoredBatches, DeliveryError>, waiting: Vec<Waiting>) {
        {
            let mut state = self.shared.state();
            let count = waiting.len() as u64;
            match outcome {
                Ok(_) | Err(DeliveryError::StoredBefore) => state.stats.records += count,
                Err(DeliveryError::UnknownOutcome { .. }) => state.stats.unknown += count,
                Err(_) => state.stats.failed += count,
            }
            state.accumulator.finished(waiting.len());
        }
        for (index, waiting) in (0..).zip(waiting) {
            waiting.settle(delivered(outcome, self.target.partition, index));
        }
        self.shared.settled.notify_waiters();
    }

    /// Ends the task if there is nothing to send; the numbering of the partition is kept.
    fn release(self) -> Option<Self> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        if !state.accumulator.release(&self.target) {
            return Some(self);
        }
        state.services.remove(&self.target);
        state.lanes.insert(self.target, self.lane);
        None
    }
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
