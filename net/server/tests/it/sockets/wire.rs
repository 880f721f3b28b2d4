//! A client that shows its hands: it sends what the test says, and waits for nothing of its own accord.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ringlog_reactor::{Reactor, TcpStream};
use ringlog_record::batch::{BatchBuilder, BatchView, RecordData};
use ringlog_record::{Offset, PartitionIndex, ShardId, TimestampMs, TopicPartition};
use ringlog_wire::limits::HEADER_BYTES;
use ringlog_wire::{
    AckLevel, Acks, Body, CorrelationId, CreateTopicRequest, CreateTopicResponse, Direction,
    Encoder, ErrorCode, ErrorResponse, FetchPartition, FetchRequestDraft, FetchResponse,
    FrameHeader, HelloRequest, HelloResponse, Message, MetadataRequest, MetadataResponse,
    PartitionState, ProducePartition, ProduceRequestDraft, ProduceResponse, Setting,
    TopicSelection, frame,
};

/// Longer than anything that is to happen takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A frame that came back.
pub(crate) struct Answer {
    pub(crate) head: Bytes,
    pub(crate) payload: Bytes,
}

impl Answer {
    pub(crate) fn header(&self) -> FrameHeader {
        FrameHeader::read(&self.head).unwrap()
    }

    pub(crate) fn id(&self) -> u64 {
        self.header().correlation_id().get()
    }

    pub(crate) fn body(&self) -> Body<'_> {
        frame::parse(&self.head).unwrap().1
    }

    /// The code of an error in place of an answer.
    pub(crate) fn refusal(&self) -> Option<ErrorCode> {
        let refused: Option<ErrorResponse> = self.body().refusal().unwrap();
        refused.map(|error| error.code)
    }
}

/// What became of a partition of a produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acked {
    pub(crate) error: ErrorCode,
    pub(crate) base_offset: Offset,
    pub(crate) level: AckLevel,
    pub(crate) forwarded: bool,
}

/// What came of a partition of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) error: ErrorCode,
    pub(crate) state: PartitionState,
    pub(crate) agreed_end: Option<Offset>,
    pub(crate) forwarded: bool,
    pub(crate) bytes: usize,
    /// Offset and value of each record.
    pub(crate) records: Vec<(Offset, Vec<u8>)>,
}

pub(crate) struct Wire {
    pub(crate) reactor: Reactor,
    pub(crate) stream: TcpStream,
    received: BytesMut,
    encoder: Encoder,
    next_id: u64,
}

/// A batch of one record for each value.
pub(crate) fn batch(values: &[&[u8]]) -> Bytes {
    let mut builder = BatchBuilder::new(4 << 20);
    for value in values {
        let record = RecordData {
            value: Some(value),
            timestamp: TimestampMs::new(1_000),
            ..RecordData::default()
        };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

/// A wish for all of a partition from `offset`.
pub(crate) fn from(id: TopicPartition, offset: u64) -> FetchPartition {
    FetchPartition {
        id,
        offset: Offset::new(offset),
        max_bytes: 1 << 20,
        last_epoch: None,
    }
}

impl Wire {
    /// A connection that has said nothing.
    pub(crate) async fn silent(reactor: &Reactor, address: SocketAddr) -> Self {
        Self {
            reactor: reactor.clone(),
            stream: reactor.connect(address).await.unwrap(),
            received: BytesMut::new(),
            encoder: Encoder::new(),
            next_id: 0,
        }
    }

    /// A connection to a shard, or to any.
    pub(crate) async fn connect(
        reactor: &Reactor,
        address: SocketAddr,
        shard: Option<u16>,
    ) -> Self {
        let mut wire = Self::silent(reactor, address).await;
        let shard = shard.map(ShardId::new);
        let answer = wire.ask(&HelloRequest::new(shard, "test"), &[]).await;
        let hello = HelloResponse::decode(answer.body()).unwrap();
        if let Some(shard) = shard {
            assert_eq!(hello.shard, shard);
        }
        wire
    }

    /// Header and body of a request, and its id.
    pub(crate) fn encode<M: Message>(&mut self, message: &M) -> (u64, Bytes) {
        self.next_id += 1;
        let id = CorrelationId::new(self.next_id);
        (self.next_id, self.encoder.encode(id, message).unwrap())
    }

    /// Sends a request; gives its id.
    pub(crate) async fn send<M: Message>(&mut self, message: &M, payload: &[Bytes]) -> u64 {
        let (id, head) = self.encode(message);
        self.send_bytes([&[head], payload].concat()).await;
        id
    }

    pub(crate) async fn send_bytes(&self, mut bytes: Vec<Bytes>) {
        self.stream.send(&mut bytes).await.unwrap();
    }

    /// The next answer; `None` when the broker has closed the connection.
    pub(crate) async fn receive(&mut self) -> Option<Answer> {
        let header = loop {
            if self.received.len() >= HEADER_BYTES {
                let header = FrameHeader::read(&self.received).unwrap();
                if self.received.len() >= header.frame_len() {
                    break header;
                }
            }
            let buf = self.reactor.buffer(64 << 10).unwrap();
            let room = buf.capacity();
            let receive = self.stream.recv(buf, 0..room);
            let received = self.reactor.timeout(PATIENCE, receive).await;
            let (result, buf) = received.expect("no answer, and no end");
            match result {
                Ok(0) | Err(_) => return None,
                Ok(bytes) => self.received.extend_from_slice(&buf[..bytes]),
            }
        };
        assert_ne!(header.direction(), Direction::Request);
        let head = self.received.split_to(header.head_len()).freeze();
        let payload = self.received.split_to(header.payload_len()).freeze();
        Some(Answer { head, payload })
    }

    pub(crate) async fn ask<M: Message>(&mut self, message: &M, payload: &[Bytes]) -> Answer {
        let id = self.send(message, payload).await;
        let answer = self.receive().await.expect("the connection was closed");
        assert_eq!(answer.id(), id);
        answer
    }

    /// Makes a topic; gives its partitions and the shard of each.
    pub(crate) async fn create_topic(
        &mut self,
        name: &str,
        partitions: u32,
        settings: &[(&str, &str)],
    ) -> Vec<(TopicPartition, ShardId)> {
        let settings = settings.iter();
        let request = CreateTopicRequest {
            name: name.to_owned(),
            partitions,
            settings: settings
                .map(|(key, value)| Setting::new(*key, *value))
                .collect(),
            replication_factor: 0,
        };
        let answer = self.ask(&request, &[]).await;
        let created = CreateTopicResponse::decode(answer.body()).unwrap();
        assert_eq!(created.partitions, partitions);
        self.partitions(name).await
    }

    /// The partitions of a topic and the shard of each.
    pub(crate) async fn partitions(&mut self, name: &str) -> Vec<(TopicPartition, ShardId)> {
        let request = MetadataRequest {
            topics: TopicSelection::Named(vec![name.to_owned()]),
        };
        let answer = self.ask(&request, &[]).await;
        let metadata = MetadataResponse::decode(answer.body()).unwrap();
        let topic = &metadata.topics[0];
        let partitions = topic.partitions.iter().map(|one| {
            let id = TopicPartition {
                topic: topic.topic,
                partition: PartitionIndex::new(one.partition.get()),
            };
            (id, one.shard)
        });
        partitions.collect()
    }

    pub(crate) async fn send_produce(
        &mut self,
        acks: Acks,
        batches: &[(TopicPartition, Bytes)],
    ) -> u64 {
        let partitions = batches
            .iter()
            .map(|(id, batch)| ProducePartition::new(*id, u32::try_from(batch.len()).unwrap()));
        let draft = ProduceRequestDraft {
            acks,
            timeout_ms: 30_000,
            partitions: &partitions.collect::<Vec<_>>(),
            wants_receipt: false,
        };
        let payload: Vec<_> = batches.iter().map(|(_, batch)| batch.clone()).collect();
        self.send(&draft, &payload).await
    }

    pub(crate) async fn produce(
        &mut self,
        acks: Acks,
        batches: &[(TopicPartition, Bytes)],
    ) -> Vec<Acked> {
        let id = self.send_produce(acks, batches).await;
        let answer = self.receive().await.expect("the connection was closed");
        assert_eq!(answer.id(), id);
        acked(&answer)
    }

    pub(crate) async fn send_fetch(
        &mut self,
        min_bytes: u32,
        max_wait_ms: u32,
        partitions: &[FetchPartition],
    ) -> u64 {
        let draft = FetchRequestDraft {
            max_wait_ms,
            min_bytes,
            max_bytes: 8 << 20,
            partitions,
        };
        self.send(&draft, &[]).await
    }

    pub(crate) async fn fetch(
        &mut self,
        min_bytes: u32,
        max_wait_ms: u32,
        partitions: &[FetchPartition],
    ) -> Vec<Found> {
        let id = self.send_fetch(min_bytes, max_wait_ms, partitions).await;
        let answer = self.receive().await.expect("the connection was closed");
        assert_eq!(answer.id(), id);
        found(&answer)
    }
}

pub(crate) fn acked(answer: &Answer) -> Vec<Acked> {
    assert_eq!(answer.refusal(), None);
    let response = ProduceResponse::decode(answer.body()).unwrap();
    let partitions = response.partitions().map(|one| Acked {
        error: one.error,
        base_offset: one.base_offset,
        level: one.level,
        forwarded: one.forwarded,
    });
    partitions.collect()
}

pub(crate) fn found(answer: &Answer) -> Vec<Found> {
    assert_eq!(answer.refusal(), None);
    let response = FetchResponse::decode(answer.body()).unwrap();
    let partitions = response.slices().map(|(one, range)| Found {
        error: one.error,
        state: one.state,
        agreed_end: one.agreed_end,
        forwarded: one.forwarded,
        bytes: range.len(),
        records: records(&answer.payload[range]),
    });
    partitions.collect()
}

fn records(mut batches: &[u8]) -> Vec<(Offset, Vec<u8>)> {
    let mut all = Vec::new();
    while !batches.is_empty() {
        let view = BatchView::parse(batches).unwrap();
        assert!(view.crc_is_valid());
        for record in view.records() {
            let record = record.unwrap();
            all.push((record.offset, record.value.unwrap_or_default().to_vec()));
        }
        batches = &batches[view.len_bytes()..];
    }
    all
}
