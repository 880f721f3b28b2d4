//! ringlog by frames that were made beforehand: what a broker can do when the client costs what the raw one costs.
//!
//! Each connection goes to the shard of its partition and sends that partition the same few batches again and again.
//! Answers are told apart and checked; nothing else is done with them.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use ringlog_device::{Script, requests_of_round};
use ringlog_record::batch::{BatchBuilder, RecordData};
use ringlog_record::limits::BATCH_BYTES_MAX;
use ringlog_wire::limits::HEADER_BYTES;
use ringlog_wire::{
    Acks, CorrelationId, Encoder, ErrorCode, FrameHeader, HelloRequest, ProducePartition,
    ProduceRequestDraft, ProduceResponse, frame,
};

use super::ringlog::Ringlog;
use super::{
    ConsumerConnection, ConsumerSpec, Driver, DriverError, ProducerConnection, ProducerSpec,
    ReplaySpec, Replayed, StreamSpec,
};
use crate::payload::Request;

/// How long the broker may take for a request.
const TIMEOUT_MS: u32 = 30_000;

pub(super) struct Wire(Ringlog);

impl Wire {
    pub(super) async fn connect(bootstrap: &str) -> Result<Self, DriverError> {
        Ringlog::connect(bootstrap).await.map(Self)
    }
}

#[async_trait]
impl Driver for Wire {
    async fn describe(&self) -> Result<Vec<(String, String)>, DriverError> {
        self.0.describe().await
    }

    async fn create(&self, stream: &StreamSpec) -> Result<(), DriverError> {
        self.0.create(stream).await
    }

    async fn remove(&self, stream: &StreamSpec) -> Result<(), DriverError> {
        self.0.remove(stream).await
    }

    async fn producer(
        &self,
        _stream: &StreamSpec,
        _producer: ProducerSpec,
    ) -> Result<Arc<dyn ProducerConnection>, DriverError> {
        Err(only_replays())
    }

    async fn consumer(
        &self,
        _stream: &StreamSpec,
        _consumer: ConsumerSpec,
    ) -> Result<Box<dyn ConsumerConnection>, DriverError> {
        Err(only_replays())
    }

    async fn replay(
        &self,
        stream: &StreamSpec,
        spec: ReplaySpec,
    ) -> Result<Option<Replayed>, DriverError> {
        let places = self.0.places(&stream.name).await?;
        let scripts = places.iter().cycle().take(spec.connections);
        let scripts = scripts.map(|place| script(place, spec));
        Ok(Some(Replayed {
            scripts: scripts.collect::<Result<_, _>>()?,
            answer: Arc::new(answer),
        }))
    }
}

fn only_replays() -> DriverError {
    let message = "wire sends requests that were made beforehand, in a closed loop, to produce only: use ringlog to \
                   consume, to follow producers, with --rate, --keys or --receipts";
    DriverError::Unsupported(message.to_owned())
}

/// Where a partition is.
pub(super) struct Place {
    pub(super) address: String,
    pub(super) id: ringlog_record::TopicPartition,
    pub(super) shard: ringlog_record::ShardId,
}

fn script(place: &Place, spec: ReplaySpec) -> Result<Script, DriverError> {
    let address: SocketAddr = place.address.parse().map_err(|_| {
        let address = &place.address;
        DriverError::Unsupported(format!(
            "the broker calls itself {address}: wire needs a numeric address, such as 127.0.0.1:9400"
        ))
    })?;
    let mut encoder = Encoder::new();
    let software = concat!("ringlog-bench/", env!("CARGO_PKG_VERSION"));
    let hello = HelloRequest::new(Some(place.shard), software);
    let greeting = encoder.encode(CorrelationId::new(0), &hello);
    let greeting = greeting.map_err(DriverError::failed)?.to_vec();
    let first = request(&mut encoder, place, spec, 1)?;
    let count = requests_of_round(first.len(), spec.in_flight);
    let mut requests = vec![first];
    for number in 2..=count as u64 {
        requests.push(request(&mut encoder, place, spec, number)?);
    }
    Ok(Script {
        address,
        greeting,
        requests,
    })
}

fn request(
    encoder: &mut Encoder,
    place: &Place,
    spec: ReplaySpec,
    number: u64,
) -> Result<Vec<u8>, DriverError> {
    let values = Request::random(spec.batch_records, spec.record_bytes);
    let mut builder = BatchBuilder::new(BATCH_BYTES_MAX);
    for value in values.values() {
        let record = RecordData {
            value: Some(value),
            ..RecordData::default()
        };
        builder.append(&record).map_err(DriverError::failed)?;
    }
    let batch = builder.build().map_err(DriverError::failed)?;
    let batch_bytes = u32::try_from(batch.len()).map_err(DriverError::failed)?;
    let draft = ProduceRequestDraft {
        acks: Acks::All,
        timeout_ms: TIMEOUT_MS,
        partitions: &[ProducePartition::new(place.id, batch_bytes)],
        wants_receipt: false,
    };
    let head = encoder.encode(CorrelationId::new(number), &draft);
    let mut frame = head.map_err(DriverError::failed)?.to_vec();
    frame.extend_from_slice(&batch);
    Ok(frame)
}

/// The length of the answer in front, if it is all there and says that the records are stored.
fn answer(bytes: &[u8]) -> Result<Option<usize>, String> {
    if bytes.len() < HEADER_BYTES {
        return Ok(None);
    }
    let header = FrameHeader::read(bytes).map_err(|error| error.to_string())?;
    if bytes.len() < header.frame_len() {
        return Ok(None);
    }
    let (_, body) = frame::parse(bytes).map_err(|error| error.to_string())?;
    if let Some(refusal) = body.refusal().map_err(|error| error.to_string())? {
        return Err(refusal.message);
    }
    if header.api() == Ok(ringlog_wire::Api::Produce) {
        let response = ProduceResponse::decode(body).map_err(|error| error.to_string())?;
        for produced in response.partitions() {
            if produced.error != ErrorCode::None {
                let message = produced.message.unwrap_or(produced.error.sentence());
                return Err(message.to_owned());
            }
        }
    }
    Ok(Some(header.frame_len()))
}
