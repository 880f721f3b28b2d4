//! A segment file read by a parser of record batches that nobody here wrote.

use bytes::Bytes;
use kafka_protocol::records::{RecordBatchDecoder, TimestampType as ForeignTimestampType};
use ringlog_log::{LogConfig, TimestampType};
use ringlog_record::batch::{BatchBuilder, HeaderData, RecordData};
use ringlog_record::{LeaderEpoch, TimestampMs};

use crate::bench_world::{World, open_with, segment_file};

/// A record as the test made it.
#[derive(Clone, Debug, PartialEq)]
struct Made {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    timestamp: i64,
}

/// Each number makes another combination of key, value, headers and time.
fn made(number: usize) -> Made {
    let bytes = |len: usize| vec![b'a' + u8::try_from(number % 26).unwrap(); len];
    let header = |index: usize| {
        let key = ["", "h", "Schlüssel", "trace-id"][index % 4].to_owned();
        (key, (index % 3 != 1).then(|| bytes(index * 40)))
    };
    Made {
        key: (!number.is_multiple_of(3)).then(|| bytes(number % 7 * 10)),
        value: (!number.is_multiple_of(4)).then(|| bytes(number % 11 * 150)),
        headers: (0..number % 5).map(header).collect(),
        timestamp: 1_700_000_000_000 + i64::try_from(number * 37 % 1_000).unwrap(),
    }
}

fn encode(records: &[Made]) -> Bytes {
    let mut builder = BatchBuilder::new(1 << 20);
    for record in records {
        let headers: Vec<HeaderData<'_>> = record
            .headers
            .iter()
            .map(|(key, value)| HeaderData {
                key,
                value: value.as_deref(),
            })
            .collect();
        let record = RecordData {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            timestamp: TimestampMs::new(record.timestamp),
        };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn a_foreign_parser_reads_every_field_of_a_segment_file() {
    for timestamp_type in [TimestampType::Create, TimestampType::Append] {
        let world = World::new(1);
        // For each batch its records, the epoch of its leader, and when it was appended.
        let (written, len_bytes) = world.run(move |env| async move {
            let config = LogConfig {
                timestamp_type,
                ..LogConfig::default()
            };
            let (log, _) = open_with(&env, config).await;
            let (mut written, mut number) = (Vec::new(), 0);
            for epoch in [3, 4, 9] {
                log.begin_epoch(LeaderEpoch::new(epoch)).await.unwrap();
                for size in [1, 2, 7, 60] {
                    let records: Vec<Made> = (number..number + size).map(made).collect();
                    number += size;
                    log.append(&encode(&records), LeaderEpoch::new(epoch))
                        .unwrap();
                    written.push((records, epoch, env.reactor.unix_time_ms()));
                    env.reactor.sleep(std::time::Duration::from_millis(3)).await;
                }
            }
            log.flush().await.unwrap();
            (written, log.size_bytes())
        });
        let file = world.sim.read_file(world.node, &segment_file(0)).unwrap();
        let batches = file[..usize::try_from(len_bytes).unwrap()].to_vec();
        let sets = RecordBatchDecoder::decode_all(&mut Bytes::from(batches)).unwrap();
        let mut found = sets.into_iter().flat_map(|set| set.records);

        let mut offset = 0;
        for (records, epoch, appended) in &written {
            for (index, record) in (0_i32..).zip(records) {
                let found = found.next().unwrap();
                assert_eq!(found.offset, offset);
                offset += 1;
                assert_eq!(found.partition_leader_epoch, i32::try_from(*epoch).unwrap());
                assert_eq!(found.key.as_deref(), record.key.as_deref());
                assert_eq!(found.value.as_deref(), record.value.as_deref());
                let headers: Vec<_> = found
                    .headers
                    .iter()
                    .map(|(key, value)| (key.to_string(), value.as_deref().map(<[u8]>::to_vec)))
                    .collect();
                assert_eq!(headers, record.headers);
                match timestamp_type {
                    TimestampType::Create => {
                        assert_eq!(found.timestamp_type, ForeignTimestampType::Creation);
                        assert_eq!(found.timestamp, record.timestamp);
                    }
                    TimestampType::Append => {
                        assert_eq!(found.timestamp_type, ForeignTimestampType::LogAppend);
                        assert!(*appended > 0);
                    }
                }
                assert_eq!((found.producer_id, found.producer_epoch), (-1, -1));
                assert_eq!(found.sequence, (-1_i32).wrapping_add(index));
                assert!(!found.transactional && !found.control && !found.delete_horizon);
            }
        }
        assert!(found.next().is_none());
        assert_eq!(offset, 210);
    }
}
