//! Pass-through for gateways: whole batches in and out over many partitions, nothing decoded, collected or tried again.
//!
//! Requests go to the shards that own the partitions, over the connections that the client shares. What a client library
//! for records does on top, such as batches, numbers of idempotent producers, prefetching, is the caller's, or that of the
//! peer whose batches are passed on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use ringlog_record::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ShardId, TopicPartition};
use ringlog_wire::{
    Acks, ErrorCode, FetchPartition, FetchRequestDraft, FetchResponse, PartitionState,
    ProducePartition, ProduceRequestDraft, ProduceResponse,
};

use crate::client::{Client, PartitionInfo, TopicInfo};
use crate::core::assembler::Frame;
use crate::error::ClientError;
use crate::limits::ANSWER_GRACE;
use crate::partition::{StoredBatches, check};
use crate::transport::Connection;

/// Batches for a partition.
#[derive(Clone, Debug)]
pub struct RawAppend {
    /// Name of the topic.
    pub topic: String,
    /// Which partition.
    pub partition: PartitionIndex,
    /// One or more whole batches, as PROTOCOL.md has them; one alone if an idempotent producer made it.
    pub batches: Bytes,
    /// Store them only if the log ends here, refused as [`ErrorCode::UnexpectedOffset`] otherwise; `None` = wherever it
    /// ends. Comparing and storing are one step, so that of several who expect the same end one wins.
    pub expected_offset: Option<Offset>,
}

/// What became of the batches for a partition.
#[derive(Clone, Debug)]
pub struct RawAppended {
    /// Where the partition stands, also when the batches were refused; all zero when nobody could say.
    pub state: PartitionState,
    /// With [`ErrorCode::UnexpectedOffset`]: where the log ends.
    pub log_end: Option<Offset>,
    /// Where they are stored, or why they are not.
    pub outcome: Result<StoredBatches, ClientError>,
}

/// A partition to be read.
#[derive(Clone, Debug)]
pub struct RawFetch {
    /// Name of the topic.
    pub topic: String,
    /// Which partition.
    pub partition: PartitionIndex,
    /// The first offset that is wanted; the batch that holds it comes whole.
    pub offset: Offset,
    /// Bytes at most, unless the first batch alone is larger.
    pub max_bytes: u32,
    /// Leader epoch of the last record that the reader has, if it has any: so it learns of a log that came back shorter.
    pub last_epoch: Option<LeaderEpoch>,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct RawFetchLimits {
    /// How long a broker waits for `min_bytes`.
    pub max_wait: Duration,
    /// With how many bytes it answers before that.
    pub min_bytes: u32,
    /// Bytes of its answer at most, unless the first batch alone is larger.
    pub max_bytes: u32,
}

/// What was read of a partition.
#[derive(Clone, Debug)]
pub struct RawFetched {
    /// Where the partition stands, also when it could not be read; all zero when nobody could say.
    pub state: PartitionState,
    /// With [`ErrorCode::LogTruncated`]: the end of what the reader and the log agree on.
    pub agreed_end: Option<Offset>,
    /// Whole batches as they lie in the log, none where there is nothing yet; or why they cannot be read. Their checksums
    /// are not checked.
    pub outcome: Result<Bytes, ClientError>,
}

impl RawAppended {
    fn failed(error: ClientError) -> Self {
        Self {
            state: PartitionState::default(),
            log_end: None,
            outcome: Err(error),
        }
    }
}

impl RawFetched {
    fn failed(error: ClientError) -> Self {
        Self {
            state: PartitionState::default(),
            agreed_end: None,
            outcome: Err(error),
        }
    }
}

/// Passes batches through.
#[derive(Clone, Debug)]
pub struct RawClient {
    client: Client,
}

/// A partition of a request, and its place in the caller's list.
struct Part {
    place: usize,
    id: TopicPartition,
    topic: Arc<TopicInfo>,
    info: PartitionInfo,
}

impl RawClient {
    /// Passes batches to and from the cluster of `client`.
    pub fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
        }
    }

    /// Stores batches, those of each partition all or none; the results are in the order of `appends`, in which each
    /// partition is named once. One request goes to each shard; each broker may take `timeout`.
    ///
    /// Given up, it leaves open what was stored.
    pub async fn append(
        &self,
        appends: Vec<RawAppend>,
        acks: Acks,
        timeout: Duration,
    ) -> Vec<RawAppended> {
        let named = appends
            .iter()
            .map(|one| (one.topic.as_str(), one.partition));
        let (parts, mut results) = self.look_up(named, RawAppended::failed).await;
        let mut groups: BTreeMap<(Option<BrokerId>, ShardId), Vec<Part>> = BTreeMap::new();
        for part in parts {
            let owner = (part.info.leader, part.info.shard);
            groups.entry(owner).or_default().push(part);
        }
        let asked = groups.into_values().map(|parts| async {
            let appended = self.append_to_shard(&parts, &appends, acks, timeout).await;
            let appended = appended.unwrap_or_else(|error| {
                let failed = |_: &Part| RawAppended::failed(error.clone());
                parts.iter().map(failed).collect()
            });
            self.forget_moved(
                &parts,
                appended.iter().map(|one| one.outcome.as_ref().err()),
            );
            (parts, appended)
        });
        for (parts, appended) in join_all(asked).await {
            put(&mut results, &parts, appended);
        }
        whole(results, RawAppended::failed)
    }

    async fn append_to_shard(
        &self,
        parts: &[Part],
        appends: &[RawAppend],
        acks: Acks,
        timeout: Duration,
    ) -> Result<Vec<RawAppended>, ClientError> {
        let connection = self.connection(parts).await?;
        let wanted = parts
            .iter()
            .filter_map(|part| Some((part, appends.get(part.place)?)));
        let (partitions, slices): (Vec<_>, Vec<_>) = wanted
            .map(|(part, append)| {
                let partition = ProducePartition {
                    id: part.id,
                    len_bytes: u32::try_from(append.batches.len()).unwrap_or(u32::MAX),
                    expected_offset: append.expected_offset,
                };
                (partition, append.batches.clone())
            })
            .unzip();
        let draft = ProduceRequestDraft {
            acks,
            timeout_ms: millis(timeout),
            partitions: &partitions,
            wants_receipt: false,
        };
        if acks == Acks::None {
            connection.tell(&draft, slices).await?;
            let told = RawAppended {
                state: PartitionState::default(),
                log_end: None,
                outcome: Ok(StoredBatches::unacknowledged()),
            };
            return Ok(vec![told; parts.len()]);
        }
        let call = connection.call(&draft, slices, timeout + ANSWER_GRACE);
        let frame = call.await?;
        let address = connection.address();
        let body = frame.body();
        let response = ProduceResponse::decode(body).map_err(ClientError::decode(address))?;
        let produced: HashMap<_, _> = response.partitions().map(|one| (one.id, one)).collect();
        let appended = parts.iter().map(|part| {
            let Some(produced) = produced.get(&part.id) else {
                return RawAppended::failed(missing(address));
            };
            let stored = StoredBatches {
                base_offset: produced.base_offset,
                level: produced.level,
                state: produced.state,
                receipt: None,
            };
            RawAppended {
                state: produced.state,
                log_end: produced.log_end,
                outcome: check(produced.error, produced.message).map(|()| stored),
            }
        });
        Ok(appended.collect())
    }

    /// Reads batches of many partitions, the results in the order of `fetches`, in which each partition is named once. One
    /// request goes to each broker, which watches all of its shards: a long poll, answered as soon as there is enough or
    /// `max_wait` is over. Of several brokers the slowest is waited for.
    ///
    /// May be given up at any time: reading changes nothing.
    pub async fn fetch(&self, fetches: &[RawFetch], limits: RawFetchLimits) -> Vec<RawFetched> {
        let named = fetches
            .iter()
            .map(|one| (one.topic.as_str(), one.partition));
        let (parts, mut results) = self.look_up(named, RawFetched::failed).await;
        let mut groups: BTreeMap<Option<BrokerId>, Vec<Part>> = BTreeMap::new();
        for part in parts {
            groups.entry(part.info.leader).or_default().push(part);
        }
        let asked = groups.into_values().map(|parts| async {
            let fetched = self.fetch_from_broker(&parts, fetches, limits).await;
            let fetched = fetched.unwrap_or_else(|error| {
                let failed = |_: &Part| RawFetched::failed(error.clone());
                parts.iter().map(failed).collect()
            });
            self.forget_moved(&parts, fetched.iter().map(|one| one.outcome.as_ref().err()));
            (parts, fetched)
        });
        for (parts, fetched) in join_all(asked).await {
            put(&mut results, &parts, fetched);
        }
        whole(results, RawFetched::failed)
    }

    async fn fetch_from_broker(
        &self,
        parts: &[Part],
        fetches: &[RawFetch],
        limits: RawFetchLimits,
    ) -> Result<Vec<RawFetched>, ClientError> {
        let connection = self.connection(parts).await?;
        let wanted = parts
            .iter()
            .filter_map(|part| Some((part, fetches.get(part.place)?)));
        let partitions: Vec<_> = wanted
            .map(|(part, fetch)| FetchPartition {
                id: part.id,
                offset: fetch.offset,
                max_bytes: fetch.max_bytes,
                last_epoch: fetch.last_epoch,
            })
            .collect();
        let draft = FetchRequestDraft {
            max_wait_ms: millis(limits.max_wait),
            min_bytes: limits.min_bytes,
            max_bytes: limits.max_bytes,
            partitions: &partitions,
        };
        let call = connection.call(&draft, Vec::new(), limits.max_wait + ANSWER_GRACE);
        let frame = call.await?;
        let mut fetched = taken_apart(&frame, connection.address())?;
        let address = connection.address();
        let results = parts.iter().map(|part| {
            let found = fetched.remove(&part.id);
            found.unwrap_or_else(|| RawFetched::failed(missing(address)))
        });
        Ok(results.collect())
    }

    /// The partitions that are known, and a place for the result of each that was named.
    async fn look_up<'a, R>(
        &self,
        named: impl Iterator<Item = (&'a str, PartitionIndex)>,
        failed: fn(ClientError) -> R,
    ) -> (Vec<Part>, Vec<Option<R>>) {
        let (mut parts, mut results) = (Vec::new(), Vec::new());
        let mut seen = HashMap::new();
        for (place, (topic, partition)) in named.enumerate() {
            let found = match self.client.topic(topic).await {
                Ok(topic) => topic
                    .partition(partition)
                    .cloned()
                    .map(|info| (topic, info)),
                Err(error) => Err(error),
            };
            let found = found.and_then(|(topic, info)| {
                if seen.insert(info.id, place).is_some() {
                    return Err(ClientError::Refused {
                        code: ErrorCode::InvalidRequest,
                        message: format!(
                            "partition {partition} of topic {:?} is named twice in one request",
                            topic.name
                        ),
                    });
                }
                Ok((topic, info))
            });
            match found {
                Ok((topic, info)) => {
                    parts.push(Part {
                        place,
                        id: info.id,
                        topic,
                        info,
                    });
                    results.push(None);
                }
                Err(error) => results.push(Some(failed(error))),
            }
        }
        (parts, results)
    }

    /// The connection to the owner of the first partition.
    async fn connection(&self, parts: &[Part]) -> Result<Arc<Connection>, ClientError> {
        let first = parts.first().ok_or_else(|| missing("the request"))?;
        let connection = self
            .client
            .leader_connection(&first.topic.name, &first.info);
        connection.await
    }

    /// The next request asks for metadata where this one met the wrong broker, or none.
    fn forget_moved<'a>(
        &self,
        parts: &[Part],
        errors: impl Iterator<Item = Option<&'a ClientError>>,
    ) {
        for (part, error) in parts.iter().zip(errors) {
            let is_moved = error.is_some_and(|error| {
                error.is_elsewhere() || !matches!(error, ClientError::Refused { .. })
            });
            if is_moved {
                self.client.forget(&part.topic.name);
            }
        }
    }
}

/// What a broker has answered, by partition.
fn taken_apart(
    frame: &Frame,
    address: &str,
) -> Result<HashMap<TopicPartition, RawFetched>, ClientError> {
    let body = frame.body();
    let response = FetchResponse::decode(body).map_err(ClientError::decode(address))?;
    let fetched = response.slices().map(|(one, range)| {
        let outcome = check(one.error, one.message).map(|()| frame.payload.slice(range));
        let fetched = RawFetched {
            state: one.state,
            agreed_end: one.agreed_end,
            outcome,
        };
        (one.id, fetched)
    });
    Ok(fetched.collect())
}

fn put<R>(results: &mut [Option<R>], parts: &[Part], found: Vec<R>) {
    for (part, found) in parts.iter().zip(found) {
        if let Some(place) = results.get_mut(part.place) {
            *place = Some(found);
        }
    }
}

/// A result for each partition that was named.
fn whole<R>(results: Vec<Option<R>>, failed: fn(ClientError) -> R) -> Vec<R> {
    let results = results.into_iter();
    results
        .map(|result| result.unwrap_or_else(|| failed(missing("the broker"))))
        .collect()
}

fn missing(address: &str) -> ClientError {
    ClientError::bad_answer(address, "a partition is missing")
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
