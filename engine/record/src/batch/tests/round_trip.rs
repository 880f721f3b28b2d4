use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::{
    BatchBuilder, BatchError, BatchLimits, BatchView, HeaderData, RecordData, batches,
    copy_validated, stamp, stamp_append_time, validate_produce,
};
use crate::ids::{LeaderEpoch, TimestampMs};
use crate::offset::Offset;

type Header = (String, Option<Vec<u8>>);
type Record = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<Header>, i64);

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    option::of(vec(any::<u8>(), 0..200))
}

fn record() -> impl Strategy<Value = Record> {
    (
        bytes(),
        bytes(),
        vec((".{0,8}", bytes()), 0..4),
        any::<i64>(),
    )
}

fn build(records: &[Record]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(4 << 20);
    for (key, value, headers, timestamp) in records {
        let headers: Vec<HeaderData<'_>> = headers
            .iter()
            .map(|(key, value)| HeaderData {
                key,
                value: value.as_deref(),
            })
            .collect();
        let record = RecordData {
            key: key.as_deref(),
            value: value.as_deref(),
            headers: &headers,
            timestamp: TimestampMs::new(*timestamp),
        };
        let announced = builder.encoded_len_with(&record);
        builder.append(&record).unwrap();
        assert_eq!(builder.encoded_len(), announced);
    }
    builder.build().unwrap().to_vec()
}

fn read(view: &BatchView<'_>) -> Vec<Record> {
    view.records()
        .map(|record| {
            let record = record.unwrap();
            let headers = record
                .headers
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect();
            (
                record.key.map(<[u8]>::to_vec),
                record.value.map(<[u8]>::to_vec),
                headers,
                record.timestamp.get(),
            )
        })
        .collect()
}

proptest! {
    #[test]
    fn records_come_back(records in vec(record(), 1..20), base in 0..u64::MAX / 4, epoch in 0..i32::MAX) {
        let mut batch = build(&records);
        let epoch = LeaderEpoch::new(epoch.cast_unsigned());
        stamp(&mut batch, Offset::new(base), epoch).unwrap();
        let view = BatchView::parse(&batch).unwrap();
        prop_assert!(view.crc_is_valid());
        prop_assert_eq!(view.base_offset(), Offset::new(base));
        prop_assert_eq!(view.last_offset().since(view.base_offset()) + 1, records.len() as u64);
        prop_assert_eq!(view.header().leader_epoch(), Some(epoch));
        prop_assert_eq!(read(&view), records);
    }

    #[test]
    fn a_copy_is_equal_and_a_changed_bit_is_noticed(records in vec(record(), 1..5), at: prop::sample::Index, bit in 0..8) {
        let mut batch = build(&records);
        let mut copy = vec![0; batch.len() + 3];
        copy_validated(&batch, &mut copy).unwrap();
        prop_assert_eq!(&copy[..batch.len()], &batch[..]);
        let at = 17 + at.index(batch.len() - 17);
        batch[at] ^= 1_u8 << bit;
        prop_assert!(validate_produce(&batch, &BatchLimits::default()).is_err());
        let noticed = copy_validated(&batch, &mut copy).is_err();
        prop_assert!(noticed);
    }

    #[test]
    fn append_time_replaces_every_time_stamp(records in vec(record(), 1..5), time: i64) {
        let mut batch = build(&records);
        stamp_append_time(&mut batch, TimestampMs::new(time)).unwrap();
        let view = BatchView::parse(&batch).unwrap();
        prop_assert!(view.crc_is_valid());
        prop_assert!(view.records().all(|record| record.unwrap().timestamp.get() == time));
    }

    #[test]
    fn no_bytes_make_a_parser_panic(mut noise in vec(any::<u8>(), 0..300), framed: bool) {
        if framed && noise.len() >= 61 {
            let length = i32::try_from(noise.len() - 12).unwrap();
            noise[..8].fill(0);
            noise[8..12].copy_from_slice(&length.to_be_bytes());
            noise[16] = 2;
            noise[21..24].fill(0);
            noise[57..60].fill(0);
        }
        for view in batches(&noise).flatten() {
            view.records().for_each(drop);
        }
        validate_produce(&noise, &BatchLimits::default()).ok();
    }

    #[test]
    fn a_partial_batch_at_the_end_is_reported(records in vec(record(), 1..4), cut: prop::sample::Index) {
        let batch = build(&records);
        let cut = 1 + cut.index(batch.len() - 1);
        let image = [&batch[..], &batch[..cut]].concat();
        let mut iter = batches(&image);
        prop_assert!(iter.next().unwrap().is_ok());
        let is_truncated = matches!(iter.next().unwrap(), Err(BatchError::Truncated { available_bytes, .. }) if available_bytes == cut);
        prop_assert!(is_truncated);
        prop_assert_eq!(iter.position(), batch.len());
        prop_assert!(iter.next().is_none());
    }
}
