use super::super::stamp::write_crc;
use super::super::{
    BatchBuilder, BatchError, BatchLimits, BatchView, RecordData, RecordError, stamp,
    validate_produce,
};
use super::sample;
use crate::ids::LeaderEpoch;
use crate::offset::Offset;

/// Validates the sample after `change`, its CRC computed anew.
fn check(change: impl FnOnce(&mut Vec<u8>)) -> BatchError {
    let mut batch = sample().to_vec();
    change(&mut batch);
    write_crc(&mut batch).unwrap();
    validate_produce(&batch, &BatchLimits::default()).unwrap_err()
}

#[test]
fn a_good_batch_is_taken() {
    let batch = sample();
    let info = validate_produce(&batch, &BatchLimits::default()).unwrap();
    assert_eq!((info.len_bytes, info.record_count), (batch.len(), 2));
}

#[test]
fn each_wrong_field_is_named() {
    assert_eq!(check(|batch| batch[16] = 1), BatchError::Magic { magic: 1 });
    assert!(matches!(
        check(|batch| batch[11] = 48),
        BatchError::Length { length: 48, .. }
    ));
    assert!(matches!(
        check(|batch| batch[8] = 0xff),
        BatchError::Length { .. }
    ));
    assert!(matches!(
        check(|batch| batch[8] = 0x7f),
        BatchError::Length { .. }
    ));
    assert!(matches!(
        check(|batch| batch[11] += 1),
        BatchError::Truncated { .. }
    ));
    assert_eq!(
        check(|batch| batch[7] = 1),
        BatchError::BaseOffset { base_offset: 1 }
    );
    assert!(matches!(
        check(|batch| batch[0] = 0xff),
        BatchError::BaseOffset { .. }
    ));
    assert_eq!(
        check(|batch| batch[22] = 5),
        BatchError::Compression { code: 5 }
    );
    for attributes in [0x08, 0x10, 0x20, 0x40, 0x80] {
        assert_eq!(
            check(|batch| batch[22] = attributes),
            BatchError::Attributes {
                attributes: attributes.into()
            }
        );
    }
    for (count, delta) in [(3, 1), (1, 1), (0, 255)] {
        let error = check(|batch| (batch[60], batch[26]) = (count, delta));
        assert!(matches!(error, BatchError::RecordCount { .. }), "{error}");
    }
    let error = check(|batch| {
        batch[57..61].fill(0);
        batch[23..27].fill(0xff);
    });
    assert!(matches!(
        error,
        BatchError::RecordCount {
            record_count: 0,
            last_offset_delta: -1
        }
    ));
}

#[test]
fn limits_of_the_topic_hold() {
    let batch = sample();
    let limits = BatchLimits {
        batch_bytes_max: batch.len() - 1,
        ..BatchLimits::default()
    };
    assert!(matches!(
        validate_produce(&batch, &limits),
        Err(BatchError::TooLarge { .. })
    ));
    let limits = BatchLimits {
        records_max: 1,
        ..BatchLimits::default()
    };
    assert!(matches!(
        validate_produce(&batch, &limits),
        Err(BatchError::RecordCount { .. })
    ));
}

#[test]
fn stamping_leaves_the_crc_valid() {
    let mut batch = sample().to_vec();
    stamp(&mut batch, Offset::new(5), LeaderEpoch::new(6)).unwrap();
    let view = BatchView::parse(&batch).unwrap();
    assert!(view.crc_is_valid());
    assert_eq!(
        (view.base_offset(), view.last_offset()),
        (Offset::new(5), Offset::new(6))
    );
    assert!(stamp(&mut [0; 60], Offset::ZERO, LeaderEpoch::new(0)).is_err());
}

#[test]
fn offsets_beyond_the_largest_are_refused() {
    let mut batch = sample().to_vec();
    stamp(&mut batch, Offset::MAX, LeaderEpoch::new(6)).unwrap();
    assert!(matches!(
        BatchView::parse(&batch),
        Err(BatchError::RecordCount { .. })
    ));
}

#[test]
fn compressed_records_are_a_typed_error() {
    let mut batch = sample().to_vec();
    batch[22] = 4;
    let first = BatchView::parse(&batch).unwrap().records().next();
    assert_eq!(first, Some(Err(RecordError::Compressed { code: 4 })));
}

#[test]
fn bytes_after_the_last_record_are_noticed() {
    let mut batch = sample().to_vec();
    (batch[60], batch[26]) = (1, 1);
    let last = BatchView::parse(&batch).unwrap().records().last();
    assert_eq!(last, Some(Err(RecordError::TrailingBytes { bytes: 10 })));
}

#[test]
fn a_full_builder_refuses_and_stays_as_it_was() {
    let mut builder = BatchBuilder::new(100);
    let record = RecordData {
        value: Some(b"0123456789"),
        ..RecordData::default()
    };
    builder.append(&record).unwrap();
    builder.append(&record).unwrap();
    assert!(matches!(
        builder.append(&record),
        Err(BatchError::TooLarge { .. })
    ));
    let batch = builder.build().unwrap();
    assert_eq!(
        validate_produce(&batch, &BatchLimits::default())
            .unwrap()
            .record_count,
        2
    );
    assert!(BatchBuilder::new(100).build().is_err());
}
