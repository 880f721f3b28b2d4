use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression as ForeignCompression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};
use proptest::prelude::*;
use ringlog_record::TimestampMs;
use ringlog_record::batch::{BatchBuilder, BatchView, RecordData};

use super::*;

const ALL: [(Compression, ForeignCompression); 5] = [
    (Compression::None, ForeignCompression::None),
    (Compression::Gzip, ForeignCompression::Gzip),
    (Compression::Snappy, ForeignCompression::Snappy),
    (Compression::Lz4, ForeignCompression::Lz4),
    (Compression::Zstd, ForeignCompression::Zstd),
];

const MOST: usize = 64 << 20;

/// Values that do and do not compress, some larger than the blocks of the formats.
fn values() -> Vec<Vec<u8>> {
    let noise = |seed: u32, len: usize| {
        let mut state = seed;
        let byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(byte).take(len).collect()
    };
    vec![
        b"short".to_vec(),
        vec![b'a'; 200_000],
        noise(1, 100_000),
        Vec::new(),
        noise(2, 7),
    ]
}

#[test]
fn a_kafka_client_reads_what_is_compressed_here() {
    for (compression, foreign) in ALL {
        let mut builder = BatchBuilder::new(4 << 20);
        for value in values() {
            let record = RecordData {
                key: Some(b"key"),
                value: Some(&value),
                timestamp: TimestampMs::new(1_000),
                ..RecordData::default()
            };
            builder.append(&record).unwrap();
        }
        let compressed = compress(compression, builder.records()).unwrap();
        let batch = builder.build_compressed(compression, &compressed).unwrap();
        assert!(BatchView::parse(&batch).unwrap().crc_is_valid());
        let set = RecordBatchDecoder::decode(&mut batch.clone()).unwrap();
        assert_eq!(set.compression, foreign);
        let read: Vec<Vec<u8>> = set
            .records
            .into_iter()
            .map(|record| record.value.unwrap().to_vec())
            .collect();
        assert_eq!(read, values(), "{compression:?}");
    }
}

#[test]
fn what_a_kafka_client_compresses_is_read_here() {
    for (compression, foreign) in ALL {
        let records: Vec<Record> = (0_i32..)
            .zip(values())
            .map(|(index, value)| Record {
                transactional: false,
                control: false,
                delete_horizon: false,
                partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
                producer_id: NO_PRODUCER_ID,
                producer_epoch: NO_PRODUCER_EPOCH,
                timestamp_type: TimestampType::Creation,
                offset: index.into(),
                // One behind the other, or each would be a batch of its own.
                sequence: index,
                timestamp: 1_000,
                key: Some(Bytes::from_static(b"key")),
                value: Some(value.into()),
                headers: [(StrBytes::from_static_str("h"), None)].into(),
            })
            .collect();
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions {
            version: 2,
            compression: foreign,
        };
        RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
        let batch = BatchView::parse(&bytes).unwrap();
        assert_eq!(
            batch.header().attributes().compression(),
            Some(compression),
            "{compression:?}"
        );
        let records = decompress(compression, batch.body(), MOST).unwrap();
        let read: Vec<Vec<u8>> = batch
            .decompressed_records(&records)
            .map(|record| record.unwrap().value.unwrap().to_vec())
            .collect();
        assert_eq!(read, values(), "{compression:?}");
    }
}

#[test]
fn a_raw_block_of_snappy_is_read_too() {
    let records = values().concat();
    let raw = snap::raw::Encoder::new().compress_vec(&records).unwrap();
    assert_eq!(decompress(Compression::Snappy, &raw, MOST), Ok(records));
}

#[test]
fn a_small_batch_cannot_become_a_large_one() {
    let large = vec![0; 32 << 20];
    for (compression, _) in ALL {
        let compressed = compress(compression, &large).unwrap();
        let most = large.len();
        assert_eq!(decompress(compression, &compressed, most).unwrap(), large);
        for bytes_max in [most - 1, 1 << 10, 0] {
            let error = decompress(compression, &compressed, bytes_max);
            assert_eq!(error, Err(DecompressError::TooLarge { bytes_max }));
        }
    }
    // A claim alone: four gigabytes in five bytes.
    let claim = b"\xff\xff\xff\xff\x0f";
    assert_eq!(
        decompress(Compression::Snappy, claim, MOST),
        Err(DecompressError::TooLarge { bytes_max: MOST })
    );
}

proptest! {
    #[test]
    fn what_is_compressed_comes_back(records in proptest::collection::vec(any::<u8>(), 0..5_000)) {
        for (compression, _) in ALL {
            let compressed = compress(compression, &records).unwrap();
            prop_assert_eq!(decompress(compression, &compressed, MOST), Ok(records.clone()));
        }
    }

    #[test]
    fn damage_gives_an_error_or_bounded_bytes(
        records in proptest::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        for (compression, _) in ALL {
            let mut compressed = compress(compression, &records).unwrap();
            if !compressed.is_empty() {
                let at = at.index(compressed.len());
                compressed[at] = with;
                compressed.truncate(cut.index(compressed.len()) + 1);
            }
            if let Ok(out) = decompress(compression, &compressed, 1_000) {
                prop_assert!(out.len() <= 1_000);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for (compression, _) in ALL {
            if let Ok(out) = decompress(compression, &bytes, 1_000) {
                prop_assert!(out.len() <= 1_000);
            }
        }
    }
}
