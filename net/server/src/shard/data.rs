//! What a shard does with the records of its own partitions, whoever asked: a connection or another shard.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::{select, select_all};
use ringlog_log::Slices;
use ringlog_reactor::Instant;
use ringlog_record::{Offset, TopicPartition};
use ringlog_replication::{AckLevel, Acks, FetchSpec, Partition, PartitionEnds, PendingProduce};
use ringlog_wire::{
    DeleteRecordsPartition, FetchPartition, ListOffsetsPartition, OffsetPosition, PartitionState,
};
use smallvec::SmallVec;

use super::Shard;
use super::peer::{Collected, Deleted, Listed, Produced, ProducedAt, WatchSpec};
use crate::failure::Failure;
use crate::stages::Stages;

/// A produce that was appended, or was not.
pub(crate) enum BegunProduce {
    /// It waits to be stable.
    Pending(PendingAppend),
    /// Nothing was appended.
    Refused(Produced),
}

/// A produce that was appended.
pub(crate) struct PendingAppend {
    pub(crate) id: TopicPartition,
    received: Instant,
    began: Instant,
    pending: PendingProduce,
}

/// What is to be appended to a partition.
pub(crate) struct ProduceSpec<'a> {
    pub(crate) id: TopicPartition,
    pub(crate) batches: &'a [u8],
    pub(crate) acks: Acks,
    /// Where the log must end.
    pub(crate) expected_offset: Option<Offset>,
    /// When the request had come in.
    pub(crate) received: Instant,
}

fn state_of(ends: &PartitionEnds) -> PartitionState {
    PartitionState {
        high_watermark: ends.high_watermark,
        log_start: ends.log_start,
        leader_epoch: ends.leader_epoch,
    }
}

fn wire_level(level: AckLevel) -> ringlog_wire::AckLevel {
    match level {
        AckLevel::LeaderMemory => ringlog_wire::AckLevel::LeaderMemory,
        AckLevel::LeaderDurable => ringlog_wire::AckLevel::LeaderDurable,
        AckLevel::AllMemory => ringlog_wire::AckLevel::AllMemory,
        AckLevel::AllDurable => ringlog_wire::AckLevel::AllDurable,
    }
}

impl PendingAppend {
    /// What it came to, once that is known; not to be asked again then.
    pub(crate) fn poll_produced(&mut self, shard: &Shard, cx: &mut Context<'_>) -> Poll<Produced> {
        let id = self.id;
        let outcome = ready!(Pin::new(&mut self.pending).poll(cx));
        Poll::Ready(match outcome {
            Ok(ack) => Produced {
                id,
                state: state_of(&ack.ends),
                result: Ok(ProducedAt {
                    base_offset: ack.appended.base_offset,
                    level: wire_level(ack.level),
                    stages: Stages {
                        received: self.received,
                        began: self.began,
                        times: ack.times,
                    },
                }),
            },
            Err(error) => Produced {
                id,
                state: shard.state(id),
                result: Err(error.into()),
            },
        })
    }
}

impl Shard {
    /// A partition that is served here.
    pub(crate) fn partition(&self, id: TopicPartition) -> Result<Partition, Failure> {
        if let Some(partition) = self.partitions.borrow().get(&id) {
            return Ok(partition.clone());
        }
        match self.offline.borrow().get(&id) {
            Some(reason) => Err(Failure::new(
                ringlog_wire::ErrorCode::StorageFailed,
                format!("partition {id} is offline: {reason}"),
            )),
            // Its log is closed, or about to be: it will be served again.
            None if self.is_draining() => Err(Failure::shutting_down()),
            None => Err(Failure::unknown_partition(id)),
        }
    }

    /// The state of a partition, or nothing known.
    pub(crate) fn state(&self, id: TopicPartition) -> PartitionState {
        let partitions = self.partitions.borrow();
        let partition = partitions.get(&id);
        partition.map_or_else(PartitionState::default, |one| state_of(&one.ends()))
    }

    /// Appends before it returns, so that produces are appended in the order of their calls.
    pub(crate) fn begin_produce(&self, spec: ProduceSpec<'_>) -> BegunProduce {
        let ProduceSpec {
            id,
            batches,
            acks,
            expected_offset,
            received,
        } = spec;
        let began = self.reactor.now();
        let begun = if self.is_draining() {
            Err(Failure::shutting_down())
        } else {
            let partition = self
                .check_not_internal(id)
                .and_then(|()| self.partition(id));
            partition.and_then(|partition| {
                let appended = match expected_offset {
                    Some(expected) => partition.produce_at(expected, batches, acks),
                    None => partition.produce(batches, acks),
                };
                appended.map_err(Failure::from)
            })
        };
        match begun {
            Ok(pending) => BegunProduce::Pending(PendingAppend {
                id,
                received,
                began,
                pending,
            }),
            Err(failure) => BegunProduce::Refused(Produced {
                id,
                state: self.state(id),
                result: Err(failure),
            }),
        }
    }

    /// Waits for what a produce came to.
    pub(crate) async fn finish_produce(&self, begun: BegunProduce) -> Produced {
        match begun {
            BegunProduce::Pending(mut append) => poll_fn(|cx| append.poll_produced(self, cx)).await,
            BegunProduce::Refused(produced) => produced,
        }
    }

    /// Reads what is there now, in the order asked for and at most `max_bytes` together; the first batch comes even
    /// when it is larger.
    pub(crate) async fn collect(
        &self,
        partitions: &[FetchPartition],
        max_bytes: usize,
    ) -> SmallVec<[Collected; 1]> {
        let mut collected = SmallVec::with_capacity(partitions.len());
        let (mut left, mut is_first) = (max_bytes, true);
        for wanted in partitions {
            if left == 0 && !is_first {
                // It is read by the next fetch; until then it says where it stands.
                collected.push(Collected {
                    id: wanted.id,
                    state: self.state(wanted.id),
                    result: Ok(Slices::new()),
                    forwarded: false,
                });
                continue;
            }
            let one = self.collect_one(wanted, left, is_first).await;
            left = left.saturating_sub(one.bytes());
            is_first &= one.bytes() == 0;
            collected.push(one);
        }
        collected
    }

    async fn collect_one(&self, wanted: &FetchPartition, left: usize, is_first: bool) -> Collected {
        let id = wanted.id;
        let max_bytes = usize::try_from(wanted.max_bytes)
            .unwrap_or(usize::MAX)
            .min(left);
        let partition = self.partition(id);
        let result = match &partition {
            Ok(partition) => {
                let spec = FetchSpec {
                    offset: wanted.offset,
                    max_bytes,
                    last_epoch: wanted.last_epoch,
                };
                match partition.fetch(spec).await {
                    Ok(fetched) if is_first || fetched.bytes <= left => Ok(fetched.slices),
                    Ok(_) => Ok(Slices::new()),
                    Err(error) => Err(error.into()),
                }
            }
            Err(failure) => Err(failure.clone()),
        };
        Collected {
            id,
            state: partition
                .map_or_else(|_| PartitionState::default(), |one| state_of(&one.ends())),
            result,
            forwarded: false,
        }
    }

    /// Waits until the partitions together have `min_bytes` to read, one of them has ended, or time is over.
    pub(crate) async fn watch(&self, spec: &WatchSpec) {
        let wait = async {
            let mut draining = self.drain_began();
            while let Some(moved) = self.watched(spec) {
                select(select_all(moved), &mut draining).await;
            }
        };
        // The end of the wait is no failure: the fetch then returns what there is.
        self.reactor.timeout(spec.max_wait, wait).await.ok();
    }

    /// What to wait for, or nothing when there is enough or no more to come.
    fn watched(&self, spec: &WatchSpec) -> Option<Vec<ringlog_replication::Moved>> {
        if self.is_draining() || spec.partitions.is_empty() {
            return None;
        }
        let mut readable_bytes = 0;
        let mut moved = Vec::with_capacity(spec.partitions.len());
        for &(id, offset) in &spec.partitions {
            let partition = self.partitions.borrow().get(&id).cloned()?;
            if partition.has_ended() {
                return None;
            }
            readable_bytes += partition.readable_bytes(offset);
            let high_watermark = partition.ends().high_watermark;
            moved.push(partition.moved_above(high_watermark.max(offset)));
        }
        (readable_bytes < spec.min_bytes).then_some(moved)
    }

    /// Looks up offsets by position or time.
    pub(crate) async fn list_offsets(&self, partitions: &[ListOffsetsPartition]) -> Vec<Listed> {
        let mut listed = Vec::with_capacity(partitions.len());
        for wanted in partitions {
            let (state, result) = match self.partition(wanted.id) {
                Ok(partition) => {
                    let result = list_offset(&partition, wanted).await;
                    (state_of(&partition.ends()), result)
                }
                Err(failure) => (PartitionState::default(), Err(failure)),
            };
            listed.push(Listed {
                id: wanted.id,
                state,
                result,
            });
        }
        listed
    }

    /// Moves log starts.
    pub(crate) async fn delete_records(
        &self,
        partitions: &[DeleteRecordsPartition],
    ) -> Vec<Deleted> {
        let mut deleted = Vec::with_capacity(partitions.len());
        for wanted in partitions {
            let partition = self.check_not_internal(wanted.id);
            let (state, result) = match partition.and_then(|()| self.partition(wanted.id)) {
                Ok(partition) => {
                    let moved = partition.delete_records(wanted.before).await;
                    let result = moved.map(drop).map_err(Failure::from);
                    (state_of(&partition.ends()), result)
                }
                Err(failure) => (PartitionState::default(), Err(failure)),
            };
            deleted.push(Deleted {
                id: wanted.id,
                state,
                result,
            });
        }
        deleted
    }
}

async fn list_offset(
    partition: &Partition,
    wanted: &ListOffsetsPartition,
) -> Result<Option<(Offset, Option<ringlog_record::TimestampMs>)>, Failure> {
    let ends = partition.ends();
    Ok(match wanted.position {
        OffsetPosition::Earliest => Some((ends.log_start, None)),
        OffsetPosition::Latest => Some((ends.high_watermark, None)),
        OffsetPosition::Timestamp(timestamp) => partition
            .offset_for_timestamp(timestamp)
            .await?
            .map(|found| (found.offset, Some(found.timestamp))),
    })
}

/// The batches of several partitions, one behind the other.
pub(crate) fn payload_of(collected: &[Collected]) -> Slices {
    let slices = collected.iter().filter_map(|one| one.result.as_ref().ok());
    slices.flatten().cloned().collect()
}
