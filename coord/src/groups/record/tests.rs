use proptest::prelude::*;

use super::*;

fn key(group: &str, topic: u128, partition: u32) -> OffsetKey {
    OffsetKey {
        group: GroupId::new(group).unwrap(),
        id: TopicPartition {
            topic: TopicId::new(topic),
            partition: PartitionIndex::new(partition),
        },
    }
}

fn committed(offset: u64, epoch: Option<u32>, metadata: &str) -> Committed {
    Committed {
        offset: Offset::new(offset),
        leader_epoch: epoch.map(LeaderEpoch::new),
        at: TimestampMs::new(1_700_000_000_000),
        metadata: metadata.into(),
    }
}

fn read(batch: &[u8]) -> Result<Vec<Change>, RecordFault> {
    changes_of(&BatchView::parse(batch)?)
}

#[test]
fn the_form_of_a_record_never_changes() {
    let change = Change {
        key: key("ab", 0x0102, 3),
        committed: Some(committed(5, Some(7), "hi")),
    };
    let batch = batch_of(std::slice::from_ref(&change), TimestampMs::new(9)).unwrap();
    let view = BatchView::parse(&batch).unwrap();
    let record = view.records().next().unwrap().unwrap();
    let topic = [&[0; 14][..], &[1, 2]].concat();
    let wanted = [&[1, 2][..], b"ab", &topic, &[0, 0, 0, 3]].concat();
    assert_eq!(record.key, Some(&wanted[..]));
    let at = 1_700_000_000_000_i64.to_be_bytes();
    let wanted = [
        &[1][..],
        &5_u64.to_be_bytes(),
        &7_i64.to_be_bytes(),
        &at,
        b"hi",
    ];
    assert_eq!(record.value, Some(&wanted.concat()[..]));
    assert_eq!(read(&batch), Ok(vec![change]));
}

#[test]
fn records_of_a_newer_version_are_told_apart_from_bad_ones() {
    let record = |key: &[u8], value: &[u8]| {
        let mut builder = BatchBuilder::new(BATCH_BYTES_MAX);
        let record = RecordData {
            key: Some(key),
            value: Some(value),
            ..RecordData::default()
        };
        builder.append(&record).unwrap();
        read(&builder.build().unwrap()).unwrap_err()
    };
    assert!(matches!(
        record(&[2], &[]),
        RecordFault::Newer { found: 2, .. }
    ));
    let mut key_bytes = Vec::new();
    put_key(&mut key_bytes, &key("g", 1, 0));
    let newer = record(&key_bytes, &[9]);
    assert!(matches!(newer, RecordFault::Newer { found: 9, .. }));
    assert!(newer.to_string().contains("newer version"));
    for (key, value) in [
        (&[][..], &[][..]),
        (&[1, 5, 0][..], &[][..]),
        (&key_bytes, &[1, 0]),
    ] {
        assert!(matches!(record(key, value), RecordFault::Malformed { .. }));
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        entries in prop::collection::vec(
            (".{1,60}", any::<u128>(), any::<u32>(), prop::option::of((any::<u64>(), prop::option::of(any::<u32>()), ".{0,100}"))),
            1..20,
        ),
    ) {
        let changes: Vec<_> = entries
            .iter()
            .map(|(group, topic, partition, value)| Change {
                key: key(group, *topic, *partition),
                committed: value.as_ref().map(|(offset, epoch, metadata)| committed(*offset, *epoch, metadata)),
            })
            .collect();
        let batch = batch_of(&changes, TimestampMs::new(1)).unwrap();
        prop_assert_eq!(read(&batch), Ok(changes));
    }

    #[test]
    fn no_key_and_no_value_panics(
        key in prop::option::of(prop::collection::vec(any::<u8>(), 0..60)),
        value in prop::option::of(prop::collection::vec(any::<u8>(), 0..60)),
    ) {
        let mut builder = BatchBuilder::new(BATCH_BYTES_MAX);
        let record = RecordData {
            key: key.as_deref(),
            value: value.as_deref(),
            ..RecordData::default()
        };
        builder.append(&record).unwrap();
        drop(read(&builder.build().unwrap()));
    }
}
