//! A record batch, and rows of them, as a producer or a disk gives them.

use ringlog_record::batch::{
    BatchBuilder, BatchError, BatchLimits, BatchView, HeaderData, RecordData, RecordView, batches,
    copy_validated, stamp, stamp_append_time, validate_produce,
};
use ringlog_record::limits::{
    BATCH_BYTES_MAX, BATCH_CRC_START, BATCH_HEADER_BYTES, BATCH_RECORDS_MAX,
};
use ringlog_record::{LeaderEpoch, Offset, TimestampMs};

use crate::{INPUT_BYTES_MAX, Target};

/// See the module.
pub const TARGET: Target = Target {
    name: "batch",
    run: batch,
    samples,
    seal,
    // The records of a batch, decoded and encoded again.
    memory_bytes_max: 64 * INPUT_BYTES_MAX,
    rounds: 400_000,
};

/// Batches that are accepted lie within the bytes and their limits, their records within them, and both come back.
pub fn batch(data: &[u8]) -> bool {
    row(data);
    let Ok(view) = BatchView::parse(data) else {
        assert!(validate_produce(data, &BatchLimits::default()).is_err());
        return false;
    };
    let len = view.len_bytes();
    assert!((BATCH_HEADER_BYTES..=BATCH_BYTES_MAX.min(data.len())).contains(&len));
    assert!(view.base_offset() <= view.last_offset() && view.last_offset() <= Offset::MAX);
    let cut = BatchView::parse(&data[..len - 1]).err();
    assert!(matches!(cut, Some(BatchError::Truncated { .. })));
    let records: Vec<RecordView<'_>> = view.records().map_while(Result::ok).collect();
    for record in &records {
        assert!((view.base_offset()..=view.last_offset()).contains(&record.offset));
        assert_eq!(record.headers.len(), record.headers.clone().count());
    }
    if view.records().all(|record| record.is_ok()) {
        comes_back(&records);
    }
    let info = validate_produce(data, &BatchLimits::default());
    if let Ok(info) = &info {
        assert_eq!(info.len_bytes, len);
        assert!((1..=BATCH_RECORDS_MAX).contains(&info.record_count));
        assert_eq!(
            view.last_offset().since(view.base_offset()) + 1,
            u64::from(info.record_count)
        );
        is_appended(&data[..len]);
    }
    info.is_ok()
}

/// Whole batches and the rest are the input, whatever it is.
fn row(data: &[u8]) {
    let mut walk = batches(data);
    let mut position = 0;
    let mut errors = 0;
    for batch in walk.by_ref() {
        assert_eq!(errors, 0, "an error is the last item");
        match batch {
            Ok(batch) => position += batch.len_bytes(),
            Err(_) => errors += 1,
        }
    }
    assert_eq!(walk.position(), position);
    assert_eq!(walk.rest(), &data[position..]);
    assert!(errors == 1 || walk.rest().is_empty());
}

/// Records that were decoded are decoded again from a batch that is built of them.
fn comes_back(records: &[RecordView<'_>]) {
    let mut builder = BatchBuilder::new(BATCH_BYTES_MAX);
    let headers: Vec<Vec<HeaderData<'_>>> = records
        .iter()
        .map(|record| {
            let headers = record.headers.clone();
            headers
                .map(|header| HeaderData {
                    key: header.key,
                    value: header.value,
                })
                .collect()
        })
        .collect();
    for (record, headers) in records.iter().zip(&headers) {
        let data = RecordData {
            key: record.key,
            value: record.value,
            headers,
            timestamp: record.timestamp,
        };
        if builder.append(&data).is_err() {
            // It had been written more tightly than the builder writes.
            return;
        }
    }
    let Ok(built) = builder.build() else {
        assert!(records.is_empty());
        return;
    };
    let built = validate_and_view(&built);
    let again: Vec<_> = built.records().map_while(Result::ok).collect();
    let content = |record: &RecordView<'_>| {
        let headers: Vec<(String, Option<Vec<u8>>)> = record
            .headers
            .clone()
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect();
        let bytes = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let (key, value) = (bytes(record.key), bytes(record.value));
        (record.timestamp, key, value, headers)
    };
    assert!(records.iter().map(content).eq(again.iter().map(content)));
}

/// A batch that a producer may send.
pub(super) fn validate_and_view(bytes: &[u8]) -> BatchView<'_> {
    let info = validate_produce(bytes, &BatchLimits::default());
    match info.and_then(|_| BatchView::parse(bytes)) {
        Ok(view) => view,
        Err(error) => panic!("a batch that was built is refused: {error}"),
    }
}

/// What is taken is copied, stamped and read back as a leader does it.
fn is_appended(batch: &[u8]) {
    let mut copy = vec![0; batch.len() + 1];
    assert_eq!(copy_validated(batch, &mut copy), Ok(()));
    copy.truncate(batch.len());
    assert_eq!(copy, batch);
    let (offset, epoch) = (Offset::new(1 << 40), LeaderEpoch::new(9));
    assert_eq!(stamp(&mut copy, offset, epoch), Ok(()));
    assert_eq!(
        stamp_append_time(&mut copy, TimestampMs::new(-3)),
        Ok(()),
        "the CRC is written anew"
    );
    let Ok(view) = BatchView::parse(&copy) else {
        panic!("a batch is not one any more when it was stamped");
    };
    assert!(view.crc_is_valid());
    assert_eq!(view.base_offset(), offset);
    assert_eq!(view.header().leader_epoch(), Some(epoch));
    assert_eq!(view.max_timestamp(), TimestampMs::new(-3));
}

/// A batch of these values, with a base offset.
pub(super) fn build(values: &[&[u8]], base_offset: u64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BATCH_BYTES_MAX);
    let headers = [HeaderData {
        key: "origin",
        value: Some(b"here"),
    }];
    for (value, number) in values.iter().zip(0_i64..) {
        let record = RecordData {
            key: (number % 2 == 0).then_some(b"key"),
            value: (!value.is_empty()).then_some(value),
            headers: if number % 3 == 0 { &headers } else { &[] },
            timestamp: TimestampMs::new(1_767_225_600_000 + number),
        };
        if builder.append(&record).is_err() {
            break;
        }
    }
    let mut bytes = builder
        .build()
        .map(|built| built.to_vec())
        .unwrap_or_default();
    let stamped = stamp(&mut bytes, Offset::new(base_offset), LeaderEpoch::new(3));
    assert_eq!(stamped, Ok(()));
    bytes
}

fn samples() -> Vec<Vec<u8>> {
    let large = vec![0x5a; 20_000];
    let two = [build(&[b"a"], 0), build(&[b"b", b"", b"a longer one"], 1)];
    vec![
        build(&[b"hello"], 0),
        build(&[b"one", b"two", b"", b"four"], 0),
        build(&[&large], 0),
        two.concat(),
    ]
}

/// Computes the CRCs of the batches at the front anew.
pub(super) fn seal(data: &mut [u8]) {
    let mut at = 0;
    while let Ok(view) = BatchView::parse(&data[at..]) {
        let end = at + view.len_bytes();
        let crc = crc32c::crc32c(&data[at + BATCH_CRC_START..end]);
        data[at + BATCH_CRC_START - 4..at + BATCH_CRC_START].copy_from_slice(&crc.to_be_bytes());
        at = end;
    }
}
