//! Messages of the largest size that is allowed fit, and larger ones are refused on both sides.

use ringlog_record::{LeaderEpoch, Offset};
use ringlog_wire::limits::{
    BODY_BYTES_MAX, COMMIT_METADATA_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX, GROUP_ID_BYTES_MAX,
    GROUP_METADATA_BYTES_MAX, METADATA_OVERHEAD_BYTES, PAYLOAD_BYTES_MAX, REQUEST_PARTITIONS_MAX,
};
use ringlog_wire::*;

use crate::samples::{CORRELATION_ID, id};

fn partitions() -> impl Iterator<Item = ringlog_record::TopicPartition> {
    (0..u32::try_from(REQUEST_PARTITIONS_MAX).unwrap()).map(id)
}

fn full_state() -> PartitionState {
    PartitionState {
        high_watermark: Offset::new(u64::MAX),
        log_start: Offset::new(u64::MAX),
        leader_epoch: LeaderEpoch::new(u32::MAX),
    }
}

#[test]
fn a_produce_of_every_partition_fits_both_ways_even_when_all_fail() {
    let requested: Vec<_> = partitions()
        .map(|id| ProducePartition {
            expected_offset: Some(Offset::new(u64::MAX)),
            ..ProducePartition::new(id, 61)
        })
        .collect();
    let draft = ProduceRequestDraft {
        acks: Acks::All,
        timeout_ms: u32::MAX,
        partitions: &requested,
        wants_receipt: false,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let request = ProduceRequest::decode(frame::parse(&bytes).unwrap().1).unwrap();
    assert!(request.partitions().eq(requested.iter().copied()));

    let message = "x".repeat(2 * ERROR_MESSAGE_BYTES_MAX);
    let failed: Vec<_> = partitions()
        .map(|id| ProducedPartition {
            state: full_state(),
            base_offset: Offset::new(u64::MAX),
            level: AckLevel::AllDurable,
            forwarded: true,
            log_end: Some(Offset::new(u64::MAX)),
            ..ProducedPartition::refused(id, ErrorCode::NoSpace, &message)
        })
        .collect();
    let draft = ProduceResponseDraft {
        partitions: &failed,
        receipt: Some(ProduceReceipt {
            queued_ns: u64::MAX,
            appended_ns: u64::MAX,
            flushed_ns: u64::MAX,
            replicated_ns: u64::MAX,
            replied_ns: u64::MAX,
        }),
        throttle_ms: u32::MAX,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let response = ProduceResponse::decode(frame::parse(&bytes).unwrap().1).unwrap();
    assert_eq!(response.partitions().len(), REQUEST_PARTITIONS_MAX);
    let texts: Vec<_> = response
        .partitions()
        .filter_map(|partition| partition.message)
        .collect();
    assert_eq!(texts.len(), limits::RESPONSE_ERROR_MESSAGES_MAX);
    assert!(
        texts
            .iter()
            .all(|text| text.len() == ERROR_MESSAGE_BYTES_MAX)
    );
}

#[test]
fn a_fetch_of_every_partition_fits_both_ways() {
    let requested: Vec<_> = partitions()
        .map(|id| FetchPartition {
            id,
            offset: Offset::new(u64::MAX),
            max_bytes: u32::MAX,
            last_epoch: Some(LeaderEpoch::new(u32::MAX)),
        })
        .collect();
    let draft = FetchRequestDraft {
        max_wait_ms: u32::MAX,
        min_bytes: u32::MAX,
        max_bytes: u32::MAX,
        partitions: &requested,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let request = FetchRequest::decode(frame::parse(&bytes).unwrap().1).unwrap();
    assert!(request.partitions().eq(requested));

    let fetched: Vec<_> = partitions()
        .map(|id| FetchedPartition {
            state: full_state(),
            len_bytes: 61,
            agreed_end: Some(Offset::new(u64::MAX)),
            forwarded: true,
            ..FetchedPartition::refused(id, ErrorCode::NotLeader, "elsewhere")
        })
        .collect();
    let draft = FetchResponseDraft {
        partitions: &fetched,
        throttle_ms: 0,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let response = FetchResponse::decode(frame::parse(&bytes).unwrap().1).unwrap();
    assert_eq!(response.slices().len(), REQUEST_PARTITIONS_MAX);
}

#[test]
fn offsets_of_every_partition_fit_both_ways() {
    let commit = |id| OffsetCommitPartition {
        id,
        offset: Offset::new(u64::MAX),
        leader_epoch: Some(LeaderEpoch::new(u32::MAX)),
        metadata: String::new(),
    };
    let request = OffsetCommitRequest {
        group: "g".repeat(GROUP_ID_BYTES_MAX),
        partitions: partitions().map(commit).collect(),
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &request).unwrap();
    let decoded = OffsetCommitRequest::decode(frame::parse(&bytes).unwrap().1);
    assert_eq!(decoded, Ok(request));

    let message = "x".repeat(ERROR_MESSAGE_BYTES_MAX);
    let refused = |id| OffsetCommitted {
        id,
        error: ErrorCode::OffsetsFull,
        message: Some(message.clone()),
        state: full_state(),
    };
    let response = OffsetCommitResponse {
        partitions: partitions().map(refused).collect(),
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &response).unwrap();
    let decoded = OffsetCommitResponse::decode(frame::parse(&bytes).unwrap().1).unwrap();
    assert_eq!(decoded.partitions.len(), REQUEST_PARTITIONS_MAX);

    let request = OffsetFetchRequest {
        group: "g".repeat(GROUP_ID_BYTES_MAX),
        partitions: Some(partitions().collect()),
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &request).unwrap();
    let decoded = OffsetFetchRequest::decode(frame::parse(&bytes).unwrap().1);
    assert_eq!(decoded, Ok(request));
}

/// With as much beside the offsets as a group may have, in texts of the size that costs most.
#[test]
fn all_offsets_of_a_group_fit_one_answer() {
    let texts = GROUP_METADATA_BYTES_MAX / (1 + METADATA_OVERHEAD_BYTES);
    let committed = |(place, id)| CommittedOffset {
        error: ErrorCode::UnknownPartition,
        message: Some("x".repeat(ERROR_MESSAGE_BYTES_MAX)),
        state: full_state(),
        offset: Some(Offset::new(u64::MAX)),
        leader_epoch: Some(LeaderEpoch::new(u32::MAX)),
        metadata: if place < texts { "m" } else { "" }.to_owned(),
        committed_at: Some(ringlog_record::TimestampMs::new(i64::MAX)),
        ..CommittedOffset::none(id)
    };
    let response = OffsetFetchResponse {
        partitions: (0..).zip(partitions()).map(committed).collect(),
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &response).unwrap();
    let decoded = OffsetFetchResponse::decode(frame::parse(&bytes).unwrap().1).unwrap();
    assert_eq!(decoded.partitions.len(), REQUEST_PARTITIONS_MAX);
}

#[test]
fn groups_and_metadata_that_are_too_long_are_refused() {
    let commit = |group: usize, metadata: usize| {
        let request = OffsetCommitRequest {
            group: "g".repeat(group),
            partitions: vec![OffsetCommitPartition {
                id: id(0),
                offset: Offset::new(1),
                leader_epoch: None,
                metadata: "m".repeat(metadata),
            }],
        };
        let bytes = Encoder::new().encode(CORRELATION_ID, &request).unwrap();
        OffsetCommitRequest::decode(frame::parse(&bytes).unwrap().1).map(drop)
    };
    assert_eq!(
        commit(GROUP_ID_BYTES_MAX, COMMIT_METADATA_BYTES_MAX),
        Ok(())
    );
    let too_long = |field, bytes, bytes_min, bytes_max| {
        Err(DecodeError::BadLength {
            field,
            bytes,
            bytes_min,
            bytes_max,
        })
    };
    assert_eq!(commit(0, 0), too_long("group", 0, 1, GROUP_ID_BYTES_MAX));
    assert_eq!(
        commit(256, 0),
        too_long("group", 256, 1, GROUP_ID_BYTES_MAX)
    );
    let metadata = too_long("metadata", 1025, 0, COMMIT_METADATA_BYTES_MAX);
    assert_eq!(commit(1, 1025), metadata);
}

#[test]
fn metadata_of_every_partition_fits() {
    let brokers: Vec<_> = (1..=3).map(ringlog_record::BrokerId::new).collect();
    let partitions = partitions().map(|id| PartitionMetadata {
        partition: id.partition,
        leader: Some(ringlog_record::BrokerId::new(1)),
        shard: ringlog_record::ShardId::new(1),
        leader_epoch: LeaderEpoch::new(9),
        replicas: brokers.clone(),
        isr: brokers.clone(),
    });
    let response = MetadataResponse {
        topics: vec![TopicMetadata {
            partitions: partitions.collect(),
            ..TopicMetadata::refused("wide", ErrorCode::None)
        }],
        ..MetadataResponse::default()
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &response).unwrap();
    let decoded = MetadataResponse::decode(frame::parse(&bytes).unwrap().1);
    assert_eq!(decoded, Ok(response));
}

#[test]
fn more_partitions_than_allowed_are_refused() {
    let one_more = id(u32::try_from(REQUEST_PARTITIONS_MAX).unwrap());
    let requested: Vec<_> = partitions()
        .chain([one_more])
        .map(|id| ProducePartition::new(id, 1))
        .collect();
    let draft = ProduceRequestDraft {
        acks: Acks::All,
        timeout_ms: 1,
        partitions: &requested,
        wants_receipt: false,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    let refused = ProduceRequest::decode(frame::parse(&bytes).unwrap().1).unwrap_err();
    assert_eq!(refused.error_code(), ErrorCode::InvalidRequest);
}

#[test]
fn too_long_a_message_is_refused_and_the_encoder_goes_on() {
    let mut encoder = Encoder::new();
    let long = DeleteTopicRequest {
        name: "x".repeat(BODY_BYTES_MAX),
    };
    assert!(matches!(
        encoder.encode(CORRELATION_ID, &long),
        Err(EncodeError::TooLong { .. })
    ));
    let partition = ProducePartition::new(id(0), u32::try_from(PAYLOAD_BYTES_MAX).unwrap() + 1);
    let draft = ProduceRequestDraft {
        acks: Acks::All,
        timeout_ms: 1,
        partitions: &[partition],
        wants_receipt: false,
    };
    assert!(matches!(
        encoder.encode(CORRELATION_ID, &draft),
        Err(EncodeError::TooLong { .. })
    ));
    let short = DeleteTopicRequest {
        name: "x".to_owned(),
    };
    let bytes = encoder.encode(CORRELATION_ID, &short).unwrap();
    let decoded = DeleteTopicRequest::decode(frame::parse(&bytes).unwrap().1);
    assert_eq!(decoded, Ok(short));
}

#[test]
fn slices_that_do_not_tile_the_payload_are_refused() {
    let partition = ProducePartition::new(id(0), 61);
    let draft = ProduceRequestDraft {
        acks: Acks::All,
        timeout_ms: 1,
        partitions: &[partition],
        wants_receipt: false,
    };
    let bytes = Encoder::new().encode(CORRELATION_ID, &draft).unwrap();
    for payload_len in [0_u32, 60, 62] {
        let mut bytes = bytes.to_vec();
        bytes[20..24].copy_from_slice(&payload_len.to_le_bytes());
        bytes[24..28].fill(0);
        let checksum = crc32c::crc32c(&bytes);
        bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
        let (_, body) = frame::parse(&bytes).unwrap();
        let refused = ProduceRequest::decode(body).unwrap_err();
        assert_eq!(
            refused,
            DecodeError::SlicesDoNotTile {
                slices_bytes: 61,
                payload_bytes: payload_len as usize
            }
        );
    }
}

#[test]
fn a_payload_behind_a_message_that_has_none_is_refused() {
    let request = DeleteTopicRequest::default();
    let mut bytes = Encoder::new()
        .encode(CORRELATION_ID, &request)
        .unwrap()
        .to_vec();
    bytes[20] = 1;
    bytes[24..28].fill(0);
    let checksum = crc32c::crc32c(&bytes);
    bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
    let (_, body) = frame::parse(&bytes).unwrap();
    assert!(matches!(
        DeleteTopicRequest::decode(body),
        Err(DecodeError::SlicesDoNotTile { .. })
    ));
}
