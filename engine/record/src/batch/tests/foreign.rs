//! Against a parser and an encoder of record batches that nobody here wrote.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression as ForeignCompression, Record, RecordBatchDecoder, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType as ForeignTimestampType,
};

use super::super::{BatchBuilder, HeaderData, RecordData, validate_produce};
use super::super::{
    BatchLimits, BatchView, HeaderView, TimestampType, batches, stamp, stamp_append_time,
};
use super::sample;
use crate::ids::{LeaderEpoch, TimestampMs};
use crate::offset::Offset;

fn decode(bytes: &[u8]) -> Vec<Record> {
    let sets = RecordBatchDecoder::decode_all(&mut Bytes::copy_from_slice(bytes)).unwrap();
    sets.into_iter().flat_map(|set| set.records).collect()
}

#[test]
fn a_foreign_parser_reads_every_field_as_we_do() {
    let mut first = sample().to_vec();
    stamp(&mut first, Offset::new(70), LeaderEpoch::new(9)).unwrap();
    let mut builder = BatchBuilder::new(1 << 20);
    for index in 0..300_u16 {
        let value = vec![b'v'; usize::from(index)];
        let headers = [
            HeaderData {
                key: "",
                value: Some(b""),
            },
            HeaderData {
                key: "ключ",
                value: (index % 2 == 0).then_some(b"value"),
            },
        ];
        let record = RecordData {
            key: (index % 3 > 0).then_some(&value[..usize::from(index % 7).min(value.len())]),
            value: (index % 5 > 0).then_some(&value),
            headers: &headers[..usize::from(index % 3)],
            timestamp: TimestampMs::new(1_000_000 - 7 * i64::from(index)),
        };
        builder.append(&record).unwrap();
    }
    let mut second = builder.build().unwrap().to_vec();
    stamp(&mut second, Offset::new(72), LeaderEpoch::new(10)).unwrap();
    let mut third = sample().to_vec();
    stamp(
        &mut third,
        Offset::new(372),
        LeaderEpoch::new(i32::MAX.cast_unsigned()),
    )
    .unwrap();
    stamp_append_time(&mut third, TimestampMs::new(42)).unwrap();
    let image = [first, second, third].concat();

    let theirs = decode(&image);
    let mut count = 0;
    for view in batches(&image).map(Result::unwrap) {
        let header = view.header();
        assert!(view.crc_is_valid());
        for ours in view.records().map(Result::unwrap) {
            let theirs = &theirs[count];
            count += 1;
            assert_eq!(theirs.offset, ours.offset.get().cast_signed());
            assert_eq!(theirs.key.as_deref(), ours.key);
            assert_eq!(theirs.value.as_deref(), ours.value);
            assert_eq!(
                theirs.partition_leader_epoch,
                header.partition_leader_epoch.get()
            );
            assert_eq!(theirs.producer_id, header.producer_id.get());
            assert_eq!(theirs.producer_epoch, header.producer_epoch.get());
            let delta = i32::try_from(ours.offset.since(view.base_offset())).unwrap();
            assert_eq!(
                theirs.sequence,
                header.base_sequence.get().wrapping_add(delta)
            );
            assert_eq!(theirs.transactional, header.attributes().is_transactional());
            assert_eq!(theirs.control, header.attributes().is_control());
            assert!(!theirs.delete_horizon);
            match header.attributes().timestamp_type() {
                TimestampType::Create => {
                    assert_eq!(theirs.timestamp_type, ForeignTimestampType::Creation);
                    assert_eq!(theirs.timestamp, ours.timestamp.get());
                }
                TimestampType::Append => {
                    assert_eq!(theirs.timestamp_type, ForeignTimestampType::LogAppend);
                    assert_eq!(ours.timestamp, TimestampMs::new(42));
                }
            }
            let headers: Vec<_> = theirs
                .headers
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_deref()))
                .collect();
            assert_eq!(
                headers,
                ours.headers
                    .map(|HeaderView { key, value }| (key, value))
                    .collect::<Vec<_>>()
            );
        }
    }
    assert_eq!(count, theirs.len());
    assert_eq!(count, 304);
}

#[test]
fn a_batch_of_a_foreign_encoder_is_taken_and_read() {
    let record = |offset: i64| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: 7,
        producer_epoch: 1,
        timestamp_type: ForeignTimestampType::Creation,
        offset,
        sequence: 100 + i32::try_from(offset).unwrap(),
        timestamp: 1_000 + offset,
        key: (offset != 1).then(|| Bytes::from(format!("key {offset}"))),
        value: (offset != 2).then(|| Bytes::from(format!("value {offset}"))),
        headers: [(
            StrBytes::from_static_str("h"),
            Some(Bytes::from_static(b"1")),
        )]
        .into_iter()
        .collect(),
    };
    let records: Vec<Record> = (0..4).map(record).collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: ForeignCompression::None,
    };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();

    let info = validate_produce(&bytes, &BatchLimits::default()).unwrap();
    assert_eq!((info.len_bytes, info.record_count), (bytes.len(), 4));
    assert_eq!(info.max_timestamp, TimestampMs::new(1_003));
    let view = BatchView::parse(&bytes).unwrap();
    assert_eq!(view.header().producer_id.get(), 7);
    assert_eq!(view.header().producer_epoch.get(), 1);
    assert_eq!(view.header().base_sequence.get(), 100);
    assert_eq!(view.header().base_timestamp.get(), 1_000);
    for (theirs, ours) in records.iter().zip(view.records()) {
        let ours = ours.unwrap();
        assert_eq!(theirs.offset, ours.offset.get().cast_signed());
        assert_eq!(theirs.timestamp, ours.timestamp.get());
        assert_eq!(theirs.key.as_deref(), ours.key);
        assert_eq!(theirs.value.as_deref(), ours.value);
        assert_eq!(
            ours.headers.collect::<Vec<_>>(),
            [HeaderView {
                key: "h",
                value: Some(b"1")
            }]
        );
    }
}
