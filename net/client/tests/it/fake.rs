//! A broker that does as it is told: loopback TCP, one log in memory for each partition, and a script that may answer
//! instead. It reads frames in its own way, so that it does not share the client's faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ringlog_record::batch::{batches, stamp};
use ringlog_record::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, ProducerStamp,
    ShardId, TimestampMs, TopicId,
};
use ringlog_wire::{
    AckLevel, Api, BrokerMetadata, CorrelationId, Encoder, ErrorCode, FetchRequest,
    FetchResponseDraft, FetchedPartition, FrameHeader, HelloRequest, HelloResponse,
    InitProducerResponse, ListOffsetsRequest, ListOffsetsResponse, ListedOffset, Message,
    MetadataRequest, MetadataResponse, OffsetPosition, PartitionMetadata, PartitionState,
    ProduceReceipt, ProduceRequest, ProduceResponseDraft, ProducedPartition, TopicMetadata,
    TopicSelection, frame,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};

/// What the fake says of its time to those who ask.
pub(crate) const RECEIPT: ProduceReceipt = ProduceReceipt {
    queued_ns: 1_000,
    appended_ns: 2_000,
    flushed_ns: 150_000,
    replicated_ns: 0,
    replied_ns: 3_000,
};

pub(crate) const TOPIC: &str = "events";

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) api: Api,
    pub(crate) id: CorrelationId,
    /// The shard that the connection is for.
    pub(crate) shard: Option<ShardId>,
    pub(crate) head: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Asked {
    /// The only partition of a produce, and its values.
    pub(crate) fn produced(&self) -> (PartitionIndex, Vec<String>) {
        let (_, body) = frame::parse(&self.head).unwrap();
        let request = ProduceRequest::decode(body).unwrap();
        let partition = request.partitions().next().unwrap().id.partition;
        (partition, values(&self.payload))
    }
}

pub(crate) fn values(payload: &[u8]) -> Vec<String> {
    let records = batches(payload).flat_map(|batch| batch.unwrap().records());
    let values = records.map(|record| record.unwrap().value.unwrap_or_default().to_vec());
    values
        .map(|value| String::from_utf8(value).unwrap())
        .collect()
}

/// What a script says to a request.
pub(crate) enum Say {
    /// What a broker would.
    Usual,
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing, ever.
    Nothing,
    /// The connection ends.
    Hangup,
    /// The request is carried out and the connection ends.
    CarryOutAndHangup,
}

type Script = Box<dyn FnMut(&Asked) -> Say + Send>;

pub(crate) struct State {
    pub(crate) topic: TopicId,
    pub(crate) epoch: LeaderEpoch,
    /// Which shard owns each partition.
    pub(crate) shards: Vec<ShardId>,
    /// Batches by their first offset.
    pub(crate) logs: BTreeMap<PartitionIndex, Vec<(Offset, Offset, Bytes)>>,
    /// Where numbered batches are: one that comes again is not stored again.
    numbered: BTreeMap<(PartitionIndex, u64, u16, u32), Offset>,
    /// The number that comes next: in no other order are batches stored.
    next_numbers: BTreeMap<(PartitionIndex, u64, u16), u32>,
    producers: u64,
    pub(crate) asked: Vec<Asked>,
    pub(crate) connections: usize,
    script: Script,
}

/// A fake broker; it ends with the test.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: String,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Fake {
    /// A broker with one topic, whose partitions are owned by these shards.
    pub(crate) async fn start(
        shards: &[u16],
        script: impl FnMut(&Asked) -> Say + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            address: listener.local_addr().unwrap().to_string(),
            state: Arc::new(Mutex::new(State {
                topic: TopicId::new(7),
                epoch: LeaderEpoch::new(3),
                shards: shards.iter().map(|&shard| ShardId::new(shard)).collect(),
                logs: BTreeMap::new(),
                numbered: BTreeMap::new(),
                next_numbers: BTreeMap::new(),
                producers: 0,
                asked: Vec::new(),
                connections: 0,
                script: Box::new(script),
            })),
        };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = serving.clone();
                tokio::spawn(async move { fake.serve(stream).await });
            }
        });
        fake
    }

    pub(crate) fn bootstrap(&self) -> Vec<String> {
        vec![self.address.clone()]
    }

    pub(crate) fn asked(&self, api: Api) -> Vec<Asked> {
        let state = self.state.lock().unwrap();
        let asked = state.asked.iter().filter(|asked| asked.api == api);
        asked.cloned().collect()
    }

    /// Puts a batch into a log as it is: values with their times.
    pub(crate) fn store(&self, partition: u32, records: &[(&str, i64)]) -> Offset {
        use ringlog_record::batch::{BatchBuilder, RecordData};
        let mut builder = BatchBuilder::new(4 << 20);
        for (value, time) in records {
            let record = RecordData {
                value: Some(value.as_bytes()),
                timestamp: TimestampMs::new(*time),
                ..RecordData::default()
            };
            builder.append(&record).unwrap();
        }
        self.store_batch(partition, &builder.build().unwrap())
    }

    /// Puts a batch into a log.
    pub(crate) fn store_batch(&self, partition: u32, batch: &[u8]) -> Offset {
        let mut state = self.state.lock().unwrap();
        state.append(PartitionIndex::new(partition), batch)
    }

    async fn serve(self, stream: TcpStream) {
        let (mut reading, mut writing) = stream.into_split();
        let mut shard = None;
        self.state.lock().unwrap().connections += 1;
        loop {
            let mut head = vec![0; 32];
            if reading.read_exact(&mut head).await.is_err() {
                return;
            }
            let header = FrameHeader::read(&head).unwrap();
            head.resize(header.head_len(), 0);
            reading.read_exact(&mut head[32..]).await.unwrap();
            let mut payload = vec![0; header.payload_len()];
            reading.read_exact(&mut payload).await.unwrap();
            let asked = Asked {
                api: header.api().unwrap(),
                id: header.correlation_id(),
                shard,
                head,
                payload,
            };
            let say = {
                let mut state = self.state.lock().unwrap();
                state.asked.push(asked.clone());
                (state.script)(&asked)
            };
            match say {
                Say::Usual => {
                    let (answer, payload) = self.usual(&asked, &mut shard);
                    send(&mut writing, &answer, &payload).await;
                }
                Say::Bytes(bytes) => send(&mut writing, &bytes, &[]).await,
                Say::Nothing => {}
                Say::Hangup => return,
                Say::CarryOutAndHangup => {
                    self.usual(&asked, &mut shard);
                    return;
                }
            }
        }
    }

    fn usual(&self, asked: &Asked, shard: &mut Option<ShardId>) -> (Vec<u8>, Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        let (_, body) = frame::parse(&asked.head).unwrap();
        let plain = |bytes: Vec<u8>| (bytes, Vec::new());
        match asked.api {
            Api::Hello => {
                *shard = HelloRequest::decode(body).unwrap().shard;
                plain(answer(
                    asked.id,
                    &HelloResponse {
                        version: 1,
                        features: 0,
                        cluster_id: "fake".to_owned(),
                        broker: BrokerId::new(1),
                        shard: shard.unwrap_or(ShardId::new(0)),
                        shard_count: 4,
                        software: "fake".to_owned(),
                    },
                ))
            }
            Api::Metadata => {
                let request = MetadataRequest::decode(body).unwrap();
                plain(answer(
                    asked.id,
                    &state.metadata(&self.address, request.topics),
                ))
            }
            Api::Produce => plain(state.produce(
                asked.id,
                &ProduceRequest::decode(body).unwrap(),
                &asked.payload,
            )),
            Api::InitProducer => {
                state.producers += 1;
                let response = InitProducerResponse {
                    producer_id: ProducerId::new(state.producers),
                    producer_epoch: ProducerEpoch::new(0),
                };
                plain(answer(asked.id, &response))
            }
            Api::Fetch => state.fetch(asked.id, &FetchRequest::decode(body).unwrap()),
            Api::ListOffsets => {
                let request = ListOffsetsRequest::decode(body).unwrap();
                plain(answer(asked.id, &state.list_offsets(request)))
            }
            api => panic!("the fake broker does not know {api}"),
        }
    }
}

async fn send(stream: &mut OwnedWriteHalf, head: &[u8], payload: &[u8]) {
    // The client may be gone.
    stream.write_all(&[head, payload].concat()).await.ok();
}

pub(crate) fn answer<M: Message>(id: CorrelationId, message: &M) -> Vec<u8> {
    Encoder::new().encode(id, message).unwrap().to_vec()
}

impl State {
    fn end(&self, partition: PartitionIndex) -> Offset {
        let log = self.logs.get(&partition);
        let last = log.and_then(|log| log.last());
        last.map_or(Offset::ZERO, |(_, last, _)| last.next())
    }

    fn append(&mut self, partition: PartitionIndex, payload: &[u8]) -> Offset {
        let first = self.end(partition);
        for batch in batches(payload) {
            let base = self.end(partition);
            let mut bytes = batch.unwrap().bytes().to_vec();
            stamp(&mut bytes, base, self.epoch).unwrap();
            let last = batches(&bytes).next().unwrap().unwrap().last_offset();
            let log = self.logs.entry(partition).or_default();
            log.push((base, last, bytes.into()));
        }
        first
    }

    fn partition_state(&self, partition: PartitionIndex) -> PartitionState {
        PartitionState {
            high_watermark: self.end(partition),
            log_start: Offset::ZERO,
            leader_epoch: self.epoch,
        }
    }

    fn metadata(&self, address: &str, topics: TopicSelection) -> MetadataResponse {
        let names = match topics {
            TopicSelection::All | TopicSelection::AllAndInternal => vec![TOPIC.to_owned()],
            TopicSelection::Named(names) => names,
        };
        let partitions = (0..)
            .zip(&self.shards)
            .map(|(index, &shard)| PartitionMetadata {
                partition: PartitionIndex::new(index),
                leader: Some(BrokerId::new(1)),
                shard,
                leader_epoch: self.epoch,
                replicas: vec![BrokerId::new(1)],
                isr: vec![BrokerId::new(1)],
            });
        let known = TopicMetadata {
            name: TOPIC.to_owned(),
            error: ErrorCode::None,
            topic: self.topic,
            partitions: partitions.collect(),
        };
        let topics = names.into_iter().map(|name| match name.as_str() {
            TOPIC => known.clone(),
            _ => TopicMetadata::refused(name, ErrorCode::UnknownTopic),
        });
        MetadataResponse {
            cluster_id: "fake".to_owned(),
            controller: Some(BrokerId::new(1)),
            brokers: vec![BrokerMetadata {
                broker: BrokerId::new(1),
                address: address.to_owned(),
                shard_count: 4,
                rack: None,
            }],
            topics: topics.collect(),
        }
    }

    fn produce(
        &mut self,
        id: CorrelationId,
        request: &ProduceRequest<'_>,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut produced = Vec::new();
        for (one, range) in request.slices() {
            let batches = &payload[range];
            let stamp = stamp_of(batches);
            let number = stamp.map(|stamp| {
                let (id, epoch) = (stamp.id.get(), stamp.epoch.get());
                (one.id.partition, id, epoch, stamp.base_sequence.get())
            });
            let known = number.and_then(|number| self.numbered.get(&number).copied());
            if let Some((partition, id, epoch, found)) = number
                && known.is_none()
            {
                let next = self.next_numbers.entry((partition, id, epoch)).or_default();
                if *next != found {
                    let code = ErrorCode::OutOfOrderSequence;
                    produced.push(ProducedPartition::refused(one.id, code, "a gap"));
                    continue;
                }
                *next += u32::try_from(count_of(batches)).unwrap();
            }
            let base_offset = known.unwrap_or_else(|| self.append(one.id.partition, batches));
            if let Some(number) = number {
                self.numbered.insert(number, base_offset);
            }
            produced.push(ProducedPartition {
                error: ErrorCode::None,
                message: None,
                state: self.partition_state(one.id.partition),
                base_offset,
                level: AckLevel::AllDurable,
                ..ProducedPartition::refused(one.id, ErrorCode::None, "")
            });
        }
        answer(
            id,
            &ProduceResponseDraft {
                partitions: &produced,
                receipt: request.wants_receipt().then_some(RECEIPT),
                throttle_ms: 0,
            },
        )
    }

    fn fetch(&self, id: CorrelationId, request: &FetchRequest<'_>) -> (Vec<u8>, Vec<u8>) {
        let (mut fetched, mut payload) = (Vec::new(), Vec::new());
        for one in request.partitions() {
            let log = self.logs.get(&one.id.partition).map_or(&[][..], |log| log);
            let from = log.iter().filter(|(_, last, _)| *last >= one.offset);
            let bytes: Vec<u8> = from
                .take(2)
                .flat_map(|(_, _, bytes)| bytes.to_vec())
                .collect();
            fetched.push(FetchedPartition {
                message: None,
                state: self.partition_state(one.id.partition),
                len_bytes: u32::try_from(bytes.len()).unwrap(),
                ..FetchedPartition::refused(one.id, ErrorCode::None, "")
            });
            payload.extend(bytes);
        }
        (
            answer(
                id,
                &FetchResponseDraft {
                    partitions: &fetched,
                    throttle_ms: 0,
                },
            ),
            payload,
        )
    }

    fn list_offsets(&self, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let listed = request.partitions.into_iter().map(|one| {
            let log = self.logs.get(&one.id.partition).map_or(&[][..], |log| log);
            let found = match one.position {
                OffsetPosition::Earliest => Some((Offset::ZERO, None)),
                OffsetPosition::Latest => Some((self.end(one.id.partition), None)),
                OffsetPosition::Timestamp(time) => log.iter().find_map(|(base, _, bytes)| {
                    let batch = batches(bytes).next().unwrap().unwrap();
                    let max = batch.max_timestamp();
                    (max >= time).then_some((*base, Some(max)))
                }),
            };
            ListedOffset {
                id: one.id,
                error: ErrorCode::None,
                message: None,
                state: self.partition_state(one.id.partition),
                offset: found.map(|(offset, _)| offset),
                timestamp: found.and_then(|(_, time)| time),
            }
        });
        ListOffsetsResponse {
            partitions: listed.collect(),
        }
    }
}

fn count_of(payload: &[u8]) -> usize {
    let records = batches(payload).map(|batch| batch.unwrap().header().record_count.get());
    records.map(|count| usize::try_from(count).unwrap()).sum()
}

/// The number of the first batch, if it has one.
pub(crate) fn stamp_of(payload: &[u8]) -> Option<ProducerStamp> {
    let first = batches(payload).next()?.unwrap();
    first.header().producer().unwrap()
}

/// A produce refused for its only partition.
pub(crate) fn refuse_produce(asked: &Asked, code: ErrorCode) -> Say {
    let (_, body) = frame::parse(&asked.head).unwrap();
    let id = ProduceRequest::decode(body)
        .unwrap()
        .partitions()
        .next()
        .unwrap()
        .id;
    let refused = [ProducedPartition::refused(id, code, "as the script says")];
    Say::Bytes(answer(
        asked.id,
        &ProduceResponseDraft {
            partitions: &refused,
            receipt: None,
            throttle_ms: 0,
        },
    ))
}

/// A fetch refused for its first partition.
pub(crate) fn refuse_fetch(asked: &Asked, code: ErrorCode, agreed_end: Option<Offset>) -> Say {
    let (_, body) = frame::parse(&asked.head).unwrap();
    let id = FetchRequest::decode(body)
        .unwrap()
        .partitions()
        .next()
        .unwrap()
        .id;
    let refused = [FetchedPartition {
        agreed_end,
        ..FetchedPartition::refused(id, code, "as the script says")
    }];
    Say::Bytes(answer(
        asked.id,
        &FetchResponseDraft {
            partitions: &refused,
            throttle_ms: 0,
        },
    ))
}
