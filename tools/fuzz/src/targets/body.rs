//! The body of every message: the first two bytes of the input say of which, the next four how much payload its frame
//! announces, and the rest is the body, sealed into a frame with a right checksum.

use std::fmt::Debug;

use ringlog_wire::limits::{
    ERROR_MESSAGE_BYTES_MAX, GROUP_ID_BYTES_MAX, HEADER_BYTES, REQUEST_PARTITIONS_MAX,
};
use ringlog_wire::{
    AlterPartitionReassignmentRequest, AlterPartitionReassignmentResponse, AlterTopicRequest,
    AlterTopicResponse, Api, Body, CorrelationId, CreateTopicRequest, CreateTopicResponse,
    DecodeError, DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicRequest,
    DeleteTopicResponse, DescribeClusterRequest, DescribeClusterResponse, DescribeTopicRequest,
    DescribeTopicResponse, Direction, DrainBrokerRequest, DrainBrokerResponse, ElectLeadersRequest,
    ElectLeadersResponse, EncodeError, Encoder, ErrorResponse, FetchPartition, FetchRequest,
    FetchRequestDraft, FetchResponse, FetchResponseDraft, FetchedPartition, FrameHeader,
    HelloRequest, HelloResponse, InitProducerRequest, InitProducerResponse, ListOffsetsRequest,
    ListOffsetsResponse, Message, MetadataRequest, MetadataResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, ProducePartition,
    ProduceRequest, ProduceRequestDraft, ProduceResponse, ProduceResponseDraft, ProducedPartition,
    WatchClusterRequest, WatchClusterResponse, frame,
};

use super::unsealed;
use crate::script::Script;
use crate::{Target, corpus};

/// See the module.
pub const TARGET: Target = Target {
    name: "body",
    run: body,
    samples,
    seal: unsealed,
    // Tables that share bytes are many more when they are decoded: an element of 4 bytes names a partition of 200.
    memory_bytes_max: 32 << 20,
    rounds: 600_000,
};

const ID: CorrelationId = CorrelationId::new(7);

/// A body that is accepted keeps to the limits of its message, its slices fill the payload, and it comes back when it
/// is written again.
pub fn body(data: &[u8]) -> bool {
    let mut script = Script(data);
    let api = Api::ALL[usize::from(script.byte()) % Api::ALL.len()];
    let direction = match script.byte() % 3 {
        0 => Direction::Request,
        1 => Direction::Response,
        _ => Direction::Error,
    };
    let payload_len = script.word();
    let bytes = sealed(api, direction, payload_len, script.0);
    match frame::parse(&bytes) {
        Ok((_, body)) => decode(api, direction, body),
        Err(_) => false,
    }
}

fn decode(api: Api, direction: Direction, body: Body<'_>) -> bool {
    match (api, direction) {
        (_, Direction::Error) => error(body),
        (Api::Hello, Direction::Request) => owned(body, HelloRequest::decode),
        (Api::Hello, Direction::Response) => owned(body, HelloResponse::decode),
        (Api::Metadata, Direction::Request) => owned(body, MetadataRequest::decode),
        (Api::Metadata, Direction::Response) => owned(body, MetadataResponse::decode),
        (Api::Produce, Direction::Request) => produce_request(body),
        (Api::Produce, Direction::Response) => produce_response(body),
        (Api::Fetch, Direction::Request) => fetch_request(body),
        (Api::Fetch, Direction::Response) => fetch_response(body),
        (Api::ListOffsets, Direction::Request) => owned(body, |body| {
            let request = ListOffsetsRequest::decode(body)?;
            assert!(request.partitions.len() <= REQUEST_PARTITIONS_MAX);
            Ok(request)
        }),
        (Api::ListOffsets, Direction::Response) => owned(body, ListOffsetsResponse::decode),
        (Api::CreateTopic, Direction::Request) => owned(body, CreateTopicRequest::decode),
        (Api::CreateTopic, Direction::Response) => owned(body, CreateTopicResponse::decode),
        (Api::DeleteTopic, Direction::Request) => owned(body, DeleteTopicRequest::decode),
        (Api::DeleteTopic, Direction::Response) => owned(body, DeleteTopicResponse::decode),
        (Api::AlterTopic, Direction::Request) => owned(body, AlterTopicRequest::decode),
        (Api::AlterTopic, Direction::Response) => owned(body, AlterTopicResponse::decode),
        (Api::DescribeTopic, Direction::Request) => owned(body, DescribeTopicRequest::decode),
        (Api::DescribeTopic, Direction::Response) => owned(body, DescribeTopicResponse::decode),
        (Api::DescribeCluster, Direction::Request) => owned(body, DescribeClusterRequest::decode),
        (Api::DescribeCluster, Direction::Response) => owned(body, DescribeClusterResponse::decode),
        (Api::DeleteRecords, Direction::Request) => owned(body, |body| {
            let request = DeleteRecordsRequest::decode(body)?;
            assert!(request.partitions.len() <= REQUEST_PARTITIONS_MAX);
            Ok(request)
        }),
        (Api::DeleteRecords, Direction::Response) => owned(body, DeleteRecordsResponse::decode),
        (Api::InitProducer, Direction::Request) => owned(body, InitProducerRequest::decode),
        (Api::InitProducer, Direction::Response) => owned(body, InitProducerResponse::decode),
        (Api::OffsetCommit, Direction::Request) => owned(body, |body| {
            let request = OffsetCommitRequest::decode(body)?;
            assert!((1..=GROUP_ID_BYTES_MAX).contains(&request.group.len()));
            assert!(request.partitions.len() <= REQUEST_PARTITIONS_MAX);
            Ok(request)
        }),
        (Api::OffsetCommit, Direction::Response) => owned(body, OffsetCommitResponse::decode),
        (Api::OffsetFetch, Direction::Request) => owned(body, |body| {
            let request = OffsetFetchRequest::decode(body)?;
            assert!((1..=GROUP_ID_BYTES_MAX).contains(&request.group.len()));
            Ok(request)
        }),
        (Api::OffsetFetch, Direction::Response) => owned(body, OffsetFetchResponse::decode),
        (Api::DrainBroker, Direction::Request) => owned(body, DrainBrokerRequest::decode),
        (Api::DrainBroker, Direction::Response) => owned(body, DrainBrokerResponse::decode),
        (Api::ElectLeaders, Direction::Request) => owned(body, ElectLeadersRequest::decode),
        (Api::ElectLeaders, Direction::Response) => owned(body, ElectLeadersResponse::decode),
        (Api::AlterPartitionReassignment, Direction::Request) => {
            owned(body, AlterPartitionReassignmentRequest::decode)
        }
        (Api::AlterPartitionReassignment, Direction::Response) => {
            owned(body, AlterPartitionReassignmentResponse::decode)
        }
        (Api::WatchCluster, Direction::Request) => owned(body, WatchClusterRequest::decode),
        (Api::WatchCluster, Direction::Response) => owned(body, WatchClusterResponse::decode),
    }
}

/// A message that owns what it says. Texts that are over their limit are cut when they are written, so it is the
/// message that was written that must come back.
fn owned<M: Message + PartialEq + Debug>(
    body: Body<'_>,
    decode: impl Fn(Body<'_>) -> Result<M, DecodeError>,
) -> bool {
    let Ok(message) = decode(body) else {
        return false;
    };
    let Some(first) = encoded(Encoder::new().encode(ID, &message)) else {
        return true;
    };
    let again = decode(parsed(&first));
    let Ok(again) = again else {
        panic!("what was written is refused: {again:?}");
    };
    let second = encoded(Encoder::new().encode(ID, &again));
    assert_eq!(second.as_deref(), Some(&*first), "{again:?}");
    true
}

/// The frame, unless it does not fit: shared parts of the input are written apart.
fn encoded(frame: Result<bytes::Bytes, EncodeError>) -> Option<Vec<u8>> {
    frame.ok().map(|frame| frame.to_vec())
}

fn parsed(frame: &[u8]) -> Body<'_> {
    match frame::parse(frame) {
        Ok((_, body)) => body,
        Err(error) => panic!("a frame that was written is refused: {error}"),
    }
}

fn error(body: Body<'_>) -> bool {
    let decoded = ErrorResponse::decode(body);
    assert_eq!(body.refusal().ok().flatten(), decoded.clone().ok());
    let Ok(error) = decoded else {
        return false;
    };
    let frame = encoded(Encoder::new().encode_error(body.header().api_raw(), ID, &error));
    let Some(frame) = frame else {
        panic!("an error could not be written");
    };
    let Ok(again) = ErrorResponse::decode(parsed(&frame)) else {
        panic!("an error that was written is refused");
    };
    assert!(again.message.len() <= ERROR_MESSAGE_BYTES_MAX);
    assert!(error.message.starts_with(&again.message));
    assert_eq!(
        (again.code, again.retry_after_ms),
        (error.code, error.retry_after_ms)
    );
    true
}

/// Slices, one behind the other, that fill the payload.
fn fill(ranges: impl Iterator<Item = std::ops::Range<usize>>, payload_len: usize) {
    let end = ranges.fold(0, |end, range| {
        assert_eq!(range.start, end);
        range.end
    });
    assert_eq!(end, payload_len);
}

fn produce_request(body: Body<'_>) -> bool {
    let Ok(request) = ProduceRequest::decode(body) else {
        return false;
    };
    let partitions: Vec<ProducePartition> = request.partitions().collect();
    assert!(partitions.len() <= REQUEST_PARTITIONS_MAX);
    fill(
        request.slices().map(|(_, range)| range),
        body.header().payload_len(),
    );
    let draft = ProduceRequestDraft {
        acks: request.acks(),
        timeout_ms: request.timeout_ms(),
        partitions: &partitions,
        wants_receipt: false,
    };
    let Some(frame) = encoded(Encoder::new().encode(ID, &draft)) else {
        return true;
    };
    let Ok(again) = ProduceRequest::decode(parsed(&frame)) else {
        panic!("a produce that was written is refused");
    };
    assert!(again.partitions().eq(partitions.iter().copied()));
    assert_eq!(
        (again.acks(), again.timeout_ms()),
        (request.acks(), request.timeout_ms())
    );
    true
}

fn produce_response(body: Body<'_>) -> bool {
    let Ok(response) = ProduceResponse::decode(body) else {
        return false;
    };
    let partitions: Vec<ProducedPartition<'_>> = response.partitions().collect();
    let draft = ProduceResponseDraft {
        partitions: &partitions,
        receipt: None,
        throttle_ms: response.throttle_ms(),
    };
    let Some(frame) = encoded(Encoder::new().encode(ID, &draft)) else {
        return true;
    };
    let Ok(again) = ProduceResponse::decode(parsed(&frame)) else {
        panic!("an answer that was written is refused");
    };
    let content = |one: ProducedPartition<'_>| {
        let end = one.log_end;
        (one.id, one.error, one.state, one.base_offset, end)
    };
    let written = partitions.iter().copied().map(content);
    assert_eq!(again.throttle_ms(), response.throttle_ms());
    assert!(again.partitions().map(content).eq(written));
    true
}

fn fetch_request(body: Body<'_>) -> bool {
    let Ok(request) = FetchRequest::decode(body) else {
        return false;
    };
    let partitions: Vec<FetchPartition> = request.partitions().collect();
    assert!(partitions.len() <= REQUEST_PARTITIONS_MAX);
    let draft = FetchRequestDraft {
        max_wait_ms: request.max_wait_ms(),
        min_bytes: request.min_bytes(),
        max_bytes: request.max_bytes(),
        partitions: &partitions,
    };
    let Some(frame) = encoded(Encoder::new().encode(ID, &draft)) else {
        return true;
    };
    let Ok(again) = FetchRequest::decode(parsed(&frame)) else {
        panic!("a fetch that was written is refused");
    };
    assert!(again.partitions().eq(partitions.iter().copied()));
    true
}

fn fetch_response(body: Body<'_>) -> bool {
    let Ok(response) = FetchResponse::decode(body) else {
        return false;
    };
    let partitions: Vec<FetchedPartition<'_>> = response.partitions().collect();
    fill(
        response.slices().map(|(_, range)| range),
        body.header().payload_len(),
    );
    let draft = FetchResponseDraft {
        partitions: &partitions,
        throttle_ms: response.throttle_ms(),
    };
    let Some(frame) = encoded(Encoder::new().encode(ID, &draft)) else {
        return true;
    };
    let Ok(again) = FetchResponse::decode(parsed(&frame)) else {
        panic!("an answer that was written is refused");
    };
    let content = |one: FetchedPartition<'_>| (one.id, one.error, one.len_bytes, one.agreed_end);
    let written = partitions.iter().copied().map(content);
    assert_eq!(again.throttle_ms(), response.throttle_ms());
    assert!(again.partitions().map(content).eq(written));
    true
}

/// A frame of this message with this body, padded.
fn sealed(api: Api, direction: Direction, payload_len: u32, body: &[u8]) -> Vec<u8> {
    let flags = match direction {
        Direction::Request => 0,
        Direction::Response => 1,
        Direction::Error => 3,
    };
    let body_len = body.len().next_multiple_of(8);
    let mut bytes = frame::MAGIC.to_vec();
    bytes.extend([1, flags]);
    bytes.extend(api.to_wire().to_le_bytes());
    bytes.extend(ID.get().to_le_bytes());
    bytes.extend(u32::try_from(body_len).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(payload_len.to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes.resize(HEADER_BYTES + body_len, 0);
    super::frame::seal(&mut bytes);
    bytes
}

fn samples() -> Vec<Vec<u8>> {
    let frames = corpus::golden_frames();
    frames.iter().filter_map(|frame| input_of(frame)).collect()
}

/// The input that gives this frame.
fn input_of(frame: &[u8]) -> Option<Vec<u8>> {
    let header = FrameHeader::read(frame).ok()?;
    let number = Api::ALL
        .iter()
        .position(|api| api.to_wire() == header.api_raw())?;
    let direction = match header.direction() {
        Direction::Request => 0,
        Direction::Response => 1,
        Direction::Error => 2,
    };
    let mut input = vec![u8::try_from(number).ok()?, direction];
    input.extend(u32::try_from(header.payload_len()).ok()?.to_le_bytes());
    input.extend(frame.get(HEADER_BYTES..header.head_len())?);
    Some(input)
}
