//! A client that knows nothing but the wire protocol, on the simulated reactor.

use bytes::Bytes;
use ringlog_reactor::{AlignedBuf, Reactor, TcpStream};
use ringlog_record::batch::{BatchBuilder, RecordData, batches};
use ringlog_record::{LeaderEpoch, Offset, PartitionIndex, ShardId, TopicPartition};
use ringlog_wire::{
    AckLevel, Acks, CorrelationId, CreateTopicRequest, CreateTopicResponse, Encoder, ErrorCode,
    ErrorResponse, FetchPartition, FetchRequestDraft, FetchResponse, FrameHeader, HelloRequest,
    HelloResponse, Message, MetadataRequest, MetadataResponse, ProducePartition,
    ProduceRequestDraft, ProduceResponse, Setting, TopicMetadata, TopicSelection, frame,
};

use crate::world::World;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    encoder: Encoder,
    received: Vec<u8>,
    next_id: u64,
}

/// A whole frame.
pub(crate) struct Frame {
    pub(crate) header: FrameHeader,
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    pub(crate) fn body(&self) -> ringlog_wire::Body<'_> {
        frame::parse(&self.bytes).unwrap().1
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.header.head_len()..]
    }

    pub(crate) fn refusal(&self) -> Option<ErrorResponse> {
        self.body().refusal().unwrap()
    }
}

/// A partition of a produce response, owned.
#[derive(Debug)]
pub(crate) struct Produced {
    pub(crate) error: ErrorCode,
    pub(crate) base_offset: u64,
    pub(crate) level: AckLevel,
    pub(crate) forwarded: bool,
}

/// A partition of a fetch response, owned.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) error: ErrorCode,
    pub(crate) values: Vec<Vec<u8>>,
    pub(crate) next_offset: u64,
    pub(crate) last_epoch: Option<LeaderEpoch>,
    pub(crate) agreed_end: Option<Offset>,
    pub(crate) high_watermark: u64,
    pub(crate) forwarded: bool,
}

impl Client {
    /// Connects without a word.
    pub(crate) async fn raw(reactor: &Reactor) -> Self {
        Self {
            stream: reactor.connect(World::address()).await.unwrap(),
            encoder: Encoder::new(),
            received: Vec::new(),
            next_id: 1,
        }
    }

    /// Connects and says hello.
    pub(crate) async fn connect(reactor: &Reactor, shard: Option<u16>) -> (Self, HelloResponse) {
        let mut client = Self::raw(reactor).await;
        let hello = HelloRequest::new(shard.map(ShardId::new), "test");
        let answer = client.call(&hello, &[]).await;
        let hello = HelloResponse::decode(answer.body()).unwrap();
        (client, hello)
    }

    /// Sends a request; gives its id.
    pub(crate) async fn send<M: Message>(&mut self, message: &M, payload: &[u8]) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let head = self
            .encoder
            .encode(CorrelationId::new(id), message)
            .unwrap();
        let payload = Bytes::copy_from_slice(payload);
        self.stream.send(&mut vec![head, payload]).await.unwrap();
        id
    }

    pub(crate) async fn send_bytes(&self, bytes: &[u8]) {
        let sent = self
            .stream
            .send(&mut vec![Bytes::copy_from_slice(bytes)])
            .await;
        sent.unwrap();
    }

    /// The next frame; `None` when the broker has closed the connection.
    pub(crate) async fn receive(&mut self) -> Option<Frame> {
        loop {
            if let Ok(header) = FrameHeader::read(&self.received)
                && self.received.len() >= header.frame_len()
            {
                let rest = self.received.split_off(header.frame_len());
                let bytes = std::mem::replace(&mut self.received, rest);
                return Some(Frame { header, bytes });
            }
            let buf = AlignedBuf::unpooled(64 << 10);
            let (received, buf) = self.stream.recv(buf, 0..64 << 10).await;
            match received {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.received.extend_from_slice(&buf[..count]),
            }
        }
    }

    pub(crate) async fn call<M: Message>(&mut self, message: &M, payload: &[u8]) -> Frame {
        let id = self.send(message, payload).await;
        let frame = self.receive().await.expect("an answer");
        assert_eq!(frame.header.correlation_id(), CorrelationId::new(id));
        frame
    }

    pub(crate) async fn create_topic(
        &mut self,
        name: &str,
        partitions: u32,
        settings: &[(&str, &str)],
    ) {
        let request = CreateTopicRequest {
            name: name.to_owned(),
            partitions,
            settings: settings
                .iter()
                .map(|(key, value)| Setting::new(*key, *value))
                .collect(),
            replication_factor: 0,
        };
        let answer = self.call(&request, &[]).await;
        assert_eq!(answer.refusal(), None);
        let created = CreateTopicResponse::decode(answer.body()).unwrap();
        assert_eq!(created.partitions, partitions);
    }

    pub(crate) async fn topic(&mut self, name: &str) -> TopicMetadata {
        let request = MetadataRequest {
            topics: TopicSelection::Named(vec![name.to_owned()]),
        };
        let answer = self.call(&request, &[]).await;
        let mut response = MetadataResponse::decode(answer.body()).unwrap();
        response.topics.remove(0)
    }

    pub(crate) async fn produce(&mut self, id: TopicPartition, values: &[&[u8]]) -> Produced {
        let batch = batch_of(values);
        let id_sent = self.send_produce(id, &batch, Acks::All).await;
        let frame = self.receive().await.expect("an answer");
        assert_eq!(frame.header.correlation_id(), CorrelationId::new(id_sent));
        produced(&frame)
    }

    pub(crate) async fn send_produce(
        &mut self,
        id: TopicPartition,
        batch: &[u8],
        acks: Acks,
    ) -> u64 {
        let partitions = [ProducePartition::new(
            id,
            u32::try_from(batch.len()).unwrap(),
        )];
        let draft = ProduceRequestDraft {
            acks,
            timeout_ms: 30_000,
            partitions: &partitions,
            wants_receipt: false,
        };
        self.send(&draft, batch).await
    }

    pub(crate) async fn fetch(
        &mut self,
        wanted: &[FetchPartition],
        min_bytes: u32,
        max_wait_ms: u32,
    ) -> Vec<Fetched> {
        let draft = FetchRequestDraft {
            max_wait_ms,
            min_bytes,
            max_bytes: 8 << 20,
            partitions: wanted,
        };
        let answer = self.call(&draft, &[]).await;
        assert_eq!(answer.refusal(), None);
        fetched(&answer)
    }

    /// All values of a partition from an offset on.
    pub(crate) async fn values(&mut self, id: TopicPartition, from: u64) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut next = from;
        loop {
            let found = self.fetch(&[wanted(id, next)], 1, 0).await.remove(0);
            assert_eq!(found.error, ErrorCode::None);
            if found.values.is_empty() {
                return all;
            }
            next = found.next_offset;
            all.extend(found.values);
        }
    }
}

pub(crate) fn produced(frame: &Frame) -> Produced {
    let response = ProduceResponse::decode(frame.body()).unwrap();
    let one = response.partitions().next().unwrap();
    Produced {
        error: one.error,
        base_offset: one.base_offset.get(),
        level: one.level,
        forwarded: one.forwarded,
    }
}

fn fetched(frame: &Frame) -> Vec<Fetched> {
    let response = FetchResponse::decode(frame.body()).unwrap();
    let all = response.slices().map(|(partition, range)| {
        let mut values = Vec::new();
        let (mut next_offset, mut last_epoch) = (0, None);
        for batch in batches(&frame.payload()[range]) {
            let batch = batch.unwrap();
            assert!(batch.crc_is_valid());
            for record in batch.records() {
                values.push(record.unwrap().value.unwrap().to_vec());
            }
            next_offset = batch.last_offset().next().get();
            last_epoch = batch.header().leader_epoch();
        }
        Fetched {
            error: partition.error,
            values,
            next_offset,
            last_epoch,
            agreed_end: partition.agreed_end,
            high_watermark: partition.state.high_watermark.get(),
            forwarded: partition.forwarded,
        }
    });
    all.collect()
}

pub(crate) fn wanted(id: TopicPartition, offset: u64) -> FetchPartition {
    FetchPartition {
        id,
        offset: Offset::new(offset),
        max_bytes: 1 << 20,
        last_epoch: None,
    }
}

pub(crate) fn partition(topic: &TopicMetadata, index: u32) -> TopicPartition {
    TopicPartition {
        topic: topic.topic,
        partition: PartitionIndex::new(index),
    }
}

pub(crate) fn shard_of(topic: &TopicMetadata, index: u32) -> u16 {
    topic.partitions[index as usize].shard.get()
}

pub(crate) fn batch_of(values: &[&[u8]]) -> Bytes {
    let mut builder = BatchBuilder::new(4 << 20);
    for value in values {
        let record = RecordData {
            value: Some(value),
            ..RecordData::default()
        };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}
