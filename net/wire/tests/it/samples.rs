//! One frame of every message, with every field set to something that shows.

use bytes::Bytes;
use ringlog_record::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, ShardId, TimestampMs,
    TopicId, TopicPartition,
};
use ringlog_wire::*;

/// A frame with its name.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) bytes: Bytes,
}

pub(crate) const CORRELATION_ID: CorrelationId = CorrelationId::new(0x0102_0304_0506_0708);
pub(crate) const TOPIC: TopicId = TopicId::new(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);

pub(crate) fn id(partition: u32) -> TopicPartition {
    TopicPartition {
        topic: TOPIC,
        partition: PartitionIndex::new(partition),
    }
}

fn state() -> PartitionState {
    PartitionState {
        high_watermark: Offset::new(1_000),
        log_start: Offset::new(10),
        leader_epoch: LeaderEpoch::new(7),
    }
}

fn settings() -> Vec<Setting> {
    let default = Setting {
        is_default: true,
        ..Setting::new("durability", "sync")
    };
    vec![Setting::new("retention_ms", "7d"), default]
}

/// Encodes `message`, decodes it again, and compares.
fn owned<M>(
    samples: &mut Vec<Sample>,
    name: &'static str,
    message: &M,
    decode: impl Fn(Body<'_>) -> Result<M, DecodeError>,
) where
    M: Message + PartialEq + std::fmt::Debug,
{
    let bytes = Encoder::new().encode(CORRELATION_ID, message).unwrap();
    let (header, body) = frame::parse(&bytes).unwrap();
    assert_eq!(header.api(), Ok(M::API), "{name}");
    assert_eq!(header.direction(), M::DIRECTION, "{name}");
    assert_eq!(header.correlation_id(), CORRELATION_ID, "{name}");
    assert_eq!(header.frame_len(), bytes.len(), "{name}");
    assert_eq!(body.refusal(), Ok(None), "{name}");
    assert_eq!(decode(body).as_ref(), Ok(message), "{name}");
    samples.push(Sample { name, bytes });
}

pub(crate) fn all() -> Vec<Sample> {
    let mut samples = Vec::new();
    connection(&mut samples);
    metadata(&mut samples);
    produce(&mut samples);
    fetch(&mut samples);
    offsets(&mut samples);
    committed_offsets(&mut samples);
    topics(&mut samples);
    describe(&mut samples);
    samples
}

fn connection(samples: &mut Vec<Sample>) {
    let hello = HelloRequest {
        features: 0x55,
        ..HelloRequest::new(Some(ShardId::new(3)), "ringlog-client 0.1.0")
    };
    owned(samples, "hello_request", &hello, HelloRequest::decode);
    let anywhere = HelloRequest::new(None, "");
    owned(
        samples,
        "hello_request_any_shard",
        &anywhere,
        HelloRequest::decode,
    );
    let answer = HelloResponse {
        version: 1,
        features: 0x11,
        cluster_id: "cluster".to_owned(),
        broker: BrokerId::new(2),
        shard: ShardId::new(3),
        shard_count: 4,
        software: "ringlog 0.1.0".to_owned(),
    };
    owned(samples, "hello_response", &answer, HelloResponse::decode);

    let error = ErrorResponse::new(ErrorCode::Throttled, "the shard's queue is full")
        .with_retry_after_ms(50);
    let bytes = Encoder::new()
        .encode_error(Api::Produce.to_wire(), CORRELATION_ID, &error)
        .unwrap();
    let (header, body) = frame::parse(&bytes).unwrap();
    assert_eq!(header.direction(), Direction::Error);
    assert_eq!(body.refusal(), Ok(Some(error)));
    samples.push(Sample {
        name: "error_response",
        bytes,
    });
}

fn metadata(samples: &mut Vec<Sample>) {
    let all = MetadataRequest {
        topics: TopicSelection::All,
    };
    owned(
        samples,
        "metadata_request_all",
        &all,
        MetadataRequest::decode,
    );
    let named = MetadataRequest {
        topics: TopicSelection::Named(vec!["orders".to_owned(), "events".to_owned()]),
    };
    let internal = MetadataRequest {
        topics: TopicSelection::AllAndInternal,
    };
    owned(
        samples,
        "metadata_request_all_and_internal",
        &internal,
        MetadataRequest::decode,
    );
    owned(
        samples,
        "metadata_request_named",
        &named,
        MetadataRequest::decode,
    );
    let none = MetadataRequest {
        topics: TopicSelection::Named(Vec::new()),
    };
    owned(
        samples,
        "metadata_request_none",
        &none,
        MetadataRequest::decode,
    );
    let partition = |index, leader| PartitionMetadata {
        partition: PartitionIndex::new(index),
        leader,
        shard: ShardId::new(1),
        leader_epoch: LeaderEpoch::new(7),
        replicas: vec![BrokerId::new(1), BrokerId::new(2)],
        isr: vec![BrokerId::new(1)],
    };
    let response = MetadataResponse {
        cluster_id: "cluster".to_owned(),
        controller: Some(BrokerId::new(1)),
        brokers: vec![BrokerMetadata {
            broker: BrokerId::new(1),
            address: "127.0.0.1:9400".to_owned(),
            shard_count: 2,
            rack: Some("left".to_owned()),
        }],
        topics: vec![
            TopicMetadata {
                name: "orders".to_owned(),
                error: ErrorCode::None,
                topic: TOPIC,
                partitions: vec![partition(0, Some(BrokerId::new(1))), partition(1, None)],
            },
            TopicMetadata::refused("events", ErrorCode::UnknownTopic),
        ],
    };
    owned(
        samples,
        "metadata_response",
        &response,
        MetadataResponse::decode,
    );
}

fn produce(samples: &mut Vec<Sample>) {
    let partitions = [
        ProducePartition::new(id(0), 61),
        ProducePartition::new(id(5), 100),
    ];
    let draft = ProduceRequestDraft {
        acks: Acks::Leader,
        timeout_ms: 30_000,
        partitions: &partitions,
        wants_receipt: false,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let (header, body) = frame::parse(&bytes).unwrap();
    assert_eq!(header.payload_len(), 161);
    let request = ProduceRequest::decode(body).unwrap();
    assert!(!request.wants_receipt());
    assert_eq!(
        (request.acks(), request.timeout_ms()),
        (Acks::Leader, 30_000)
    );
    assert!(request.partitions().eq(partitions));
    let ranges: Vec<_> = request.slices().map(|(_, range)| range).collect();
    assert_eq!(ranges, [0..61, 61..161]);
    samples.push(Sample {
        name: "produce_request",
        bytes,
    });

    let results = [
        ProducedPartition {
            id: id(0),
            error: ErrorCode::None,
            message: None,
            state: state(),
            base_offset: Offset::new(998),
            level: AckLevel::LeaderDurable,
            forwarded: true,
            log_end: None,
        },
        ProducedPartition::refused(id(5), ErrorCode::NoSpace, "the disk is full"),
    ];
    let draft = ProduceResponseDraft {
        partitions: &results,
        receipt: None,
        throttle_ms: 0,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let (_, body) = frame::parse(&bytes).unwrap();
    assert!(
        ProduceResponse::decode(body)
            .unwrap()
            .partitions()
            .eq(results)
    );
    samples.push(Sample {
        name: "produce_response",
        bytes,
    });
    produce_with_receipt(samples);
    produce_conditionally(samples);
}

fn produce_conditionally(samples: &mut Vec<Sample>) {
    let partitions = [
        ProducePartition {
            expected_offset: Some(Offset::new(998)),
            ..ProducePartition::new(id(0), 61)
        },
        ProducePartition {
            expected_offset: Some(Offset::ZERO),
            ..ProducePartition::new(id(1), 61)
        },
        ProducePartition::new(id(5), 100),
    ];
    let draft = ProduceRequestDraft {
        acks: Acks::All,
        timeout_ms: 30_000,
        partitions: &partitions,
        wants_receipt: false,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let (_, body) = frame::parse(&bytes).unwrap();
    let request = ProduceRequest::decode(body).unwrap();
    assert!(request.partitions().eq(partitions));
    samples.push(Sample {
        name: "produce_request_conditional",
        bytes,
    });

    let results = [ProducedPartition {
        state: state(),
        log_end: Some(Offset::new(1_001)),
        ..ProducedPartition::refused(id(0), ErrorCode::UnexpectedOffset, "the log ends at 1001")
    }];
    let draft = ProduceResponseDraft {
        partitions: &results,
        receipt: None,
        throttle_ms: 7,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let (_, body) = frame::parse(&bytes).unwrap();
    let response = ProduceResponse::decode(body).unwrap();
    assert_eq!(response.throttle_ms(), 7);
    assert!(response.partitions().eq(results));
    samples.push(Sample {
        name: "produce_response_conditional_throttled",
        bytes,
    });
}

fn produce_with_receipt(samples: &mut Vec<Sample>) {
    let partitions = [ProducePartition::new(id(0), 61)];
    let draft = ProduceRequestDraft {
        acks: Acks::All,
        timeout_ms: 30_000,
        partitions: &partitions,
        wants_receipt: true,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let (_, body) = frame::parse(&bytes).unwrap();
    assert!(ProduceRequest::decode(body).unwrap().wants_receipt());
    samples.push(Sample {
        name: "produce_request_with_receipt",
        bytes,
    });

    let results = [ProducedPartition {
        id: id(0),
        error: ErrorCode::None,
        message: None,
        state: state(),
        base_offset: Offset::new(998),
        level: AckLevel::AllDurable,
        forwarded: false,
        log_end: None,
    }];
    let receipt = ProduceReceipt {
        queued_ns: 1_000,
        appended_ns: 2_000,
        flushed_ns: 150_000,
        replicated_ns: 0,
        replied_ns: 3_000,
    };
    let draft = ProduceResponseDraft {
        partitions: &results,
        receipt: Some(receipt),
        throttle_ms: 0,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let (_, body) = frame::parse(&bytes).unwrap();
    let response = ProduceResponse::decode(body).unwrap();
    assert_eq!(response.receipt(), Some(receipt));
    assert!(response.partitions().eq(results));
    samples.push(Sample {
        name: "produce_response_with_receipt",
        bytes,
    });
}

fn fetch(samples: &mut Vec<Sample>) {
    let partition = |index, last_epoch| FetchPartition {
        id: id(index),
        offset: Offset::new(1_000),
        max_bytes: 1 << 20,
        last_epoch,
    };
    let partitions = [partition(0, Some(LeaderEpoch::new(0))), partition(5, None)];
    let draft = FetchRequestDraft {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 4 << 20,
        partitions: &partitions,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let (_, body) = frame::parse(&bytes).unwrap();
    let request = FetchRequest::decode(body).unwrap();
    assert_eq!(request.max_wait_ms(), 500);
    assert_eq!(request.min_bytes(), 1);
    assert_eq!(request.max_bytes(), 4 << 20);
    assert!(request.partitions().eq(partitions));
    samples.push(Sample {
        name: "fetch_request",
        bytes,
    });

    let fetched = |index, len_bytes| FetchedPartition {
        id: id(index),
        error: ErrorCode::None,
        message: None,
        state: state(),
        len_bytes,
        agreed_end: None,
        forwarded: true,
    };
    let truncated = FetchedPartition {
        agreed_end: Some(Offset::new(900)),
        ..FetchedPartition::refused(id(2), ErrorCode::LogTruncated, "the log ends at 900")
    };
    let results = [fetched(0, 61), truncated, fetched(5, 0), fetched(6, 39)];
    let draft = FetchResponseDraft {
        partitions: &results,
        throttle_ms: 0,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let (header, body) = frame::parse(&bytes).unwrap();
    assert_eq!(header.payload_len(), 100);
    let response = FetchResponse::decode(body).unwrap();
    assert!(response.partitions().eq(results));
    let ranges: Vec<_> = response.slices().map(|(_, range)| range).collect();
    assert_eq!(ranges, [0..61, 61..61, 61..61, 61..100]);
    samples.push(Sample {
        name: "fetch_response",
        bytes,
    });

    let draft = FetchResponseDraft {
        partitions: &results,
        throttle_ms: 12,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let (_, body) = frame::parse(&bytes).unwrap();
    assert_eq!(FetchResponse::decode(body).unwrap().throttle_ms(), 12);
    samples.push(Sample {
        name: "fetch_response_throttled",
        bytes,
    });
}

fn offsets(samples: &mut Vec<Sample>) {
    let at = |index, position| ListOffsetsPartition {
        id: id(index),
        position,
    };
    let request = ListOffsetsRequest {
        partitions: vec![
            at(0, OffsetPosition::Earliest),
            at(1, OffsetPosition::Latest),
            at(2, OffsetPosition::Timestamp(TimestampMs::new(-5))),
        ],
    };
    owned(
        samples,
        "list_offsets_request",
        &request,
        ListOffsetsRequest::decode,
    );
    let found = ListedOffset {
        id: id(2),
        error: ErrorCode::None,
        message: None,
        state: state(),
        offset: Some(Offset::new(0)),
        timestamp: Some(TimestampMs::new(-5)),
    };
    let missing = ListedOffset {
        id: id(3),
        error: ErrorCode::NotLeader,
        message: Some("broker 2 leads".to_owned()),
        offset: None,
        timestamp: None,
        ..found.clone()
    };
    let response = ListOffsetsResponse {
        partitions: vec![found, missing],
    };
    owned(
        samples,
        "list_offsets_response",
        &response,
        ListOffsetsResponse::decode,
    );

    let request = DeleteRecordsRequest {
        partitions: vec![DeleteRecordsPartition {
            id: id(1),
            before: Offset::new(500),
        }],
    };
    owned(
        samples,
        "delete_records_request",
        &request,
        DeleteRecordsRequest::decode,
    );
    let response = DeleteRecordsResponse {
        partitions: vec![DeletedRecords {
            id: id(1),
            error: ErrorCode::OffsetOutOfRange,
            message: Some("the high watermark is 400".to_owned()),
            state: state(),
        }],
    };
    owned(
        samples,
        "delete_records_response",
        &response,
        DeleteRecordsResponse::decode,
    );
}

fn committed_offsets(samples: &mut Vec<Sample>) {
    let request = OffsetCommitRequest {
        group: "billing".to_owned(),
        partitions: vec![
            OffsetCommitPartition {
                id: id(0),
                offset: Offset::new(998),
                leader_epoch: Some(LeaderEpoch::new(7)),
                metadata: "since Monday".to_owned(),
            },
            OffsetCommitPartition {
                id: id(1),
                offset: Offset::ZERO,
                leader_epoch: None,
                metadata: String::new(),
            },
        ],
    };
    owned(
        samples,
        "offset_commit_request",
        &request,
        OffsetCommitRequest::decode,
    );
    let done = OffsetCommitted {
        id: id(0),
        error: ErrorCode::None,
        message: None,
        state: state(),
    };
    let refused = OffsetCommitted {
        id: id(1),
        error: ErrorCode::UnknownPartition,
        message: Some("there is no such partition".to_owned()),
        state: PartitionState::default(),
    };
    let response = OffsetCommitResponse {
        partitions: vec![done, refused],
    };
    owned(
        samples,
        "offset_commit_response",
        &response,
        OffsetCommitResponse::decode,
    );

    let request = |partitions| OffsetFetchRequest {
        group: "billing".to_owned(),
        partitions,
    };
    owned(
        samples,
        "offset_fetch_request",
        &request(Some(vec![id(0), id(1)])),
        OffsetFetchRequest::decode,
    );
    owned(
        samples,
        "offset_fetch_request_all",
        &request(None),
        OffsetFetchRequest::decode,
    );
    let found = CommittedOffset {
        state: state(),
        offset: Some(Offset::new(998)),
        leader_epoch: Some(LeaderEpoch::new(7)),
        metadata: "since Monday".to_owned(),
        committed_at: Some(TimestampMs::new(1_700_000_000_000)),
        ..CommittedOffset::none(id(0))
    };
    let unknown = CommittedOffset {
        error: ErrorCode::UnknownPartition,
        message: Some("there is no such partition".to_owned()),
        ..CommittedOffset::none(id(2))
    };
    let response = OffsetFetchResponse {
        partitions: vec![found, CommittedOffset::none(id(1)), unknown],
    };
    owned(
        samples,
        "offset_fetch_response",
        &response,
        OffsetFetchResponse::decode,
    );
}

fn topics(samples: &mut Vec<Sample>) {
    let request = CreateTopicRequest {
        name: "orders".to_owned(),
        partitions: 4,
        settings: settings(),
        replication_factor: 0,
    };
    owned(
        samples,
        "create_topic_request",
        &request,
        CreateTopicRequest::decode,
    );
    let request = CreateTopicRequest {
        replication_factor: 3,
        ..request
    };
    owned(
        samples,
        "create_topic_request_replicated",
        &request,
        CreateTopicRequest::decode,
    );
    let response = CreateTopicResponse {
        topic: TOPIC,
        partitions: 4,
        settings: settings(),
    };
    owned(
        samples,
        "create_topic_response",
        &response,
        CreateTopicResponse::decode,
    );
    let request = DeleteTopicRequest {
        name: "orders".to_owned(),
    };
    owned(
        samples,
        "delete_topic_request",
        &request,
        DeleteTopicRequest::decode,
    );
    let response = DeleteTopicResponse { topic: TOPIC };
    owned(
        samples,
        "delete_topic_response",
        &response,
        DeleteTopicResponse::decode,
    );
    owned(
        samples,
        "init_producer_request",
        &InitProducerRequest,
        InitProducerRequest::decode,
    );
    let response = InitProducerResponse {
        producer_id: ProducerId::new(4711),
        producer_epoch: ProducerEpoch::new(3),
    };
    owned(
        samples,
        "init_producer_response",
        &response,
        InitProducerResponse::decode,
    );
    let request = AlterTopicRequest {
        name: "orders".to_owned(),
        set: settings(),
        unset: vec!["retention_bytes".to_owned()],
        partition: None,
    };
    owned(
        samples,
        "alter_topic_request",
        &request,
        AlterTopicRequest::decode,
    );
    let request = AlterTopicRequest {
        set: vec![Setting::new("durability", "memory")],
        unset: Vec::new(),
        partition: Some(PartitionIndex::new(3)),
        ..request
    };
    owned(
        samples,
        "alter_topic_request_of_a_partition",
        &request,
        AlterTopicRequest::decode,
    );
    let response = AlterTopicResponse {
        topic: TOPIC,
        settings: settings(),
        pending: Vec::new(),
    };
    owned(
        samples,
        "alter_topic_response",
        &response,
        AlterTopicResponse::decode,
    );
    let response = AlterTopicResponse {
        pending: vec![PartitionIndex::new(0), PartitionIndex::new(3)],
        ..response
    };
    owned(
        samples,
        "alter_topic_response_with_pending",
        &response,
        AlterTopicResponse::decode,
    );
}

fn describe(samples: &mut Vec<Sample>) {
    let request = DescribeTopicRequest {
        name: "orders".to_owned(),
    };
    owned(
        samples,
        "describe_topic_request",
        &request,
        DescribeTopicRequest::decode,
    );
    let mut response = DescribeTopicResponse {
        name: "orders".to_owned(),
        topic: TOPIC,
        settings: settings(),
        partitions: vec![DescribedPartition {
            partition: PartitionIndex::new(3),
            error: ErrorCode::StorageFailed,
            message: Some("fdatasync failed".to_owned()),
            state: state(),
            leader: Some(BrokerId::new(1)),
            shard: ShardId::new(1),
            replicas: vec![BrokerId::new(1)],
            isr: vec![BrokerId::new(1)],
            log_end: Offset::new(1_001),
            size_bytes: 1 << 40,
            segments: 12,
            durability: None,
            own_durability: None,
            adding: Vec::new(),
            removing: Vec::new(),
        }],
    };
    owned(
        samples,
        "describe_topic_response",
        &response,
        DescribeTopicResponse::decode,
    );
    for partition in &mut response.partitions {
        partition.durability = Some("sync".to_owned());
        partition.own_durability = Some("memory".to_owned());
    }
    owned(
        samples,
        "describe_topic_response_with_durability",
        &response,
        DescribeTopicResponse::decode,
    );
    for partition in &mut response.partitions {
        partition.replicas = vec![BrokerId::new(2), BrokerId::new(1)];
        partition.adding = vec![BrokerId::new(2)];
        partition.removing = vec![BrokerId::new(1)];
    }
    owned(
        samples,
        "describe_topic_response_reassigned",
        &response,
        DescribeTopicResponse::decode,
    );
    owned(
        samples,
        "describe_cluster_request",
        &DescribeClusterRequest,
        DescribeClusterRequest::decode,
    );
    let response = DescribeClusterResponse {
        cluster_id: "cluster".to_owned(),
        controller: Some(BrokerId::new(1)),
        brokers: vec![DescribedBroker {
            broker: BrokerId::new(1),
            address: "127.0.0.1:9400".to_owned(),
            shard_count: 2,
            rack: None,
            broker_epoch: 77,
            software: "ringlog 0.1.0".to_owned(),
            leaders: 9,
            state: None,
        }],
        topics: 3,
        partitions: 9,
        controller_epoch: 0,
        revision: 0,
    };
    owned(
        samples,
        "describe_cluster_response",
        &response,
        DescribeClusterResponse::decode,
    );
    let mut response = DescribeClusterResponse {
        controller_epoch: 4,
        revision: 30,
        ..response
    };
    for broker in &mut response.brokers {
        broker.state = Some("active".to_owned());
    }
    owned(
        samples,
        "describe_cluster_response_with_states",
        &response,
        DescribeClusterResponse::decode,
    );
    let request = WatchClusterRequest {
        seen: 7,
        max_wait_ms: 30_000,
    };
    owned(
        samples,
        "watch_cluster_request",
        &request,
        WatchClusterRequest::decode,
    );
    let response = WatchClusterResponse { picture: 8 };
    owned(
        samples,
        "watch_cluster_response",
        &response,
        WatchClusterResponse::decode,
    );
    let request = DrainBrokerRequest {
        broker: BrokerId::new(2),
    };
    owned(
        samples,
        "drain_broker_request",
        &request,
        DrainBrokerRequest::decode,
    );
    let response = DrainBrokerResponse { leaders: 3 };
    owned(
        samples,
        "drain_broker_response",
        &response,
        DrainBrokerResponse::decode,
    );
    for (name, topic) in [
        ("elect_leaders_request", Some("orders".to_owned())),
        ("elect_leaders_request_of_all", None),
    ] {
        let request = ElectLeadersRequest { topic };
        owned(samples, name, &request, ElectLeadersRequest::decode);
    }
    let response = ElectLeadersResponse { moved: 4 };
    owned(
        samples,
        "elect_leaders_response",
        &response,
        ElectLeadersResponse::decode,
    );
    reassignment(samples);
}

fn reassignment(samples: &mut Vec<Sample>) {
    let brokers = |ids: &[u32]| ids.iter().copied().map(BrokerId::new).collect::<Vec<_>>();
    for (name, replicas) in [
        (
            "alter_partition_reassignment_request",
            Some(brokers(&[2, 3])),
        ),
        ("alter_partition_reassignment_request_to_cancel", None),
    ] {
        let request = AlterPartitionReassignmentRequest {
            topic: "orders".to_owned(),
            partition: PartitionIndex::new(3),
            replicas,
        };
        owned(
            samples,
            name,
            &request,
            AlterPartitionReassignmentRequest::decode,
        );
    }
    let response = AlterPartitionReassignmentResponse {
        replicas: brokers(&[2, 3, 1]),
        adding: brokers(&[3]),
        removing: brokers(&[1]),
    };
    owned(
        samples,
        "alter_partition_reassignment_response",
        &response,
        AlterPartitionReassignmentResponse::decode,
    );
}

/// Decodes the frame as whatever it says it is, to the last field; true when all of it is valid.
pub(crate) fn decode_whatever(bytes: &[u8]) -> bool {
    let Ok((header, body)) = frame::parse(bytes) else {
        return false;
    };
    let Ok(api) = header.api() else {
        return false;
    };
    decode_body(api, header.direction(), body)
}

/// Decodes the body as this message, to the last field.
pub(crate) fn decode_body(api: Api, direction: Direction, body: Body<'_>) -> bool {
    match (api, direction) {
        (_, Direction::Error) => ErrorResponse::decode(body).is_ok(),
        (Api::Hello, Direction::Request) => HelloRequest::decode(body).is_ok(),
        (Api::Hello, Direction::Response) => HelloResponse::decode(body).is_ok(),
        (Api::Metadata, Direction::Request) => MetadataRequest::decode(body).is_ok(),
        (Api::Metadata, Direction::Response) => MetadataResponse::decode(body).is_ok(),
        (Api::Produce, Direction::Request) => {
            ProduceRequest::decode(body).is_ok_and(|request| request.slices().count() < usize::MAX)
        }
        (Api::Produce, Direction::Response) => ProduceResponse::decode(body)
            .is_ok_and(|response| response.partitions().count() < usize::MAX),
        (Api::Fetch, Direction::Request) => FetchRequest::decode(body)
            .is_ok_and(|request| request.partitions().count() < usize::MAX),
        (Api::Fetch, Direction::Response) => {
            FetchResponse::decode(body).is_ok_and(|response| response.slices().count() < usize::MAX)
        }
        (Api::ListOffsets, Direction::Request) => ListOffsetsRequest::decode(body).is_ok(),
        (Api::ListOffsets, Direction::Response) => ListOffsetsResponse::decode(body).is_ok(),
        (Api::CreateTopic, Direction::Request) => CreateTopicRequest::decode(body).is_ok(),
        (Api::CreateTopic, Direction::Response) => CreateTopicResponse::decode(body).is_ok(),
        (Api::InitProducer, Direction::Request) => InitProducerRequest::decode(body).is_ok(),
        (Api::InitProducer, Direction::Response) => InitProducerResponse::decode(body).is_ok(),
        (Api::DrainBroker, Direction::Request) => DrainBrokerRequest::decode(body).is_ok(),
        (Api::DrainBroker, Direction::Response) => DrainBrokerResponse::decode(body).is_ok(),
        (Api::ElectLeaders, Direction::Request) => ElectLeadersRequest::decode(body).is_ok(),
        (Api::ElectLeaders, Direction::Response) => ElectLeadersResponse::decode(body).is_ok(),
        (Api::AlterPartitionReassignment, Direction::Request) => {
            AlterPartitionReassignmentRequest::decode(body).is_ok()
        }
        (Api::AlterPartitionReassignment, Direction::Response) => {
            AlterPartitionReassignmentResponse::decode(body).is_ok()
        }
        (Api::WatchCluster, Direction::Request) => WatchClusterRequest::decode(body).is_ok(),
        (Api::WatchCluster, Direction::Response) => WatchClusterResponse::decode(body).is_ok(),
        (Api::DeleteTopic, Direction::Request) => DeleteTopicRequest::decode(body).is_ok(),
        (Api::DeleteTopic, Direction::Response) => DeleteTopicResponse::decode(body).is_ok(),
        (Api::AlterTopic, Direction::Request) => AlterTopicRequest::decode(body).is_ok(),
        (Api::AlterTopic, Direction::Response) => AlterTopicResponse::decode(body).is_ok(),
        (Api::DescribeTopic, Direction::Request) => DescribeTopicRequest::decode(body).is_ok(),
        (Api::DescribeTopic, Direction::Response) => DescribeTopicResponse::decode(body).is_ok(),
        (Api::DescribeCluster, Direction::Request) => DescribeClusterRequest::decode(body).is_ok(),
        (Api::DescribeCluster, Direction::Response) => {
            DescribeClusterResponse::decode(body).is_ok()
        }
        (Api::DeleteRecords, Direction::Request) => DeleteRecordsRequest::decode(body).is_ok(),
        (Api::OffsetCommit, Direction::Request) => OffsetCommitRequest::decode(body).is_ok(),
        (Api::OffsetCommit, Direction::Response) => OffsetCommitResponse::decode(body).is_ok(),
        (Api::OffsetFetch, Direction::Request) => OffsetFetchRequest::decode(body).is_ok(),
        (Api::OffsetFetch, Direction::Response) => OffsetFetchResponse::decode(body).is_ok(),
        (Api::DeleteRecords, Direction::Response) => DeleteRecordsResponse::decode(body).is_ok(),
    }
}
